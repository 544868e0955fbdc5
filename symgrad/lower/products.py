"""Matrix products of a fast function that stand alone: shared among threads as parts of an axis are."""

from __future__ import annotations

from collections.abc import Callable

from symgrad.lower.arrays import Array, For, Helper, MatMul, Name, Parts, Statement
from symgrad.lower.share import walk
from symgrad.lower.traverse import map_arrays, map_parts, parts

PRODUCT = "_product"


def on_threads(statements: tuple[Statement, ...], threads: str) -> tuple[Statement, ...]:
    """The statements with products on ``threads``, an argument, if none is repeated in a loop.

    Threads of BLAS stay awake after a product and take a core from the parts that follow; in a loop the next product
    follows at once.
    """
    if any(isinstance(s, For) and holds(s, lambda a: isinstance(a, MatMul)) for s in walk(statements)):
        return statements
    return tuple(s if isinstance(s, Parts) else map_arrays(s, lambda a: _shared(a, threads)) for s in statements)


def shares_products(statements: tuple[Statement, ...]) -> bool:
    """Whether there are such products."""
    return any(holds(s, lambda a: isinstance(a, Helper) and a.function == PRODUCT) for s in statements)


def holds(statement: Statement, wanted: Callable[[Array], bool]) -> bool:
    """Whether an array expression anywhere in a statement is wanted."""
    found: list[Array] = []

    def look(array: Array) -> Array:
        if wanted(array):
            found.append(array)
        for part in parts(array):
            look(part)
        return array

    map_arrays(statement, look)
    return bool(found)


def _shared(array: Array, threads: str) -> Array:
    array = map_parts(array, lambda a: _shared(a, threads))
    return Helper(PRODUCT, (array.left, array.right, Name(threads))) if isinstance(array, MatMul) else array
