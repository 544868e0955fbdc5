"""Window offsets that one pass over two factors sums, as it multiplies them: no array of products.

``out[.., i, j, c] += sum over u of x[.., i + u, j + v, c] * w[u, v, c]`` runs along ``c``, and outside of it along u.
"""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.declare.integers import Index, indices_of
from symgrad.declare.scalars import TRUE, Condition, Read, Scalar, free_indices
from symgrad.lower.axes import Axes
from symgrad.lower.builder import Builder


def fused_offsets(b: Builder, condition: Condition, factors: Sequence[Scalar], slides: Axes) -> Axes:
    """The window offset that one pass over two factors sums, if both have the last axis of the data.

    It is one on an axis of its own, further out than the others: NumPy then runs along the last axis.
    """
    if not b.fast or b.loops or condition != TRUE or len(factors) != 2 or len(slides) < 2:
        return ()
    for data, kernel in (factors, factors[::-1]):
        if not isinstance(data, Read) or not isinstance(kernel, Read) or not data.indices:
            continue
        last = data.indices[-1].atom
        places = [indices_of(p) & set(slides) for p in data.indices]
        outer = next((p for p in places if p), frozenset())
        along = isinstance(last, Index) and last in free_indices(kernel) and last not in slides
        if along and len(outer) == 1 and free_indices(kernel) < free_indices(data):
            return tuple(outer)
    return ()
