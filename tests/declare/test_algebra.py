"""The constructors of scalars: the value stays, the form is canonical, and nothing undefined is invented."""

from fractions import Fraction

import mpmath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgrad.declare.algebra import add, apply, divide, from_integer, multiply, negate, number, power, select, subtract
from symgrad.declare.conditions import all_of, any_of, compare, conjuncts, negation, relation
from symgrad.declare.division import remainder
from symgrad.declare.integers import Index, Size, as_poly
from symgrad.declare.rewriting import map_children
from symgrad.declare.scalars import (
    FALSE,
    NOUGHT,
    TRUE,
    UNIT,
    Add,
    Apply,
    Compare,
    FromInteger,
    Mul,
    Number,
    Power,
    Read,
    Relation,
    Select,
    free_indices,
    reads_of,
)

from ..data_evaluator import EXACT, World, holds, scalar
from .expressions import Maker, make, world
from .polynomials import Choices

many = settings(max_examples=150, deadline=None, derandomize=True, database=None)
a, b, c = (Read(name, ()) for name in "abc")
n = as_poly(Size("N"))
i = as_poly(Index("i", n))


@pytest.fixture(autouse=True)
def digits():
    with mpmath.workdps(40):
        yield


def close(got: object, want: object) -> bool:
    return mpmath.almosteq(got, want, rel_eps=mpmath.mpf(10) ** -20, abs_eps=mpmath.mpf(10) ** -20)


# --- values ----------------------------------------------------------------------------------------------------


@many
@given(st.binary(max_size=60))
def test_constructors_keep_the_value(data: bytes) -> None:
    made, where = make(data)
    if mpmath.isfinite(made.value) and abs(made.value) < 1e15:
        assert close(scalar(made.data, where), made.value), f"{made.data} at {where}"


@many
@given(st.binary(max_size=40))
def test_conditions_keep_their_truth(data: bytes) -> None:
    choose = Choices(data)
    where = world(choose)
    condition, truth = Maker(choose, where).condition(2)
    assert holds(condition, where) is truth, str(condition)
    assert holds(negation(condition), where) is not truth
    assert all(holds(part, where) for part in conjuncts(condition)) is truth


@many
@given(st.binary(max_size=60))
def test_rebuilding_changes_nothing(data: bytes) -> None:
    made, _ = make(data)
    assert map_children(made.data, lambda child: child) == made.data


@many
@given(st.binary(max_size=30), st.binary(max_size=30), st.binary(max_size=30))
def test_order_does_not_matter(first: bytes, second: bytes, third: bytes) -> None:
    x, y, z = (make(data, 2)[0].data for data in (first, second, third))
    assert add(x, y, z) == add(z, add(y, x))
    assert multiply(x, y) == multiply(y, x)
    if not isinstance(x, Add | FromInteger):  # a negated sum, or polynomial, is one term
        assert add(x, negate(x)) == NOUGHT
    assert all_of(relation("<", x, y), compare(">=", i - 1)) == all_of(compare(">=", i - 1), relation("<", x, y))


# --- forms -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("got", "want"),
    [
        (add(), NOUGHT),
        (multiply(), UNIT),
        (add(a, a), Mul(Fraction(2), (a,))),
        (add(a, b, negate(a)), b),
        (add(a, number(2), number(-2)), a),
        (subtract(multiply(a, b), multiply(b, a)), NOUGHT),
        (multiply(a, a), Power(a, number(2))),
        (multiply(a, power(a, number(-1))), UNIT),
        (multiply(a, number(0)), NOUGHT),
        (multiply(number(2), number(3), a), Mul(Fraction(6), (a,))),
        (divide(multiply(a, b), b), a),
        (multiply(apply("exp", a), apply("exp", b)), Apply("exp", (add(a, b),))),
        (multiply(apply("exp", a), apply("exp", negate(a))), UNIT),
        (power(apply("exp", a), number(-2)), Apply("exp", (multiply(number(-2), a),))),
        (apply("log", apply("exp", a)), a),
        (apply("exp", number(0)), UNIT),
        (apply("max", a), a),
        (power(a, number(1)), a),
        (power(a, number(0)), UNIT),
        (power(power(a, number(2)), number(3)), Power(a, number(6))),
        (power(multiply(number(2), a), number(2)), Mul(Fraction(4), (Power(a, number(2)),))),
        (multiply(from_integer(2 * n), power(from_integer(n), number(-1))), number(2)),
        (from_integer(n - n + 3), number(3)),
        (select(TRUE, a, b), a),
        (select(FALSE, a, b), b),
        (select(relation("<", a, b), c, c), c),
    ],
    ids=str,
)
def test_canonical(got: object, want: object) -> None:
    assert got == want


