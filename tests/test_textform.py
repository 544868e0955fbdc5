"""Layers as text: what the text means, and where a message points."""

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, KroneckerDelta, Max, Piecewise, Rational, Sum, Symbol, exp, sqrt, tanh

from symgrad import LogSumExp, Padded, ReduceMax, StopGradient
from symgrad.check.evaluator import evaluate
from symgrad.declare.textform import parse_layer
from symgrad.errors import DeclarationError, SymgradError

B, I, J, N = (Symbol(name, integer=True, positive=True) for name in "BIJN")
x, w, c, y, ids = (IndexedBase(name) for name in ("x", "w", "c", "y", "ids"))
b, i, n = (Idx(name) for name in "bin")
j = Idx("j", J)


def shapes(layer) -> dict[str, tuple[str, ...]]:
    return {tensor.name: tuple(str(extent) for extent in tensor.shape) for tensor in layer.inputs}


def test_a_sum_over_a_shared_index():
    layer = parse_layer("y[b,i] = sum(x[b,j]*w[i,j], j) + c[i]", name="affine")
    assert layer.name == "affine"
    assert shapes(layer) == {"x": ("B", "J"), "w": ("I", "J"), "c": ("I",)}
    assert layer.equations == (Eq(y[b, i], Sum(x[b, j] * w[i, j], j) + c[i]),)
    assert layer.outputs == ("y",)
    assert layer.ranges == {"b": (0, B - 1), "i": (0, I - 1)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max(x[i], 0)", Max(x[i], 0)),
        ("where(x[i] > 0, x[i], -x[i])", Piecewise((x[i], x[i] > 0), (-x[i], True))),
        (
            "where(0 <= i < 3 and not x[i] == 1, x[i], 0)",
            Piecewise((x[i], (i >= 0) & (i < 3) & ~Eq(x[i], 1)), (0, True)),
        ),
        ("sqrt(x[i])*exp(-x[i])", sqrt(x[i]) * exp(-x[i])),
        ("x[i]**2/2", x[i] ** 2 / 2),
        ("0.5*x[i]", Rational(1, 2) * x[i]),
        ("0.1*x[i]", 0.1 * x[i]),
        ("x[i]*I", x[i] * I),
        ("stop_gradient(x[i])", StopGradient(x[i])),
        ("tanh(x[i])", tanh(x[i])),
        ("pad(x, -1)[i] + pad(x, mode='reflect')[i]", Padded(x, -1)[i] + Padded(x, mode="reflect")[i]),
    ],
)
def test_expressions(text, expected):
    right = parse_layer(f"y[i] = {text}").equations[0].rhs
    assert right.subs(dict.fromkeys(right.atoms(Idx), i)) == expected


def test_reductions_and_their_limits():
    layer = parse_layer("m[n] = reduce_max(x[n,j], j, ties='split'); l[n] = logsumexp(x[n,j], j)")
    m, l = IndexedBase("m"), IndexedBase("l")
    assert layer.equations == (Eq(m[n], ReduceMax(x[n, j], j, ties="split")), Eq(l[n], LogSumExp(x[n, j], j)))
    assert layer.outputs == ("m", "l")
    running = parse_layer("y[n:J] = sum(x[j], (j, 0, n))")
    end, each = Idx("n", J), Idx("j")
    assert running.equations == (Eq(y[end], Sum(x[each], (each, 0, end))),)


def test_an_axis_read_through_expressions_only_has_an_extent_of_its_own():
    layer = parse_layer("y[n,i] = sum(x[n,i + 2*j]*w[j], j)")
    assert shapes(layer) == {"x": ("N", "X1"), "w": ("J",)}
    first, last = layer.ranges["i"]
    assert first == 0
    assert last.subs({symbol: {"X1": 9, "J": 3}[symbol.name] for symbol in last.free_symbols}) == 4


