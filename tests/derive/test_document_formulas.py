"""The equations of the source document come out of the derivation: fully connected, convolution, pooling.

Each is declared here a second time, by hand, as the document has it. It is compared with what is derived as data, up to
the names of indices, and evaluated by the naive evaluator against derivatives over dual numbers.
"""

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest
from sympy import Eq, Expr, Idx, IndexedBase, KroneckerDelta, Max, Piecewise, Sum, exp, symbols

from symgrad import ArgMax, Layer, Padded, ReduceMax
from symgrad.check.evaluator import evaluate
from symgrad.check.tangent import linearise
from symgrad.compiler import Stages, run
from symgrad.declare.integers import Index, as_poly
from symgrad.declare.program import Equation
from symgrad.declare.rewriting import map_children
from symgrad.declare.scalars import PLAIN, Node, Read, reads_of, show_scalar
from symgrad.derive.terms import all_indices, rename
from symgrad.emit.study import derivation_of

m, n, K, s1, s2, d, k1, k2 = symbols("m n K s1 s2 d k1 k2", integer=True, positive=True)
before, W, b, x, z, y = map(IndexedBase, ("before", "W", "b", "x", "z", "y"))
grad_x, grad_y, grad_z, found, winner_y = map(IndexedBase, ("grad_x", "grad_y", "grad_z", "found", "winner_y"))


def logistic(value: Expr) -> Expr:
    return 1 / (1 + exp(-value))


# --- comparing equations up to the names of their indices -----------------------------------------------------------


def plainly(node: Node) -> Node:
    """Without marks for reads that a condition keeps inside."""
    if isinstance(node, Read) and node.extension in PLAIN:
        return Read(node.tensor, node.indices)
    return map_children(node, plainly)


def form(equation: Equation) -> tuple[str, list[str]]:
    """Of all ways to number the summed indices the one that reads first, with the extents of all indices."""
    body = plainly(equation.body)
    free = {i: as_poly(Index(f"t{p}", i.extent)) for p, i in enumerate(equation.indices)}
    bound = sorted(all_indices(body) - set(free), key=lambda i: i.name)
    extents = sorted(str(i.extent) for i in (*equation.indices, *bound))
    numbers = itertools.permutations(range(len(bound)))
    tables = ({i: as_poly(Index(f"s{p}", i.extent)) for i, p in zip(bound, order, strict=True)} for order in numbers)
    return min(show_scalar(rename(sorted_sums(body), free | table)) for table in tables), extents


def sorted_sums(node: Node) -> Node:
    """Summed indices in the order of their names, so that the order of summation does not matter."""
    node = map_children(node, sorted_sums)
    if hasattr(node, "kind") and node.kind == "sum":
        return replace(node, indices=tuple(sorted(node.indices, key=lambda i: i.name)))
    return node


def written_out(equation: Equation, definitions: dict[str, Equation]) -> Equation:
    """With the definitions of what it reads put in."""

    def change(node: Node) -> Node:
        node = map_children(node, change)
        if isinstance(node, Read) and node.tensor in definitions:
            inner = definitions[node.tensor]
            return rename(inner.body, dict(zip(inner.indices, node.indices, strict=True)))
        return node

    return replace(equation, body=change(equation.body))


def gradient(stages: Stages, name: str) -> Equation:
    """The gradient of an input, in terms of cotangents of outputs and of forward values."""
    backward = {e.target: e for e in stages.derived.program.equations if e.target in stages.derived.backward}
    return written_out(backward.pop(f"grad_{name}"), backward)


def forms_of(stages: Stages, name: str) -> list[tuple[str, list[str]]]:
    """Every form in which a document shows a cotangent, forward values and cotangents put in."""
    return [form(s.after) for s in derivation_of(stages).steps if s.after.target == f"grad_{name}"]


# --- the layers, and what the document says of them -----------------------------------------------------------------

i, j = Idx("i", n), Idx("j", m)
CONNECTED = Layer(
    "connected",
    inputs=[before[m], W[n, m], b[n]],
    equations=[Eq(x[j], logistic(before[j])), Eq(z[i], Sum(W[i, j] * x[j], j) + b[i])],
)
LAST = Layer("last", inputs=[z[n]], equations=[Eq(x[i], logistic(z[i]))])

u, v, c, k, p, q = Idx("u", s1), Idx("v", s2), Idx("c", d), Idx("k", K), Idx("p", k1), Idx("q", k2)
r, t = Idx("r", s1 - k1 + 1), Idx("t", s2 - k2 + 1)
CONVOLUTION = Layer(
    "windows",
    inputs=[before[s1, s2, d], W[K, k1, k2, d], b[K]],
    equations=[
        Eq(x[u, v, c], logistic(before[u, v, c])),
        Eq(z[r, t, k], Sum(x[r + p, t + q, c] * W[k, p, q, c], p, q, c) + b[k]),
    ],
)
GRAD_Z = grad_z[s1 - k1 + 1, s2 - k2 + 1, K]

