"""Two operands as one matrix product: indices gathered into stacks, rows and columns."""

from __future__ import annotations

from symgrad.declare.integers import Index, indices_of
from symgrad.lower.arrays import (
    FULL,
    Array,
    Collapse,
    Helper,
    Item,
    MatMul,
    Name,
    NewAxis,
    Reshape,
    Subscript,
    Value,
    Windows,
)
from symgrad.lower.axes import Axes, align, joint_extent, transposed
from symgrad.lower.builder import Builder
from symgrad.lower.traverse import parts


def matrix_product(
    b: Builder, left: Value, right: Value, shared: list[Index], both: list[Index], out: Axes, name: str
) -> Value:
    """``left @ right`` with indices gathered into rows, columns and stacked matrices.

    The last run of output indices that belongs to one operand becomes the columns, the run before it that
    belongs to the other the rows, what is left the stack.
    """
    columns_of, rows_of = (left, right) if out[-1] in left.axes and out[-1] not in right.axes else (right, left)
    columns = _trailing(out, columns_of, rows_of)
    head = out[: len(out) - len(columns)]
    rows = _trailing(head, rows_of, columns_of)
    stack = head[: len(head) - len(rows)]
    together = _parted_rows(rows_of, columns_of, stack, both, out)
    if together and columns and not (_is_copy(b, rows_of) or _is_copy(b, columns_of)):
        # As many rows for each product as there are; the result is transposed.
        value = matrix_product(b, left, right, shared, both, (*both, *together, *columns), name)
        return Value(align(value, out), out)
    if not columns or not rows or out[-1] in both:
        # Output order does not fit; compute in a fitting order and transpose the result.
        only_l = tuple(i for i in out if i in left.axes and i not in both)
        only_r = tuple(i for i in out if i in right.axes and i not in both)
        value = matrix_product(b, left, right, shared, both, (*both, *only_l, *only_r), name)
        return Value(align(value, out), out)
    batch = _summed_batch(b, left, right, shared)
    if batch is not None:
        # One product per batch element, then a sum: neither operand is transposed across the batch.
        inner = [i for i in shared if i != batch]
        value = matrix_product(b, left, right, inner, [batch, *both], (batch, *out), name)
        match value.array:
            case Reshape(MatMul(first, second), shape):
                return Value(Reshape(Helper("_sum_of_products", (first, second)), shape[1:]), out)
            case MatMul(first, second):
                return Value(Helper("_sum_of_products", (first, second)), out)
        return Value(Collapse("sum", value.array, (0,)), out)
    summed = _summed(b, rows_of, columns_of, shared)
    if not stack and len(columns) == len(summed) == 1 and any(indices_of(i.extent) for i in rows):
        # Part of a larger array: as one matrix the rows would be a copy.
        product = MatMul(align(rows_of, (*rows, *summed)), align(columns_of, (*summed, *columns)))
        return Value(product, out)
    first = _as_matrix(b, rows_of, stack, rows, summed, name)
    second = _as_matrix(b, columns_of, stack, summed, columns, name)
    result: Array = MatMul(first, second)
    if len(rows) > 1 or len(columns) > 1:
        result = Reshape(result, tuple(i.extent for i in out))
    return Value(result, out)


def _summed(b: Builder, left: Value, right: Value, shared: list[Index]) -> Axes:
    """Summed indices in the order in which an operand has them that is stored as it is, for it to be no copy.

    If there is none, windows decide, which are copied: what they have side by side in memory comes last.
    """
    stored = [v for v in (left, right) if _is_stored(v)]
    reference = next((v for v in stored if not _is_copy(b, v)), next(iter(stored), left))
    last = _longest(b, reference) if _is_copy(b, reference) else None
    return tuple(sorted((i for i in reference.axes if i in shared), key=lambda i: i == last))


