"""What SymPy does to an expression before or while symgrad reads it: each trap still gets its right meaning."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy
from sympy import (
    Abs,
    And,
    Eq,
    Idx,
    IndexedBase,
    KroneckerDelta,
    Max,
    Min,
    Mod,
    Ne,
    Not,
    Or,
    Piecewise,
    Product,
    Sum,
    Symbol,
    ceiling,
    exp,
    floor,
    log,
    sign,
    sqrt,
    symbols,
)

import symgrad
from symgrad import ArgMax, ArgMin, Layer, LogSumExp, Padded, ReduceMax, ReduceMin, StopGradient
from symgrad.declare.integers import Quotient
from symgrad.declare.scalars import Apply, Number, Read, Reduce, Select, walk
from symgrad.errors import DeclarationError

from ..agreement import agrees, as_declared, normals

N, M, K = symbols("N M K", integer=True, positive=True)
stride = Symbol("stride", integer=True, positive=True)
x, y, w, ids = (IndexedBase(name) for name in ("x", "y", "w", "ids"))
i, j, k, u = Idx("i", N), Idx("j", M), Idx("k", N), Idx("u", K)
X = np.array([0.7, -1.3, 2.1, -0.4, 1.9, -2.2])


def layer(right: Any, left: Any = y[i], inputs: tuple[Any, ...] = (x[N],), **options: Any) -> Layer:
    return Layer("trap", inputs=list(inputs), equations=[Eq(left, right, evaluate=False)], **options)


# --- index arithmetic ------------------------------------------------------------------------------------------


def test_remainder_of_a_negated_index() -> None:
    agrees(layer(x[Mod(-i - 2, N)]), {"x": X}, lambda x: np.array([x[(-p - 2) % 6] for p in range(6)]))


def test_remainder_by_a_sum() -> None:
    """SymPy itself recurses without end on Mod(-i - 2, stride + 1) if it is to evaluate it."""
    agrees(
        layer(x[Mod(-i - 2, stride + 1, evaluate=False)], attributes={stride: 2}),
        {"x": X},
        lambda x: np.array([x[(-p - 2) % 4] for p in range(6)]),
        stride=3,
    )


def test_floor_that_sympy_takes_apart() -> None:
    """floor((t + 2v + 2)/3) becomes floor(t/3 + 2v/3 + 2/3)."""
    t, v = Idx("t", 4), Idx("v", 2)
    declared = layer(Sum(x[floor((t + 2 * v + 2) / 3)], v), y[t])
    (read,) = [node for node in walk(declared.program.equations[0].body) if isinstance(node, Read)]
    assert isinstance(read.indices[0].atom, Quotient), "numerator and denominator stay integers"
    agrees(declared, {"x": X}, lambda x: np.array([sum(x[(t + 2 * v + 2) // 3] for v in range(2)) for t in range(4)]))


def test_floor_of_a_negative_fraction() -> None:
    read = Padded(x)[floor((i - 3) / 2)]
    expected = [(p - 3) // 2 for p in range(6)]
    agrees(layer(read), {"x": X}, lambda x: np.array([x[e] if e >= 0 else 0.0 for e in expected]))


def test_ceiling_in_an_extent_and_in_an_index() -> None:
    q = Idx("q", ceiling(N / 2))
    agrees(layer(x[2 * q], y[q]), {"x": X[:5]}, lambda x: x[::2])
    agrees(layer(x[ceiling(i / 2)]), {"x": X}, lambda x: np.array([x[-(-p // 2)] for p in range(6)]))


def test_extremes_and_absolute_values_in_an_index() -> None:
    agrees(
        layer(x[Max(i - 1, 0)] * x[Min(i + 1, N - 1)]),
        {"x": X},
        lambda x: np.array([x[max(p - 1, 0)] * x[min(p + 1, 5)] for p in range(6)]),
    )
    agrees(
        layer(x[Abs(Abs(i - 3) - 1)]),
        {"x": X},
        lambda x: np.array([x[abs(abs(p - 3) - 1)] for p in range(6)]),
    )


def test_an_extent_that_is_a_fraction_has_to_be_whole() -> None:
    """Idx("q", N/2) is accepted by SymPy for any N."""
    q = Idx("q", (N - K) / 2 + 1)
    declared = layer(Sum(x[2 * q + u] * w[u], u), y[q], (x[N], w[K]))
    agrees(
        declared,
        {"x": X, "w": X[:2]},
        lambda x, w: np.array([sum(x[2 * q + u] * w[u] for u in range(2)) for q in range(3)]),
    )
    with pytest.raises(ValueError, match=r"trap: N - K must be a multiple of 2"):
        symgrad.compile_layer(declared).forward(X, X[:3])


def test_an_index_that_is_a_fraction_has_to_be_whole() -> None:
    with pytest.raises(DeclarationError, match=r"i/2 is no integer for every i; write floor\(i/2\)"):
        layer(x[i / 2])
    doubled = layer(x[i * (N + 1) * N / (N * (N + 1))])
    agrees(doubled, {"x": X}, lambda x: x)


def test_a_multiple_of_a_quotient_of_sizes_is_whole_where_the_quotient_is() -> None:
    g, c = Idx("g", 2), Idx("c", N / 2)
    grouped = layer(Sum(x[N * g / 2 + c], c), y[g])
    agrees(grouped, {"x": X}, lambda x: x.reshape(2, 3).sum(axis=1))
    with pytest.raises(ValueError, match=r"trap: N.* must be a multiple of 2 \(N = 5\)"):
        symgrad.compile_layer(grouped).forward(X[:5])
    with pytest.raises(DeclarationError, match=r"is no integer for every g; write floor"):
        layer(x[(N * g + 1) / 2], y[g])


def test_a_float_is_no_index() -> None:
    with pytest.raises(DeclarationError, match=r"0\.5"):
        layer(x[0.5 * i])


def test_an_index_as_a_number() -> None:
    """SymPy's derivative of i*x[i] by x[i] holds Derivative(i, x[i])."""
    agrees(layer(i * x[i] + N), {"x": X}, lambda x: np.arange(6) * x + 6)
    agrees(layer(x[i] ** i), {"x": X}, lambda x: x ** np.arange(6))
    agrees(layer(sympy.cos(2 * sympy.pi * i / N) * x[i]), {"x": X}, lambda x: np.cos(np.pi * np.arange(6) / 3) * x)


