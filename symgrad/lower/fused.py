"""Window offsets that one pass over two factors sums, as it multiplies them: no array of products.

``out[.., i, j, c] += sum over u, v of x[.., i + u, j + v, c] * w[u, v, c]`` runs along ``c``, or along ``j`` and ``c``
together where both lie side by side in memory; outside of that along the offsets.
"""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.declare.integers import Index, as_poly, indices_of
from symgrad.declare.scalars import TRUE, Condition, Read, Scalar, free_indices
from symgrad.lower.arrays import Helper, Value
from symgrad.lower.axes import Axes, align
from symgrad.lower.builder import Builder
from symgrad.lower.elementwise import value_of


def fused_offsets(b: Builder, condition: Condition, factors: Sequence[Scalar], slides: Axes) -> Axes:
    """The window offset that one pass over two factors sums, if both have the last axis of the data.

    It is one on an axis of its own, further out than the others: NumPy then runs along the last axis.
    """
    if not b.fast or b.loops or condition != TRUE or len(factors) != 2:
        return ()
    for data, kernel in (factors, factors[::-1]):
        if not isinstance(data, Read) or not isinstance(kernel, Read) or not data.indices:
            continue
        last = data.indices[-1].atom
        places = [indices_of(p) & set(slides) for p in data.indices]
        outer = next((p for p in places if p), frozenset())
        along = isinstance(last, Index) and last in free_indices(kernel) and last not in slides
        enough = len(slides) > 1 or _has_rows(data, kernel, slides)
        if enough and along and len(outer) == 1 and free_indices(kernel) < free_indices(data):
            return tuple(outer)
    return ()


def in_rows(b: Builder, factors: Sequence[Scalar], slides: Axes) -> Value | None:
    """The sum over all offsets in one pass along rows, where a factor has what it goes along twice and the other once.

    For factors of which ``fused_offsets`` finds an offset.
    """
    for data, kernel in (factors, factors[::-1]):
        if isinstance(data, Read) and isinstance(kernel, Read) and _has_rows(data, kernel, slides):
            (last,) = indices_of(data.indices[-1])
            order = tuple(i for p in data.indices for i in sorted(indices_of(p), key=lambda i: i.name))
            axes = tuple(i for i in order if i not in slides)
            windows, weights = value_of(b, data, (*axes, *slides)), value_of(b, kernel, (*slides, last))
            if {*windows.axes} == {*axes, *slides} and {*weights.axes} == {*slides, last}:
                arrays = (align(windows, (*axes, *slides)), align(weights, (*slides, last)))
                return Value(Helper("_window_sums", arrays), axes)
    return None


def _has_rows(data: Read, kernel: Read, slides: Axes) -> bool:
    """Whether the data have an axis and the kernel's one behind it, last and plain, and the kernel all offsets."""
    *before, last = data.indices
    plain = isinstance(last.atom, Index) and last == as_poly(last.atom)
    inner = indices_of(last) | set(slides)
    rows = bool(before) and bool(indices_of(before[-1]) - set(slides))
    return plain and rows and free_indices(kernel) == inner and not indices_of(last) & set(slides)