a, o, e = Idx("a", n - 1), Idx("o", 2), Idx("e", n)
AVERAGE = Layer("average", inputs=[x[n]], equations=[Eq(y[a], Sum(x[a + o], o) / 2)])
AVERAGE_OF_TWO = Layer("average_of_two", inputs=[x[n]], equations=[Eq(y[a], (x[a] + x[a + 1]) / 2)])
LARGEST = Layer("largest", inputs=[x[n]], equations=[Eq(y[a], ReduceMax(x[a + o], o))])
LARGER_OF_TWO = Layer("larger_of_two", inputs=[x[n]], equations=[Eq(y[a], Max(x[a], x[a + 1]))])


@dataclass(frozen=True)
class Formula:
    """An equation of the document: the layer, whose gradient, and the equation with what it reads as inputs."""

    layer: Layer
    of: str
    inputs: tuple
    equation: Eq
    sizes: tuple[tuple[str, int], ...]

    def declared(self) -> Layer:
        return Layer("expected", inputs=list(self.inputs), equations=[self.equation])

    def as_data(self) -> Equation:
        """As the compiler reads it: conditions inside a sum belong to the sum."""
        *inner, equation = run(self.declared()).split.equations
        return written_out(equation, {e.target: e for e in inner})


VECTOR, LINE = (("m", 3), ("n", 2)), (("n", 5),)
IMAGE = (("s1", 4), ("s2", 5), ("d", 2), ("K", 3), ("k1", 2), ("k2", 3))
SLOPE_VECTOR, SLOPE_IMAGE = x[j] * (1 - x[j]), x[u, v, c] * (1 - x[u, v, c])

FORMULAS = {
    "connected (1)": Formula(CONNECTED, "W", (grad_z[n], x[m]), Eq(found[i, j], grad_z[i] * x[j]), VECTOR),
    "connected (2)": Formula(CONNECTED, "b", (grad_z[n],), Eq(found[i], grad_z[i]), VECTOR),
    "connected (3)": Formula(
        CONNECTED,
        "before",
        (grad_z[n], W[n, m], x[m]),
        Eq(found[j], Sum(grad_z[i] * W[i, j], i) * SLOPE_VECTOR),
        VECTOR,
    ),
    "connected (4)": Formula(LAST, "z", (grad_x[n], x[n]), Eq(found[i], grad_x[i] * x[i] * (1 - x[i])), VECTOR),
    "convolution (2)": Formula(
        CONVOLUTION,
        "W",
        (GRAD_Z, x[s1, s2, d], W[K, k1, k2, d]),
        Eq(found[k, p, q, c], Sum(grad_z[r, t, k] * x[r + p, t + q, c], r, t)),
        IMAGE,
    ),
    "convolution (3)": Formula(
        CONVOLUTION,
        "b",
        (GRAD_Z, x[s1, s2, d], W[K, k1, k2, d]),
        Eq(found[k], Sum(grad_z[r, t, k], r, t)),
        IMAGE,
    ),
}
SOLVED = {
    "convolution (1), kernel zero outside its range": Formula(
        CONVOLUTION,
        "x",
        (GRAD_Z, x[s1, s2, d], W[K, k1, k2, d]),
        Eq(found[u, v, c], Sum(grad_z[r, t, k] * Padded(W)[k, u - r, v - t, c], r, t, k)),
        IMAGE,
    ),
    "convolution (1), flipped kernel": Formula(
        CONVOLUTION,
        "x",
        (GRAD_Z, x[s1, s2, d], W[K, k1, k2, d]),
        Eq(found[u, v, c], Sum(Padded(grad_z)[u - p, v - q, k] * W[k, p, q, c], p, q, k)),
        IMAGE,
    ),
    "average pooling": Formula(
        AVERAGE,
        "x",
        (grad_y[n - 1], x[n]),
        Eq(found[e], Sum(Piecewise((grad_y[a] / 2, (e - 1 <= a) & (a <= e)), (0, True)), a)),
        LINE,
    ),
    "average pooling, both elements written out": Formula(
        AVERAGE_OF_TWO,
        "x",
        (grad_y[n - 1], x[n]),
        Eq(found[e], Padded(grad_y)[e - 1] / 2 + Padded(grad_y)[e] / 2),
        LINE,
    ),
}


