"""Integer expressions: canonical, and worth what they say at every small size and index."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgrad.declare.division import divide, quotient, remainder, split_multiples
from symgrad.declare.integers import (
    ONE,
    ZERO,
    Entry,
    Index,
    Poly,
    Quotient,
    RealFloor,
    Remainder,
    Size,
    affine_in,
    as_poly,
    atoms,
    depends_on_data,
    extreme,
    group,
    indices_of,
    show,
)
from symgrad.declare.scalars import Read
from symgrad.declare.substitution import rebuild, substitute

from .polynomials import GRID, INDICES, SIZES, G, I, J, K, M, N, P, S, T, affine, divisors, evaluate, polynomials, rows

few = settings(max_examples=80, deadline=None, derandomize=True, database=None)
i, j, n, m, k, s, p = (as_poly(a) for a in (I, J, N, M, K, S, P))


def same(poly: Poly, values: np.ndarray, columns: dict[str, np.ndarray] = GRID) -> None:
    np.testing.assert_array_equal(evaluate(poly, columns), values, err_msg=str(poly))


# --- the ring --------------------------------------------------------------------------------------------------


@few
@given(polynomials(), polynomials())
def test_sum_difference_and_product_are_those_of_the_values(a: Poly, b: Poly) -> None:
    x, y = evaluate(a, GRID), evaluate(b, GRID)
    same(a + b, x + y)
    same(a - b, x - y)
    same(-a, -x)
    same(a * b, x * y)
    same(3 - a, 3 - x)
    same(2 * a + 1, 2 * x + 1)


@few
@given(polynomials(), polynomials(), polynomials())
def test_equal_however_it_was_built(a: Poly, b: Poly, c: Poly) -> None:
    assert (a + b) + c == a + (c + b)
    assert a * (b + c) == c * a + b * a
    assert (a - b) + b == a
    assert a - a == ZERO
    assert hash(a * b) == hash(b * a)


def test_numbers_and_atoms_are_recognised() -> None:
    assert (as_poly(0).constant, as_poly(-3).constant, n.constant) == (0, -3, None)
    assert (n.atom, (2 * n).atom, (n + 1).atom, ZERO.atom) == (N, None, None, None)
    assert as_poly(n) is n
    assert Poly() == ZERO
    assert as_poly(1) == ONE


# --- quotients and remainders ----------------------------------------------------------------------------------


@few
@given(polynomials(1), divisors)
def test_quotient_and_remainder_are_those_of_the_values(top: Poly, bottom: Poly) -> None:
    x, y = evaluate(top, GRID), evaluate(bottom, GRID)
    assert (y >= 1).all(), "the strategy draws positive divisors"
    same(quotient(top, bottom), x // y)
    same(remainder(top, bottom), x % y)


@few
@given(affine(), affine(), divisors)
def test_multiples_of_the_divisor_leave_quotient_and_remainder(a: Poly, b: Poly, d: Poly) -> None:
    same(quotient(a + b * d, d), evaluate(quotient(a, d) + b, GRID))
    same(remainder(a + b * d, d), evaluate(remainder(a, d), GRID))
    if len(d.terms) == 1 and d.terms[0][1] == 1:  # a number in the divisor is not taken out of larger coefficients
        assert remainder(a + b * d, d) == remainder(a, d)
        assert quotient(a + b * d, d) == quotient(a, d) + b


@few
@given(affine(), divisors, st.integers(2, 4))
def test_a_common_number_cancels_in_a_quotient(a: Poly, d: Poly, c: int) -> None:
    same(quotient(c * a, c * d), evaluate(quotient(a, d), GRID))
    if d.constant:
        assert quotient(c * a, as_poly(c * d.constant)) == quotient(a, d)


@pytest.mark.parametrize(
    ("got", "want"),
    [
        (quotient(as_poly(-7), as_poly(2)), as_poly(-4)),
        (remainder(as_poly(-7), as_poly(2)), ONE),
        (quotient(n, ONE), n),
        (remainder(n, ONE), ZERO),
        (quotient(n * s, s), n),
        (remainder(n * s, s), ZERO),
        (quotient(2 * i + 5, as_poly(2)), i + 2),
        (remainder(2 * i + 5, as_poly(2)), ONE),
        (quotient(as_poly(-1), s), as_poly(-1)),
        (quotient(as_poly(-1), s + m), as_poly(-1)),
        (quotient(n * m * 4, 2 * m), 2 * n),
        (quotient(4 * i + 2 * j, as_poly(6)), quotient(2 * i + j, as_poly(3))),
        (remainder(7 * i, as_poly(7)), ZERO),
    ],
)
def test_quotients_that_are_decided(got: Poly, want: Poly) -> None:
    assert got == want


def test_minus_one_over_a_size_that_may_be_zero_stays_a_quotient() -> None:
    assert quotient(as_poly(-1), p) != as_poly(-1)


def test_remainder_of_a_negated_index_by_a_sum() -> None:
    """SymPy's own Mod recurses without end here."""
    found = remainder(-i - 2, s + 1)
    same(found, (-GRID["i"] - 2) % (GRID["S"] + 1))
    assert isinstance(found.atom, Remainder)


def test_a_floor_of_a_sum_keeps_its_numerator() -> None:
    """SymPy turns floor((t + 2v + 2)/3) into a floor of fractions."""
    atom = quotient(i + 2 * j + 2, as_poly(3)).atom
    assert isinstance(atom, Quotient)
    assert (atom.numerator, atom.denominator) == (i + 2 * j + 2, as_poly(3))