def test_attributes_have_defaults_and_the_kind_of_their_default():
    layer = parse_layer("stride = 2; slope = 0.5; y[i] = slope*x[stride*i]")
    assert layer.attributes == {Symbol("stride", integer=True): 2, Symbol("slope", real=True): 0.5}
    assert [tensor.name for tensor in layer.inputs] == ["x"]
    shifted = parse_layer("s = 0.0; n = -0; y[i] = s + n + x[i]")
    assert [(a.name, a.integer) for a in shifted.program.attributes] == [("s", False), ("n", True)]


def test_an_index_that_nothing_bounds_is_given_an_extent():
    layer = parse_layer("R = 4; y[r:R, d] = sum(x[n,d]*delta(ids[n], r), n)")
    d, r, n = Idx("d"), Idx("r", Symbol("R", integer=True)), Idx("n", N)
    assert layer.equations == (Eq(y[r, d], Sum(x[n, d] * KroneckerDelta(ids[n], r), n)),)
    same = parse_layer("y[i:X0] = pad(x)[i - 1] + pad(x)[i + 1]")
    assert shapes(same) == {"x": ("X0",)}


def test_upper_case_tensors_keep_their_names():
    layer = parse_layer("C[i,j] = sum(A[i,k]*B[k,j], k)")
    assert shapes(layer) == {"A": ("I", "K"), "B": ("K", "J")}
    clash = parse_layer("B[b] = 2*x[b]")
    assert shapes(clash) == {"x": ("b_extent",)}


def test_a_scalar_is_an_input_or_a_left_side():
    layer = parse_layer("loss = scale*sum((x[i] - t[i])**2, i)/I")
    assert shapes(layer) == {"scale": (), "x": ("I",), "t": ("I",)}
    assert layer.outputs == ("loss",)


def test_several_equations_on_lines_with_comments():
    layer = parse_layer(
        """
        m[n] = sum(x[n,j], j)/J        # the mean
        y[n,i] = x[n,i] - m[n]
        """
    )
    assert [str(equation.lhs) for equation in layer.equations] == ["m[n]", "y[n, i]"]
    assert layer.outputs == ("y",)
    assert shapes(layer) == {"x": ("N", "J")}


def test_a_read_at_data():
    layer = parse_layer("y[b,d] = table[ids[b],d]")
    assert [(tensor.name, tensor.integer) for tensor in layer.inputs] == [("table", False), ("ids", True)]


def test_a_range_that_does_not_show_is_asked_for_in_the_notation_of_the_text():
    with pytest.raises(DeclarationError, match=r"index j has no range.* write j:extent on the left side"):
        parse_layer("y[i,j] = x[i]")


def caret_text(error: DeclarationError) -> str:
    """What the message underlines."""
    *_, line, carets = str(error).splitlines()
    return line[carets.index("^") : carets.index("^") + carets.count("^")]


