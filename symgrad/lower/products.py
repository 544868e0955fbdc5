"""What stands alone in a fast function and is shared among threads as parts of an axis are.

Matrix products, and rows that are added at positions that data give.
"""

from __future__ import annotations

from collections.abc import Callable

from symgrad.lower.arrays import Array, Blocks, Chunks, For, Helper, MatMul, Name, Parts, Statement
from symgrad.lower.share import walk
from symgrad.lower.traverse import map_arrays, map_parts, parts

PRODUCT, ALONE, GROUPS = "_product", "_matmul", "_groups_on"


def on_threads(statements: tuple[Statement, ...], threads: str) -> tuple[Statement, ...]:
    """The statements with products and added rows on ``threads``, an argument; products only if no loop has one.

    Threads of BLAS stay awake after a product and take a core from the parts that follow; in a loop the next product
    follows at once.
    """
    loops = any(isinstance(s, For) and holds(s, lambda a: isinstance(a, MatMul)) for s in walk(statements))

    def shared(statement: Statement) -> Statement:
        if isinstance(statement, Parts):
            return statement
        repeated = isinstance(statement, For | Blocks | Chunks)
        return map_arrays(statement, lambda a: _shared(a, threads, not loops, not repeated))

    return tuple(map(shared, statements))


REASON = (
    "products in parts: in blocks of at most a million multiplications, which BLAS need not copy first where it has "
    "kernels for small matrices"
)


def in_blocks_of_parts(statements: tuple[Statement, ...]) -> tuple[tuple[Statement, ...], bool]:
    """The statements with products inside of parts, which have one thread each, in blocks; whether there are such."""
    found = tuple(map_arrays(s, _alone) if isinstance(s, Parts) else s for s in statements)
    return found, found != statements


def _alone(array: Array) -> Array:
    match map_parts(array, _alone):
        case MatMul(left, right) | Helper("np.matmul", (left, right)):
            return Helper(ALONE, (left, right))
        case Helper("np.matmul", (left, right, out)):
            return Helper(ALONE, (left, right, out))
        case Helper("_sum_of_products", (left, right)):
            return Helper("_sum_of_products", (left, right, Helper("matmul=", (Helper("helper", (Name(ALONE),)),))))
        case same:
            return same


def shares_work(statements: tuple[Statement, ...]) -> bool:
    """Whether there is something of that kind."""
    return any(holds(s, lambda a: isinstance(a, Helper) and a.function in {PRODUCT, GROUPS}) for s in statements)


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


def _shared(array: Array, threads: str, products: bool, rows: bool) -> Array:
    match map_parts(array, lambda a: _shared(a, threads, products, rows)):
        case MatMul(left, right) if products:
            return Helper(PRODUCT, (left, right, Name(threads)))
        case Helper("_add_at", args) if rows:
            return Helper("_add_at", (*args, Helper("add=", (Helper(GROUPS, (Name(threads),)),))))
        case same:
            return same
