"""Finding the layer that a person names: in the catalogue, in a file of Python or of text, or in a text itself."""

from __future__ import annotations

import re
import runpy
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symgrad.errors import DeclarationError, SymgradError, UnknownLayerError

if TYPE_CHECKING:
    from symgrad import Layer

TEXT_FILE = ".sg"
_MOST_BYTES = 1_000_000
_IN_FILE = re.compile(r"(?P<path>.+\.py)(?::(?P<variable>[A-Za-z_][A-Za-z0-9_]*))?", re.DOTALL)


def find_layer(reference: str, announce: Callable[[str], None] = lambda line: None) -> Layer:
    """Return the layer that ``reference`` names.

    Args:
        reference: a catalogue name, ``file.py:variable`` (``file.py`` where it holds one layer only), ``file.sg``,
            which holds a layer as text, ``-`` for such a text on standard input, or equations as text, such as
            ``y[b,i] = sum(x[b,j]*w[i,j], j)``.
        announce: is told the path of a file before it is run: a layer file is Python, with all that Python can do.

    Raises:
        UnknownLayerError: there is no such layer or file.
        DeclarationError: the file cannot be run or read, or the text is no declaration.
    """
    if reference == "-":
        return _from_text(sys.stdin.buffer.read(_MOST_BYTES), "standard input", "layer")
    if reference.endswith(TEXT_FILE) and "\n" not in reference:
        return _from_text_file(Path(reference))
    in_file = _IN_FILE.fullmatch(reference)
    if in_file:
        return _from_file(Path(in_file["path"]), in_file["variable"], announce)
    if any(character in reference for character in "=[;\n"):
        from symgrad.declare.textform import read_layer
        from symgrad.declare.textsource import Source

        return read_layer(Source(reference), "layer", _of_the_catalogue)
    if (named := re.fullmatch(rf"(.+{re.escape(TEXT_FILE)}):\w*", reference)) is not None:
        raise UnknownLayerError(f"a file of text holds one layer; write {named[1]}")
    from symgrad import layers

    if reference not in layers.catalogue() and Path(reference).is_file():
        raise UnknownLayerError(f"{reference} is neither Python, FILE.py, nor equations as text, FILE{TEXT_FILE}")
    return layers.get(reference)


def _from_text_file(path: Path) -> Layer:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES)
    except FileNotFoundError:
        raise UnknownLayerError(f"there is no file {path}; write equations into it, y[i] = 2*x[i]") from None
    except (OSError, ValueError) as error:
        raise UnknownLayerError(f"{path} cannot be read: {getattr(error, 'strerror', error)}") from None
    return _from_text(content, str(path), path.stem)


def _from_text(content: bytes, origin: str, name: str) -> Layer:
    """Read a layer from a file's content, UTF-8 with or without a mark at its beginning."""
    from symgrad.declare.textform import read_layer
    from symgrad.declare.textsource import Source

    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        shown = content[: error.start].decode("utf-8-sig") + "\N{REPLACEMENT CHARACTER}"
        before = Source(shown, origin, True)
        message = f"the byte {content[error.start]:#04x} is no text in UTF-8; save the file in that encoding"
        raise before.error_at(len(before.lines), len(before.lines[-1]) - 1, message) from None
    return read_layer(Source(text, origin, True), name, _of_the_catalogue, "the layer's name, that of the file,")


def _of_the_catalogue(function: str) -> str:
    """How the layer of that name is written as text; empty if there is none."""
    from symgrad import layers

    if function not in layers.catalogue():
        return ""
    from symgrad.declare.textwrite import text_of

    try:
        text = text_of(layers.get(function), "; ", named=False)
    except SymgradError:
        return ""  # what the text form has no notation for
    return f"it as the layer {function} of the catalogue is written: {text}"


def _from_file(path: Path, variable: str | None, announce: Callable[[str], None]) -> Layer:
    from symgrad import Layer

    if not path.is_file():
        raise UnknownLayerError(f"there is no file {path}; `symgrad new {path.stem}` starts one")
    announce(f"running {path.resolve()}")
    values = _run(path)
    layers = {name: value for name, value in values.items() if isinstance(value, Layer) and not name.startswith("_")}
    if variable is None and len(layers) == 1:
        return next(iter(layers.values()))
    if variable is not None and isinstance(values.get(variable), Layer):
        found: Layer = values[variable]
        return found
    if not layers:
        raise UnknownLayerError(f"{path} holds no Layer; `symgrad new NAME` shows how to write one")
    choices = ", ".join(f"{path}:{name}" for name in sorted(layers))
    if variable is None:
        raise UnknownLayerError(f"{path} holds several layers; name one of {choices}")
    held = f"is of type {type(values[variable]).__name__}, no Layer" if variable in values else "does not exist"
    raise UnknownLayerError(f"{path}: {variable} {held}; the file holds {choices}")


def _run(path: Path) -> dict[str, Any]:
    """Run the file as ``python FILE`` would, under its own name; an error is told in one message."""
    try:
        # What a file prints is for people: programs read what commands print.
        with _importable(path.resolve().parent), redirect_stdout(sys.stderr):
            return runpy.run_path(str(path), run_name=path.stem)
    except SymgradError as error:
        raise type(error)(f"{_place(path, error)}: {error}") from None
    except (Exception, SystemExit) as error:
        shown = "".join(traceback.format_exception_only(error)).strip()
        raise DeclarationError(f"{_place(path, error)}: the file cannot be run: {shown}") from None


def _place(path: Path, error: BaseException) -> str:
    """Return ``file, line 7``, the last line of the file itself that the error came through."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
    return f"{path}, line {lines[-1]}" if lines else str(path)


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let what runs inside import the modules that lie in ``folder``."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
