"""Sums: matrix products where factors share summed indices, cumulative sums, loops over small windows, plain sums."""

from __future__ import annotations

from fractions import Fraction

import opt_einsum

from symgrad.declare.algebra import all_of, conjuncts, multiply, select
from symgrad.declare.integers import ONE, Index, Poly, as_poly, indices_of
from symgrad.declare.scalars import (
    NOUGHT,
    TRUE,
    UNIT,
    Add,
    Apply,
    Compare,
    Condition,
    Mul,
    Number,
    Power,
    Scalar,
    free_indices,
    reads_of,
)
from symgrad.derive.terms import Term, rename
from symgrad.lower.arrays import (
    FLIP,
    FULL,
    Array,
    Cast,
    Collapse,
    Const,
    Einsum,
    Fresh,
    Helper,
    Item,
    Map,
    MatMul,
    Name,
    Reshape,
    Slice,
    Subscript,
    Update,
    Value,
    Whole,
    Windows,
    parts,
)
from symgrad.lower.builder import Builder
from symgrad.lower.elementwise import add_values, as_float, condition_value, guard, mapped, product, value_of
from symgrad.lower.views import align, along, transposed, union

Axes = tuple[Index, ...]


def term_value(b: Builder, term: Term, order: Axes, name: str = "total") -> Value:
    """A term of an equation as an array over (some of) the free indices ``order``."""
    value = sum_value(b, term.bound, term.condition, term.body, order, name)
    if term.scale == UNIT:
        return value
    scale, factors = (term.scale.coefficient, list(term.scale.args)) if isinstance(term.scale, Mul) else (
        Fraction(1),
        [term.scale],
    )
    if isinstance(term.scale, Number):
        scale, factors = term.scale.value, []
    held = _Held(value)
    return held.product(b, scale, factors, order)


class _Held:
    """Multiply an array that is there already by scalar factors."""

    def __init__(self, value: Value) -> None:
        self.value = value

    def product(self, b: Builder, scale: Fraction | float, factors: list[Scalar], order: Axes) -> Value:
        above = [f for f in factors if not _inverse(f)]
        below = [multiply(UNIT, Power(f.base, Number(-f.exponent.value))) for f in factors if _inverse(f)]  # type: ignore[union-attr, operator]
        fraction = scale if isinstance(scale, Fraction) else Fraction(1)
        if fraction.denominator != 1 and above == []:
            below.insert(0, Number(Fraction(fraction.denominator)))
            scale = Fraction(fraction.numerator)
        total = self.value
        if abs(scale) != 1 or above:
            total = mapped("mul", [product(b, abs(scale), above, order), total], order)
        if below:
            total = mapped("div", [total, product(b, Fraction(1), [_plain(f) for f in below], order)], order)
        return Value(Map("neg", (total.array,)), total.axes) if scale < 0 else total


def _plain(node: Scalar) -> Scalar:
    return node.base if isinstance(node, Power) and node.exponent == UNIT else node


def _inverse(factor: Scalar) -> bool:
    return isinstance(factor, Power) and isinstance(factor.exponent, Number) and factor.exponent.value < 0


def sum_value(b: Builder, bound: Axes, condition: Condition, body: Scalar, order: Axes, name: str = "total") -> Value:
    """``sum_{bound, condition} body`` over the indices in ``order`` that it depends on."""
    if not bound:
        return value_of(b, select(condition, body, NOUGHT), order)
    if b.general:
        return _joint(b, bound, condition, body, order)
    running = _cumulative(b, bound, condition, body, order, name)
    if running is not None:
        return running
    if isinstance(body, Add) and condition == TRUE and _worth_splitting(body, bound):
        return add_values([sum_value(b, bound, TRUE, a, order, name) for a in body.args], order)
    coefficient, factors = (body.coefficient, list(body.args)) if isinstance(body, Mul) else (Fraction(1), [body])
    outside = [f for f in factors if not free_indices(f) & set(bound)]
    inside = [f for f in factors if f not in outside]
    unused = [i for i in bound if not any(i in free_indices(f) for f in (*inside, condition))]
    if unused:
        outside += [_count(i.extent) for i in unused]
        bound = tuple(i for i in bound if i not in unused)
    if not bound:
        return value_of(b, multiply(Number(coefficient), *outside, select(condition, multiply(*inside), NOUGHT)), order)
    summed = _inner(b, bound, condition, inside or [UNIT], order, name)
    if coefficient == 1 and not outside:
        return summed
    return _Held(summed).product(b, coefficient, outside, order)


