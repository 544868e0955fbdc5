"""What bounds.py proves: True means so at every value of the sizes and indices; completeness where it is relied on."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgrad.declare.bounds import lower_end, nonnegative, positive, relaxed_upper, tighten, upper_end
from symgrad.declare.division import quotient, remainder
from symgrad.declare.integers import Entry, Index, Poly, Quotient, Remainder, Size, as_poly, atoms, extreme
from symgrad.declare.substitution import substitute

from .polynomials import GRID, G, I, J, K, M, N, P, Q, S, T, U, V, affine, evaluate, polynomials, rows

many = settings(max_examples=120, deadline=None, derandomize=True, database=None)
i, j, u, v, t, g = (as_poly(a) for a in (I, J, U, V, T, G))
n, m, k, s, p, q = (as_poly(a) for a in (N, M, K, S, P, Q))
ZERO = as_poly(0)


def least_and_most(poly: Poly) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Least and largest value over the grid's indices for each combination of sizes, and those sizes."""
    columns = rows(poly)
    names = ("N", "M", "K", "S", "P", "Q")
    table = np.stack([columns[name] for name in names])
    found, group = np.unique(table, axis=1, return_inverse=True)
    values = evaluate(poly, columns)
    low, high = np.full(found.shape[1], 10**9), np.full(found.shape[1], -(10**9))
    np.minimum.at(low, group.ravel(), values)
    np.maximum.at(high, group.ravel(), values)
    return low, high, dict(zip(names, found, strict=True))


# --- soundness -------------------------------------------------------------------------------------------------


@many
@given(polynomials())
def test_what_is_proved_nonnegative_is(poly: Poly) -> None:
    for candidate in (poly, -poly):
        if nonnegative(candidate):
            assert evaluate(candidate, rows(candidate)).min(initial=0) >= 0, str(candidate)
        if positive(candidate):
            assert evaluate(candidate, rows(candidate)).min(initial=1) >= 1, str(candidate)


@many
@given(affine(), st.integers(-6, 12))
def test_shifts_of_an_affine_expression(poly: Poly, shift: int) -> None:
    """Near the point where it becomes nonnegative a wrong proof would show."""
    if nonnegative(poly + shift):
        assert evaluate(poly + shift, rows(poly)).min(initial=0) >= 0, str(poly + shift)


@many
@given(polynomials(1), st.lists(affine(), min_size=1, max_size=3))
def test_what_facts_imply_holds_where_they_hold(poly: Poly, facts: list[Poly]) -> None:
    columns = rows(poly, *facts)
    given_true = np.logical_and.reduce([evaluate(f, columns) >= 0 for f in facts])
    for candidate in (poly, -poly, poly + facts[0], facts[0] + facts[-1] + 2):
        if nonnegative(candidate, facts):
            assert evaluate(candidate, columns)[given_true].min(initial=0) >= 0, f"{candidate} from {facts}"


@many
@given(polynomials())
def test_ends_enclose_every_value(poly: Poly) -> None:
    low, high, sizes = least_and_most(poly)
    for end, values, sign in ((lower_end(poly), low, 1), (upper_end(poly), high, -1)):
        if end is not None:
            assert not any(isinstance(a, Index) for a in atoms(end)), str(end)
            assert (sign * (values - evaluate(end, sizes))).min(initial=0) >= 0, f"{end} of {poly}"


@many
@given(polynomials(), polynomials(1))
def test_tightened_is_equal_inside_the_ranges(a: Poly, b: Poly) -> None:
    for poly in (a, quotient(a, s * m), remainder(a, 2 * m), remainder(m * a + j, m), quotient(m * i + b, m)):
        columns = rows(poly)
        np.testing.assert_array_equal(evaluate(tighten(poly), columns), evaluate(poly, columns), err_msg=str(poly))


DIGITS = [
    (unit, base, high, low)
    for unit in (m, k, as_poly(3))
    for base in (n, m, as_poly(2), s)
    for high in (I, J, U, V)
    for low in (I, J, U, V)
    if high != low
]


@pytest.mark.parametrize(("unit", "base", "high", "low"), DIGITS)
def test_tightened_digits_are_equal_inside_the_ranges(unit: Poly, base: Poly, high: Index, low: Index) -> None:
    position = unit * as_poly(high) + as_poly(low)
    for poly in (
        quotient(position, unit),
        remainder(position, unit),
        quotient(position, unit * base),
        remainder(position, unit * base),
        remainder(quotient(position, unit), base),
        quotient(remainder(position, unit * base), unit),
        remainder(quotient(position + unit * base * as_poly(G), unit), base),
    ):
        columns = rows(poly, also=(high, low))
        np.testing.assert_array_equal(evaluate(tighten(poly), columns), evaluate(poly, columns), err_msg=str(poly))


@many
@given(polynomials())
def test_relaxed_is_never_less(poly: Poly) -> None:
    columns = rows(poly)
    assert (evaluate(relaxed_upper(poly), columns) >= evaluate(poly, columns)).all(), f"{relaxed_upper(poly)} of {poly}"


