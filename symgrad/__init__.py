"""symgrad: a gradient compiler from index equations to readable NumPy.

Everything is imported on first use, so that ``symgrad --help`` need not wait for SymPy.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Layer": "symgrad.declare.layer",
    "Padded": "symgrad.declare.notation",
    "ReduceMax": "symgrad.declare.notation",
    "ReduceMin": "symgrad.declare.notation",
    "ArgMax": "symgrad.declare.notation",
    "ArgMin": "symgrad.declare.notation",
    "LogSumExp": "symgrad.declare.notation",
    "StopGradient": "symgrad.declare.notation",
    "CompiledLayer": "symgrad.compiler",
    "compile_layer": "symgrad.compiler",
    "Graph": "symgrad.compose",
    "chain": "symgrad.compose",
    "jvp": "symgrad.closure",
    "vjp": "symgrad.closure",
    "check_layer": "symgrad.check.check",
    "catalogue": "symgrad.layers",
    "SymgradError": "symgrad.errors",
}

__all__ = ["__version__", "errors", "layers", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in ("layers", "errors"):
        return import_module(f"symgrad.{name}")
    raise AttributeError(f"module 'symgrad' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Public names."""
    return sorted(__all__)