# --- ranges, limits and capture ----------------------------------------------------------------------------------


def test_a_sum_over_an_empty_range_is_zero() -> None:
    """SymPy says that Sum(x[j], (j, 3, 1)) is -x[2]."""
    p = Symbol("p", integer=True)
    agrees(layer(Sum(x[p], (p, 3, 1)) + x[i]), {"x": X}, lambda x: x)


def test_limits_that_depend_on_an_outer_index() -> None:
    agrees(layer(Sum(x[k], (k, i + 2, N - 1))), {"x": X}, lambda x: np.array([x[p + 2 :].sum() for p in range(6)]))
    agrees(layer(Product(x[k], (k, i + 1, N - 1))), {"x": X}, lambda x: np.array([x[p + 1 :].prod() for p in range(6)]))


def test_limits_as_sympy_nests_them() -> None:
    """In Sum(f, (a, 0, b), (b, 0, n)) the second limit is the outer one."""
    a, b = symbols("a b", integer=True)
    declared = layer(Sum(x[a] * w[b], (a, 0, b), (b, 0, N - 1)), Symbol("total"), (x[N], w[N]))
    agrees(
        declared,
        {"x": X, "w": X[::-1].copy()},
        lambda x, w: np.array(sum(x[a] * w[b] for b in range(6) for a in range(b + 1))),
    )


def test_a_limit_that_starts_elsewhere_than_at_zero() -> None:
    a = Idx("a", (1, N - 2))
    agrees(layer(Sum(x[a - 1] * x[a + 1], a), Symbol("t")), {"x": X}, lambda x: np.array((x[:-2] * x[2:]).sum()))


def test_equal_names_in_different_sums_are_different_indices() -> None:
    A = normals(x=(4, 4))["x"]
    inner = Sum(x[k, i], k)
    agrees(
        layer(inner * Sum(x[i, k] ** 2, k), inputs=(x[N, N],)),
        {"x": A},
        lambda x: x.sum(0) * (x**2).sum(1),
    )


# SymPy's Sum moves a Piecewise out of an inner sum, which binds the index of its conditions.
def test_a_choice_inside_an_inner_sum() -> None:
    A = normals(x=(4,), w=(4, 4))
    other = Idx("other", N)
    inner = Sum(Piecewise((x[other], other <= k), (0, True)), other)
    agrees(
        layer(Sum(w[i, k] * inner, k), inputs=(x[N], w[N, N])),
        A,
        lambda x, w: w @ np.cumsum(x),
    )


def test_a_choice_of_three_inside_an_inner_sum() -> None:
    other = Idx("other", N)
    inner = Sum(Piecewise((x[other], other < k), (2 * x[k], Eq(other, k)), (x[other] ** 2, True)), other)
    agrees(
        layer(Sum(w[i, k] * (inner + 1) ** 2 + x[k], k), inputs=(x[N], w[N, N])),
        normals(x=(4,), w=(4, 4)),
        lambda x, w: (
            w @ (np.array([x[:k].sum() + 2 * x[k] + (x[k + 1 :] ** 2).sum() for k in range(4)]) + 1) ** 2 + x.sum()
        ),
    )


