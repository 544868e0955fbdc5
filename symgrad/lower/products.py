"""What stands alone in a fast function and is shared among threads as parts of an axis are.

Matrix products, and rows that are added at positions that data give.
"""

from __future__ import annotations

from collections.abc import Callable

from symgrad.lower.arrays import Array, Blocks, Chunks, Const, Einsum, For, Helper, Map, MatMul, Name, Parts, Statement
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


DOTS = (
    "products of rows in parts: cut where results are few, for NumPy keeps the interpreter's lock then, and other "
    "threads waiting"
)

ROWS = "bounds of parts: a number as a row, for NumPy takes the larger of two arrays in vectors, and of a number not"


def in_blocks_of_parts(statements: tuple[Statement, ...]) -> tuple[tuple[Statement, ...], list[str]]:
    """The statements with products inside of parts, which have one thread each, as is best there; and the reasons."""
    reasons = []
    for changed, reason in ((_alone, REASON), (_cut, DOTS), (_spread, ROWS)):
        found = tuple(map_arrays(s, changed) if isinstance(s, Parts) else s for s in statements)
        reasons += [reason] if found != statements else []
        statements = found
    return statements, reasons


def _cut(array: Array) -> Array:
    match map_parts(array, _cut):
        case Einsum(_, args, True):
            return Helper("_vecdot", args)
        case same:
            return same


def _spread(array: Array) -> Array:
    match map_parts(array, _spread):
        case Helper("np.maximum" | "np.minimum" as function, (of, Const() as bound, Helper("out=", (out,)) as place)):
            return Helper(function, (of, Helper("_row", (bound, of if isinstance(of, Name) else out)), place))
        case Map("maximum" | "minimum" as function, (Name() as of, Const() as bound)):
            return Map(function, (of, Helper("_row", (bound, of))))
        case same:
            return same


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
