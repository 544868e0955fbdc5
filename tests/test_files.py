"""Generated files: where they may lie, what they may replace, and that they are whole or not there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from symgrad.emit import files
from symgrad.emit.files import MARKDOWN_HEADER, PYTHON_HEADER, State, compare, left_over, write_files, write_text
from symgrad.errors import EmissionError

TEXT = f"{PYTHON_HEADER} 0.0\nvalue = 1\n"
NEWER = f"{PYTHON_HEADER} 0.0\nvalue = 2\n"
STUDY = f"{MARKDOWN_HEADER} 0.0 -->\n# Study\n"


def everything_in(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_files_are_written_with_their_folders(tmp_path):
    written = write_files({"numpy/a.py": TEXT, "study/a.md": STUDY}, tmp_path / "out")
    assert everything_in(tmp_path) == {"out/numpy/a.py": TEXT, "out/study/a.md": STUDY}
    assert written == (tmp_path / "out/numpy/a.py", tmp_path / "out/study/a.md")


def test_our_own_file_is_replaced_and_a_current_one_left_alone(tmp_path):
    path = write_text("a.py", TEXT, tmp_path)
    before = path.stat()
    write_text("a.py", TEXT, tmp_path)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    write_text("a.py", NEWER, tmp_path)
    assert everything_in(tmp_path) == {"a.py": NEWER}


def test_line_ends_and_encoding_do_not_depend_on_the_machine(tmp_path):
    path = write_text("a.py", TEXT + "# x\u0304\n", tmp_path)
    assert path.read_bytes() == (TEXT + "# x\u0304\n").encode()


def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_text("")
    assert write_text("a.py", TEXT, tmp_path).stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("path", ["../a.py", "numpy/../../a.py", "/etc/a.py", "", ".", "a\0.py", "..\\a.py"])
def test_a_path_outside_the_folder_is_refused(tmp_path, path):
    root = tmp_path / "out"
    with pytest.raises(EmissionError, match="refused to write"):
        write_text(path, TEXT, root)
    assert everything_in(tmp_path) == {}


def test_spaces_and_unicode_in_the_folder(tmp_path):
    root = tmp_path / "my layers \u5c42"
    assert write_text("a.py", TEXT, root).read_text() == TEXT


def test_symbolic_links_are_not_followed(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.py").write_text(TEXT)
    root = tmp_path / "out"
    root.mkdir()
    (root / "numpy").symlink_to(elsewhere)
    (root / "a.py").symlink_to(elsewhere / "a.py")
    (root / "dangling.py").symlink_to(tmp_path / "nothing")
    for path in ("numpy/a.py", "a.py", "dangling.py"):
        with pytest.raises(EmissionError, match="symbolic link"):
            write_text(path, NEWER, root)
    assert (elsewhere / "a.py").read_text() == TEXT
    assert not (tmp_path / "nothing").exists()


def test_the_output_folder_itself_may_be_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_text("a.py", TEXT, tmp_path / "link")
    assert (tmp_path / "real/a.py").read_text() == TEXT


@pytest.mark.parametrize("foreign", ["", "print(1)\n", f"\n\n\n\n\n\n{PYTHON_HEADER} 0.0\n", "\x00\xff"])
def test_a_foreign_file_is_never_overwritten(tmp_path, foreign):
    (tmp_path / "b.py").write_text(foreign)
    with pytest.raises(EmissionError, match=r"refused to overwrite .*b\.py"):
        write_files({"a.py": TEXT, "b.py": TEXT}, tmp_path)
    assert everything_in(tmp_path) == {"b.py": foreign}


def test_a_text_without_header_is_a_defect_of_the_caller(tmp_path):
    with pytest.raises(EmissionError, match="lacks the header"):
        write_text("a.py", "value = 1\n", tmp_path)
    assert everything_in(tmp_path) == {}


def test_a_folder_in_the_way(tmp_path):
    (tmp_path / "a.py").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(EmissionError, match=r"a\.py: it exists and is no file"):
        write_text("a.py", TEXT, tmp_path)
    with pytest.raises(EmissionError, match="file is no folder"):
        write_text("file/a.py", TEXT, tmp_path)
    with pytest.raises(EmissionError, match="file is no folder"):
        write_text("a.py", TEXT, tmp_path / "file")


def test_when_one_file_cannot_be_written_none_is(tmp_path, monkeypatch):
    write_text("a.py", TEXT, tmp_path)
    real_open = open

    def full(path, mode="r", **options):
        if "x" in mode and ".c.py" in str(path):
            real_open(path, mode, **options).close()
            raise OSError(28, "No space left on device", str(path))
        return real_open(path, mode, **options)

    monkeypatch.setattr(files, "open", full, raising=False)
    with pytest.raises(EmissionError, match=r"cannot write .*c\.py: No space left"):
        write_files({"a.py": NEWER, "b.py": TEXT, "c.py": TEXT}, tmp_path)
    assert everything_in(tmp_path) == {"a.py": TEXT}


def test_a_failed_rename_leaves_no_temporary_file(tmp_path, monkeypatch):
    def refuse(source, target):
        raise PermissionError(13, "Permission denied", str(source))

    monkeypatch.setattr(files.os, "replace", refuse)
    with pytest.raises(EmissionError, match=r"cannot write .*/a\.py: Permission denied"):
        write_text("a.py", TEXT, tmp_path)
    assert everything_in(tmp_path) == {}


def test_a_read_only_folder_is_named(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("the superuser may write anywhere")
    root = tmp_path / "out"
    root.mkdir(mode=0o555)
    with pytest.raises(EmissionError, match=r"cannot write .*out/a\.py: Permission denied"):
        write_text("a.py", TEXT, root)


def test_a_killed_writer_leaves_the_old_file_whole(tmp_path):
    path = write_text("a.py", TEXT, tmp_path)
    script = f"""