def test_exp_of_a_sum_with_a_logarithm_is_not_taken_apart() -> None:
    """SymPy makes exp(x)*s of it, which overflows where the sum would not."""
    kept = apply("exp", add(a, apply("log", b)))
    assert isinstance(kept, Apply)
    assert kept.args == (add(a, apply("log", b)),)


def test_a_product_is_not_distributed() -> None:
    assert multiply(number(2), add(a, b)) == Mul(Fraction(2), (add(a, b),))
    assert multiply(a, add(a, b)).args[-1] == add(a, b)


@pytest.mark.parametrize(("m", "n_"), [("1/2", "2"), ("2", "1/2"), ("-2", "1/2"), ("1/3", "3"), ("2", "3/2")])
def test_powers_of_powers_of_negative_numbers(m: str, n_: str) -> None:
    """(u**2)**(1/2) is |u|, not u."""
    inner, outer = Fraction(m), Fraction(n_)
    for value in (-1.7, 0.6):
        where = World({}, {"a": {(): mpmath.mpf(value)}}, EXACT)
        once = EXACT.power(mpmath.mpf(value), mpmath.mpf(inner.numerator) / inner.denominator)
        want = EXACT.power(once, mpmath.mpf(outer.numerator) / outer.denominator)
        if mpmath.isfinite(want):
            assert close(scalar(power(power(a, Number(inner)), Number(outer)), where), want)


def test_logarithms_of_products_of_negative_numbers_stay() -> None:
    assert isinstance(apply("log", multiply(a, b)), Apply)
    assert isinstance(power(multiply(a, b), Number(Fraction(1, 2))), Power)


# --- conditions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("got", "want"),
    [
        (compare(">=", i), TRUE),
        (compare(">=", n - 1 - i), TRUE),
        (compare(">=", i - n), FALSE),
        (compare("==", i - n), FALSE),
        (compare("!=", i - n), TRUE),
        (compare("==", as_poly(0)), TRUE),
        (compare("==", 1 - i), compare("==", i - 1)),
        (relation("<", number(1), number(2)), TRUE),
        (all_of(), TRUE),
        (any_of(), FALSE),
        (all_of(TRUE, compare("==", i)), compare("==", i)),
        (all_of(FALSE, compare("==", i)), FALSE),
        (any_of(TRUE, compare("==", i)), TRUE),
        (all_of(compare("==", i), compare("==", i)), Compare("==", i)),
        (negation(compare(">=", i - 1)), compare(">=", -i)),
        (negation(relation("<", a, b)), Relation("<=", b, a)),
        (
            negation(all_of(relation("<", a, b), relation("==", a, c))),
            any_of(relation("<=", b, a), Relation("!=", a, c)),
        ),
    ],
    ids=str,
)
def test_conditions(got: object, want: object) -> None:
    assert got == want


def test_what_hangs_on_which_index() -> None:
    node = select(compare(">=", i - 1), Read("x", (i - 1,)), multiply(a, Read("x", (remainder(i, n + 1),))))
    assert isinstance(node, Select)
    assert {index.name for index in free_indices(node)} == {"i"}
    assert [r.tensor for r in reads_of(node)] == ["x", "a", "x"]
