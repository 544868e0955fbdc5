"""Where the templates lie: inside an installed package, or beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

from symgrad.errors import EmissionError


def template_root() -> Path:
    """Return the folder that holds ``numpy`` and ``study``.

    Raises:
        EmissionError: there are no templates; the installation is incomplete.
    """
    package = Path(__file__).resolve().parents[1]
    candidates = (package / "templates", package.parent / "templates")
    for folder in candidates:
        if (folder / "numpy").is_dir():
            return folder
    raise EmissionError(f"no templates in {' or '.join(map(str, candidates))}; install symgrad again")