@pytest.mark.parametrize(
    ("text", "underlined", "message"),
    [
        ("y[b] = sum(x[b,j]*w[b,k], j)", "k", "k in an index of w is no index here, no extent and no attribute"),
        ("y[n,i:X2] = pad(x)[n,2*i]", "X2", "no extent and no attribute .*; the extents here are N, X1"),
        ("y[b] = x[b]*j + sum(x[j], j)", "j", "index j is neither on the left side nor reduced over here"),
        ("y[b] = x[b] + x[b,b]", "x[b,b]", "x has 2 axes here and 1 elsewhere"),
        ("y[i] = x[i] > 0", "x[i] > 0", "a condition is no number; write where"),
        ("y[i] = where(x[i], 1, 2)", "x[i]", "expected a condition"),
        ("y[i] = x[i]^2", "x[i]^2", r"a power is written \*\*"),
        ("y[i] = x[i", "[", "'\\[' was never closed"),
        ("y[i] + x[i]", "y[i] + x[i]", "expected an equation"),
        ("y[i] = sun(x[i,j], j)", "sun", "unknown function sun; did you mean sum?"),
        ("y[i] = exp(x[i], 2)", "exp(x[i], 2)", "exp does not take 2 arguments"),
        ("y[i] = max(x[i + u], u)", "u", "over the index u write reduce_max"),
        ("y[i] = sum(x[i], i)", "sum(x[i], i)", "already in use here"),
        ("y[i] = sum(x[i])", "sum(x[i])", "names what it runs over"),
        ("y[i] = sum(x[2*j + i], j)", "j", r"no axis is read by j alone.*\(j, extent\)"),
        ("y[i] = sum(x[i,j], j + 1)", "j + 1", r"expected an index: j, \(j, extent\)"),
        ("y[i,i] = x[i]", "i", "each axis of the left side is an index of its own"),
        ("y[i] = x[i]; y[i] = 2*x[i]", "y[i]", "y is defined twice"),
        ("y[i] = z[i] = x[i]", "z[i]", "one equation defines one tensor"),
        ("K = 3; y[k] = K*x[k]", "K = 3", "K is the extent of an axis"),
        ("y[i] = pad(x)", "pad(x)", "pad stands before indices"),
        ("y[i] = pad(x, mode='mirror')[i]", "'mirror'", "the mode is one of 'constant'"),
        ("y[i] = (2*x)[i]", "(2*x)[i]", "only a tensor takes indices"),
        ("y[i] = x[i]*x", "x", "x is a tensor of 1 axes; give its indices"),
        ("y[i] = i[2]", "i[2]", "i is an index, and cannot take indices"),
        ("y[i] = x[i]/0", "x[i]/0", "undefined"),
        ("y[\u00e9] = x[\u00e9]", "\u00e9", "no ASCII letter"),
        ("y[n:pi] = sum(x[j], (j, 0, n))", "pi", "the extent of n is an integer, which pi is not"),
        ("y[n:2.5] = x[0]", "2.5", "the extent of n is an integer, which 5/2 is not"),
        ("y[r:-oo,d] = x[r,d]", "-oo", "the extent of r is an integer, which -oo is not"),
        ("y[n:-1] = x[0]", "-1", "the extent of n is -1, which is negative"),
        ("y[n:1 - 3] = x[0]", "1 - 3", "the extent of n is -2, which is negative"),
        ("y[i:3] = x[0]; z[i:4] = x[0]", "4", "index i has extent 3 elsewhere"),
        ("s = 1e999; y[i] = s*x[i]", "1e999", "this number is too large"),
        ("s = -" + "9" * 2000 + "; y[i] = s*x[i]", "-" + "9" * 195, "this number is too large"),
        ("y[i] = sigmoid(x[i])", "sigmoid", r"unknown function sigmoid; write 1/\(1 \+ exp\(-u\)\)"),
        ("y[i] = ln(x[i])", "ln", r"write log\(u\)"),
        ("y[i] = frobnicate(x[i])", "frobnicate", "unknown function frobnicate; there are exp, log"),
        ("y[i] = x[i]\n  + z[i]", "+ z[i]", "one that goes over several lines stands in parentheses"),
    ],
)
def test_messages_point_at_the_place(text, underlined, message):
    with pytest.raises(DeclarationError, match=message) as caught:
        parse_layer(text)
    assert caret_text(caught.value) == underlined


