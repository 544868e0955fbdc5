"""Forward values put back in place of what defines them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgrad.declare.algebra import add, apply, divide, multiply, negate, number, power, select, subtract
from symgrad.declare.conditions import compare, relation
from symgrad.declare.integers import Index, Size, as_poly
from symgrad.declare.program import Equation
from symgrad.declare.scalars import Number, Read, Reduce, Scalar, Stopped, reads_of
from symgrad.derive.terms import rename
from symgrad.simplify.known import Definition, recognise, usable
from symgrad.simplify.patterns import instance

from ..data_evaluator import World, scalar

n, m = as_poly(Size("N")), as_poly(Size("M"))
I, J, K = Index("i", n), Index("j", m), Index("k", n)
i, j, k = (as_poly(index) for index in (I, J, K))


def read(tensor: str, *indices: object) -> Read:
    return Read(tensor, tuple(as_poly(p) for p in indices))  # type: ignore[arg-type]


X, G = read("x", i, j), read("g", i, j)
Y = read("y", i, j)
DEFINITIONS: dict[str, Scalar] = {
    "sigmoid": apply("sigmoid", X),
    "quotient": divide(read("e", i, j), read("s", i)),
    "scaled": multiply(number(3), read("a", i), read("b", j)),
    "power": power(X, number(3)),
    "choice": select(relation("<", number(0), X), X, multiply(number(2), X)),
    "sum": add(X, multiply(number(2), read("a", i))),
}


def defined(body: Scalar) -> list[Definition]:
    return [Definition.of(Equation("y", (I, J), body))]


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_definition_is_recognised_at_other_indices(name: str) -> None:
    definition = DEFINITIONS[name]
    moved = rename(definition, {I: k})
    assert recognise(definition, defined(definition)) == Y
    assert recognise(moved, defined(definition)) == read("y", k, j)
    inside = apply("exp", add(number(1), multiply(G, moved) if name != "scaled" else moved))
    assert "y" in {r.tensor for r in reads_of(recognise(inside, defined(definition)))}


def test_a_part_of_a_product_is_recognised() -> None:
    quotient = DEFINITIONS["quotient"]
    assert recognise(multiply(quotient, G), defined(quotient)) == multiply(Y, G)
    assert recognise(power(quotient, number(2)), defined(quotient)) == power(Y, number(2))
    scaled = DEFINITIONS["scaled"]
    assert recognise(multiply(number(12), read("b", j), read("a", i), G), defined(scaled)) == multiply(number(4), Y, G)


def test_the_same_tensor_elsewhere_is_not() -> None:
    quotient = DEFINITIONS["quotient"]
    other = divide(read("e", i, j), read("s", k))
    assert recognise(other, defined(quotient)) == other
    assert recognise(read("e", i, j), defined(quotient)) == read("e", i, j)
    assert recognise(apply("sigmoid", negate(X)), defined(DEFINITIONS["sigmoid"])) == apply("sigmoid", negate(X))


def test_a_definition_holds_over_its_own_range_only() -> None:
    """x[i + 1] may be read where y[i + 1] does not exist."""
    definition = [
        Definition.of(Equation("y", (Index("i", n - 1),), apply("exp", read("x", as_poly(Index("i", n - 1))))))
    ]
    last = apply("exp", read("x", n - 1))
    assert recognise(last, definition) == last
    inside = apply("exp", read("x", as_poly(Index("p", n - 1))))
    assert recognise(inside, definition) == read("y", as_poly(Index("p", n - 1)))


def test_a_definition_that_lacks_an_index_of_its_left_side_is_not_used() -> None:
    """y[i, j] = exp(x[i]) could be read at any j: none of them is named."""
    definition = [Definition.of(Equation("y", (I, J), apply("exp", read("x", i))))]
    node = apply("exp", read("x", i))
    assert recognise(node, definition) == node


def test_what_is_usable() -> None:
    total = Reduce("sum", (J,), compare(">=", j), X)
    bodies: list[Scalar] = [DEFINITIONS["sigmoid"], X, Number(2.0), Stopped(X), total, add(total, X)]
    equations = [Equation(f"y{p}", (I, J), body) for p, body in enumerate(bodies)]
    assert [q.target for q in usable(equations)] == ["y0"]
    assert usable([Equation("p", (I,), DEFINITIONS["sigmoid"], integer=True)]) == ()


def test_reductions_match_up_to_their_indices() -> None:
    left = Reduce("sum", (J,), compare(">=", j - 1), multiply(X, read("w", j)))
    q = Index("q", m)
    right = Reduce(
        "sum", (q,), compare(">=", as_poly(q) - 1), multiply(read("x", k, as_poly(q)), read("w", as_poly(q)))
    )
    assert instance(left, right, frozenset({I})) is not None
    other = Reduce("sum", (q,), compare(">=", as_poly(q) - 2), right.body)
    assert instance(left, other, frozenset({I})) is None
    assert instance(left, Reduce("max", (q,), right.condition, right.body), frozenset({I})) is None


few = settings(max_examples=150, deadline=None, derandomize=True, database=None)


@few
@given(
    st.sampled_from(sorted(DEFINITIONS)),
    st.lists(st.sampled_from("ygxaebs1"), min_size=1, max_size=4),
    st.integers(0, 3),
)
def test_recognition_keeps_the_value(name: str, factors: list[str], seed: int) -> None:
    """Products, sums and functions of the definition and of its parts."""
    definition = DEFINITIONS[name]
    parts = {
        "y": definition,
        "g": G,
        "x": X,
        "a": read("a", i),
        "b": read("b", j),
        "e": read("e", i, j),
        "s": power(read("s", i), number(-1)),
        "1": subtract(number(1), definition),
    }
    node = add(multiply(*(parts[f] for f in factors)), apply("tanh", parts[factors[0]]))
    rng = np.random.default_rng(seed)
    shapes = {"x": (2, 3), "g": (2, 3), "e": (2, 3), "a": (2,), "b": (3,), "s": (2,)}
    tensors = {t: rng.normal(size=shape) for t, shape in shapes.items()}
    sizes = {"N": 2, "M": 3}
    tensors["y"] = np.array(
        [[scalar(definition, World({**sizes, "i": p, "j": q}, tensors)) for q in range(3)] for p in range(2)]
    )
    changed = recognise(node, defined(definition))
    here = World({**sizes, "i": 1, "j": 2}, tensors)
    np.testing.assert_allclose(scalar(changed, here), scalar(node, here), rtol=1e-10, atol=1e-12)