def _joint(b: Builder, bound: Axes, condition: Condition, body: Scalar, order: Axes) -> Value:
    """The sum over the whole index space, element by element."""
    value = as_float(value_of(b, select(condition, body, NOUGHT), (*order, *bound)))
    if value.kind == "scalar":
        value = Value(Cast(Helper("np.asarray", (value.array,)), "float"), ())
    everything = tuple(i for i in (*order, *bound) if i in value.axes or i in bound)
    shape = Helper("tuple", tuple(Whole(i.extent) for i in everything))
    array = Helper("np.broadcast_to", (align(value, everything), shape))
    summed = tuple(p for p, i in enumerate(everything) if i in bound)
    return Value(Collapse("sum", array, summed), tuple(i for i in everything if i not in bound))


def _count(extent: Poly) -> Scalar:
    from symgrad.declare.algebra import from_integer

    return from_integer(extent)


def _worth_splitting(body: Add, bound: Axes) -> bool:
    """Separate sums where a term is a product of arrays over different indices, or lacks a summed index."""
    for arg in body.args:
        if set(bound) - free_indices(arg):
            return True
        if isinstance(arg, Mul) and len({frozenset(free_indices(f)) for f in arg.args if free_indices(f)}) > 1:
            return True
    return False


def _inner(b: Builder, bound: Axes, condition: Condition, factors: list[Scalar], order: Axes, name: str) -> Value:
    condition, factors = _mask_in_exponent(condition, factors)
    if condition != TRUE:
        factors = [guard(f, condition) for f in factors]
    slides = window_indices(b, multiply(*factors), bound)
    if slides and not _is_product_of_matrices(b, factors, bound, slides):
        b.because(f"{name}: a loop over the window offsets {_names(slides)}, each a strided slice")
        return _looped(b, bound, condition, factors, order, slides, name)
    stored = _stored_order(b, factors, (*order, *bound))
    squares = _square_sums(b, bound, condition, factors, stored)
    if squares is not None:
        return squares
    operands = _operands(b, factors, stored)
    operands = _masked(b, operands, condition, stored)
    return contract(b, operands, order, bound, name)


def _square_sums(b: Builder, bound: Axes, condition: Condition, factors: list[Scalar], order: Axes) -> Value | None:
    """The sum of a product of two arrays over the same indices: added up as it is formed, no product array."""
    match factors:
        case [Power(base, Number(n))] if n == 2:
            factors = [base, base]
    if condition != TRUE or len(factors) != 2 or not all(map(reads_of, factors)):
        return None
    if free_indices(factors[0]) != free_indices(factors[1]):
        return None
    values = [value_of(b, f, order) for f in factors]
    if any(v.kind != "float" for v in values) or values[0].axes != values[1].axes or not values[0].axes:
        return None
    out = tuple(i for i in values[0].axes if i not in bound)
    return _einsum(values[0], values[1], out)


def _mask_in_exponent(condition: Condition, factors: list[Scalar]) -> tuple[Condition, list[Scalar]]:
    """``[c] * exp(u) = exp(u where c else -inf)``: the mask costs nothing more and nothing overflows."""
    for p, factor in enumerate(factors):
        if isinstance(factor, Apply) and factor.function == "exp" and condition != TRUE:
            if free_indices(condition) <= free_indices(factor) and factor.args:
                masked = Apply("exp", (select(condition, factor.args[0], Number(float("-inf"))),))
                return TRUE, [*factors[:p], masked, *factors[p + 1 :]]
    return condition, factors


