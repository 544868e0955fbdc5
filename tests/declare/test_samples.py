"""Points at which expressions are looked at before they are proved: none of them may stand in the way of a proof."""

import pytest
from hypothesis import given, settings

from symgrad.declare import bounds
from symgrad.declare.bounds import nonnegative
from symgrad.declare.division import remainder
from symgrad.declare.integers import Index, Poly, Quotient, as_poly
from symgrad.declare.samples import negative

from .polynomials import K, M, N, Q, affine, polynomials

many = settings(max_examples=120, deadline=None, derandomize=True, database=None)
n, m, k, q = map(as_poly, (N, M, K, Q))


def proved_without_points(poly: Poly, facts: tuple[Poly, ...]) -> bool:
    def forget() -> None:
        bounds._prove.cache_clear()
        bounds._nonnegative.cache_clear()

    forget()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "negative", lambda *_: False)
        found = nonnegative(poly, facts)
    forget()
    return found


@many
@given(polynomials(), affine())
def test_points_refute_nothing_that_can_be_proved(poly: Poly, fact: Poly) -> None:
    for candidate in (poly, -poly, poly + fact):
        assert nonnegative(candidate, (fact,)) == proved_without_points(candidate, (fact,))


def test_a_point_is_one_that_sizes_and_indices_allow():
    assert negative(n - 2)
    assert negative(q - m)
    assert negative(n + m, n + m + 1)
    assert not negative(n - 1)
    assert not negative(as_poly(Index("i", n)))
    assert not negative(n - 1 - as_poly(Index("i", n)))
    assert not negative(k - 1 - remainder(n, k))


def test_what_has_no_value_at_a_point_is_not_negative_there():
    assert not negative(-as_poly(Index("e", as_poly(0))) - 1)
    assert not negative(-as_poly(Quotient(n * 2 + 1, as_poly(2), exact=True)) - 1)
