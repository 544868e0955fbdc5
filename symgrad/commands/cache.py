"""Results that are kept between runs, each under a hash of all that it was made from: what did not change is read back.

They lie in the user's folder for caches, one file for a submodule of the catalogue. A cache that is missing, damaged or
not writable costs time and nothing else.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import os
import secrets
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from symgrad.emit.template_files import template_root

PACKAGE = Path(__file__).resolve().parents[1]
LAYERS = PACKAGE / "layers"
# What a result depends on besides the project's own files.
_LIBRARIES = ("sympy", "mpmath", "numpy", "jinja2", "opt_einsum")


class Cache:
    """What was made of the submodules of the catalogue; ``options`` are the settings that it was made with."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self._compiler = _hash_of(_compiler_files(), [sys.version, *map(_version, _LIBRARIES), *options])

    def recall(self, submodule: str) -> Any:
        """Return what was kept for ``submodule``, None where it is missing or was made from something else."""
        try:
            kept = json.loads(self._file(submodule).read_text(encoding="utf-8"))
            return kept["value"] if kept["key"] == self._key(submodule) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, submodule: str, value: Any) -> None:
        """Keep ``value``, made of what JSON can say, in place of what was kept for ``submodule`` before."""
        target = self._file(submodule)
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
        with contextlib.suppress(OSError):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_text(json.dumps({"key": self._key(submodule), "value": value}), encoding="utf-8")
                os.replace(temporary, target)
            finally:
                temporary.unlink(missing_ok=True)

    def _file(self, submodule: str) -> Path:
        return folder() / ("-".join((submodule, *self._options)) + ".json")

    def _key(self, submodule: str) -> str:
        return _hash_of(_sources(LAYERS / f"{submodule}.py"), [self._compiler])


def folder() -> Path:
    """Return the folder of the cache, by the convention of the platform; it need not exist."""
    given = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME")
    return (Path(given) if given else Path("~/.cache").expanduser()) / "symgrad"


def _compiler_files() -> list[Path]:
    """Return every file that compiles: the package without the declarations of the catalogue, and the templates."""
    sources = [path for path in PACKAGE.rglob("*.py") if path.parent != LAYERS]
    return [*sources, LAYERS / "__init__.py", *(path for path in template_root().rglob("*") if path.is_file())]


def _sources(module: Path) -> set[Path]:
    """Return the file of a module of the catalogue and those of the catalogue that it imports, and so on."""
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        path = waiting.pop()
        if path not in found and path.is_file():
            found.add(path)
            waiting += _imported(ast.parse(path.read_bytes()))
    return found


def _imported(tree: ast.Module) -> Iterable[Path]:
    """Yield where the modules of the catalogue lie that ``tree`` imports, and files that do not exist."""
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module="symgrad.layers", names=names):
                yield from (LAYERS / f"{alias.name}.py" for alias in names)
            case ast.ImportFrom(module=str(name)) if name.startswith("symgrad.layers."):
                yield LAYERS / f"{name.rpartition('.')[2]}.py"


def _hash_of(files: Iterable[Path], texts: Iterable[str]) -> str:
    """Return one hash of the names and contents of ``files`` and of ``texts``."""
    total = hashlib.sha256()
    for path in sorted(files):
        for part in (path.relative_to(PACKAGE.parent).as_posix().encode(), path.read_bytes()):
            total.update(hashlib.sha256(part).digest())
    for text in texts:
        total.update(hashlib.sha256(text.encode()).digest())
    return total.hexdigest()


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""