@pytest.mark.parametrize(
    ("text", "underlined", "message"),
    [
        ("y[i:3] = x[-1]", "x[-1]", "y reads x at -1"),
        (
            "y[i]=x[i]; z[i:I]=x[i + 1]*y[i]",
            "x[i + 1]",
            "z reads x at i \\+ 1 .*Write pad\\(x\\)\\[...\\] for zeros",
        ),
        ("y[i] = x[i]; z[j] = x[-2 - j]*x[j]", "j", "index j has extent -1, which is negative"),
        ("y[i] = v[i]*x[2.5]", "2.5", "5/2 is no integer"),
        ("y[n,i] = x[n,i+1] - x[n,i-1]", "i", "the reads keep index i in 1 .. X1 - 2"),
        ("y[i] = w[i]*x[pi]", "pi", "axis 0 of x\\[pi\\]: pi is not an integer expression"),
        ("y[i] = x[i]*w[v[i]/2]*exp(v[i])", "v[i]/2", "v\\[i\\]/2 is no integer for every i"),
        ("y[b] = sum(x[b,j]*w[10**9,j], j)", "w[10**9,j]", "reads w at 1000000000"),
        ("y[i] = x[i]; z[i] = y[i] + (-2)**x[i]", "(-2)**x[i]", "no real value"),
        ("y[i] = x[i]*sqrt(-1)", "sqrt(-1)", "has no meaning in a layer"),
        ("y[i] = x[i]*10**400", "10**400", "beyond what a float can be"),
        ("y[i] = list[i]", "list", "is a name of Python's own"),
        ("print[i] = x[i]", "print", "is a name of Python's own"),
        ("y[len] = x[len]", "len", "is a name of Python's own"),
        ("y[i] = z[i]; z[i] = y[i]", "i", "index i has no range: it only reads z, and z and y are a cycle"),
        ("h[t,k] = h[t-1,k]*x[k]", "t", "index t has no range: it only reads h itself"),
        ("h[t,k] = h[t,k]*x[t,k]", "h[t,k]", "h -> h is a cycle"),
        ("a[i] = x[i]; y[i] = b[i] + x[i]; b[i] = y[i] + x[i]", "b[i]", "is a cycle"),
        ("y[i:I] = pad(y, mode='wrap')[i - 1] + x[i]", "pad(y, mode='wrap')[i - 1]", "along which the recurrence runs"),
        ("y[n:sqrt(N)] = x[n]", "sqrt(N)", "not an integer expression"),
        (
            "k = 3; y[i] = x[i]; z[k] = x[k]",
            "k",
            "k on the left side z\\[k\\] is a size, not an index; use another letter",
        ),
        ("y[i] = x[i]; requires: I < q", "q", "q is neither an index in scope nor a size"),
        ("y[i] = x[i]; requires: I < -1", "I < -1", "never holds"),
    ],
)
def test_what_the_layer_refuses_is_shown_in_the_text(text, underlined, message):
    with pytest.raises(DeclarationError, match=f"^text equation, column \\d+: .*({message})") as caught:
        parse_layer(text)
    assert caret_text(caught.value) == underlined


def test_columns_and_lines_are_those_of_the_text_as_it_was_written():
    with pytest.raises(DeclarationError, match="text equation, line 3, column 12: unknown function f") as caught:
        parse_layer("\n    a[i] = x[i]\n    y[i] = f(a[i])")
    assert str(caught.value).splitlines()[1:] == ["      y[i] = f(a[i])", "             ^"]
    with pytest.raises(DeclarationError, match="text equation, line 2, column 9: unknown function f") as caught:
        parse_layer("z[i] = x[i]\r\n\ty[i] =\tf(x[i])")
    assert caret_text(caught.value) == "f"


def test_a_message_counts_columns_and_lines_from_one():
    with pytest.raises(DeclarationError, match="text equation, column 8: unknown function f"):
        parse_layer("y[i] = f(x[i])")
    with pytest.raises(DeclarationError, match="text equation, line 2, column 11: unknown function f"):
        parse_layer("z[i] = x[i]\n   y[i] = f(x[i])")


@pytest.mark.parametrize(
    "text",
    [
        "y[i] = __import__('os').system('true')*x[i]",
        "y[i] = x[i].__class__",
        "y[i] = [x[k] for k in x]",
        "y[i] = (lambda: x[i])()",
        "y[i] = eval('x')",
        "y[i] = f'{x}'",
        "y[i] = 'x'",
        "y[i] = x[i] if x else 1",
        "y[i] = (z := 3)*x[i]",
        "y[i] = x[*ids]",
        "y[i] = x[0:2]",
        "y[i] = x[i] is x",
        "y[i] = True*x[i]",
        "y[i] = 1j*x[i]",
        "y[i] = x[i] @ x[i]",
        "y[i] = x[i] << 9",
        "import os",
        "del y[i]",
        "y[i] += x[i]",
        "def f(): pass",
        "y.z[i] = x[i]",
        "",
        "# only a comment",
        "y = 3",
        "\x00",
        "y[i] = x[i]\r\x0b1",
    ],
)
def test_what_is_no_equation_is_refused(text):
    with pytest.raises(DeclarationError):
        parse_layer(text)


