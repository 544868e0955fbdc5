"""Triangular sums as running sums, whichever way they run and wherever they end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Sum, symbols

from symgrad import Layer

from ..agreement import agrees, normals

N = symbols("N", integer=True, positive=True)
x, y, w = (IndexedBase(name) for name in "xyw")
n, p = Idx("n", N), symbols("p", integer=True)

# Limits of p, extent of x, whether position p counts for n.
LIMITS: dict[str, tuple[tuple[Any, Any], Any, Any]] = {
    "up to n": ((0, n), N, lambda n, p, N: p <= n),
    "below n": ((0, n - 1), N, lambda n, p, N: p < n),
    "three below n": ((0, n - 3), N, lambda n, p, N: p <= n - 3),
    "one beyond n": ((0, n + 1), N + 1, lambda n, p, N: p <= n + 1),
    "from n": ((n, N - 1), N, lambda n, p, N: p >= n),
    "behind n": ((n + 1, N - 1), N, lambda n, p, N: p > n),
    "behind n, further": ((n + 2, N + 1), N + 2, lambda n, p, N: p >= n + 2),
    "before n, too": ((n, N + 2), N + 3, lambda n, p, N: p >= n),
    "to spare": ((0, n), N + 4, lambda n, p, N: p <= n),
}


@pytest.mark.parametrize("case", LIMITS, ids=LIMITS)
@pytest.mark.parametrize("weighted", [False, True])
def test_triangles_are_running_sums(case: str, weighted: bool) -> None:
    (first, last), extent, counts = LIMITS[case]
    term = x[p] * w[p] if weighted else x[p]
    tensors = [x[extent], w[extent]] if weighted else [x[extent]]
    layer = Layer("running", tensors, [Eq(y[n], Sum(term, (p, first, last)) ** 2)])
    for size in (0, 1, 2, 5):
        length = int(extent.subs(N, size))
        mask = counts(np.arange(size)[:, None], np.arange(length), size)

        def reference(x: np.ndarray, w: np.ndarray | float = 1.0, mask: np.ndarray = mask) -> np.ndarray:
            return np.asarray((mask @ (x * w)) ** 2)

        shapes = {"x": (length,), "w": (length,)} if weighted else {"x": (length,)}
        source = agrees(layer, normals(**shapes), reference)
    assert "cumsum" in source
    assert "arange" not in source
