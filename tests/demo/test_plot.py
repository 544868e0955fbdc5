import struct
from xml.etree import ElementTree

import pytest

from symgrad.demo.data import DemoError
from symgrad.demo.plot import save_plot
from symgrad.demo.training import Epoch

HISTORIES = {
    "conv on digits": [Epoch(1, 1.5, 0.5, 2.0), Epoch(2, 0.5, 0.875, 2.0)],
    "dense on digits": [Epoch(1, 1.0, 0.75, 1.0)],
}


def test_a_png_is_written(tmp_path):
    path = tmp_path / "folder" / "course.png"
    save_plot(path, HISTORIES)
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", content[16:24]) == (1500, 600)
    assert [p.name for p in path.parent.iterdir()] == ["course.png"]


def test_an_svg_is_written_and_the_same_every_time(tmp_path):
    first, second = tmp_path / "a.svg", tmp_path / "b.svg"
    save_plot(first, HISTORIES)
    save_plot(second, HISTORIES)
    assert ElementTree.parse(first).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert first.read_bytes() == second.read_bytes()
    for label in (*HISTORIES, "training loss", "test accuracy"):
        assert label in first.read_text()


def test_another_format_is_refused(tmp_path):
    with pytest.raises(DemoError, match=r"course\.pdf: its name must end in \.png or \.svg"):
        save_plot(tmp_path / "course.pdf", HISTORIES)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DemoError, match="cannot write"):
        save_plot(tmp_path / "file" / "course.png", HISTORIES)