@pytest.mark.parametrize(
    "text",
    [
        "y[i] = " + "(" * 500 + "x[i]" + ")" * 500,
        "y[i] = " + "-" * 5_000 + "x[i]",
        "y[i] = " + "+".join(["x[i]"] * 10_000),
        "y[i] = 9**9**9*x[i]",
        "y[i] = 9**64**64*x[i]",
        "y[i] = ((9**60)**60)**60*x[i]",
        "y[i] = floor(exp(10**9))*x[i]",
        "y[i] = mod(exp(10**9), 7)*x[i]",
        "y[i] = 1e999*x[i]",
        "y[i] = x[i**10**9]",
        "y[i] = x[i]*(i + 1)**10**9",
        "s = " + "9" * 5_000 + "; y[i] = s*x[i]",
        "y[i] = " + "9" * 5_000 + "*x[i]",
    ],
)
def test_a_text_made_to_take_forever_is_refused_at_once(text):
    with pytest.raises(SymgradError):
        parse_layer(text)


RNG = np.random.default_rng(0)
X, W = RNG.normal(size=(3, 8)), RNG.normal(size=(2, 4))


@pytest.mark.parametrize(
    ("text", "arrays", "attributes", "expected"),
    [
        ("y[b,i] = sum(x[b,j]*w[j,i], j) + c", {"x": W, "w": W.T, "c": np.array(0.5)}, {}, W @ W.T + 0.5),
        ("y[n,i] = exp(x[n,i])/sum(exp(x[n,j]), j)", {"x": X}, {}, np.exp(X) / np.exp(X).sum(1, keepdims=True)),
        ("y[n] = logsumexp(x[n,j], j) - reduce_max(x[n,j], j)", {"x": X}, {}, np.log(np.exp(X).sum(1)) - X.max(1)),
        ("s = 2; y[n,i] = x[n, s*i]", {"x": X}, {"s": 3}, X[:, ::3]),
        ("y[n,i] = x[n, i + 1] - x[n, i]", {"x": X}, {}, np.diff(X, axis=1)),
        ("y[n,k:J] = sum(x[n,j], (j, 0, k))", {"x": X}, {}, X.cumsum(1)),
        ("K = 3; y[n,i] = reduce_max(x[n, 2*i + u], (u, 0, K - 1))", {"x": X}, {"K": 2}, X.reshape(3, 4, 2).max(2)),
        ("y[n,i:X1] = pad(x)[n, i - 1]", {"x": X}, {}, np.pad(X, ((0, 0), (1, 0)))[:, :-1]),
        ("y[n,i] = where(i % 2 == 0, x[n,i], -x[n,i])", {"x": X}, {}, X * (-1.0) ** np.arange(8)),
        ("y[n] = sum(x[n,j]**2, j)/J", {"x": X}, {}, (X**2).mean(1)),
        ("y[n] = prod(x[n,j], j)", {"x": X}, {}, X.prod(1)),
        ("a[i] = sum(x[i,j], j); y[i] = max(a[i], 0) + i//2", {"x": X}, {}, np.maximum(X.sum(1), 0) + [0, 0, 1]),
        ("y[i] = sum(x[i,j]*delta(j, i), j)", {"x": X}, {}, np.diag(X[:, :3])),
    ],
)
def test_values(text, arrays, attributes, expected):
    values = evaluate(parse_layer(text), arrays, attributes)
    np.testing.assert_allclose(values["y"], expected, rtol=1e-12)