def _names(indices: Axes) -> str:
    return ", ".join(i.name for i in indices)


def window_indices(b: Builder, body: Scalar, bound: Axes) -> Axes:
    """Summed indices that share an axis with a longer one and run over few values."""
    found: dict[Index, None] = {}
    for r in reads_of(body):
        for poly in r.indices:
            walk = along(poly, b.loops)
            if walk is None or len(walk.steps) < 2:
                continue
            for index, _ in walk.steps:
                if index in bound and b.small(index) and not all(b.small(i) for i, _ in walk.steps if i != index):
                    found[index] = None
    return tuple(i for i in bound if i in found)


def _is_product_of_matrices(b: Builder, factors: list[Scalar], bound: Axes, slides: Axes) -> bool:
    """Whether two factors share a summed index and each has an index of its own, or more is summed than the window."""
    sets = [frozenset(free_indices(f)) for f in factors if free_indices(f)]
    for p, left in enumerate(sets):
        for right in sets[p + 1 :]:
            shared = left & right & set(bound)
            if shared and (left - right - set(bound)) and (right - left - set(bound)):
                return True
            if shared - set(slides) and (left - right or right - left):
                return True
    return False


def _looped(b: Builder, bound: Axes, condition: Condition, factors: list[Scalar], order: Axes, slides: Axes,
            name: str) -> Value:
    rest = tuple(i for i in bound if i not in slides)
    body = multiply(*factors)
    axes = tuple(i for i in order if i in free_indices(body) or i in free_indices(condition))
    axes = tuple(i for i in axes if i not in b.loops)
    total = Name(b.name(name))
    from symgrad.lower.arrays import Assign

    b.emit(Assign(total.text, Fresh("zeros", tuple(i.extent for i in axes))))
    with b.looping(slides):
        value = sum_value(b, rest, condition, body, order, name)
        b.emit(Update(total, "+", align(as_float(value), axes)))
    return Value(total, axes)


# --- cumulative sums ---------------------------------------------------------------------------------------------


def _cumulative(b: Builder, bound: Axes, condition: Condition, body: Scalar, order: Axes, name: str) -> Value | None:
    """``sum_{j <= i} f(j)`` with f free of i is a running sum."""
    parts = conjuncts(condition)
    for part in parts:
        found = _triangle(part, bound, order)
        if found is None:
            continue
        j, i, ahead, offset = found
        rest = all_of(*(p for p in parts if p != part))
        coefficient, factors = (body.coefficient, body.args) if isinstance(body, Mul) else (Fraction(1), (body,))
        along_j = [f for f in factors if j in free_indices(f)]
        beside = [f for f in factors if j not in free_indices(f)]
        if any(i in free_indices(f) for f in along_j) or {i, j} & free_indices(rest) or i in b.loops or not along_j:
            continue
        # What is summed besides and does not meet the other factors goes first.
        others = tuple(k for k in bound if k != j)
        early = tuple(k for k in others if not any(k in free_indices(f) for f in beside))
        late = tuple(k for k in others if k not in early)
        if late and rest != TRUE:
            continue
        inner_order = (*late, *(j if k == i else k for k in order))
        summed = sum_value(b, early, rest, multiply(Number(coefficient), *along_j), inner_order, name)
        if j not in summed.axes:
            continue
        axis = summed.axes.index(j)
        b.because(f"{name}: the triangle {j.name} {'<=' if ahead else '>='} {i.name} is a running sum along {j.name}")
        array = _running(summed.array, axis, len(summed.axes), ahead, offset)
        running = Value(array, tuple(i if k == j else k for k in summed.axes))
        if not beside:
            return running
        operands = [running, *_operands(b, beside, (*order, *late))]
        return contract(b, operands, order, late, name)
    return None


