"""Small windows along the last axis as products with band matrices.

The sums are ``out[.., j] = sum over v of x[.., s j + d v] * w[.., v]`` with steps ``s`` and ``d``.

Where nothing but window offsets is summed, and kernel and data have further axes in common, there is no product of
matrices, and one elementwise pass for each offset moves every element many times. A kernel row written along the
diagonals of a matrix makes it one: ``out = x @ band`` with ``band[s j + d v, j] = w[v]``, for a few ``j`` at a time.
Most of the band is zeros; a processor multiplies by a matrix faster than it moves an element. The adjoint with respect
to the data is the product with the transposed band, that with respect to the kernel is read off the diagonals of
``x.T @ grad_out``. Steps and extents decide when a module runs: where bands are nearly all zeros or rows are long, the
helpers go by offsets.
"""

from __future__ import annotations

from dataclasses import dataclass

from symgrad.declare.algebra import multiply
from symgrad.declare.integers import Index, Poly, as_poly, indices_of
from symgrad.declare.scalars import TRUE, Condition, Mul, Read, Scalar, free_indices, tensors_of
from symgrad.lower.arrays import FLIP, FULL, Array, Assign, At, Helper, Item, Name, Run, Transpose, Value, Whole
from symgrad.lower.axes import Axes, align, subscript
from symgrad.lower.builder import Builder
from symgrad.lower.elementwise import value_of
from symgrad.lower.walks import along
from symgrad.naming import fresh

WINDOWS = 4
"""Windows along the last axis from which a product beats a pass for each offset."""


@dataclass(frozen=True, slots=True)
class Band:
    """A last axis at ``start + step * window + dilation * offset``, and how the other axes go into the product.

    Attributes:
        window: the index that positions the windows.
        offset: the position in a window.
        start: what is left of the position.
        step: from one window to the next.
        dilation: from one position in a window to the next.
        flipped: whether offsets run backwards.
        lead: the axes that are no matrix, then the shared ones, then the rows of the matrices.
        shared: the axes that the other factor has as well.
    """

    window: Index
    offset: Index
    start: Poly
    step: Poly
    dilation: Poly
    flipped: bool
    lead: Axes
    shared: Axes

    @property
    def whole(self) -> Index:
        """An index for the axis itself."""
        extent = self.step * (self.window.extent - 1) + self.dilation * (self.offset.extent - 1) + 1
        return Index(fresh(f"{self.window.name}_axis", {i.name for i in self.lead}), extent)

    def numbers(self) -> tuple[Array, ...]:
        """Step and dilation as arguments."""
        return Whole(self.step), Whole(self.dilation)


def _band(b: Builder, position: Poly, offsets: Axes) -> tuple[Index, Index, Poly, Poly, Poly, bool] | None:
    """Window, offset, start, step, dilation and direction of such a position; None if it is anything else."""
    walk = along(position, b.loops)
    if walk is None or len(walk.steps) != 2:
        return None
    (window, step), (offset, dilation) = sorted(walk.steps, key=lambda s: s[0] in offsets)
    if offset not in offsets or window in offsets or window in walk.flipped or not b.small(offset):
        return None
    if b.typical(window.extent) < WINDOWS or b.typical(offset.extent) < 2:
        return None
    return window, offset, walk.start, step, dilation, offset in walk.flipped


def _is_usable(b: Builder, condition: Condition) -> bool:
    return b.fast and not b.general and not b.loops and condition == TRUE


def window_sum(b: Builder, factors: list[Scalar], condition: Condition, slides: Axes, total: Value) -> bool:
    """Emit statements that add the sum over the offsets ``slides`` of a product to ``total``; False if they cannot."""
    if not _is_usable(b, condition):
        return False
    for place, data in enumerate(factors):
        kernel = multiply(*factors[:place], *factors[place + 1 :])
        found = _of_data(b, data, kernel, slides, ())
        if found is None or not isinstance(data, Read):
            continue
        whole = found.whole
        row = Read(data.tensor, (*data.indices[:-1], found.start + as_poly(whole)), data.extension)
        bands, others = _bands(b, kernel, found, slides)
        with b.looping(others):
            array = align(value_of(b, row, (*found.lead, whole)), (*found.lead, whole))
            out = align(total, (*found.lead, found.window))
            b.emit(Run(Helper("_add_windows", (out, array, bands, *found.numbers()))))
        b.because(f"{b.current}: sums along {found.offset.name} are products with band matrices: fewer passes")
        return True
    return False


