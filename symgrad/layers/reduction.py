"""Reductions over one axis: sums, means, products, extrema, norms, and logarithms of sums.

The axes before the one that is reduced are one, N, and those behind it another, L.
"""

from sympy import Expr, Idx, Piecewise, Product, Sum, exp, log, sqrt

from symgrad import Layer, ReduceMax, ReduceMin
from symgrad.layers.equation import Abs, Eq
from symgrad.layers.symbols import L, M, N, m, n, x, y

l = Idx("l", L)  # noqa: E741
READ = x[n, m, l]


def reduced(name: str, body: Expr, summary: str, further: str = "") -> Layer:
    """Declare a reduction of x over its middle axis."""
    return Layer(
        name,
        inputs=[x[N, M, L]],
        equations=[Eq(y[n, l], body)],
        typical={N: 256, M: 256, L: 16},
        doc=f"""
    {summary}

    x (N, M, L); y (N, L). {further}
    Source: the operators Reduce of ONNX, over one axis.
    """,
    )


sum_axis = reduced("sum_axis", Sum(READ, m), "Sum over an axis.")
mean_axis = reduced("mean_axis", Sum(READ, m) / M, "Mean over an axis.")
product_axis = reduced(
    "product_axis", Product(READ, m), "Product over an axis.", "A factor of 0 leaves the gradient of the others right."
)
max_axis = reduced("max_axis", ReduceMax(READ, m), "Largest value over an axis.", "The first of equal ones wins.")
min_axis = reduced("min_axis", ReduceMin(READ, m), "Smallest value over an axis.", "The first of equal ones wins.")
l1_axis = reduced("l1_axis", Sum(Abs(READ), m), "Sum of absolute values over an axis.", "The slope at 0 is 0.")
SQUARES = Sum(READ**2, m)
l2_axis = reduced(
    "l2_axis",
    Piecewise((sqrt(SQUARES), SQUARES > 0), (0, True)),
    "Euclidean norm over an axis.",
    "The gradient of a norm of 0 is 0.",
)
sum_square_axis = reduced("sum_square_axis", Sum(READ**2, m), "Sum of squares over an axis.")
log_sum_axis = reduced("log_sum_axis", log(Sum(READ, m)), "Logarithm of a sum over an axis, which must be positive.")
log_sum_exp_axis = reduced(
    "log_sum_exp_axis", log(Sum(exp(READ), m)), "Logarithm of a sum of exponentials over an axis."
)