def _triangle(part: Condition, bound: Axes, order: Axes) -> tuple[Index, Index, bool, int] | None:
    """(j, i, j <= i?, strict?) for ``i - j + const >= 0`` over equal ranges, const 0 or -1."""
    if not isinstance(part, Compare) or part.relation != ">=":
        return None
    terms = {m: c for m, c in part.poly.terms}
    constant = terms.pop((), 0)
    if len(terms) != 2 or sorted(terms.values()) != [-1, 1] or constant not in (0, -1):
        return None
    (up,) = next(m for m, c in terms.items() if c == 1)[:1]
    (down,) = next(m for m, c in terms.items() if c == -1)[:1]
    if not (isinstance(up, Index) and isinstance(down, Index)) or up.extent != down.extent:
        return None
    if down in bound and up in order:
        return down, up, True, constant
    if up in bound and down in order:
        return up, down, False, constant
    return None


def _running(array: Array, axis: int, rank: int, ahead: bool, offset: int) -> Array:
    def flip(a: Array) -> Array:
        return Subscript(a, (FULL,) * axis + (FLIP,))

    source = array if ahead else flip(array)
    total: Array = Collapse("cumsum", source, (axis,))
    if offset:
        # Strict: shift by one, a zero first.
        from symgrad.lower.arrays import Pad

        widths = tuple((ONE if k == axis else as_poly(0), as_poly(0)) for k in range(rank))
        total = Subscript(Pad(total, widths, 0.0), (FULL,) * axis + (Slice(stop=as_poly(-1)),))
    return total if ahead else flip(total)


# --- operands ----------------------------------------------------------------------------------------------------


def _stored_order(b: Builder, factors: list[Scalar], default: Axes) -> Axes:
    """Axes in the order in which the largest tensor has them, so that it need not be transposed."""
    reads = [r for f in factors for r in reads_of(f)]
    largest = max(reads, key=lambda r: (len(free_indices(r)), r.tensor), default=None)
    if largest is None:
        return default
    axes = [p.atom for p in largest.indices if isinstance(p.atom, Index) and p.atom in default]
    if any(free_indices(f) - set(axes) for f in factors):
        # No tensor has all axes: the index that most tensors store last goes last.
        ends = [r.indices[-1].atom for r in reads if len(r.indices) > 1]
        last = max(default, key=lambda i: (ends.count(i), default.index(i)))
        return (*(i for i in default if i != last), last) if ends.count(last) > 1 else default
    return (*dict.fromkeys(axes), *(i for i in default if i not in axes))


def _operands(b: Builder, factors: list[Scalar], order: Axes) -> list[Value]:
    """Factors over the same indices multiplied into one array."""
    groups: dict[frozenset[Index], list[Scalar]] = {}
    for f in factors:
        groups.setdefault(frozenset(i for i in free_indices(f) if i not in b.loops), []).append(f)
    scalars = groups.pop(frozenset(), [])
    merged = sorted(groups.items(), key=lambda g: (-len(g[0]), str(sorted(i.name for i in g[0]))))
    while len(merged) > 2 and (riding := _rider(b, merged)) is not None:
        small, large = riding
        merged = [(a, m + small[1] if (a, m) == large else m) for a, m in merged if (a, m) != small]
    if scalars:
        axes, members = merged[-1] if merged else (frozenset(), [])
        merged = [*merged[:-1], (axes, members + scalars)]
    return [product(b, Fraction(1), members, order) if len(members) > 1 or members else Value(Const(1.0), ())
            for _, members in reversed(merged)]


Group = tuple[frozenset[Index], list[Scalar]]


def _rider(b: Builder, groups: list[Group]) -> tuple[Group, Group] | None:
    """A factor whose indices a larger one has as well rides along with the smallest such."""
    for small in reversed(groups):
        larger = [g for g in groups if small[0] < g[0]]
        if larger:
            return small, min(larger, key=lambda g: (b.volume(g[0]), str(sorted(i.name for i in g[0]))))
    return None