def test_a_choice_two_sums_deep() -> None:
    other, third = Idx("other", N), Idx("third", N)
    inner = Sum(Piecewise((x[other], other <= third), (0, True)), other)
    agrees(
        layer(Sum(w[i, k] * Sum(w[k, third] * inner, third), k), inputs=(x[N], w[N, N])),
        normals(x=(4,), w=(4, 4)),
        lambda x, w: w @ w @ np.cumsum(x),
    )


def test_a_choice_that_cannot_be_told_from_others_is_refused() -> None:
    """exp(Sum(0)) is 1 by the time that symgrad sees it."""
    other = Idx("other", N)
    inner = Sum(Piecewise((x[other], other <= k), (0, True)), other)
    with pytest.raises(DeclarationError, match=r"moved a Piecewise out of the sum over other.*an equation of its own"):
        layer(Sum(w[i, k] * exp(inner), k), inputs=(x[N], w[N, N]))


def test_an_index_that_would_be_captured_is_refused() -> None:
    with pytest.raises(DeclarationError, match="index i is bound twice"):
        layer(Sum(x[i, k] * Sum(x[k, i], i), k), inputs=(x[N, N],))


def test_an_intermediate_read_under_a_sum_is_not_captured() -> None:
    """z[i] sums over k; y reads z[k] under a sum over k."""
    z = IndexedBase("z")
    declared = Layer(
        "trap",
        inputs=[x[N, N]],
        equations=[Eq(z[i], Sum(exp(x[i, k]), k)), Eq(y[i], Sum(x[i, k] / z[k], k))],
    )
    A = normals(x=(3, 3))["x"]
    agrees(declared, {"x": A}, lambda x: x @ (1 / np.exp(x).sum(1)))


def test_a_condition_on_an_index_that_sympy_decides() -> None:
    """Idx("i", N) >= 0 is True at once, which it is."""
    agrees(layer(Piecewise((x[i], i >= 0), (0, True))), {"x": X}, lambda x: x)
    agrees(layer(Piecewise((x[i], i > 2), (0, True))), {"x": X}, lambda x: x * (np.arange(6) > 2))


# --- conditions --------------------------------------------------------------------------------------------------


def test_a_relation_of_a_piecewise() -> None:
    """SymPy makes an ITE of it."""
    declared = layer(
        Piecewise((x[i], Piecewise((x[i] - 1, i > 2), (w[i], True)) > 0), (-2 * x[i], True)), inputs=(x[N], w[N])
    )
    W = X[::-1].copy()
    agrees(
        declared,
        {"x": X, "w": W},
        lambda x, w: np.array([x[p] if (x[p] - 1 if p > 2 else w[p]) > 0 else -2 * x[p] for p in range(6)]),
    )


def test_connectives() -> None:
    right = Piecewise((x[i], And(i > 0, i < 3)), (2 * x[i], Or(i < 1, Eq(i, 5))), (x[i] ** 2, Not(x[i] < 0)), (0, True))

    def reference(x: np.ndarray) -> np.ndarray:
        out = np.zeros(6)
        for p in range(6):
            if 0 < p < 3:
                out[p] = x[p]
            elif p < 1 or p == 5:
                out[p] = 2 * x[p]
            elif not x[p] < 0:
                out[p] = x[p] ** 2
        return out

    agrees(layer(right), {"x": X}, reference)


def test_unequal_and_delta() -> None:
    agrees(layer(Sum(Piecewise((x[k], Ne(k, i)), (0, True)), k)), {"x": X}, lambda x: x.sum() - x)
    agrees(layer(Sum(x[k] * KroneckerDelta(k, N - 1 - i), k)), {"x": X}, lambda x: x[::-1])


@pytest.mark.parametrize("right", [x[i] > 0, y[i] + 1], ids=str)
def test_an_equation_that_sympy_decides_is_refused(right: Any) -> None:
    with pytest.raises(DeclarationError, match="equation 0 is False"):
        Layer("trap", inputs=[x[N]], equations=[Eq(y[i], right)])


def test_a_piecewise_without_a_last_word_is_refused() -> None:
    with pytest.raises(DeclarationError, match=r"end it with \(value, True\)"):
        layer(Piecewise((x[i], x[i] > 0)))


