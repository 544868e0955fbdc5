"""Accumulation in strided slices whose first elements are assigned: nothing is read to be added to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from symgrad.declare.bounds import positive
from symgrad.declare.integers import Index, Poly, affine_in, as_poly, indices_of
from symgrad.lower.arrays import Array, Assign, Fresh, Helper, Map, Whole
from symgrad.lower.axes import Axes
from symgrad.lower.walks import Along


def first_met(walks: Sequence[Along | None], starts: Sequence[Poly | None], loops: Axes) -> Array | None:
    """Whether the offsets of a turn meet their elements for the first time.

    Of the elements ``step * i + offset`` of an axis those of an offset below the step are met by no smaller offset.
    None where that is not so, or of no use.
    """
    offsets: dict[Index, tuple[Poly, Poly]] = {}
    for walk, start in zip(walks, starts, strict=True):
        here = [i for i in loops if start is not None and i in indices_of(start)]
        if walk is None or start is None or not here:
            continue
        split = affine_in(start, here[0])
        if len(here) > 1 or here[0] in offsets or not walk.steps or split is None or not positive(split[0]):
            return None
        offsets[here[0]] = (split[0] * as_poly(here[0]), walk.steps[0][1])
    if set(offsets) != set(loops) or any(step == as_poly(1) for _, step in offsets.values()):
        return None
    tests = tuple(Map("lt", (Whole(offset), Whole(step))) for offset, step in offsets.values())
    return tests[0] if len(tests) == 1 else Map("and", tests)


def emptied(begun: Assign, walks: Sequence[Along | None], starts: Sequence[Poly | None], loops: Axes) -> Assign:
    """The statement that makes an array of zeros, with zeros only where ``first_met`` leaves some.

    Offsets 0, 1, .. below the step meet all of an axis up to the end of the last window's step.
    """
    if not isinstance(begun.array, Fresh) or begun.array.kind != "zeros":
        return begun
    covered: list[Array] = []
    for axis, (walk, start) in enumerate(zip(walks, starts, strict=True)):
        if walk is None:
            continue
        offset = next((i for i in loops if start is not None and start == as_poly(i)), None)
        if offset is None or start is None or not walk.steps:
            return begun
        window, step = walk.steps[0]
        numbers = (as_poly(axis), window.extent * step, offset.extent, step)
        covered.append(Helper("tuple", tuple(map(Whole, numbers))))
    array = replace(begun.array, kind="empty")
    return replace(begun, array=Helper("_emptied", (array, Helper("tuple", tuple(covered)))))
