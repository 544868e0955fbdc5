"""Layers written as text and read again: the same layer, or a message that says what text cannot say."""

import re
from dataclasses import replace

import pytest
from sympy import (
    E,
    Eq,
    Idx,
    IndexedBase,
    Mul,
    Not,
    Piecewise,
    Rational,
    Sum,
    Symbol,
    asin,
    atan2,
    erfc,
    floor,
    sign,
    symbols,
)

from symgrad import ArgMax, CustomGradient, Layer, LogSumExp, Padded, ReduceMax, SymgradError, chain, jvp, layers, vjp
from symgrad.declare.program import Program
from symgrad.declare.textform import parse_layer
from symgrad.declare.textwrite import text_of

N, M = symbols("I M", integer=True, positive=True)
K, P = symbols("K P", integer=True, nonnegative=True)
x, w, z, y = (IndexedBase(name) for name in "xwzy")
i, j, k = Idx("i", N), Idx("j", N), Idx("k", M)


def meaning(layer: Layer) -> tuple[Program, list[str]]:
    """What a layer computes: typical sizes, the wording of requirements and letters say nothing about that."""
    program = layer.program
    rest = replace(program, typical=(), requirements=tuple(replace(r, message="") for r in program.requirements))
    return replace(rest, equations=()), [with_letters_by_order(repr(e)) for e in rest.equations]


def with_letters_by_order(equation: str) -> str:
    numbers: dict[str, int] = {}
    return re.sub(r"Index\(name='(\w+)'", lambda m: f"index {numbers.setdefault(m[1], len(numbers))}", equation)


@pytest.mark.parametrize("name", sorted(layers.catalogue()))
def test_every_layer_of_the_catalogue_comes_back_from_its_text(name):
    layer = layers.get(name)
    assert meaning(parse_layer(text_of(layer))) == meaning(layer)


@pytest.mark.parametrize("derivative", [vjp, jvp])
@pytest.mark.parametrize("name", ["dense", "conv2d", "lstm", "max_pool2d", "embedding", "softmax_cross_entropy"])
def test_derived_layers_come_back_from_their_text(name, derivative):
    layer = derivative(layers.get(name))
    assert meaning(parse_layer(text_of(layer))) == meaning(layer)


def test_a_chain_comes_back_from_its_text():
    layer = chain(layers.dense, layers.tanh, layers.dense, layers.softmax_cross_entropy, name="mlp")
    assert meaning(parse_layer(text_of(layer))) == meaning(layer)


@pytest.mark.parametrize(
    ("equation", "text"),
    [
        (Eq(y[i], asin(x[i]) + atan2(x[i], 2) + erfc(x[i])), "y[i] = asin(x[i]) + atan2(x[i], 2) + erfc(x[i])"),
        (Eq(y[i], E * x[i] + Rational(1, 3)), "y[i] = exp(1)*x[i] + 1/3"),
        (Eq(y[i], 1e30 * x[i]), "y[i] = 1e+30*x[i]"),
        (Eq(y[i], Mul(2, x[i] - 1, x[i], evaluate=False)), "y[i] = 2*x[i]*(x[i] - 1)"),
        (Eq(y[i], Piecewise((x[i], Not(x[i] > 1)), (2, True))), "y[i] = where(x[i] <= 1, x[i], 2)"),
        (Eq(y[i], Sum(x[j], (j, 1, i))), "inputs: x[I]; y[i:I] = sum(x[j], (j, 1, i))"),
        (Eq(y[i], x[i] * Sum(x[j], (j, 0, 2))), "y[i] = x[i]*sum(x[j], (j, 3))"),
        (Eq(y[i], x[i] - ReduceMax(x[j], j, ties="split")), "y[i] = x[i] - reduce_max(x[j], j, ties='split')"),
        (Eq(y[i], x[i] * x[ArgMax(x[j], j)]), "argmax_x = argmax(x[j], j); y[i] = x[argmax_x]*x[i]"),
        (Eq(y[i], LogSumExp(Padded(x, mode="wrap")[i + k], k)), None),
        (Eq(y[i], Padded(x, -1)[floor(i / 2) - 1]), "inputs: x[I]; y[i:I] = pad(x, -1)[floor(i/2) - 1]"),
        (Eq(Symbol("total"), Sum(x[j], j)), "inputs: x[I]; total = sum(x[j], j)"),
    ],
)
def test_notation(equation, text):
    layer = Layer("a", [x[N]], [equation], **({"attributes": {M: 3}} if equation.has(M) else {}))
    written = text_of(layer, "; ", named=False)
    assert meaning(parse_layer(written, "a")) == meaning(layer)
    assert text is None or written == text


def test_what_no_equation_shows_stands_in_clauses():
    layer = Layer(
        "named",
        [w[N], x[N, N], z[M]],
        [Eq(y[i], x[i, i] * w[i] + Padded(w)[i - P]), Eq(IndexedBase("u")[k], z[k] * K)],
        {K: 2, P: 0},
        constants=[x],
        integers=[z],
        outputs=[y],
        requires=[P < N, (K > 1, "too few")],
    )
    assert text_of(layer).splitlines() == [
        "layer: named",
        "inputs: w[I], x[I, I], z[M]",
        "constants: x",
        "integers: z",
        "outputs: y",
        "requires: K >= 0, P >= 0, P < I, K > 1",
        "K = 2",
        "P = 0",
        "y[i] = pad(w)[-P + i] + w[i]*x[i, i]",
        "u[k] = K*z[k]",
    ]
    assert meaning(parse_layer(text_of(layer))) == meaning(layer)


def test_one_letter_with_two_ranges_becomes_two():
    other = Idx("i", M)
    layer = Layer("a", [x[N], w[M]], [Eq(z[other], w[other] ** 2), Eq(y[i], x[i] + Sum(z[k], k))])
    assert text_of(layer, "; ", named=False) == "inputs: x[I], w[M]; z[i] = w[i]**2; y[i_2] = x[i_2] + sum(z[k], k)"


def test_what_text_cannot_say_is_named():
    for body, message in (
        (CustomGradient(sign(x[i]), {x[i]: 1}, check=False), r"no notation for a gradient of one's own"),
        (Piecewise((x[i], x[i] > 0)), r"no"),
    ):
        with pytest.raises(SymgradError, match=message):
            text_of(Layer("a", [x[N]], [Eq(y[i], body)]))