# --- functions with kinks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "slope"),
    [
        (Max(x[i], 0), [0, 0, 1]),
        (Max(0, x[i]), [0, 0, 1]),
        (Min(x[i], 0), [1, 0, 0]),
        (Abs(x[i]), [-1, 0, 1]),
        (sign(x[i]), [0, 0, 0]),
        (floor(x[i]), [0, 0, 0]),
        (ceiling(x[i]), [0, 0, 0]),
        (Mod(x[i], 2), [1, 1, 1]),
        (Piecewise((x[i], x[i] > 0), (3 * x[i], True)), [3, 3, 1]),
        (Max(exp(x[i]) - 1, 0), [0, 0, np.exp(2.5)]),
        (sqrt(x[i] ** 2 + 1), [-1.5 / np.sqrt(3.25), 0, 2.5 / np.sqrt(7.25)]),
    ],
    ids=str,
)
def test_slopes_at_kinks(right: Any, slope: list[float]) -> None:
    compiled = symgrad.compile_layer(layer(right))
    _, residuals = compiled.forward(np.array([-1.5, 0.0, 2.5]))
    np.testing.assert_allclose(compiled.backward(residuals, np.ones(3)).x, slope, rtol=1e-12)


def test_a_tensor_declared_real_is_not_simplified_wrongly() -> None:
    """With real labels SymPy makes exp(x) of Max(exp(x), 0), and Abs(x) of sqrt(x**2): both are right."""
    r = IndexedBase("x", real=True)
    declared = layer(Max(exp(r[i]), 0) + sqrt(r[i] ** 2), inputs=(r[N],))
    agrees(declared, {"x": X}, lambda x: np.exp(x) + np.abs(x))


def test_the_derivative_by_a_read_inside_an_index() -> None:
    """SymPy's derivative of x[ids[n]] by ids[n] is nan; integers have no gradient."""
    declared = layer(x[ids[j]] * ids[j], y[j], (x[N], ids[M]))
    chosen = np.array([1, 4, 1])
    agrees(declared, {"x": X, "ids": chosen}, lambda x, ids: x[ids] * ids)
    assert [t.integer for t in declared.inputs] == [False, True]


def test_a_real_under_a_floor_in_an_index_keeps_its_gradient() -> None:
    declared = layer(x[floor(w[j])] * w[j], y[j], (x[N], w[M]))
    agrees(declared, {"x": X, "w": np.array([0.4, 3.2, 2.7])}, lambda x, w: x[np.floor(w).astype(int)] * w)


# --- what SymPy rearranges ---------------------------------------------------------------------------------------


def test_exp_of_a_sum_with_a_logarithm() -> None:
    """SymPy makes exp(x)/s of exp(x - log(s)): still no overflow."""
    declared = layer(exp(x[i] - log(Sum(exp(x[k]), k))))
    compiled = symgrad.compile_layer(declared)
    got, _ = compiled.forward(np.array([1000.0, 0.0, 999.0]))
    np.testing.assert_allclose(got, [1 / (1 + np.exp(-1)), 0, 1 / (1 + np.exp(1))], rtol=1e-12)


def test_distributed_and_merged_factors() -> None:
    declared = layer(2 * (x[i] + w[i]) * exp(x[i]) ** 2, inputs=(x[N], w[N]))
    agrees(declared, {"x": X, "w": X[::-1].copy()}, lambda x, w: 2 * (x + w) * np.exp(2 * x))


def test_numbers_stay_exact_where_they_are() -> None:
    body = layer(x[i] / 3 + sympy.Float("0.5") + sympy.Float("0.044715") * x[i] ** 2).program.equations[0].body
    numbers = {node.value for node in walk(body) if isinstance(node, Number)}
    coefficients = {getattr(node, "coefficient", None) for node in walk(body)}
    assert Fraction(1, 2) in numbers
    assert Fraction(1, 3) in coefficients
    assert 0.044715 in coefficients


# --- reductions and reads of our own -------------------------------------------------------------------------------


def test_reductions_over_several_limits() -> None:
    A = normals(x=(3, 4))["x"]
    inputs = (x[N, M],)
    agrees(layer(ReduceMax(x[i, j], i, j), Symbol("t"), inputs), {"x": A}, lambda x: np.array(x.max()))
    agrees(layer(ReduceMin(x[i, j], j), inputs=inputs), {"x": A}, lambda x: x.min(1))
    agrees(layer(LogSumExp(x[i, j], j), inputs=inputs), {"x": A}, lambda x: np.log(np.exp(x).sum(1)))


