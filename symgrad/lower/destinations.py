"""Operations of NumPy that write where they are told to."""

from __future__ import annotations

from symgrad.lower.arrays import Array, Helper, Map, Run, Statement

BINARY = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
CALLS = {"add": "np.add", "sub": "np.subtract", "mul": "np.multiply", "div": "np.divide"}
CALLS |= {f: f"np.{f}" for f in ("maximum", "minimum")}
OWN = {"sigmoid": "_sigmoid", "erf": "_erf"}
UNARY = frozenset({"exp", "expm1", "log", "log1p", "sqrt", "tanh", "sin", "cos", "sinh", "cosh", "abs", "square"})


def written_to(target: Array, function: str, args: tuple[Array, ...]) -> Helper:
    """A call that writes its result to ``target``."""
    return Helper(CALLS.get(function, f"np.{function}"), (*args, Helper("out=", (target,))))


def computed_in(target: Array, array: Array, comment: str = "") -> Statement | None:
    """A statement that computes an expression where ``target`` is, without an array in between; None if none can."""
    match array:
        case Map(function, args) if function in CALLS or function in UNARY:
            return Run(written_to(target, function, args), comment)
        case Map(function, args) if function in OWN:
            return Run(Helper(OWN[function], (*args, Helper("out=", (target,)))), comment)
        case Helper("_taken", args):
            return Run(Helper("_taken", (*args, Helper("out=", (target,)))), comment)
    return None