def arrays_of(layer: Layer, sizes: dict[str, int]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    values = {symbol: sizes[symbol.name] for symbol in (m, n, K, s1, s2, d, k1, k2) if symbol.name in sizes}
    shapes = {t.name: [int(extent.subs(values)) for extent in t.shape] for t in layer.inputs}
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def true_gradient(formula: Formula, of: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The gradient over dual numbers, and the values of everything that a formula may read."""
    layer = formula.layer
    arrays = arrays_of(layer, dict(formula.sizes))
    lefts = evaluate(layer, arrays)
    rng = np.random.default_rng(8)
    cotangents = {name: rng.normal(size=lefts[name].shape) for name in layer.program.real_outputs}
    gradients = linearise(layer, arrays, {}).pull_back(cotangents)
    known = {**arrays, **lefts, **{f"grad_{name}": g for name, g in cotangents.items()}}
    return gradients[of], known


@pytest.mark.parametrize("name", FORMULAS)
def test_the_gradient_is_the_documents_equation(name):
    formula = FORMULAS[name]
    assert form(gradient(run(formula.layer), formula.of)) == form(formula.as_data())


@pytest.mark.parametrize("name", SOLVED)
def test_the_document_shows_the_solved_form(name):
    formula = SOLVED[name]
    assert form(formula.as_data()) in forms_of(run(formula.layer), formula.of)


@pytest.mark.parametrize("name", [*FORMULAS, *(name for name in SOLVED if SOLVED[name].of != "x" or "pool" in name)])
def test_the_documents_equation_is_the_derivative(name):
    formula = (FORMULAS | SOLVED)[name]
    expected, known = true_gradient(formula, formula.of)
    declared = formula.declared()
    value = evaluate(declared, {t.name: known[t.name] for t in declared.inputs})["found"]
    np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["convolution (1), kernel zero outside its range", "convolution (1), flipped kernel"])
def test_the_convolutions_equation_is_the_derivative_times_the_slope(name):
    """Both forms stand for the cotangent of f(z); times f'(z) they are delta of the layer below."""
    formula = SOLVED[name]
    expected, known = true_gradient(formula, "before")
    declared = formula.declared()
    through = evaluate(declared, {t.name: known[t.name] for t in declared.inputs})["found"]
    np.testing.assert_allclose(through * known["x"] * (1 - known["x"]), expected, rtol=1e-12, atol=1e-12)
    below = gradient(run(CONVOLUTION), "before")
    assert {r.tensor for r in reads_of(below.body)} == {"grad_z", "W", "x"}


def test_the_convolutions_lower_cotangent_is_multiplied_by_the_slope():
    program = run(CONVOLUTION).derived.program
    slope = Layer(
        "slope", inputs=[grad_x[s1, s2, d], x[s1, s2, d]], equations=[Eq(found[u, v, c], grad_x[u, v, c] * SLOPE_IMAGE)]
    )
    assert form(program.equation("grad_before")) == form(slope.program.equations[0])


def test_max_pooling_credits_the_element_that_won():
    """delta_u is the sum over i = u - 1, u of delta_i where the maximum of window i came from u."""
    winner = Layer("winner", inputs=[x[n]], equations=[Eq(winner_y[a], ArgMax(x[a + o], o))])
    credited = Layer(
        "credited",
        inputs=[grad_y[n - 1], winner_y[n - 1], x[n]],
        equations=[Eq(found[e], Sum(grad_y[a] * KroneckerDelta(a + o, e) * KroneckerDelta(o, winner_y[a]), a, o))],
        integers=[winner_y],
    )
    stages = run(LARGEST)
    assert form(stages.derived.program.equation("winner_y"))[0] == form(winner.program.equations[0])[0]
    scattered = form(run(credited).split.equations[0])
    assert form(gradient(stages, "x")) == scattered
    values = np.array([3.0, 3.0, 1.0, 4.0, 4.0])
    delta = np.array([1.0, 10.0, 100.0, 1000.0])
    won = evaluate(winner, {"x": values})["winner_y"]
    assert won.tolist() == [0, 0, 1, 0]
    value = evaluate(credited, {"grad_y": delta, "winner_y": won, "x": values})["found"]
    by_hand = [sum(delta[i] for i in (at - 1, at) if 0 <= i <= 3 and i + won[i] == at) for at in range(5)]
    assert value.tolist() == by_hand == [1.0, 10.0, 0.0, 1100.0, 0.0]
    np.testing.assert_array_equal(linearise(LARGEST, {"x": values}, {}).pull_back({"y": delta})["x"], by_hand)


def test_max_of_two_written_out_is_the_same_away_from_ties():
    values, delta = np.array([3.0, -2.0, 1.0, 4.0, 0.5]), np.array([1.0, 10.0, 100.0, 1000.0])
    stages = run(LARGER_OF_TWO)
    derived = stages.derived.program
    whole = Layer.from_program(replace(derived, equations=(derived.equation("grad_x"),), outputs=("grad_x",)))
    value = evaluate(whole, {"x": values, "grad_y": delta})["grad_x"]
    np.testing.assert_array_equal(value, linearise(LARGEST, {"x": values}, {}).pull_back({"y": delta})["x"])


def test_the_form_tells_a_flipped_kernel_from_one_that_is_not():
    straight = Layer(
        "straight",
        inputs=[GRAD_Z, x[s1, s2, d], W[K, k1, k2, d]],
        equations=[Eq(found[u, v, c], Sum(Padded(grad_z)[u + p, v + q, k] * W[k, p, q, c], p, q, k))],
    )
    assert form(straight.program.equations[0]) not in forms_of(run(CONVOLUTION), "x")
