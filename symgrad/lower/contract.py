"""Contractions: operands multiplied and summed two at a time, in the order of least work."""

from __future__ import annotations

import opt_einsum

from symgrad.declare.integers import Index
from symgrad.lower.arrays import Collapse, Einsum, Helper, Map, MatMul, Name, Reshape, Value
from symgrad.lower.axes import Axes, joint_extent, transposed
from symgrad.lower.builder import Builder
from symgrad.lower.masks import summed
from symgrad.lower.matrices import matrix_product
from symgrad.lower.values import as_float, mapped

ROW = 32
"""Elements of a row from which a product of rows is worth a call of BLAS for each."""


def contract(b: Builder, operands: list[Value], order: Axes, bound: Axes, name: str) -> Value:
    """Multiply operands and sum the bound indices, two at a time in the order of least work."""
    operands = [_sum_alone(b, v, [*operands[:p], *operands[p + 1 :]], bound) for p, v in enumerate(operands)]
    while len(operands) > 2:
        first, second = _cheapest_pair(b, operands, order)
        left, right = operands[first], operands[second]
        rest = [v for p, v in enumerate(operands) if p not in (first, second)]
        needed = {i for v in rest for i in v.axes}
        keep = tuple(i for i in (*order, *bound) if i in needed or i in order)
        partial = pair(b, left, right, keep, f"{name}_part")
        operands = [*rest, Value(b.keep(partial.array, f"{name}_part"), partial.axes)]
    if len(operands) == 1:
        (value,) = operands
        return summed(b, as_float(value), bound) if set(value.axes) & set(bound) else as_float(value)
    return pair(b, operands[0], operands[1], order, name)


def _sum_alone(b: Builder, value: Value, others: list[Value], bound: Axes) -> Value:
    """Indices that no other factor has are summed first."""
    if not others:
        return value
    alone = tuple(i for i in value.axes if i in bound and not any(i in v.axes for v in others))
    return summed(b, as_float(value), alone) if alone else value


def _cheapest_pair(b: Builder, operands: list[Value], order: Axes) -> tuple[int, int]:
    letters = {i: opt_einsum.get_symbol(p) for p, i in enumerate(dict.fromkeys(i for v in operands for i in v.axes))}
    out = "".join(letters[i] for i in order if i in letters)
    spec = ",".join("".join(letters[i] for i in v.axes) for v in operands) + "->" + out
    shapes = [tuple(b.typical(i.extent) for i in v.axes) for v in operands]
    path, _ = opt_einsum.contract_path(spec, *shapes, shapes=True, optimize="optimal" if len(operands) < 7 else "auto")
    first = sorted(path[0])
    return first[0], first[1] if len(first) > 1 else (first[0] + 1) % len(operands)


def pair(b: Builder, left: Value, right: Value, keep: Axes, name: str) -> Value:
    """Contract two operands; ``keep`` are the indices that stay, in order."""
    left, right = as_float(left), as_float(right)
    if left.kind == "scalar" or right.kind == "scalar":
        return mapped("mul", [left, right], keep)
    keep_set = set(keep)
    shared = [i for i in left.axes if i in right.axes and i not in keep_set]
    out = tuple(i for i in keep if i in left.axes or i in right.axes)
    if not shared:
        return mapped("mul", sorted([left, right], key=lambda v: len(v.axes)), keep)
    only_left = [i for i in out if i in left.axes and i not in right.axes]
    only_right = [i for i in out if i in right.axes and i not in left.axes]
    both = [i for i in out if i in left.axes and i in right.axes]
    if not only_left and not only_right:
        return einsum(b, left, right, out)
    if not only_left or not only_right:
        return _matrix_vector(b, left, right, out)
    return matrix_product(b, left, right, shared, both, out, name)


def _matrix_vector(b: Builder, left: Value, right: Value, out: Axes) -> Value:
    big, small = (left, right) if len(left.axes) >= len(right.axes) else (right, left)
    if len(small.axes) == 1 and len(big.axes) == 2:
        matrix = big.array if big.axes[1] == small.axes[0] else transposed(big.array, (1, 0))
        return Value(MatMul(matrix, small.array), out)
    return einsum(b, left, right, out)


def einsum(b: Builder, left: Value, right: Value, out: Axes) -> Value:
    """The product of two arrays summed over what ``out`` lacks, as it is formed: no product array."""
    if b.fast and left.axes == right.axes and len(left.axes) > 2 and out == left.axes[-1:]:
        b.because("products are summed along the axis before the last as well, where both lie side by side in memory")
        return Value(Helper("_last_dots", (left.array, right.array)), out)
    return _dots(b, left, right, out) or _einsum(left, right, out)


def _einsum(left: Value, right: Value, out: Axes, dots: bool = False) -> Value:
    letters: dict[Index, str] = {}
    for i in (*left.axes, *right.axes):
        initial = i.name[0].lower()
        if i not in letters:
            free = [initial, *"abcdefghijklmnopqrstuvwxyz"]
            letters[i] = next(c for c in free if c.isalpha() and c not in letters.values())
    spec = ",".join("".join(letters[i] for i in v.axes) for v in (left, right))
    return Value(Einsum(f"{spec}->{''.join(letters[i] for i in out)}", (left.array, right.array), dots), out)


def _dots(b: Builder, left: Value, right: Value, out: Axes) -> Value | None:
    """The sum as products of rows, where the last axes of both are summed and long: BLAS's, and closer ones."""
    axes = left.axes
    lead = axes
    while lead and lead[-1] not in out:
        lead = lead[:-1]
    rows, columns = tuple(i for i in lead if i in out), axes[len(lead) :]
    together = len(columns) == 1 or (b.fast and _plain(left, right))
    if right.axes != axes or rows != out or b.volume(columns) < ROW or not together:
        return None
    if len(columns) > 1:
        last = Index("_".join(i.name for i in columns), joint_extent(columns))
        shape = (*(i.extent for i in lead), last.extent)
        arrays = [Reshape(v.array, shape) for v in (left, right)]
        left, right = (Value(a, (*lead, last), "float") for a in arrays)
    value = _einsum(left, right, lead, dots=True)
    summed = tuple(p for p, i in enumerate(lead) if i not in out)
    return Value(Collapse("sum", value.array, summed), out) if summed else value


def _plain(*values: Value) -> bool:
    """Whether the elements of arrays lie in the order of their axes, as far as that shows."""
    return all(isinstance(v.array, Name | Map) for v in values)