@pytest.mark.parametrize(("reduction", "find"), [(ArgMax, np.argmax), (ArgMin, np.argmin)])
def test_positions_are_row_major_and_first(reduction: Any, find: Any) -> None:
    A = np.array([[2.0, 5.0, 5.0], [5.0, -1.0, -1.0]])
    compiled = symgrad.compile_layer(layer(reduction(x[i, j], i, j), Symbol("t"), (x[N, M],)))
    assert int(compiled.forward(A)[0]) == find(A)
    swapped = symgrad.compile_layer(layer(reduction(x[i, j], j, i), Symbol("t"), (x[N, M],)))
    assert int(swapped.forward(A)[0]) == find(A.T)


@pytest.mark.parametrize(
    ("mode", "numpy_mode"), [("constant", "constant"), ("reflect", "reflect"), ("replicate", "edge"), ("wrap", "wrap")]
)
def test_extended_reads(mode: str, numpy_mode: str) -> None:
    extended = Padded(x, mode=mode)
    t = Idx("t", N + 4)
    agrees(layer(extended[t - 2] ** 2, y[t]), {"x": X}, lambda x: np.pad(x, 2, mode=numpy_mode) ** 2)


def test_a_constant_other_than_zero_outside() -> None:
    t = Idx("t", N + 2)
    agrees(layer(Padded(x, 1.5)[t - 1] * 2, y[t]), {"x": X}, lambda x: np.pad(x, 1, constant_values=1.5) * 2)
    agrees(
        layer(ReduceMax(Padded(x, -sympy.oo)[i + k - 1], (k, 0, 2))),
        {"x": -np.abs(X)},
        lambda x: np.pad(x, 1, constant_values=-np.inf)[np.arange(6)[:, None] + np.arange(3)].max(1),
    )


def test_a_stopped_value_is_a_value_without_a_slope() -> None:
    declared = layer(x[i] * StopGradient(x[i] ** 2))
    agrees(declared, {"x": X}, lambda x: x**3, gradients={"x": X**2})


def test_functions_and_constants_by_name() -> None:
    body = layer(sympy.erf(x[i]) + sympy.atan2(x[i], 2) * sympy.E).program.equations[0].body
    assert {node.function for node in walk(body) if isinstance(node, Apply)} == {"erf", "arctan2"}


def test_what_has_no_meaning_is_named() -> None:
    for right, named in ((sympy.Heaviside(x[i]), "Heaviside"), (sympy.I * x[i], "I"), (sympy.sec(x[i]), "sec")):
        with pytest.raises(DeclarationError, match=named):
            layer(right)


def test_data_of_a_softmax_is_one_reduction_over_one_index() -> None:
    body = layer(exp(x[i]) / Sum(exp(x[k]), k)).program.equations[0].body
    (reduce,) = [node for node in walk(body) if isinstance(node, Reduce)]
    assert (reduce.kind, len(reduce.indices), reduce.indices[0].name) == ("sum", 1, "k")
    assert not any(isinstance(node, Select) for node in walk(body))


def test_what_a_floor_leaves_over_is_a_remainder():
    """So that both digits of an index are found: groups of channels, shuffles."""
    i = Idx("i", N * M)
    rest = i - M * floor(i / M)
    equation = Layer("digits", [x[N, M]], [Eq(y[i], x[floor(i / M), rest])]).program.equations[0]
    again = Layer("digits", [x[N, M]], [Eq(y[i], x[floor(i / M), Mod(i, M)])]).program.equations[0]
    assert equation == again
    doubled = Layer("digits", [x[N, M]], [Eq(y[i], x[floor(i / M), M - 1 - rest])]).program.equations[0]
    assert doubled == Layer("digits", [x[N, M]], [Eq(y[i], x[floor(i / M), M - 1 - Mod(i, M)])]).program.equations[0]


def test_the_range_of_an_index_may_be_written_in_two_ways() -> None:
    """SymPy takes a sign out of the floor where the index stands in an absolute value."""
    place = Idx("place", floor((7 - N) / 2) + 1)
    for at in (Max(0, Min(2 * k + place, 2)), Min(Abs(place - k), 2)):
        declared = Layer("clamped", inputs=[x[N], w[3, N]], equations=[Eq(y[k, place], w[at, k] + x[k])])
        assert as_declared(declared, normals(x=(4,), w=(3, 4)))


def test_a_position_over_limits_of_different_lengths_has_no_number() -> None:
    """Row-major over j and u, the second as long as it is for each j: which number that is, nobody could say."""
    with pytest.raises(DeclarationError, match="row-major number, which needs ranges of one length"):
        Layer("ragged", [x[N, M]], [Eq(y[i], ArgMax(x[i, j] * x[i, u], (u, j, M - 1), (j, 0, M - 1)))])