def _of_data(b: Builder, data: Scalar, other: Scalar, offsets: Axes, bound: Axes) -> Band | None:
    """The band that a factor is read along while the other one is not; rows are summed if they are ``bound``."""
    if not isinstance(data, Read) or not data.indices:
        return None
    if data.extension is not None and data.extension.mode != "constant":
        return None
    found = _band(b, data.indices[-1], offsets)
    if found is None:
        return None
    window, offset, *_ = found
    before = [i for p in data.indices[:-1] for i in indices_of(p) if i not in offsets]
    theirs = free_indices(other)
    if len(before) != len(set(before)) or {window, offset} & set(before) or not before:
        return None
    if bound:  # the gradient of a kernel: everything but the offsets is met by both
        if theirs != {*before, window} or offset in theirs:
            return None
        rows = [i for i in before if i in bound]
        shared = tuple(i for i in before if i not in bound)
    else:
        if window in theirs or offset not in theirs or not theirs <= {*before, *offsets}:
            return None
        rows = [i for i in before if i not in theirs]
        shared = tuple(i for i in before if i in theirs)
    if not rows:
        return None
    return Band(*found, (*rows[:-1], *shared, rows[-1]), shared)


def _bands(b: Builder, kernel: Scalar, band: Band, offsets: Axes, turned: bool = False) -> tuple[Array, Axes]:
    """The band matrices of a kernel, made once, at the offsets of a loop over the other ones, and those."""
    others = tuple(i for i in offsets if i != band.offset)
    order = (*band.shared, *others, band.offset)
    array = align(value_of(b, kernel, order), order)
    if band.flipped:
        array = subscript(array, [FLIP if i == band.offset else FULL for i in order])
    made = Helper("_bands", (array, *band.numbers(), Whole(band.window.extent)))
    if turned:
        places = (*range(len(order) - 1), len(order), len(order) - 1)
        made = Helper("np.ascontiguousarray", (Transpose(made, places),))
    inputs = {t.name for t in (b.declared or (b.program,))[0].inputs}
    apart = bool(b.whole) and isinstance(kernel, Read) and kernel.tensor in inputs
    base = f"{next(iter(tensors_of(kernel)), 'kernel')}_bands"
    if apart and not free_indices(kernel) & set(b.whole):
        name = b.name(base)
        b.outside.append(Assign(name, made))
    else:
        name = b.keep(made, base).text
    items: list[Item] = [At(as_poly(i)) if i in others else FULL for i in order]
    return subscript(Name(name), items), others


def window_products(b: Builder, bound: Axes, factors: list[Scalar], offsets: Axes, total: Value) -> bool:
    """Emit statements that write a sum of products for each offset to ``total``; False if they cannot."""
    if not _is_usable(b, TRUE) or len(factors) != 2:
        return False
    for data, other in (factors, factors[::-1]):
        found = _of_data(b, data, other, offsets, bound)
        if found is None or not isinstance(data, Read) or found.flipped:
            continue
        whole = found.whole
        row = Read(data.tensor, (*data.indices[:-1], found.start + as_poly(whole)), data.extension)
        others = tuple(i for i in offsets if i != found.offset)
        rows = Whole(as_poly(len(found.lead) - len(found.shared) - 1))
        with b.looping(others):
            left = align(value_of(b, row, (*found.lead, whole)), (*found.lead, whole))
            axes = (*found.lead, found.window)
            right = align(value_of(b, other, axes), axes)
            items: list[Item] = [At(as_poly(i)) if i in others else FULL for i in total.axes]
            kept = tuple(i for i in total.axes if i not in others)
            out = align(Value(subscript(total.array, items), kept), (*found.shared, found.offset))
            b.emit(Run(Helper("_window_products", (out, left, right, *found.numbers(), rows))))
        b.because(f"{b.current}: sums for each {found.offset.name} are the diagonals of a product of matrices")
        return True
    return False


def spread(
    b: Builder, weight: Scalar, condition: Condition, loops: Axes, place: Poly, target: Value, name: str
) -> bool:
    """Emit statements that add a product to windows of ``target``, the adjoint of ``window_sum``; False if not.

    The last axis of ``target`` is that of ``place``, from the first position of the first window on.
    """
    if not _is_usable(b, condition) or not isinstance(weight, Mul) or weight.coefficient != 1:
        return False
    found = _band(b, place, loops)
    if found is None or found[-1]:
        return False
    window, offset = found[:2]
    for number, values in enumerate(weight.args):
        kernel = multiply(*weight.args[:number], *weight.args[number + 1 :])
        own, theirs = free_indices(values), free_indices(kernel)
        lead = tuple(i for i in target.axes if i != target.axes[-1])
        rows = [i for i in lead if i not in theirs]
        if window not in own or own != {*lead, window} or set(loops) & own or not rows:
            continue
        shared = tuple(i for i in lead if i in theirs)
        if theirs != {*shared, *loops}:
            continue
        band = Band(*found, (*rows[:-1], *shared, rows[-1]), shared)
        bands, others = _bands(b, kernel, band, loops, turned=True)
        axes = (*band.lead, window)
        with b.looping(others):
            out = align(target, (*band.lead, target.axes[-1]))
            right = align(value_of(b, values, axes), axes)
            b.emit(Run(Helper("_spread_windows", (out, right, bands, *band.numbers()))))
        b.because(f"{name}: sums along {offset.name} are products with band matrices: fewer passes")
        return True
    return False
