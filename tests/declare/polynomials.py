"""Random integer expressions, and their values over every small size and every index at once.

``GRID`` is one table of int64 columns: each row gives every size and every index a value; ``rows`` keeps those in which
the indices of interest lie in their ranges.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
from hypothesis import strategies as st

from symgrad.declare.integers import (
    Extreme,
    Index,
    Poly,
    Quotient,
    Remainder,
    Size,
    as_poly,
    atoms,
    extreme,
    indices_of,
    quotient,
    remainder,
)

Columns = dict[str, np.ndarray]

N, M, K, S = Size("N"), Size("M"), Size("K"), Size("S")
P, Q = Size("P", 0), Size("Q", None)  # nonnegative, of any sign
SIZES = (N, M, K, S, P, Q)
VALUES = {"N": (1, 2, 3, 5), "M": (1, 2, 4), "K": (1, 2, 3), "S": (1, 2, 3), "P": (0, 1, 2), "Q": (-2, 0, 1)}

I = Index("i", as_poly(N))
J = Index("j", as_poly(M))
U = Index("u", as_poly(K))
V = Index("v", as_poly(3))
T = Index("t", quotient(as_poly(N) + 2 * as_poly(P) - as_poly(K), as_poly(S)) + 1)
G = Index("g", as_poly(N) * as_poly(M))
INDICES = (I, J, U, V, T, G)
MOST = {"i": 5, "j": 4, "u": 3, "v": 3, "t": 4, "g": 6}
"""How many values of each index the grid has; the last three are cut off, which loses nothing but cases."""


def _grid() -> Columns:
    generator = np.random.default_rng(0)
    names = [*VALUES, *MOST]
    every = itertools.product(*VALUES.values())
    rows = []
    for sizes in every:
        # All indices in one product would be too many: each sizes' row meets a fixed sample of index values.
        for _ in range(24):
            rows.append([*sizes, *(int(generator.integers(most)) for most in MOST.values())])
    table = np.array(rows, dtype=np.int64)
    ends = [[*sizes, *(0 for _ in MOST)] for sizes in itertools.product(*VALUES.values())]
    table = np.concatenate([table, np.array(ends, dtype=np.int64)])
    return dict(zip(names, table.T.copy(), strict=True))


GRID = _grid()


def evaluate(poly: Poly, columns: Columns) -> np.ndarray:
    """The value in every row."""
    total = np.zeros(len(next(iter(columns.values()))), dtype=np.int64)
    for monomial, c in poly.terms:
        term = np.full_like(total, c)
        for atom in monomial:
            match atom:
                case Size(name) | Index(name):
                    term = term * columns[name]
                case Quotient(a, b):
                    term = term * (evaluate(a, columns) // evaluate(b, columns))
                case Remainder(a, b):
                    term = term * (evaluate(a, columns) % evaluate(b, columns))
                case Extreme(kind, args):
                    fold = np.maximum if kind == "max" else np.minimum
                    term = term * fold.reduce([evaluate(a, columns) for a in args])
                case _:
                    raise TypeError(atom)
        total = total + term
    return total


def rows(*polys: Poly, also: Iterable[Index] = ()) -> Columns:
    """The rows in which every index of the polynomials lies in its range."""
    inside = np.ones(len(GRID["N"]), dtype=bool)
    for index in {*also, *(i for p in polys for i in indices_of(p))}:
        inside &= GRID[index.name] < evaluate(index.extent, GRID)
    return {name: column[inside] for name, column in GRID.items()}


def positive_sizes(poly: Poly) -> bool:
    """Whether it is surely at least 1: what may stand below a fraction line."""
    return all(c > 0 and all(isinstance(a, Size) and (a.minimum or 0) >= 1 for a in m) for m, c in poly.terms)


coefficients = st.integers(-3, 3)
divisors = st.sampled_from([*(as_poly(c) for c in (2, 3, 4)), as_poly(S), as_poly(M), 2 * as_poly(S), as_poly(S) + 1])
divisors |= st.sampled_from([as_poly(S) * as_poly(M), as_poly(N), as_poly(M) * as_poly(K), 2 * as_poly(M) - 1 + 1])


@st.composite
def affine(draw: st.DrawFn, indices: tuple[Index, ...] = INDICES, sizes: tuple[Size, ...] = SIZES) -> Poly:
    """Indices and sizes with small coefficients, some of the indices scaled by a size."""
    total = as_poly(draw(st.integers(-4, 4)))
    for index in draw(st.lists(st.sampled_from(indices), max_size=3)):
        scale = draw(st.sampled_from([as_poly(1), as_poly(1), as_poly(S), as_poly(M)]))
        total = total + draw(coefficients) * as_poly(index) * scale
    for size in draw(st.lists(st.sampled_from(sizes), max_size=3)):
        scale = draw(st.sampled_from([as_poly(1), as_poly(1), as_poly(1), as_poly(K)]))
        total = total + draw(coefficients) * as_poly(size) * scale
    return total


@st.composite
def polynomials(draw: st.DrawFn, depth: int = 2) -> Poly:
    """Affine expressions with quotients, remainders and extremes of such inside, nested up to ``depth``."""
    total = draw(affine())
    if depth == 0:
        return total
    for _ in range(draw(st.integers(0, 2))):
        inner, kind = draw(polynomials(depth - 1)), draw(st.sampled_from(["quotient", "remainder", "max", "min"]))
        match kind:
            case "quotient":
                part = quotient(inner, draw(divisors))
            case "remainder":
                part = remainder(inner, draw(divisors))
            case _:
                part = extreme(kind, [inner, draw(affine())])
        total = total + draw(coefficients) * part
    return total


def describe(poly: Poly, columns: Columns, row: int) -> str:
    """A row as text, for messages."""
    names = sorted({a.name for a in atoms(poly) if isinstance(a, Size | Index)})
    return f"{poly} at " + ", ".join(f"{n} = {columns[n][row]}" for n in names)
