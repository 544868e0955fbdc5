"""Running totals that leave out the element itself, or run from the far end; three operands joined, parted, added."""

from collections.abc import Callable
from typing import Any

from sympy import Idx, Piecewise, Product, Sum, Symbol, symbols

from symgrad import Layer
from symgrad.layers.equation import Eq
from symgrad.layers.symbols import M, N, m, n, tensors, x, y

other = Symbol("j", integer=True)
P, Q, R = symbols("P Q R", integer=True, positive=True)
scales = symbols("first_scale second_scale third_scale", real=True)
first, second, third = tensors("first second third")

CALLED = {"sum": "CumSum", "product": "CumProd"}
LIMITS = {
    "exclusive": ((other, 0, m - 1), "before it"),
    "reversed": ((other, m, M - 1), "from it to the end"),
    "exclusive_reversed": ((other, m + 1, M - 1), "behind it"),
}


def total(operation: str, reduce: Callable[..., Any], which: str) -> Layer:
    """Declare the sum or product of those elements of a row that lie on one side of each."""
    limits, where = LIMITS[which]
    nothing = {"sum": "0", "product": "1"}[operation]
    return Layer(
        f"cumulative_{operation}_{which}",
        inputs=[x[N, M]],
        equations=[Eq(y[n, m], reduce(x[n, other], limits))],
        typical={N: 256, M: 1024 if operation == "sum" else 32},
        doc=f"""
    For every element of a row the {operation} of those {where}{"; right where some are 0" * (operation == "product")}.

    x (N, M); y (N, M).{f" Of no elements it is {nothing}." if "exclusive" in which else ""}
    Source: the operator {CALLED[operation]} of ONNX, {which.replace("_", " and ")}.
    """,
    )


cumulative_sum_exclusive, cumulative_sum_reversed, cumulative_sum_exclusive_reversed = (
    total("sum", Sum, which) for which in LIMITS
)
cumulative_product_exclusive, cumulative_product_reversed, cumulative_product_exclusive_reversed = (
    total("product", Product, which) for which in LIMITS
)

joined = Idx("q", P + Q + R)

concat3 = Layer(
    "concat3",
    inputs=[first[N, P], second[N, Q], third[N, R]],
    equations=[
        Eq(
            y[n, joined],
            Piecewise(
                (first[n, joined], joined < P),
                (second[n, joined - P], joined < P + Q),
                (third[n, joined - P - Q], True),
            ),
        )
    ],
    typical={N: 256, P: 512, Q: 512, R: 512},
    doc="""
    Three arrays, one behind the other; more of them in several steps.

    first (N, P), second (N, Q), third (N, R); y (N, P + Q + R). Further axes: flatten those before into N, those behind
    into P, Q and R.
    Source: Intel DAAL, concat layer.
    """,
)

P, Q = symbols("P Q", integer=True, nonnegative=True)
i, j, k = Idx("i", P), Idx("i", Q), Idx("i", M - P - Q)

split3 = Layer(
    "split3",
    inputs=[x[N, M]],
    equations=[Eq(first[n, i], x[n, i]), Eq(second[n, j], x[n, P + j]), Eq(third[n, k], x[n, P + Q + k])],
    outputs=[first, second, third],
    attributes={P: 1, Q: 1},
    requires=[P + Q <= M],
    typical={N: 256, M: 1536, P: 512, Q: 512},
    doc="""
    One array in three parts; undoes `concat3`.

    x (N, M); first (N, P), second (N, Q), third (N, M - P - Q). P, Q: extents of the first two parts.
    Source: torch.split.
    """,
)

weighted_sum3 = Layer(
    "weighted_sum3",
    inputs=[first[N, M], second[N, M], third[N, M]],
    equations=[
        Eq(y[n, m], sum(scale * part[n, m] for scale, part in zip(scales, (first, second, third), strict=True)))
    ],
    attributes=dict.fromkeys(scales, 1.0),
    typical={N: 256, M: 1024},
    doc="""
    Sum of three arrays with a coefficient each.

    first (N, M), second (N, M), third (N, M); y (N, M). first_scale, second_scale, third_scale: the coefficients.
    Source: Intel DAAL, element-wise sum layer.
    """,
)