@few
@given(affine(), affine(), st.sampled_from(["max", "min"]))
def test_extreme_is_that_of_the_values(a: Poly, b: Poly, kind: str) -> None:
    fold = np.maximum if kind == "max" else np.minimum
    same(extreme(kind, [a, b, as_poly(2)]), fold.reduce([evaluate(a, GRID), evaluate(b, GRID), 2 * GRID["N"] ** 0]))
    assert extreme(kind, [a, b]) == extreme(kind, [b, a])
    assert extreme(kind, [a, a]) == a
    assert extreme(kind, [as_poly(3), as_poly(5)]) == as_poly(5 if kind == "max" else 3)


# --- taking apart ----------------------------------------------------------------------------------------------


@few
@given(polynomials(1), polynomials(1))
def test_division_undoes_multiplication(a: Poly, b: Poly) -> None:
    found = divide(a * b, b)
    if len(b.terms) == 1:
        assert found == a
    elif found is not None:
        same(found * b, evaluate(a * b, GRID))


@few
@given(polynomials(1), divisors)
def test_whole_part_and_rest(a: Poly, d: Poly) -> None:
    whole, rest = split_multiples(a, d)
    assert whole * d + rest == a


@few
@given(polynomials(), st.sampled_from(INDICES))
def test_affine_parts(a: Poly, index: Index) -> None:
    split = affine_in(a, index)
    if split is None:
        again = a * 1
        assert index in indices_of(again)
        return
    slope, rest = split
    assert slope * as_poly(index) + rest == a
    assert index not in indices_of(slope)
    assert index not in indices_of(rest)


def test_an_index_inside_a_quotient_or_squared_is_not_affine() -> None:
    assert affine_in(quotient(i, s), I) is None
    assert affine_in(i * i, I) is None
    assert affine_in(quotient(j, s) * i, I) == (quotient(j, s), ZERO)


@few
@given(polynomials(), affine(indices=(J,)), affine(indices=(), sizes=(N, M)))
def test_substitution_is_that_of_the_values(a: Poly, for_index: Poly, for_size: Poly) -> None:
    table = {I: for_index, P: for_size}
    columns = GRID | {"i": evaluate(for_index, GRID), "P": evaluate(for_size, GRID)}
    unaffected = [x for x in atoms(a) if isinstance(x, Quotient | Remainder)]
    if any(P in atoms(x.denominator) for x in unaffected):
        return
    same(substitute(a, table), evaluate(a, columns))
    assert substitute(a, {}) is a


@few
@given(polynomials())
def test_rebuilding_changes_nothing(a: Poly) -> None:
    assert rebuild(a, lambda atom: None) == a


def test_atoms_inside_atoms() -> None:
    poly = quotient(i + n, s) + remainder(j, m)
    assert set(atoms(poly)) >= {I, N, S, J, M}
    assert not set(atoms(poly, deep=False)) & {I, N, S, J, M}
    assert indices_of(poly) == {I, J}
    assert indices_of(as_poly(T)) == {T}, "the extent of an index is not inside it"


def test_data_is_found_at_any_depth() -> None:
    entry = as_poly(Entry("ids", (i,)))
    real = as_poly(RealFloor(Read("x", (j,))))
    assert depends_on_data(quotient(n + entry, s))
    assert depends_on_data(2 * real)
    assert indices_of(quotient(entry, s)) == {I}
    assert indices_of(real) == {J}
    assert not depends_on_data(quotient(n + i, s))


# --- text ------------------------------------------------------------------------------------------------------


@few
@given(polynomials())
def test_text_is_python_of_the_same_value(a: Poly) -> None:
    columns = {name: column[5::211] for name, column in GRID.items()}
    values = evaluate(a, columns).tolist()
    whole, operand = compile(show(a), "", "eval"), compile(f"7 - 3 * {group(a)}", "", "eval")
    for row, value in enumerate(values):
        names = {name: int(column[row]) for name, column in columns.items()}
        assert eval(whole, {"max": max, "min": min}, names) == value, show(a)
        assert eval(operand, {"max": max, "min": min}, names) == 7 - 3 * value


@pytest.mark.parametrize(
    ("poly", "text"),
    [
        (ZERO, "0"),
        (-i, "-i"),
        (2 * i - n + 1, "2 * i + 1 - N"),
        (s * i + j - p, "S * i + j - P"),
        (quotient(n - k, s) + 1, "(N - K) // S + 1"),
        (3 * remainder(i, m), "3 * (i % M)"),
        (extreme("max", [p - 1, ZERO]), "max(P - 1, 0)"),
    ],
)
def test_text_is_what_a_person_writes(poly: Poly, text: str) -> None:
    assert str(poly) == text


def test_a_name_needs_no_parentheses() -> None:
    assert [group(a) for a in (n, n + 1, as_poly(2), as_poly(-2), quotient(n, s))] == [
        "N",
        "(N + 1)",
        "2",
        "(-2)",
        "(N // S)",
    ]


def test_the_grid_covers_every_index() -> None:
    """The tables that the other tests rely on are not empty, nor do they leave an index at 0."""
    for index in (*INDICES, G):
        inside = rows(as_poly(index))
        assert len(inside["N"]) > 200
        assert inside[index.name].max() >= 2
    assert {a.name for a in SIZES} <= set(GRID)
    assert Size("N") == N