def _summed_batch(b: Builder, left: Value, right: Value, shared: list[Index]) -> Index | None:
    """A summed index that leads both operands, if what it leaves to sum is long and one operand is windows.

    Not where the other one has all that is summed side by side: windows are copied in any order.
    """
    if not left.axes or left.axes[0] != right.axes[0] or left.axes[0] not in shared or len(shared) < 2:
        return None
    copies = [_is_copy(b, v) for v in (left, right)]
    runs = [_is_run(v, tuple(i for i in v.axes if i in shared)) for v in (left, right)]
    together = all(copy or run for copy, run in zip(copies, runs, strict=True)) and not all(copies)
    return left.axes[0] if any(copies) and not together else None


def _parted_rows(rows_of: Value, columns_of: Value, stack: Axes, both: list[Index], out: Axes) -> Axes:
    """The rows of an operand in its own order, if ``out`` parts them by stacked indices and this had better not be.

    That is so where the operand has them side by side, and where the other one would be turned for every few rows.
    """
    rows = [i for i in rows_of.axes if i in out and i not in both]
    if not any(i in rows and set(stack[p:]) & set(both) for p, i in enumerate(stack)):
        return ()
    places = [p for p, i in enumerate(rows_of.axes) if i in rows]
    beside = places == list(range(places[0], places[-1] + 1))
    return tuple(rows) if beside or columns_of.axes[-1] not in out else ()


def _trailing(axes: Axes, mine: Value, other: Value) -> Axes:
    count = 0
    while count < len(axes) and axes[-1 - count] in mine.axes and axes[-1 - count] not in other.axes:
        count += 1
    return axes[len(axes) - count :]


def _is_stored(value: Value) -> bool:
    return isinstance(value.array, Name)


def _as_matrix(b: Builder, value: Value, stack: Axes, rows: Axes, columns: Axes, name: str) -> Array:
    """The operand as (stacked) matrices."""
    present = tuple(i for i in stack if i in value.axes)
    joined = len(rows) > 1 or len(columns) > 1
    last = _longest(b, value) if _is_copy(b, value) else None if _is_run(value, columns) else value.axes[-1]
    if joined and rows and columns and last in rows:
        # The copy keeps the tensor's own last axis last; the product takes it transposed.
        flipped = _as_matrix(b, value, stack, columns, rows, name)
        rank = len(stack) if present else 0
        return transposed(flipped, (*range(rank), rank + 1, rank))
    wanted = (*present, *rows, *columns)
    array = align(value, wanted)
    if len(rows) > 1 or len(columns) > 1:
        lead = tuple(i.extent for i in present)
        shape = (*lead, joint_extent(rows), joint_extent(columns))
        if rows == () or columns == ():
            shape = (*lead, joint_extent(rows + columns))
        array = Reshape(array, shape)
        array = b.keep(array, "columns") if _is_copy(b, value) else array
    if present and present != stack[len(stack) - len(present) :]:
        tail = stack[stack.index(present[0]) :]
        items: list[Item] = [FULL if i in present else NewAxis() for i in tail]
        array = Subscript(array, tuple(items))
    return array


def _is_run(value: Value, axes: Axes) -> bool:
    """Whether axes follow each other in a value: as one axis they are no copy."""
    places = [value.axes.index(i) for i in axes]
    return places == list(range(places[0], places[0] + len(places))) if places else True


def _longest(b: Builder, value: Value) -> Index | None:
    """The index along the last axis of what the windows were taken from: the one stored contiguously."""
    names = {n: a for a, n in b.known.items()}

    def offsets(array: Array) -> int:
        if isinstance(array, Name) and array.text in names:
            return offsets(names[array.text])
        here = len(array.sizes) if isinstance(array, Windows) else 0
        return here + sum(offsets(p) for p in parts(array))

    count = offsets(value.array)
    return value.axes[-count - 1] if count < len(value.axes) else None


def _is_copy(b: Builder, value: Value) -> bool:
    """Whether reshaping the value copies it: windows do, so the copy deserves a name."""
    names = {n: a for a, n in b.known.items()}

    def has(array: Array) -> bool:
        if isinstance(array, Name) and array.text in names:
            return has(names[array.text])
        return isinstance(array, Windows) or any(has(p) for p in parts(array))

    return has(value.array)
