"""Array programs as text: the printed line computes what the expression says, with no parenthesis too many."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgrad.declare.division import quotient, remainder
from symgrad.declare.integers import Entry, Index, Size, as_poly, extreme
from symgrad.emit.printer import Printer, escape, wrap_comment
from symgrad.errors import EmissionError
from symgrad.lower.arrays import (
    FLIP,
    FULL,
    Arange,
    Array,
    Assign,
    At,
    By,
    Cast,
    Collapse,
    Const,
    Einsum,
    For,
    Fresh,
    Helper,
    Map,
    MatMul,
    Name,
    NewAxis,
    Pad,
    Reshape,
    Run,
    Slice,
    Subscript,
    Transpose,
    Update,
    Whole,
    Windows,
)

from ..declare.polynomials import GRID, Choices, make_polynomial
from ..declare.polynomials import evaluate as values_of

many = settings(max_examples=200, deadline=None, derandomize=True, database=None)
n, m, s = (as_poly(Size(name)) for name in "NMS")
i, u = as_poly(Index("i", n)), as_poly(Index("u", m))


def printed(array: Array) -> str:
    return Printer({}, "dtype").expr(array)


# --- any expression ----------------------------------------------------------------------------------------------

VALUES: dict[str, Any] = {
    "a": np.arange(9.0).reshape(3, 3) / 4 + 0.3,
    "b": np.cos(np.arange(9.0)).reshape(3, 3) + 1.5,
    "N": 3,
    "M": 2,
    "S": 4,
}
ARITHMETIC = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "mod": np.mod}
COMPARISONS = {"lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal}
LOGIC = {"and": np.logical_and, "or": np.logical_or}


def make(choose: Choices, depth: int) -> tuple[Array, Any]:
    """An expression of 3 by 3 numbers and its value."""
    if depth == 0:
        match choose.below(4):
            case 0 | 1:
                name = choose.of("ab")
                return Name(name), VALUES[name]
            case 2:
                value = Fraction(choose.below(7) - 3, choose.of((1, 2, 3)))
                return Const(value), float(value)
        poly = choose.of((n, n - m, -n, n * m, quotient(n + m, as_poly(2)), remainder(s, n), n + 1 - m))
        return Whole(poly), int(values_of(poly, {k: np.array([VALUES[k]]) for k in "NMS"})[0])
    kind = choose.below(8)
    left, x = make(choose, depth - 1)
    match kind:
        case 0 | 1 | 2:
            function = choose.of(tuple(ARITHMETIC))
            right, y = make(choose, depth - 1)
            if function in ("div", "mod"):
                right, y = Map("add", (Map("abs", (right,)), Const(Fraction(1)))), np.abs(y) + 1
            return Map(function, (left, right)), ARITHMETIC[function](x, y)
        case 3:
            return Map("neg", (left,)), -x
        case 4:
            return Map("square", (left,)), np.square(x)
        case 5:
            positive = Map("add", (Map("abs", (left,)), Const(Fraction(1, 2))))
            exponent = choose.of((Fraction(2), Fraction(1, 2), Fraction(-1)))
            return Map("pow", (positive, Const(exponent))), (np.abs(x) + 0.5) ** float(exponent)
        case 6:
            condition, truth = make_condition(choose, depth - 1)
            return Map("where", (condition, left, Const(Fraction(0)))), np.where(truth, x, 0)
    if np.shape(x) == (3, 3):
        return Subscript(Transpose(left, (1, 0)), (FLIP,)), x.T[::-1]
    return Map("exp", (Const(Fraction(1)),)), np.exp(1)


def make_condition(choose: Choices, depth: int) -> tuple[Array, Any]:
    """A condition on the two arrays."""
    if depth <= 0 or choose.below(2):
        left, x = make(choose, max(depth - 1, 0))
        right, y = make(choose, 0)
        function = choose.of(tuple(COMPARISONS))
        return Map(function, (left, right)), COMPARISONS[function](x, y)
    function = choose.of(tuple(LOGIC))
    (p, x), (q, y) = make_condition(choose, depth - 1), make_condition(choose, depth - 1)
    return Map(function, (p, q)), LOGIC[function](x, y)


@many
@given(st.binary(max_size=40))
def test_an_expression_evaluates_as_it_says(data: bytes) -> None:
    array, want = make(Choices(data), 3)
    with np.errstate(all="ignore"):
        got = eval(printed(array), {"np": np, "__builtins__": {"abs": abs}}, VALUES)
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12, err_msg=printed(array))


@many
@given(st.binary(max_size=40))
def test_an_integer_expression_evaluates_as_it_says(data: bytes) -> None:
    poly = make_polynomial(Choices(data))
    printer = Printer({}, "dtype")
    code, operand = compile(printer.poly(poly), "", "eval"), compile(f"7 - {printer.expr(Whole(poly), 5)}", "", "eval")
    for row in range(11, len(GRID["N"]), 407):
        names = {name: int(column[row]) for name, column in GRID.items()}
        want = values_of(poly, {name: column[row : row + 1] for name, column in GRID.items()})[0]
        assert eval(code, {"max": max, "min": min}, names) == want, printer.poly(poly)
        assert eval(operand, {"max": max, "min": min}, names) == 7 - want


# --- by the row --------------------------------------------------------------------------------------------------

a, b, c = Name("a"), Name("b"), Name("c")


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (Map("add", (a, Map("mul", (b, c)))), "a + b * c"),
        (Map("mul", (Map("add", (a, b)), c)), "(a + b) * c"),
        (Map("sub", (a, Map("sub", (b, c)))), "a - (b - c)"),
        (Map("sub", (Map("sub", (a, b)), c)), "a - b - c"),
        (Map("div", (a, Map("mul", (b, c)))), "a / (b * c)"),
        (Map("neg", (Map("add", (a, b)),)), "-(a + b)"),
        (Map("neg", (Map("mul", (a, b)),)), "-(a * b)"),
        (Map("square", (a,)), "a * a"),
        (Map("mul", (b, Map("square", (a,)))), "b * (a * a)"),
        (Map("square", (Map("add", (a, b)),)), "np.square(a + b)"),
        (Map("pow", (Map("neg", (a,)), Const(Fraction(3)))), "(-a) ** 3"),
        (Map("pow", (a, b)), "np.power(a, b)"),
        (Map("and", (Map("lt", (a, b)), Map("le", (b, c)))), "(a < b) & (b <= c)"),
        (Map("and", (Map("or", (a, b)), c)), "(a | b) & c"),
        (Map("maximum", (a, Const(Fraction(0)))), "np.maximum(a, 0)"),
        (Map("math.sqrt", (Const(Fraction(2)),)), "math.sqrt(2)"),
        (Map("sigmoid", (a,)), "_sigmoid(a)"),
        (Const(Fraction(1, 2)), "0.5"),
        (Const(Fraction(1, 3)), "1 / 3"),
        (Const(Fraction(-2)), "-2"),
        (Const(float("-inf")), "-np.inf"),
        (Const(0.1), "0.1"),
        (Map("mul", (Const(Fraction(1, 3)), a)), "1 / 3 * a"),
        (Map("mul", (a, Const(Fraction(1, 3)))), "a * (1 / 3)"),
        (Whole(quotient(n - 1, s) + 1), "(N - 1) // S + 1"),
        (Subscript(a, (Slice(as_poly(1)), At(as_poly(0)))), "a[1:, 0]"),
        (Subscript(a, (Slice(u, u + n),)), "a[u : u + N]"),
        (Subscript(a, (Slice(u, u + s * n, s),)), "a[u : u + N * S : S]"),
        (Subscript(a, (Slice(None, None, s),)), "a[::S]"),
        (Subscript(a, (FULL, NewAxis())), "a[:, None]"),
        (Subscript(a, (FLIP,)), "a[::-1]"),
        (Subscript(a, (By(Map("add", (b, c))),)), "a[b + c]"),
        (Transpose(a, (1, 0)), "a.T"),
        (Transpose(a, (0, 2, 1)), "a.swapaxes(-1, -2)"),
        (Transpose(a, (2, 0, 1)), "a.transpose(2, 0, 1)"),
        (Reshape(Map("add", (a, b)), (n, m)), "(a + b).reshape(N, M)"),
        (Reshape(Reshape(a, (n, m)), (n * m,)), "a.reshape(M * N)"),
        (Windows(a, (n,), (1,)), "_windows(a, (N,), axes=(1,))"),
        (Pad(a, ((n, as_poly(0)),), 0.0), "np.pad(a, ((N, 0),))"),
        (Pad(a, ((n, as_poly(0)), (m, m)), float("-inf")), "np.pad(a, ((N, 0), (M, M)), constant_values=-np.inf)"),
        (Collapse("sum", a, (0,)), "a.sum(axis=0)"),
        (Collapse("product", a, (0, 1)), "a.prod(axis=(0, 1))"),
        (Collapse("cumsum", a, (1,)), "a.cumsum(axis=1)"),
        (MatMul(Map("add", (a, b)), c), "(a + b) @ c"),
        (MatMul(a, MatMul(b, c)), "a @ (b @ c)"),
        (MatMul(MatMul(a, b), c), "a @ b @ c"),
        (Map("mul", (a, MatMul(b, c))), "a * (b @ c)"),
        (Einsum("ij,j->i", (a, b)), 'np.einsum("ij,j->i", a, b)'),
        (Fresh("zeros", (n,)), "np.zeros((N,), dtype=dtype)"),
        (Fresh("full", (n, m), float("inf")), "np.full((N, M), np.inf, dtype=dtype)"),
        (Fresh("zeros", (n,), dtype="int"), "np.zeros((N,), dtype=np.intp)"),
        (Fresh("zeros", (n,), dtype=s), "np.zeros((N,), dtype=np.min_scalar_type(S))"),
        (Arange(n), "np.arange(N)"),
        (Cast(Map("lt", (a, b)), "float"), "(a < b).astype(dtype)"),
        (Cast(a, "int"), "a.astype(np.intp)"),
        (Helper("copy", (Map("add", (a, b)),)), "(a + b).copy()"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_as_a_person_writes_it(array: Array, text: str) -> None:
    assert printed(array) == text


def test_integers_with_arrays_for_indices() -> None:
    index = Index("i", n)
    entry = Entry("ids", (as_poly(index),))
    rows = ((index, Subscript(Arange(n), (FULL, NewAxis()))), (entry, Name("ids")))
    assert printed(Whole(2 * as_poly(index) - as_poly(entry), rows)) == "2 * np.arange(N)[:, None] - ids"
    assert printed(Whole(extreme("max", [as_poly(entry), as_poly(0)]), rows)) == "np.maximum(ids, 0)"
    with pytest.raises(EmissionError, match="has no array"):
        printed(Whole(as_poly(entry)))


def test_statements() -> None:
    loop = Index("u", m)
    lines = Printer({}, "dtype").lines(
        (
            Assign("y", Fresh("zeros", (n,)), "y[i] = 0"),
            For(loop, (Update(Name("y"), "+", Subscript(a, (Slice(u, u + n),))),), "sum over u"),
            Update(Subscript(Name("y"), (At(as_poly(0)),)), "=", Const(Fraction(1))),
            Run(Helper("_add_at", (Name("y"), b, c))),
        )
    )
    assert lines == [
        "# y[i] = 0",
        "y = np.zeros((N,), dtype=dtype)",
        "# sum over u",
        "for u in range(M):",
        "    y += a[u : u + N]",
        "y[0] = 1",
        "_add_at(y, b, c)",
    ]


def test_what_a_function_needs_is_remembered() -> None:
    printer = Printer({}, "dtype")
    printer.expr(Map("softplus", (Windows(a, (n,), (0,)),)))
    assert printer.helpers == {"_softplus", "_windows"}
    assert printer.sizes == {"N"}
    assert not printer.uses_dtype
    printer.expr(Cast(a, "float"))
    assert printer.uses_dtype


def test_a_quotient_gets_the_name_of_its_extent() -> None:
    extent = quotient(n - m, s)
    printer = Printer({extent.atom: as_poly(Size("I")) - 1}, "dtype")  # type: ignore[dict-item]
    assert printer.poly(s * extent + 2) == "I * S + 2 - S"


def test_comments_are_wrapped_between_words() -> None:
    lines = wrap_comment("y[i] = " + " + ".join(f"x{p}[i - 1]" for p in range(20)), 60)
    assert len(lines) > 2
    assert all(line.startswith("# ") and len(line) <= 60 for line in lines)


@pytest.mark.parametrize("text", ['say "no"', "back\\slash", '"""', "\\", 'end with "', "{braces} %s", "tab\t"])
def test_escaped_text_is_itself_in_a_string(text: str) -> None:
    assert eval(f'"{escape(text)}"') == text
    assert eval(f'"""{escape(text)} """') == text + " "
