"""Inverted index maps name the same pairs with the same multiplicities as the equalities they came from."""

import os
import random

import pytest

from symgrad.declare.conditions import all_of, at_least, compare, conjuncts
from symgrad.declare.division import quotient, remainder
from symgrad.declare.integers import Index, Poly, Quotient, Remainder, Size, as_poly
from symgrad.declare.scalars import TRUE, All, Compare, Condition, Read, Truth
from symgrad.derive.invert import Solved, absorb, solve

from ..declare.polynomials import Choices
from .systems import SIZES, TARGETS, D, N, S, System, make_system, pairs

EACH = 50
BATCHES = int(os.environ.get("SYMGRAD_EXAMPLES", "600")) // EACH
"""How many systems are drawn in all; the variable is the one that sets how many random declarations are."""


def systems(batch: int, symbolic: bool = True) -> list[System]:
    rng = random.Random(batch)
    return [make_system(Choices(rng.randbytes(40)), symbolic) for _ in range(EACH)]


def same(system: System, solved: Solved, sizes: dict[str, int]) -> None:
    extents = system.extents("A")
    want = pairs(system.bound, system.condition, system.body, extents, sizes)
    got = pairs(solved.bound, solved.condition, solved.body, extents, sizes)
    assert got == want, f"{system.condition} at {sizes}: {[str(p.value) for p in solved.pivots]}"


@pytest.mark.parametrize("batch", range(BATCHES))
def test_the_same_pairs_as_before(batch: int) -> None:
    rng = random.Random(-batch)
    for system in systems(batch):
        prefer = tuple(i for i in system.bound if rng.random() < 0.5)
        solved = solve(system.bound, system.condition, system.body, prefer, unit_only=rng.random() < 0.3)
        absorbed = absorb(solved, system.extents)
        assert {p.index for p in solved.pivots} | set(solved.bound) == set(system.bound)
        for sizes in rng.sample(SIZES, 2):
            same(system, solved, sizes)
            same(system, absorbed, sizes)


def test_most_systems_are_solved() -> None:
    """The comparison above would be empty if nothing were ever eliminated."""
    drawn = [system for batch in range(4) for system in systems(batch)]
    found = [solve(s.bound, s.condition, s.body) for s in drawn]
    assert sum(bool(s.pivots) for s in found) > 0.6 * len(found)
    assert sum(any(not p.unit for p in s.pivots) for s in found) > 20
    assert sum(len(s.pivots) > 1 for s in found) > 30
    extended = [absorb(f, s.extents).body.extension is not None for f, s in zip(found, drawn, strict=True)]
    assert sum(extended) > 20


# --- the cases that the documents show -----------------------------------------------------------------------------

n, s, d = (as_poly(a) for a in (N, S, D))
K = Size("K")
k = as_poly(K)
o = Index("o", n - k + 1)  # outputs of a window of K over N
u = Index("u", k)
t = Index("t", n)
i, j = Index("i", n), Index("j", n)


def deltas(*polys: Poly) -> Condition:
    return all_of(*(compare("==", p) for p in polys))


def test_a_window_of_stride_one_reads_the_extended_cotangent() -> None:
    """sum_{o,u} [o + u = t] g[o] is sum_u g[t - u] with zeros outside: the range of o is the read's own bound."""
    solved = solve((o, u), deltas(as_poly(o) + as_poly(u) - as_poly(t)), Read("g", (as_poly(o),)), prefer=(o,))
    assert [(p.index, p.value, p.unit) for p in solved.pivots] == [(o, as_poly(t) - as_poly(u), True)]
    absorbed = absorb(solved, lambda name: (o.extent,))
    assert absorbed.complete
    assert absorbed.condition == TRUE
    assert absorbed.bound == (u,)
    assert absorbed.body.extension is not None


def test_a_stride_leaves_its_integrality_behind() -> None:
    solved = solve((i,), deltas(s * as_poly(i) - as_poly(t)), Read("g", (as_poly(i),)))
    (pivot,) = solved.pivots
    assert (pivot.value, pivot.unit) == (quotient(as_poly(t), s), False)
    assert compare("==", remainder(as_poly(t), s)) in conjuncts(solved.condition)
    assert solved.complete is False, "the remainder is an equality that stays"


def test_unit_pivots_only_leaves_a_stride_alone() -> None:
    condition = deltas(s * as_poly(i) - as_poly(t))
    solved = solve((i,), condition, Read("g", (as_poly(i),)), unit_only=True)
    assert (solved.bound, solved.condition, solved.pivots) == ((i,), condition, ())


