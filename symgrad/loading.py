"""Finding the layer that a person names: in the catalogue, in a file, or in an equation given as text."""

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

_IN_FILE = re.compile(r"(?P<path>.+\.py)(?::(?P<variable>[A-Za-z_][A-Za-z0-9_]*))?", re.DOTALL)


def find_layer(reference: str, announce: Callable[[str], None] = lambda line: None) -> Layer:
    """Return the layer that ``reference`` names.

    Args:
        reference: a catalogue name, ``file.py:variable`` (``file.py`` where it holds one layer only), or equations
            as text, such as ``y[b,i] = sum(x[b,j]*w[i,j], j)``.
        announce: is told the path of a file before it is run: a layer file is Python, with all that Python can do.

    Raises:
        UnknownLayerError: there is no such layer or file.
        DeclarationError: the file cannot be run, or the text is no declaration.
    """
    in_file = _IN_FILE.fullmatch(reference)
    if in_file:
        return _from_file(Path(in_file["path"]), in_file["variable"], announce)
    if any(character in reference for character in "=[;\n"):
        from symgrad.declare.textform import parse_layer

        return parse_layer(reference)
    from symgrad import layers

    return layers.get(reference)


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
