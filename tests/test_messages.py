"""What errors say: one message that names layer, equation, index, tensor and axis, and says what to write instead."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy
from click.testing import CliRunner
from sympy import Eq, Function, Idx, IndexedBase, Mod, Piecewise, Sum, Symbol, floor, symbols, tanh

import symgrad
from symgrad import ArgMax, Layer, Padded, ReduceMax
from symgrad.cli import main
from symgrad.compiler import show_stage
from symgrad.errors import ArgumentError, DeclarationError, DerivationError, SymgradError, UnknownLayerError

N, M, K, R, G, C = symbols("N M K R G C", integer=True, positive=True)
stride = Symbol("stride", integer=True, positive=True)
padding = Symbol("padding", integer=True, nonnegative=True)
slope = Symbol("slope", real=True)
x, y, z, w = (IndexedBase(name) for name in "xyzw")
n, m, k, u = Idx("n", N), Idx("m", M), Idx("k", K), Idx("u", R)
i = Idx("i")


@dataclass(frozen=True)
class Bad:
    """A declaration that means nothing, and what its message has to hold."""

    declare: Callable[[], Any]
    words: tuple[str, ...]
    error: type[Exception] | tuple[type[Exception], ...] = DeclarationError


def layer(equations: Any, inputs: Any = (x[N],), name: Any = "odd", **options: Any) -> Layer:
    return Layer(name, inputs=inputs, equations=equations, **options)


def one(right: Any, left: Any = y[n], inputs: Any = (x[N],), **options: Any) -> Layer:
    """A layer of one equation, which SymPy does not evaluate."""
    return layer([Eq(left, right, evaluate=False)], inputs, **options)


def bad(declare: Callable[[], Any], *words: str, **options: Any) -> Bad:
    return Bad(declare, words, **options)


def named(**names: str) -> Layer:
    """A matrix product with other names."""
    get = dict(zip(("layer", "x", "y", "n", "m", "N", "s"), ("odd", "x", "y", "n", "m", "N", "s"), strict=True)) | names
    size, s_ = Symbol(get["N"], integer=True, positive=True), Symbol(get["s"])
    x_, y_ = IndexedBase(get["x"]), IndexedBase(get["y"])
    n_, m_ = Idx(get["n"], size), Idx(get["m"], M)
    return Layer(
        get["layer"], inputs=[x_[size, M]], equations=[Eq(y_[n_], s_ * Sum(x_[n_, m_], m_))], attributes={s_: 1.5}
    )


# --- reads -----------------------------------------------------------------------------------------------------------


READS = {
    "too few indices": bad(
        lambda: one(x[n], inputs=[x[N, M]]), "odd", "equation of y", "x[n] reads x with 1 ind", "x has 2 axes"
    ),
    "too many indices": bad(
        lambda: one(x[n, n]), "odd", "equation of y", "x[n, n] reads x with 2 indices", "x has 1 ax"
    ),
    "rank, and what to write": bad(lambda: one(x[n], inputs=[x[N, M]]), "x[N, M]"),
    "a fraction as index": bad(lambda: one(x[sympy.Rational(5, 2)]), "equation of y", "x[5/2]", "5/2 is no integer"),
    "an extent below 0": bad(lambda: one(x[0], y[Idx("j", -1)]), "equation of y", "index j has extent -1", "negative"),
    "no value for an index": bad(lambda: one(x[-2 - i] * x[i], y[i]), "index i has extent -1, which is negative"),
    "a cycle without a range": bad(
        lambda: layer([Eq(y[i], z[i]), Eq(z[i], y[i])]),
        "index i has no range",
        "it only reads",
        "are a cycle",
        "Idx('i'",
    ),
    "a recurrence without a range": bad(lambda: one(y[i - 1], y[i]), "index i has no range: it only reads y itself"),
    "no indices": bad(lambda: one(Symbol("x") * x[n]), "equation of y", "x has 1 ax", "without indices; write x[...]"),
    "misspelt index, and the nearest": bad(
        lambda: one(x[Idx("row"), 0], y[Idx("rows", N)], [x[N, M]]), "axis 0 of x[row, 0]", "did you mean rows?"
    ),
    "one index with two ranges": bad(
        lambda: one(x[n] * w[Idx("n", M)], inputs=[x[N], w[M]]),
        *("equation of y", "axis 0 of w[n]", "index n has the range 0 .. M - 1 here and 0 .. N - 1", "rename one"),
    ),
    "one bound index with two ranges": bad(
        lambda: one(Sum(x[n, m] * w[Idx("m", K)], m), inputs=[x[N, M], w[K]]), "index m has the range 0 .. K - 1 here"
    ),
    "a bare tensor": bad(
        lambda: one(x),
        "equation of y",
        "x has 1 ax",
        "write x[",
    ),
    "too many behind Padded": bad(lambda: one(Padded(x)[n, 0]), "equation of y", "x[n, 0] reads x with 2 indices"),
    "unknown tensor": bad(
        lambda: one(x[n] * w[n]), "equation of y", "w[n] reads w", "neither an input nor a left side", "known: x, y"
    ),
    "misspelt index": bad(
        lambda: one(Sum(x[n, Idx("mm", M)], m), inputs=[x[N, M]]),
        *("equation of y", "mm is neither an index in scope nor a size", "known: M, N, m, n", "correct its name"),
    ),
    "misspelt index, and where": bad(
        lambda: one(Sum(x[n, Idx("mm", M)], m), inputs=[x[N, M]]), "mm", "x[n, mm]", "axis 1"
    ),
    "misspelt symbol, and where": bad(lambda: one(x[Symbol("nn")]), "nn", "x[nn]", "axis 0"),
    "free index": bad(
        lambda: one(x[n, m], inputs=[x[N, M]]), "equation of y", "m is neither an index in scope", "bind it"
    ),
    "one beyond the end": bad(
        lambda: one(x[n + 1]),
        *(
            "odd",
            "y reads x at n + 1 on axis 0",
            "extent N",
            "for N = 3, n = 2 that is 3, outside 0 .. 2",
            "Write Padded(x)",
        ),
    ),
    "before the beginning": bad(
        lambda: one(x[n - 1]), "y reads x at n - 1 on axis 0", "n = 0", "that is -1, outside 0 .. 2", "change the range"
    ),
    "a stride": bad(lambda: one(x[2 * n]), "y reads x at 2 * n on axis 0", "that is 4, outside 0 .. 2"),
    "second axis": bad(
        lambda: one(Sum(x[n, Idx("q", M + 1)], Idx("q", M + 1)), inputs=[x[N, M]]),
        *("y reads x at q on axis 1", "extent M", "M = 3, q = 3", "that is 3, outside 0 .. 2"),
    ),
    "behind a condition that is not enough": bad(
        lambda: one(Piecewise((x[n - 2], n >= 1), (0, True))), "y reads x at n - 2 on axis 0", "n = 1", "that is -1"
    ),
    "of a left side": bad(
        lambda: layer([Eq(y[n], x[n]), Eq(z[n], y[n + 1])]), "z reads y at n + 1 on axis 0", "Write Padded(y)"
    ),
    "a number beyond the end": bad(
        lambda: one(x[n, 3], inputs=[x[N, 3]]),
        *("y reads x at 3 on axis 1", "extent 3", "outside 0 .. 2"),
    ),
    "a real tensor as index": bad(
        lambda: one(x[w[n] + slope], inputs=[x[N], w[N]], integers=[w], attributes={slope: 1}),
        *("equation of y", "slope is real", "integer=True"),
    ),
    "a rational index": bad(lambda: one(x[n / 2]), "axis 0 of x[n/2]", "no integer for every n", "floor(n/2)"),
    "half an index": bad(lambda: one(x[n * 0.5]), "equation of y", "0.5", "is not an integer expression"),
    "a power as index": bad(lambda: one(x[2**n]), "equation of y", "2**n is not an integer expression"),
    "a condition as index": bad(lambda: one(x[n > 2]), "equation of y", "n > 2 is not an integer expression"),
    "a divisor of zero": bad(
        lambda: one(x[Mod(n, 0, evaluate=False)]), "equation of y", "Mod(n, 0) divides by 0", "must be positive"
    ),
}

# --- left sides, equations and their order ---------------------------------------------------------------------------


EQUATIONS = {
    "duplicate equation": bad(
        lambda: layer([Eq(y[n], x[n]), Eq(y[n], 2 * x[n])]), "odd", "y is defined by two equations", "Piecewise"
    ),
    "cycle": bad(
        lambda: layer([Eq(y[n], z[n] + x[n]), Eq(z[n], y[n])]),
        "odd",
        "y -> z -> y is a cycle",
        "earlier (such as y[t - 1, ..])",
    ),
    "needs itself": bad(lambda: one(x[n] * y[n]), "odd", "y -> y is a cycle", "no index puts its elements in order"),
    "left side is an input": bad(lambda: one(2 * x[n], x[n]), "x is an input and also a left side", "rename one"),
    "left side shifted": bad(
        lambda: one(x[n], y[n + 1]), "equation of y", "axis 0 of the left side y[n + 1]", "solve the equation for y["
    ),
    "left side a number": bad(lambda: one(x[0], y[0]), "equation of y", "axis 0 of the left side y[0]", "plain ind"),
    "left side a product": bad(
        lambda: one(x[n], 2 * y[n]), "odd", "left side 2*y[n]", "neither a read y[i] nor a symbol"
    ),
    "left side a function": bad(lambda: one(x[n], Function("y")(n)), "left side y(n)", "neither a read y[i]"),
    "diagonal left side": bad(
        lambda: one(x[n], y[n, n]), "equation of y", "index n stands twice on the left side y[n, n]", "use two indices"
    ),
    "a size on the left": bad(lambda: one(x[0], y[N]), "N on the left side y[N] is a size, not an index", "use an Idx"),
    "an axis from one": bad(
        lambda: one(x[0], y[Idx("q", (1, N))]), "index q on the left side begins at 1", "axes begin at 0", "shift it"
    ),
    "an inferred axis from one": bad(
        lambda: one(x[i - 1], y[i]), "equation of y", "index i in 1 .. N", "axes begin at 0", "shift it"
    ),
    "ambiguous range": bad(
        lambda: one(x[i] * w[i], y[i], [x[N], w[M]]),
        "last value of index i could be M - 1 or N - 1",
        "Idx('i', extent)",
    ),
    "no range": bad(
        lambda: one(Padded(x)[i - 1], y[i]), "index i has no range and no read determines one", "write Idx('i', extent)"
    ),
    "unused bound index": bad(
        lambda: one(ReduceMax(x[n], Idx("q"))),
        "index q has no range and no read determines one",
        "write Idx('q', extent)",
    ),
    "bound twice": bad(
        lambda: one(Sum(x[n], n)), "equation of y", "index n is bound twice", "(n, 0, N - 1) binds it", "rename one"
    ),
    "nested and bound twice": bad(
        lambda: one(Sum(x[n, m] * Sum(x[n, m], m), m), inputs=[x[N, M]]), "index m is bound twice", "rename one"
    ),
    "bound twice inside an index": bad(
        lambda: one(Sum(x[ArgMax(x[m], (m, 0, N - 1))], (m, 0, 2))),
        "equation of y",
        "index m is bound twice",
        "(m, 0, N - 1) binds it",
    ),
    "bound index is a size": bad(lambda: one(Sum(x[n], (N, 0, 3))), "index N is also a size", "rename one"),
    "no equation": bad(lambda: layer([]), "odd", "there is no equation", "write equations=[Eq(y[i], ...)]"),
    "not an Eq": bad(lambda: layer([x[n]]), "odd", "equation 0 is x[n]", "Eq(left, right)"),
    "text": bad(lambda: layer(["y[n] = x[n]"]), "equation 0 is 'y[n] = x[n]'", "Eq(left, right)"),
    "evaluated by SymPy": bad(
        lambda: layer([Eq(y[n], x[n] > 0)]), "equation 0 is False", "SymPy evaluated", "write Eq(y[i], Piecewise(...))"
    ),
    "one equation without a list": bad(lambda: layer(Eq(y[n], x[n])), "odd", "equations", "[Eq(", error=SymgradError),
    "equations are None": bad(lambda: layer(None), "odd", "equations", error=SymgradError),
}

# --- values ----------------------------------------------------------------------------------------------------------


VALUES = {
    "unknown function": bad(
        lambda: one(Function("f")(x[n])), "equation of y", "no meaning for f in f(x[n])", "Max, Min"
    ),
    "a function of SymPy": bad(lambda: one(sympy.zeta(x[n])), "equation of y", "no meaning for zeta in zeta(x[n])"),
    "a matrix": bad(lambda: one(sympy.MatrixSymbol("A", 3, 3)[0, 0] * x[n]), "equation of y", "A[0, 0]"),
    "a derivative": bad(
        lambda: one(sympy.Derivative(x[n], x[n])), "no meaning for Derivative in Derivative(x[n], x[n])"
    ),
    "a number beyond every float": bad(
        lambda: one(10**400 * x[n]), "equation of y", "a number of 401 characters", "beyond what a float can be"
    ),
    "a quotient beyond every float": bad(
        lambda: one(sympy.Rational(10**400, 10**400 + 1) * x[n]), "equation of y", "beyond what a float can be"
    ),
    "a real power of a negative number": bad(
        lambda: one((-2) ** x[n]), "equation of y", "(-2)**x[n] has no real value", "its exponent is no integer"
    ),
    "imaginary": bad(lambda: one(sympy.I * x[n]), "equation of y", "the value I has no meaning"),
    "infinite": bad(lambda: one(x[n] / 0), "equation of y", "the value zoo has no meaning"),
    "relation as a value": bad(lambda: one(x[n] > 0), "equation of y", "x[n] > 0", "Piecewise"),
    "truth as a value": bad(lambda: one(sympy.true), "equation of y", "Piecewise"),
    "Piecewise without an end": bad(
        lambda: one(Piecewise((x[n], x[n] > 0))),
        "equation of y",
        "Piecewise((x[n], x[n] > 0))",
        "end it with (value, True)",
    ),
    "condition without a relation": bad(
        lambda: one(Piecewise((x[n], Symbol("flag")), (0, True))), "flag is not a condition", "write a relation such as"
    ),
    "Padded with an expression": bad(
        lambda: one(Padded(x, value=x[0])[n - 1]), "equation of y", "Padded(x, x[0])", "must be a number"
    ),
    "Padded with an unknown mode": bad(
        lambda: Padded(x, mode="mirror"), "Padded(x, mode='mirror')", "constant, reflect, replicate, wrap"
    ),
    "Padded of a read": bad(lambda: Padded(x[n]), "takes a tensor (IndexedBase), not x[n]", "write Padded(x)[i - 1]"),
    "unknown ties": bad(lambda: ReduceMax(x[n, m], m, ties="last"), "ReduceMax", "ties='last'", "first, split"),
    "reduction over nothing": bad(lambda: ReduceMax(x[n]), "ReduceMax(x[n])", "no index to reduce over", "name one"),
    "limit is an expression": bad(
        lambda: ReduceMax(x[n, m], m + 1), "ReduceMax", "the limit m + 1", "neither an index nor (index, first, last)"
    ),
    "an integer that is real": bad(
        lambda: layer([Eq(z[n], x[n] * 2), Eq(y[n], w[z[n]])], [x[N], w[M]]),
        *("equation of z", "z is used as an integer", "gives a real number"),
    ),
}

# --- inputs, sizes, attributes ---------------------------------------------------------------------------------------


ARGUMENTS = {
    "input without a shape": bad(lambda: one(x[n], inputs=[x]), "odd", "input x has no shape", "write x[N, ...]"),
    "input as text": bad(lambda: one(x[n], inputs=["x"]), "odd", "input 'x' is neither x[N, C] nor a Symbol"),
    "input twice": bad(lambda: one(x[n], inputs=[x[N], x[N]]), "odd", "input x is declared twice"),
    "input without a list": bad(lambda: one(x[n], inputs=x[N]), "odd", "inputs", error=SymgradError),
    "inputs are None": bad(lambda: one(x[n], inputs=None), "odd", "inputs", error=SymgradError),
    "extent is not whole": bad(lambda: one(x[n], inputs=[x[2.5]]), "odd", "2.5", "is not an integer expression"),
    "extent reads a tensor": bad(
        lambda: one(x[n], inputs=[x[w[0]], w[N]]), "real tensor w", "w[0]", "name it in integers=[w]"
    ),
    "negative extent": bad(lambda: one(w[n] * x[0], inputs=[x[-3], w[N]]), "axis 0 of x", "-3"),
    "two unknown sizes": bad(
        lambda: one(x[0], inputs=[x[N * M]]),
        *("odd", "no shape determines M, N", "axis 0 of x has extent M * N", "attributes={M: value}"),
    ),
    "size squared": bad(
        lambda: one(x[n], inputs=[x[N**2]]),
        "axis 0 of x has extent N * N",
        "cannot be solved for N",
        "attributes={N: value}",
    ),
    "size under floor": bad(
        lambda: one(x[0], inputs=[x[floor(N / 2)]]), "axis 0 of x has extent N // 2", "attributes={N: value}"
    ),
    "undetermined extent": bad(lambda: one(x[0], y[m]), "M", "no shape determines M", "attributes={M:"),
    "undetermined limit": bad(lambda: one(Sum(x[n] * m, m)), "M", "no shape determines M", "attributes={M:"),
    "undetermined number": bad(lambda: one(x[n] * slope), "slope", "attributes={slope:"),
    "attribute is text": bad(lambda: one(x[n], attributes={"a": 1}), "odd", "the attribute 'a' is not a Symbol"),
    "default is text": bad(
        lambda: one(slope * x[n], attributes={slope: "a"}), "odd", "default 'a' of attribute slope is not a number"
    ),
    "default is None": bad(lambda: one(slope * x[n], attributes={slope: None}), "default None of attribute slope"),
    "default is not whole": bad(
        lambda: one(stride * x[n], attributes={stride: 1.5}), "attribute stride is an integer, its default 1.5 is not"
    ),
    "default is too small": bad(
        lambda: one(stride * x[n], attributes={stride: 0}), "attribute stride must be at least 1, its default is 0"
    ),
    "default is negative": bad(
        lambda: one(padding * x[n], attributes={padding: -1}), "attribute padding must be at least 0, its default is -1"
    ),
    "integer default is huge": bad(
        lambda: one(stride * x[n], attributes={stride: 2**63}), "attribute stride", "no integer of 64 bits"
    ),
    "an extent rounds a function": bad(
        lambda: one(x[0], y[Idx("q", sympy.floor(sympy.exp(N)))]),
        *("equation of y", "axis 0 of y", "floor(exp(N))", "sizes and integer attributes"),
    ),
    "an extent rounds a real attribute": bad(
        lambda: one(x[0], y[Idx("q", sympy.floor(slope * N))], attributes={slope: 1.5}),
        *("equation of y", "axis 0 of y", "integer attributes"),
    ),
    "a requirement reads data": bad(
        lambda: one(x[n], requires=[x[0] > 0]), "x[0] > 0 reads x", "about extents and attributes"
    ),
    "integer default is infinite": bad(
        lambda: one(stride * x[n], attributes={stride: float("inf")}),
        *("odd", "attribute stride", "inf"),
    ),
    "real default is not finite": bad(
        lambda: symgrad.compile_layer(one(slope * x[n], attributes={slope: float("nan")})).forward([1.0]),
        *("odd", "attribute slope", "nan"),
    ),
    "attributes are a list": bad(
        lambda: one(slope * x[n], attributes=[slope]), "odd", "attributes", error=SymgradError
    ),
    "two attributes of one name": bad(
        lambda: symgrad.compile_layer(
            one(slope * x[n], attributes={slope: 1, Symbol("slope", integer=True): 2})
        ).forward([1.0]),
        *("odd", "slope"),
    ),
    "real attribute in a shape": bad(
        lambda: one(x[n], inputs=[x[N], w[slope]], attributes={slope: 1}),
        *("axis 0 of w has extent slope", "slope is a real attribute", "integer=True"),
    ),
    "real attribute in an index": bad(
        lambda: one(x[n + slope], attributes={slope: 1}), "attribute slope is real", "declare it with integer=True"
    ),
    "attribute and input": bad(
        lambda: one(slope * x[n], inputs=[x[N], slope], attributes={slope: 1}), "slope names both", "rename one"
    ),
    "size and tensor": bad(lambda: one(x[n], inputs=[x[N], IndexedBase("N")[N]]), "N names both", "rename one"),
    "unknown constant": bad(lambda: one(x[n], constants=[w]), "odd", "constants=[w]", "w is not an input"),
    "unknown integers": bad(lambda: one(x[n], integers=[w]), "odd", "integers=[w]", "w is not an input"),
    "constants without a list": bad(lambda: one(x[n], constants=x), "odd", "constants"),
    "integers without a list": bad(lambda: one(x[n], integers=x), "odd", "integers"),
    "outputs without a list": bad(lambda: one(x[n], outputs=y), "odd", "outputs"),
    "unknown output": bad(lambda: one(x[n], outputs=[z]), "odd", "output z is no left side", "left sides: y"),
    "output twice": bad(lambda: one(x[n], outputs=[y, y]), "odd", "output y is named twice"),
    "inputs in a set": bad(lambda: one(x[n], inputs={x[N], w[N]}), "odd", "inputs is", "no list", "inputs=[...]"),
    "constant is a number": bad(lambda: one(x[n], constants=[3]), "odd: 3 is not a tensor", "IndexedBase('x')"),
    "requires without a list": bad(lambda: one(x[n], requires=N > 2), "requires is N > 2", "write requires=[N > 2]"),
    "requires what SymPy finds false": bad(lambda: one(x[n], requires=[N < 0]), "odd: the requirement", "never holds"),
    "requires what never holds": bad(
        lambda: one(x[n], inputs=[x[Symbol("N", integer=True)]], requires=[Symbol("N", integer=True) < 0]),
        "odd: the requirement N < 0 never holds",
    ),
    "requires a pair of no text": bad(
        lambda: one(x[n], requires=[(N > 2, 3)]), "requires has (N > 2, 3)", "write a relation, or (relation, 'what is"
    ),
    "requires text": bad(lambda: one(x[n], requires=["N > 2"]), "odd", "N > 2 is not a condition", "write a relation"),
    "typical size is text": bad(lambda: one(x[n], typical={N: "many"}), "odd", "typical", "N", "many"),
    "typical size is huge": bad(lambda: one(x[n], typical={N: 10**400}), "odd", "typical says N = 1000", "finite"),
    "typical size is too long to show": bad(lambda: one(x[n], typical={N: 10**5000}), "typical says N", "too long"),
    "typical size is negative": bad(lambda: one(x[n], typical={N: -1}), "odd", "typical says N = -1", "at least 1"),
    "typical size is unknown": bad(lambda: one(x[n], typical={M: 3}), "typical names M", "no size", "known: N"),
    "typical is a list": bad(lambda: one(x[n], typical=[N]), "odd", "typical", error=SymgradError),
    "doc with a character of no text": bad(lambda: one(x[n], doc="a\0"), "odd: doc has '\\x00' at position 1"),
    "doc with half a character": bad(lambda: one(x[n], doc="\ud800"), "odd: doc has '\\ud800' at position 0"),
    "doc is None": bad(lambda: one(x[n], doc=None), "odd", "doc", error=SymgradError),
}

# --- names -----------------------------------------------------------------------------------------------------------

NAMES = {
    "layer with a space": bad(lambda: named(layer="my layer"), "the layer's name 'my layer'", "use ASCII letters"),
    "layer is a keyword": bad(lambda: named(layer="class"), "'class' is a name of Python's own", "such as class_"),
    "layer is empty": bad(lambda: named(layer=""), "the layer's name ''", "is not an identifier"),
    "layer is None": bad(lambda: layer([Eq(y[n], x[n])], name=None), "a layer's name is a string, not None"),
    "layer called forward": bad(lambda: named(layer="forward"), "used by every emitted module", "such as forward_"),
    "tensor with a space": bad(lambda: named(x="a b"), "odd", "'a b' is not an identifier"),
    "tensor in Greek": bad(lambda: named(x="\u03b1"), "odd", "'\u03b1' is not an identifier", "use ASCII letters"),
    "tensor called np": bad(lambda: named(y="np"), "odd", "'np' is used by every emitted module", "such as np_"),
    "attribute is a keyword": bad(lambda: named(s="lambda"), "the attribute 'lambda'", "such as lambda_"),
    "size with a space": bad(lambda: named(N="N x"), "odd", "'N x' is not an identifier"),
    "index with a quote": bad(lambda: named(n="n'"), "equation of y", 'the index "n\'" is not an identifier'),
    "index with dunder": bad(lambda: named(n="__n"), "the index '__n'", "use another, such as n_"),
    "index too long": bad(lambda: named(n="n" * 100), "is longer than 64 characters", "use a shorter name"),
    "bound index that is code": bad(
        lambda: symgrad.compile_layer(named(m="x[print('run')]")),
        *("odd", "x[print('run')]", "is not an identifier"),
    ),
    "bound index with a space": bad(lambda: named(m="m m"), "equation of y", "the index 'm m' is not an identifier"),
    "bound index is Python's": bad(lambda: named(m="range"), "the index 'range' is a name of Python's own"),
    "bound index is the module's": bad(lambda: named(m="Residuals"), "'Residuals' is used by every emitted module"),
    "called like a helper": bad(lambda: named(N="_floats"), "'_floats' begins with _", "drop the underscore"),
}


OTHERS = {
    "not a layer": bad(
        lambda: symgrad.compile_layer("conv2d"), "conv2d", "Layer", error=(TypeError, SymgradError),
    ),
    "check of what is not a layer": bad(
        lambda: symgrad.check_layer("conv2d"), "conv2d", "Layer", error=(TypeError, SymgradError),
    ),
    "vjp of what is not a layer": bad(
        lambda: symgrad.vjp("conv2d"), "conv2d", "Layer", error=(TypeError, SymgradError),
    ),
    "jvp of what is not a layer": bad(
        lambda: symgrad.jvp(symgrad.compile_layer(one(x[n]))), "jvp takes a Layer", "jvp(compiled.layer)",
        error=SymgradError,
    ),
    "chain of what is not a layer": bad(
        lambda: symgrad.chain(symgrad.layers.dense, "relu"), "chain takes a Layer, not 'relu'", "symgrad.layers.relu",
        error=ArgumentError,
    ),
    "unknown stage": bad(
        lambda: show_stage(one(x[n]), "link"), "unknown stage 'link'", "declare, derive", error=ArgumentError
    ),
    "unknown target": bad(
        lambda: symgrad.compile_layer(one(x[n]), target="c"), "unknown target 'c'", "known: numpy", error=ArgumentError
    ),
    "unknown layer": bad(
        lambda: symgrad.layers.get("conv4d"), "no layer 'conv4d'", "did you mean", "conv2d", error=UnknownLayerError
    ),
    "unknown layer as attribute": bad(
        lambda: symgrad.layers.conv4d, "no layer 'conv4d'", "did you mean", "conv2d", error=AttributeError
    ),
    "nothing to derive": bad(
        lambda: symgrad.vjp(one(x[n], constants=[x])), "odd", "every input is constant", error=DerivationError
    ),
    "no shape": bad(lambda: one(x[n]).solve_sizes({"w": (2,)}), "odd: no shape is given for x", "are given for: w"),
    "shape of another rank": bad(
        lambda: one(x[n]).solve_sizes({"x": (2, 3)}), "odd", "x has shape (2, 3)", "declared [N]"
    ),
    "extent that fits no size": bad(
        lambda: one(x[2 * n], inputs=[x[2 * N]]).solve_sizes({"x": (3,)}), "axis 0 of x has extent 3", "2 * N"
    ),
    "extents that disagree": bad(
        lambda: one(x[n] * w[n], inputs=[x[N], w[N]]).solve_sizes({"x": (3,), "w": (2,)}), "axis 0 of w", "N = 3"
    ),
}  # fmt: skip

ALL = {
    f"{group}: {name}": case
    for group, cases in {
        "read": READS,
        "equation": EQUATIONS,
        "value": VALUES,
        "argument": ARGUMENTS,
        "name": NAMES,
        "other": OTHERS,
    }.items()
    for name, case in cases.items()
}


def is_one_message(text: str) -> None:
    """A line that a person can read, without the insides of the compiler."""
    assert len(text.splitlines()) == 1, text
    assert 10 < len(text) < 400, text
    for inside in ("Traceback", " object at 0x", "<class", "Poly(", "Idx object"):
        assert inside not in text


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in ALL.items()])
def test_a_wrong_declaration_gets_one_clear_message(case: Bad) -> None:
    with pytest.raises(case.error) as raised:
        case.declare()
    text = str(raised.value)
    is_one_message(text)
    assert [word for word in case.words if word not in text] == [], text


# --- bad calls -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weighted() -> symgrad.CompiledLayer:
    """Sums of windows of a row, one kernel each."""
    o = Idx("o", floor((N - R) / stride) + 1)
    right = Sum(x[k, stride * o + u] * w[k, u], u)
    return symgrad.compile_layer(
        layer([Eq(y[k, o], right)], [x[K, N], w[K, R]], name="windows", attributes={stride: 1}, requires=[R > 1])
    )


X, W = np.ones((2, 5)), np.ones((2, 3))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda f: f(X[0], W), ["x has shape (5,), which is 1 ax", "it must have 2"]),
        (lambda f: f(X, W[:1]), ["w has shape (1, 3), but (K, R) = (2, 3)"]),
        (lambda f: f(X[:, :1], W), ["index o has a negative extent, (N - R) // stride + 1 = -1"]),
        (lambda f: f(X, W[:, :1]), ["R > 1 must hold (R = 1)"]),
        (lambda f: f(X, W, stride=0), ["stride must be at least 1, got 0"]),
        (lambda f: f(X, W, stride=1.5), ["stride must be an integer, got 1.5"]),
        (lambda f: f(X > 0, W), ["x must hold float32 or float64, not bool"]),
        (lambda f: f(X, W.astype(np.float32)), ["one dtype", "x float64", "w float32"]),
    ],
)
def test_a_wrong_call_of_forward(weighted: symgrad.CompiledLayer, call: Callable[..., Any], words: list[str]) -> None:
    with pytest.raises((TypeError, ValueError)) as raised:
        call(weighted.forward)
    is_one_message(str(raised.value))
    assert [word for word in ("windows: ", *words) if word not in str(raised.value)] == [], str(raised.value)


@pytest.mark.parametrize(
    ("cotangent", "wrt", "words"),
    [
        (np.ones((2, 4)), None, ["grad_y has shape (2, 4), but its output has (2, 3)"]),
        (np.ones(3), None, ["grad_y has shape (3,), but its output has (2, 3)"]),
        (np.ones((2, 3), complex), None, ["grad_y must hold floats, not complex128"]),
        (np.ones((2, 3)), "w", ["wrt must be a tuple of ('x', 'w'), got 'w'"]),
        (np.ones((2, 3)), ("b",), ["wrt must be a tuple of ('x', 'w'), got ('b',)"]),
    ],
)
def test_a_wrong_call_of_backward(weighted: symgrad.CompiledLayer, cotangent: Any, wrt: Any, words: list[str]) -> None:
    _, residuals = weighted.forward(X, W)
    with pytest.raises((TypeError, ValueError)) as raised:
        weighted.backward(residuals, cotangent, wrt=wrt)
    is_one_message(str(raised.value))
    assert [word for word in ("windows: ", *words) if word not in str(raised.value)] == [], str(raised.value)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (N, ["w has shape (2,), but (N) = (3,)"]),
        (M, ["w is read at index N - 1 of axis 0, which has extent M (M = 2, N = 3)"]),
    ],
)
def test_extents_that_do_not_match(other: Symbol, words: list[str]) -> None:
    """Of one size twice, and of two sizes that the equation takes for one."""
    product = symgrad.compile_layer(one(x[n] * w[n], inputs=[x[N], w[other]]))
    with pytest.raises(ValueError) as raised:
        product.forward(np.ones(3), np.ones(2))
    is_one_message(str(raised.value))
    assert [word for word in ("odd: ", *words) if word not in str(raised.value)] == [], str(raised.value)


# --- the command line ------------------------------------------------------------------------------------------------

LINES = {
    "unknown layer": (["show", "nosuch"], ["no layer 'nosuch' in the catalogue", "`symgrad list` names them all"]),
    "misspelt layer": (["derive", "conv2"], ["no layer 'conv2'", "did you mean conv2d"]),
    "one of several": (["check", "dense", "nosuch"], ["no layer 'nosuch'"]),
    "no file": (["generate", "nosuch.py:a"], ["there is no file nosuch.py", "`symgrad new nosuch`"]),
    "wrong name": (["new", "class"], ["'class' is a name of Python's own", "such as class_"]),
    "rank": (["show", "y[i] = x[i, 0] + x[i]"], ["column 18", "x has 1 axis here and 2 elsewhere"]),
    "misspelt index": (["show", "y[i] = x[j]"], ["column 10", "j in an index of x", "no index here, no extent"]),
    "unused bound index": (["show", "y[i] = sum(x[i,j], k)"], ["column 20", "range is unknown", "write (k, extent)"]),
    "duplicate equation": (["show", "y[i] = x[i]; y[i] = 2*x[i]"], ["column 14", "y is defined twice"]),
    "cycle": (["show", "y[i] = z[i] + x[i]; z[i] = y[i]"], ["is a cycle", "no index puts its elements in order"]),
    "unknown function": (["show", "y[i] = f(x[i])"], ["column 8", "unknown function f"]),
    "code": (["show", "y[i] = __import__('os')"], ["column 8", "unknown function __import__"]),
    "no equation": (["show", "y[i]"], ["column 1", "expected an equation: y[b, i] = ..."]),
    "unclosed": (["show", "y[i] = x[i"], ["column 9", "'[' was never closed", "write it like y[b, i] ="]),
    "relation": (["show", "y[i] = x[i] > 0"], ["a condition is no number", "write where(condition, 1, 0)"]),
    "dots": (["show", "y[i] = x[...]"], ["column 10", "only integers and decimal numbers"]),
    "no range": (["show", "y[i] = 2"], ["equation of y", "index i has no range", "write i:extent"]),
}


@pytest.mark.parametrize("name", LINES)
def test_the_command_line_says_it_in_one_message(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments, words = LINES[name]
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 2
    assert result.stdout == ""
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert [word for word in words if word not in errors[0]] == [], errors[0]
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_layer_in_a_process_of_its_own(tmp_path: Path) -> None:
    program = [sys.executable, "-c", "import sys; from symgrad.cli import main; main(sys.argv[1:])", "show", "nosuch"]
    done = subprocess.run(program, capture_output=True, text=True, cwd=Path(symgrad.__file__).parents[1])
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "Error: there is no layer 'nosuch' in the catalogue; `symgrad list` names them all\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_gets_one_message() -> None:
    program = [sys.executable, "-c", "import sys; from symgrad.cli import main; main(sys.argv[1:])", "derive", "dense"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            program, stdout=full, stderr=subprocess.PIPE, text=True, cwd=Path(symgrad.__file__).parents[1]
        )
    assert done.returncode == 2
    assert done.stderr == "Error: the output cannot be written: No space left on device\n"


def test_what_is_nested_too_deeply(monkeypatch: pytest.MonkeyPatch) -> None:
    def deep(*_: Any, **__: Any) -> None:
        raise RecursionError

    monkeypatch.setattr("symgrad.compiler.run", deep)
    with pytest.raises(DerivationError, match="odd: an expression is nested too deeply; write it as several equations"):
        symgrad.compile_layer(one(x[n]))
    result = CliRunner().invoke(main, ["show", "y[i] = x[i]"])
    assert result.exit_code == 2
    assert result.stderr == "Error: layer: an expression is nested too deeply; write it as several equations\n"


def test_what_is_nested_too_deeply_to_be_read_or_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = x[n]
    for k in range(100):
        inner = tanh(inner) * x[n] + k
    deep = "odd: an expression is nested too deeply; write it as several equations"
    for right in (x[inner], Padded(x)[floor(inner)], Function("unknown")(inner)):
        with pytest.raises(DeclarationError, match=deep):
            one(right)

    def derived(*_: Any, **__: Any) -> None:
        raise RecursionError

    monkeypatch.setattr("symgrad.compiler.run", derived)
    monkeypatch.setattr("symgrad.closure._pulled_back", derived)
    for call in (lambda layer: show_stage(layer, "lower"), symgrad.vjp, symgrad.jvp):
        with pytest.raises(DerivationError, match=deep):
            call(one(x[n]))