@pytest.mark.parametrize("unknown", [q, as_poly(Entry("ids", (i,))), as_poly(Size("w", None)) * n])
def test_nothing_is_proved_of_what_is_unknown(unknown: Poly) -> None:
    assert not nonnegative(unknown)
    assert not nonnegative(-unknown)
    assert not positive(unknown * unknown + 1), "squares are not looked at"


def test_an_unknown_entry_has_no_end() -> None:
    entry = as_poly(Entry("ids", (i,)))
    assert lower_end(entry + n) is None
    assert upper_end(2 * entry) is None
    assert upper_end(q * i) is None


# --- what the stages rely on ------------------------------------------------------------------------------------

CONV = Index("o", quotient(n - k, s) + 1)  # o: outputs of a strided window of K over N
PADDED = Index("o", quotient(n + 2 * p - k, s) + 1)
PAIRS = Index("h", quotient(n, as_poly(2)))


@pytest.mark.parametrize(
    "poly",
    [
        ZERO,
        p,
        n - 1,
        i,
        n - 1 - i,
        n * m - 1 - m * i - j,
        s * as_poly(CONV) + u,
        n - 1 - s * as_poly(CONV) - u,
        n + p - 1 - (s * as_poly(PADDED) + u - p),
        n - 1 - 2 * as_poly(PAIRS) - 1 + 0 * i,
        n - 1 - quotient(i, s),
        quotient(i, s),
        m - 1 - remainder(i, m),
        i - remainder(i, s),
        i - s * quotient(i, s),
        m - 1 - quotient(m * i + j, n) + m * n,
        n - 1 - quotient(m * i + j, m),
        extreme("max", [p - k, ZERO]),
        n - extreme("min", [n, p]),
        n * m - 1 - g,
        n - 1 - quotient(g, m),
    ],
    ids=str,
)
def test_proved(poly: Poly) -> None:
    assert nonnegative(poly)


@pytest.mark.parametrize("poly", [n - 2, -p, i - 1, n - 2 - i, p - k, m - n, n - i - j, s - 2, q + 10], ids=str)
def test_not_proved_because_false_somewhere(poly: Poly) -> None:
    assert not nonnegative(poly)


@pytest.mark.parametrize(
    ("poly", "facts"),
    [
        (i - 1, [i - 1]),
        (i - 1, [i - 2]),
        (n - 2 - i, [n - 2 - i]),
        (i - j, [i - j - 1]),
        (n - 1 - i - u, [n - 1 - i - 2 * u]),
        (i + j - 2, [i - 1, j - 1]),
        (p - 3, [p - n, n - 3]),
    ],
    ids=str,
)
def test_proved_by_facts(poly: Poly, facts: list[Poly]) -> None:
    assert not nonnegative(poly)
    assert nonnegative(poly, facts)


@pytest.mark.parametrize(
    ("poly", "low", "high"),
    [
        (i, ZERO, n - 1),
        (2 * i - 3 * j + p, p - 3 * (m - 1), 2 * (n - 1) + p),
        (n - 1 - i, ZERO, n - 1),
        (s * i + u - p, -p, s * (n - 1) + k - 1 - p),
        (quotient(i, s), ZERO, quotient(n - 1, s)),
        (remainder(i, m), ZERO, m - 1),
        (extreme("max", [i, j]), ZERO, extreme("max", [n - 1, m - 1])),
        (p + 3, p + 3, p + 3),
    ],
    ids=str,
)
def test_ends(poly: Poly, low: Poly, high: Poly) -> None:
    assert (lower_end(poly), upper_end(poly)) == (low, high)


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.tuples(*[st.integers(-3, 3)] * 7))
def test_ends_of_an_affine_expression_are_reached(c: tuple[int, ...]) -> None:
    """Each index stands once, so the end is a value, not only a bound."""
    slopes = {I: as_poly(c[0]), J: c[1] * s, U: as_poly(c[2]), V: c[3] * m}
    poly = sum((a * as_poly(index) for index, a in slopes.items()), c[4] * n + c[5] * p + c[6])
    low, high = lower_end(poly), upper_end(poly)
    assert low is not None
    assert high is not None
    corners = []
    for ends in itertools.product((0, 1), repeat=4):
        table = {index: end * (index.extent - 1) for index, end in zip(slopes, ends, strict=True)}
        corners.append(evaluate(substitute(poly, table), GRID))
    np.testing.assert_array_equal(evaluate(low, GRID), np.min(corners, axis=0))
    np.testing.assert_array_equal(evaluate(high, GRID), np.max(corners, axis=0))


@pytest.mark.parametrize(
    ("poly", "want"),
    [
        (quotient(m * i + j, m), i),
        (remainder(m * i + j, m), j),
        (remainder(j, m), j),
        (quotient(j, m), ZERO),
        (remainder(i, 2 * n), i),
        (quotient(quotient(k * m * i + m * u + j, m), k), i),
        (remainder(g, n * m), g),
        (remainder(k * m * i + m * u + j, m * k), m * u + j),
    ],
    ids=str,
)
def test_tightened_to(poly: Poly, want: Poly) -> None:
    assert tighten(poly) == want


def test_tightening_keeps_what_is_not_decided() -> None:
    for poly in (quotient(i, s), remainder(i, m), quotient(m * i + u, m)):
        assert any(isinstance(a, Quotient | Remainder) for a in atoms(tighten(poly)))