import os, signal
from pathlib import Path
from symgrad.emit import files
files.os.replace = lambda source, target: os.kill(os.getpid(), signal.SIGKILL)
files.write_text("a.py", {NEWER!r}, Path({str(tmp_path)!r}))
"""
    killed = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[1])
    assert killed.returncode < 0
    assert path.read_text() == TEXT
    assert write_text("a.py", NEWER, tmp_path).read_text() == NEWER


def test_two_writers_never_mix_their_texts(tmp_path):
    texts = [f"{PYTHON_HEADER} 0.0\n" + f"value = {number}\n" * 20_000 for number in range(2)]
    script = """
import sys
from pathlib import Path
from symgrad.emit.files import PYTHON_HEADER, write_text
number, folder = sys.argv[1:]
text = f"{PYTHON_HEADER} 0.0\\n" + f"value = {number}\\n" * 20_000
for _ in range(20):
    write_text("a.py", text, Path(folder))
"""
    commands = [[sys.executable, "-c", script, str(number), str(tmp_path)] for number in range(2)]
    writers = [subprocess.Popen(command, cwd=Path(__file__).parents[1]) for command in commands]
    while any(writer.poll() is None for writer in writers):
        if (tmp_path / "a.py").exists():
            assert (tmp_path / "a.py").read_text() in texts
    assert [writer.wait() for writer in writers] == [0, 0]
    assert sorted(os.listdir(tmp_path)) == ["a.py"]


def test_compare_tells_current_stale_and_missing(tmp_path):
    path = write_text("a.py", TEXT, tmp_path)
    assert compare(path, TEXT) is State.CURRENT
    assert compare(path, NEWER) is State.STALE
    path.write_bytes(TEXT.replace("\n", "\r\n").encode())
    assert compare(path, TEXT) is State.STALE
    assert compare(tmp_path / "b.py", TEXT) is State.MISSING


def test_left_over_files_are_ours_only(tmp_path):
    write_files({"a.py": TEXT, "b.py": TEXT}, tmp_path)
    (tmp_path / "mine.py").write_text("value = 3\n")
    (tmp_path / "folder").mkdir()
    assert left_over(tmp_path, frozenset({"a.py"})) == (tmp_path / "b.py",)
    assert left_over(tmp_path / "nowhere", frozenset()) == ()