def test_a_diagonal_is_a_condition_not_two_solutions() -> None:
    p, q = Index("p", n), Index("q", n)
    condition = deltas(as_poly(i) - as_poly(p), as_poly(i) - as_poly(q))
    solved = solve((i,), condition, Read("g", (as_poly(i),)))
    assert solved.bound == ()
    (left,) = conjuncts(solved.condition)
    assert left == compare("==", as_poly(p) - as_poly(q))


def test_a_coefficient_of_unknown_sign_stays() -> None:
    unknown = as_poly(Size("a", None))
    condition = deltas(unknown * as_poly(i) - as_poly(t))
    assert solve((i,), condition, Read("g", (as_poly(i),))).pivots == ()


def test_a_trivial_pivot_needs_no_range() -> None:
    solved = solve((i, j), deltas(as_poly(i) - as_poly(t)), Read("g", (as_poly(i), as_poly(j))))
    assert (solved.condition, solved.bound) == (TRUE, (j,))


def test_rows_stay_affine_after_a_pivot_that_is_not_a_unit() -> None:
    """Two rows that share an index: the second is multiplied by the pivot instead of holding a quotient."""
    p, q = TARGETS
    first = s * as_poly(i) + as_poly(j) - as_poly(p)
    second = d * as_poly(i) - as_poly(q)
    solved = solve((i,), deltas(first - as_poly(j), second), Read("g", (as_poly(i),)))
    kept = [c for c in conjuncts(solved.condition) if isinstance(c, Compare) and c.relation == "=="]
    assert any(not _has_quotient(c.poly) for c in kept)


def _has_quotient(poly: Poly) -> bool:
    return any(isinstance(a, Quotient | Remainder) for m, _ in poly.terms for a in m)


def test_a_range_that_is_not_the_reads_own_is_kept() -> None:
    """The tensor is longer than the index: zeros outside the tensor would let values between them in."""
    solved = solve((o, u), deltas(as_poly(o) + as_poly(u) - as_poly(t)), Read("g", (as_poly(o),)), prefer=(o,))
    absorbed = absorb(solved, lambda name: (o.extent + 5,))
    assert absorbed.condition == solved.condition
    assert at_least(as_poly(t) - as_poly(u), 0) in conjuncts(absorbed.condition)


def test_the_order_of_preference() -> None:
    condition = deltas(as_poly(o) + as_poly(u) - as_poly(t))
    body = Read("g", (as_poly(o), as_poly(u)))
    for first in (o, u):
        assert solve((o, u), condition, body, prefer=(first,)).pivots[0].index == first


# --- a second oracle, for every size at once -----------------------------------------------------------------------


def as_isl(poly: Poly) -> str:
    """An affine expression, with quotients and remainders by numbers, as isl writes it."""
    pieces = ["0"]
    for monomial, c in poly.terms:
        factor = "1"
        for atom in monomial:
            match atom:
                case Size(name) | Index(name):
                    factor = name
                case Quotient(a, b):
                    factor = f"floor(({as_isl(a)})/{b.constant})"
                case Remainder(a, b):
                    factor = f"(({as_isl(a)}) mod {b.constant})"
                case _:
                    raise TypeError(atom)
        pieces.append(f"({c}*{factor})")
    return " + ".join(pieces)


def condition_isl(condition: Condition) -> str:
    match condition:
        case Truth(value):
            return "1 = 1" if value else "1 = 0"
        case Compare(relation, poly):
            return f"{as_isl(poly)} {'=' if relation == '==' else relation} 0"
        case All(args):
            return " and ".join(f"({condition_isl(a)})" for a in args)
    raise TypeError(condition)


def ranges_isl(indices: tuple[Index, ...]) -> list[str]:
    return [f"0 <= {i.name} < {as_isl(i.extent)}" for i in indices]


def test_the_same_relation_for_every_size_by_isl() -> None:
    isl = pytest.importorskip("islpy")
    compared = 0
    for system in systems(0, symbolic=False) + systems(1, symbolic=False) + systems(2, symbolic=False):
        solved = solve(system.bound, system.condition, system.body)
        names = ", ".join(i.name for i in (*TARGETS, *system.bound))
        before = [*ranges_isl((*TARGETS, *system.bound)), condition_isl(system.condition)]
        after = [*ranges_isl((*TARGETS, *solved.bound)), condition_isl(solved.condition)]
        # The body reads every index: where it was eliminated its value stands.
        for index, value in zip(system.bound, solved.body.indices, strict=True):
            if index not in solved.bound:
                after.append(f"{index.name} = {as_isl(value)}")
        sets = [isl.Set(f"[N] -> {{ [{names}] : N >= 1 and {' and '.join(p)} }}") for p in (before, after)]
        assert sets[0].is_equal(sets[1]), f"{system.condition}"
        compared += not sets[0].is_empty()
    assert compared > 60
