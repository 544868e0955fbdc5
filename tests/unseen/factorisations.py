"""Factors of matrices as textbooks write them: elements in an order that conditions alone give."""

from __future__ import annotations

import numpy as np
from sympy import Eq, Idx, Piecewise, Sum, sqrt, symbols

from symgrad import Layer

from .registry import Arrays, Case, case, normals, tensors

B, N = symbols("B N", integer=True, positive=True)
A, D, F, U = tensors("A D F U")
b, i, j = Idx("b", B), Idx("i", N), Idx("j", N)
s, t = symbols("s t", integer=True)


def heavy_diagonals(*shape: int) -> Arrays:
    """Matrices that are factors without pivoting: symmetric and positive definite."""
    a = normals(A=shape)["A"]
    return {"A": a @ a.swapaxes(-1, -2) + shape[-1] * np.eye(shape[-1])}


def factored(a: np.ndarray) -> np.ndarray:
    """Both factors of Gauss in one matrix."""
    lower, upper = np.eye(len(a)), np.zeros(a.shape)
    for n in range(len(a)):
        upper[n, n:] = a[n, n:] - lower[n, :n] @ upper[:n, n:]
        lower[n + 1 :, n] = (a[n + 1 :, n] - lower[n + 1 :, :n] @ upper[:n, n]) / upper[n, n]
    return lower - np.eye(len(a)) + upper


@case
def factor_of_cholesky() -> Case:
    diagonal = sqrt(A[i, i] - Sum(F[i, t] ** 2, (t, 0, j - 1)))
    below = (A[i, j] - Sum(F[i, t] * F[j, t], (t, 0, j - 1))) / F[j, j]
    body = Piecewise((diagonal, Eq(i, j)), (below, i > j), (0, True))
    layer = Layer("factor_of_cholesky", inputs=[A[N, N]], equations=[Eq(F[i, j], body)])

    def reference(A):
        return np.linalg.cholesky(np.tril(A) + np.tril(A, -1).T)  # which reads the lower triangle alone

    return Case(
        layer, heavy_diagonals(5, 5), reference, also=((heavy_diagonals(1, 1), {}), (heavy_diagonals(8, 8), {}))
    )


@case
def factor_of_cholesky_for_each_example() -> Case:
    diagonal = sqrt(A[b, i, i] - Sum(F[b, i, t] ** 2, (t, 0, j - 1)))
    below = (A[b, i, j] - Sum(F[b, i, t] * F[b, j, t], (t, 0, j - 1))) / F[b, j, j]
    body = Piecewise((diagonal, Eq(i, j)), (below, j < i), (0, True))
    layer = Layer("factor_of_cholesky_for_each_example", inputs=[A[B, N, N]], equations=[Eq(F[b, i, j], body)])

    def reference(A):
        return np.linalg.cholesky(np.tril(A) + np.tril(A, -1).swapaxes(-1, -2))

    return Case(layer, heavy_diagonals(3, 4, 4), reference, also=((heavy_diagonals(1, 1, 1), {}),))


@case
def both_factors_in_one_matrix() -> Case:
    """What the sums read stands in front of them by row or by column, whichever arm they are in."""
    above = A[i, j] - Sum(F[i, t] * F[t, j], (t, 0, i - 1))
    below = (A[i, j] - Sum(F[i, s] * F[s, j], (s, 0, j - 1))) / F[j, j]
    body = Piecewise((above, i <= j), (below, True))
    layer = Layer("both_factors_in_one_matrix", inputs=[A[N, N]], equations=[Eq(F[i, j], body)])
    return Case(layer, heavy_diagonals(5, 5), factored, also=((heavy_diagonals(2, 2), {}), (heavy_diagonals(1, 1), {})))


@case
def factors_with_a_diagonal_between_them() -> Case:
    weighted = Sum(F[i, t] * F[j, t] * D[t], (t, 0, j - 1))
    body = Piecewise((1, Eq(i, j)), ((A[i, j] - weighted) / D[j], i > j), (0, True))
    layer = Layer(
        "factors_with_a_diagonal_between_them",
        inputs=[A[N, N]],
        equations=[Eq(F[i, j], body), Eq(D[i], A[i, i] - Sum(F[i, t] ** 2 * D[t], (t, 0, i - 1)))],
        outputs=[F, D],
    )

    def reference(A):
        root = np.linalg.cholesky(np.tril(A) + np.tril(A, -1).T)
        return root / np.diag(root), np.diag(root) ** 2

    return Case(layer, heavy_diagonals(4, 4), reference, also=((heavy_diagonals(1, 1), {}),))


@case
def inverse_of_a_triangle() -> Case:
    below = -Sum(A[i, t] * U[t, j], (t, j, i - 1)) / A[i, i]
    body = Piecewise((1 / A[i, i], Eq(i, j)), (below, i > j), (0, True))
    layer = Layer("inverse_of_a_triangle", inputs=[A[N, N]], equations=[Eq(U[i, j], body)])

    def reference(A):
        return np.linalg.inv(np.tril(A))

    return Case(layer, heavy_diagonals(5, 5), reference, also=((heavy_diagonals(1, 1), {}),))