def _masked(b: Builder, operands: list[Value], condition: Condition, order: Axes) -> list[Value]:
    """Conditions as masks on the smallest operand that has their indices; a mask of its own if none has."""
    for part in conjuncts(condition):
        mask = condition_value(b, part, order)
        fitting = [v for v in operands if set(mask.axes) <= set(v.axes)]
        if not fitting:
            operands = [*operands, as_float(mask)]
            continue
        chosen = min(fitting, key=lambda v: b.volume(v.axes))
        masked = mapped("where", [mask, as_float(chosen), Value(Const(Fraction(0)), (), "scalar")], order)
        operands = [masked if v is chosen else v for v in operands]
    return operands


# --- contraction -------------------------------------------------------------------------------------------------


def contract(b: Builder, operands: list[Value], order: Axes, bound: Axes, name: str) -> Value:
    """Multiply operands and sum the bound indices, two at a time in the order of least work."""
    operands = [_sum_alone(v, [w for w in operands if w is not v], bound, order) for v in operands]
    while len(operands) > 2:
        left, right = _cheapest_pair(b, operands, order)
        rest = [v for v in operands if v is not left and v is not right]
        needed = {i for v in rest for i in v.axes}
        keep = tuple(i for i in (*order, *bound) if i in needed or i in order)
        partial = pair(b, left, right, keep, f"{name}_part")
        operands = [*rest, Value(b.keep(partial.array, f"{name}_part"), partial.axes)]
    if len(operands) == 1:
        (value,) = operands
        summed = tuple(p for p, i in enumerate(value.axes) if i in bound)
        kept = tuple(i for i in value.axes if i not in bound)
        value = as_float(value)
        return Value(Collapse("sum", value.array, summed), kept) if summed else value
    return pair(b, operands[0], operands[1], order, name)


def _sum_alone(value: Value, others: list[Value], bound: Axes, order: Axes) -> Value:
    """Indices that no other factor has are summed first."""
    if not others:
        return value
    alone = [i for i in value.axes if i in bound and not any(i in v.axes for v in others)]
    if not alone:
        return value
    positions = tuple(value.axes.index(i) for i in alone)
    return Value(Collapse("sum", as_float(value).array, positions), tuple(i for i in value.axes if i not in alone))


def _cheapest_pair(b: Builder, operands: list[Value], order: Axes) -> tuple[Value, Value]:
    letters = {i: opt_einsum.get_symbol(p) for p, i in enumerate(dict.fromkeys(i for v in operands for i in v.axes))}
    out = "".join(letters[i] for i in order if i in letters)
    spec = ",".join("".join(letters[i] for i in v.axes) for v in operands) + "->" + out
    shapes = [tuple(b.typical(i.extent) for i in v.axes) for v in operands]
    path, _ = opt_einsum.contract_path(spec, *shapes, shapes=True, optimize="optimal" if len(operands) < 7 else "auto")
    first = sorted(path[0])
    return operands[first[0]], operands[first[1] if len(first) > 1 else (first[0] + 1) % len(operands)]


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
        return _inner_product(left, right, shared, out)
    if not only_left or not only_right:
        return _matrix_vector(left, right, shared, out)
    return _matrix_product(b, left, right, shared, both, out, name)


def _inner_product(left: Value, right: Value, shared: list[Index], out: Axes) -> Value:
    """One product summed elementwise: no matrix in it."""
    return _einsum(left, right, out)


def _matrix_vector(left: Value, right: Value, shared: list[Index], out: Axes) -> Value:
    big, small = (left, right) if len(left.axes) >= len(right.axes) else (right, left)
    if len(small.axes) == 1 and len(big.axes) == 2:
        matrix = big.array if big.axes[1] == small.axes[0] else transposed(big.array, (1, 0))
        return Value(MatMul(matrix, small.array), out)
    return _einsum(left, right, out)


