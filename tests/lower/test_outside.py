"""What tensors hold outside of a region, and how far blocks reach for it."""

from __future__ import annotations

from math import inf

import pytest

from symgrad.compiler import run
from symgrad.declare.integers import Index, Size, as_poly
from symgrad.declare.scalars import Compare, Select, walk
from symgrad.declare.substitution import rebuild
from symgrad.lower.outside import Outside
from symgrad.lower.reach import CUT, OTHER, Run, Ties, tie, uncertain

from .test_blocks import LAYERS

FIRST, LAST, T = Size("first", 0), Size("last", 0), as_poly(Size("T"))
BLOCK = Run(FIRST, LAST, T)
t, s = Index("t", T), Index("s", T)


@pytest.mark.parametrize(("tensor", "number"), [("a", -inf), ("exp_a", 0), ("w", 0), ("grad_sum_a", 0)])
def test_the_mask_of_scores_is_known_of_what_they_become(tensor, number):
    program = run(LAYERS["past, scaled"]).derived.program
    known = Outside(program).of(tensor)
    assert list(known.values()) == [number]
    assert all(isinstance(c, Compare) and c.relation == ">=" for c in known)


@pytest.mark.parametrize("tensor", ["sum_a", "max_a", "sum_exp", "y", "grad_w"])
def test_nothing_is_known_of_the_others(tensor):
    assert not Outside(run(LAYERS["past, scaled"]).derived.program).of(tensor)


def test_a_mask_beside_what_is_0_where_it_fails_is_left_out():
    program = run(LAYERS["past"]).derived.program
    body = program.equation("grad_sum_a").body
    assert any(isinstance(part, Select) for part in walk(body))
    assert not any(isinstance(part, Select) for part in walk(Outside(program).without_masks(body)))


@pytest.mark.parametrize(
    ("condition", "low", "high"),
    [
        (as_poly(t) - as_poly(s), "0", "last"),
        (as_poly(s) - as_poly(t), "first", "T"),
        (as_poly(t) * 2 - as_poly(s), "0", "min(2*last - 1, T)"),
        (as_poly(t) - as_poly(s) - 5, "0", "max(last - 5, 0)"),
        (T - 1 - as_poly(t) - as_poly(s), "0", "max(T - first, 0)"),
        (as_poly(s) - as_poly(t) + 3, "max(first - 3, 0)", "T"),
    ],
)
def test_how_far_a_condition_lets_a_block_reach(condition, low, high):
    ties = Ties((tie(condition, t, s),))
    reach = (ties.low(BLOCK), ties.high(BLOCK, T))
    for first, last, extent in ((0, 4, 9), (4, 8, 9), (8, 9, 9), (0, 1, 1)):
        sizes = {"first": first, "last": last, "T": extent, "min": min, "max": max}
        got = [max(0, _value(end, sizes)) for end in reach]
        assert got == [max(0, eval(text, {}, sizes)) for text in (low, high)]
        holds = [
            c for c in range(extent) for r in range(first, last) if _value(condition, sizes | {"t": r, "s": c}) >= 0
        ]
        assert not holds or (got[0] == min(holds) and got[1] == max(holds) + 1)
        start, stop = uncertain(ties.polys[0], BLOCK, reach[0], reach[1] - reach[0])
        near = range(*(e if p is None else _value(p, sizes) for p, e in ((start, 0), (stop, got[1] - got[0]))))
        for c in range(*got):
            every = all(_value(condition, sizes | {"t": r, "s": c}) >= 0 for r in range(first, last))
            assert every or c - got[0] in near


def _value(poly, sizes):
    known = rebuild(poly, lambda a: as_poly(sizes[a.name]) if getattr(a, "name", None) in sizes else None)
    return eval(str(known), {}, {"min": min, "max": max})


def test_a_condition_with_another_index_or_a_step_ties_nothing():
    other = Index("n", as_poly(Size("N")))
    assert tie(as_poly(t) - as_poly(s) * 2, t, s) is None
    assert tie(as_poly(t) - as_poly(s) - as_poly(other), t, s) is None
    assert tie(as_poly(t) - as_poly(s), t, s) == as_poly(CUT) - as_poly(OTHER)