def _einsum(left: Value, right: Value, out: Axes) -> Value:
    letters: dict[Index, str] = {}
    for i in (*left.axes, *right.axes):
        initial = i.name[0].lower()
        if i not in letters:
            free = [initial, *"abcdefghijklmnopqrstuvwxyz"]
            letters[i] = next(c for c in free if c.isalpha() and c not in letters.values())
    spec = ",".join("".join(letters[i] for i in v.axes) for v in (left, right))
    return Value(Einsum(f"{spec}->{''.join(letters[i] for i in out)}", (left.array, right.array)), out)


def _matrix_product(
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
    if not columns or not rows or out[-1] in both:
        # Output order does not fit; compute in a fitting order and transpose the result.
        only_l = tuple(i for i in out if i in left.axes and i not in both)
        only_r = tuple(i for i in out if i in right.axes and i not in both)
        value = _matrix_product(b, left, right, shared, both, (*both, *only_l, *only_r), name)
        return Value(align(value, out), out)
    batch = _summed_batch(b, left, right, shared)
    if batch is not None:
        # One product per batch element, then a sum: neither operand is transposed across the batch.
        inner = [i for i in shared if i != batch]
        value = _matrix_product(b, left, right, inner, [batch, *both], (batch, *out), name)
        return Value(Collapse("sum", value.array, (0,)), out)
    # Summed indices in the order in which a plainly stored operand has them.
    reference = rows_of if _is_stored(rows_of) or not _is_stored(columns_of) else columns_of
    summed = tuple(i for i in reference.axes if i in shared)
    first = _as_matrix(b, rows_of, stack, rows, summed, name)
    second = _as_matrix(b, columns_of, stack, summed, columns, name)
    result: Array = MatMul(first, second)
    if len(rows) > 1 or len(columns) > 1:
        result = Reshape(result, tuple(i.extent for i in out))
    return Value(result, out)


def _summed_batch(b: Builder, left: Value, right: Value, shared: list[Index]) -> Index | None:
    """A summed index that leads both operands, if what it leaves to sum is long and one operand is windows."""
    if not left.axes or left.axes[0] != right.axes[0] or left.axes[0] not in shared or len(shared) < 2:
        return None
    return left.axes[0] if _is_copy(b, left) or _is_copy(b, right) else None


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
    if joined and rows and columns and _is_copy(b, value) and _longest(b, value) in rows:
        # The copy keeps the tensor's own last axis last; the product takes it transposed.
        flipped = _as_matrix(b, value, stack, columns, rows, name)
        rank = len(stack) if present else 0
        return transposed(flipped, (*range(rank), rank + 1, rank))
    wanted = (*present, *rows, *columns)
    array = align(value, wanted)
    if len(rows) > 1 or len(columns) > 1:
        lead = tuple(i.extent for i in present)
        shape = (*lead, _volume(rows), _volume(columns))
        if rows == () or columns == ():
            shape = (*lead, _volume(rows + columns))
        array = Reshape(array, shape)
        array = b.keep(array, "columns") if _is_copy(b, value) else array
    if present and present != stack[len(stack) - len(present) :]:
        tail = stack[stack.index(present[0]) :]
        items: list[Item] = [FULL if i in present else _new() for i in tail]
        array = Subscript(array, tuple(items))
    return array


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


def _new() -> Item:
    from symgrad.lower.arrays import NewAxis

    return NewAxis()


def _is_copy(b: Builder, value: Value) -> bool:
    """Whether reshaping the value copies it: windows do, so the copy deserves a name."""
    names = {n: a for a, n in b.known.items()}

    def has(array: Array) -> bool:
        if isinstance(array, Name) and array.text in names:
            return has(names[array.text])
        return isinstance(array, Windows) or any(has(p) for p in parts(array))

    return has(value.array)


def _volume(axes: Axes) -> Poly:
    total = as_poly(1)
    for i in axes:
        total = total * i.extent
    return total


def indices_in(poly: Poly) -> frozenset[Index]:
    """Indices of an integer expression."""
    return indices_of(poly)


__all__ = ["Whole", "contract", "pair", "rename", "sum_value", "term_value", "union", "window_indices"]
