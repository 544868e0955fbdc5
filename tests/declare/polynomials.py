"""Random integer expressions, and their values over every small size and every index at once.

``GRID`` is one table of int64 columns: each row gives every size and every index a value; ``rows`` keeps those in which
the indices of interest lie in their ranges.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np
from hypothesis import strategies as st

from symgrad.declare.division import quotient, remainder
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
)

Columns = dict[str, np.ndarray]
T_ = TypeVar("T_")

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
    """Every third combination of sizes, each with the index values 0 and a sample of others."""
    generator = np.random.default_rng(0)
    every = np.array(list(itertools.product(*VALUES.values())), dtype=np.int64)[::3]
    rows = [np.hstack([every, np.zeros((len(every), len(MOST)), dtype=np.int64)])]
    for _ in range(7):
        rows.append(np.hstack([every, generator.integers(0, list(MOST.values()), (len(every), len(MOST)))]))
    return dict(zip([*VALUES, *MOST], np.concatenate(rows).T.copy(), strict=True))


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


class Choices:
    """Choices read off a string of bytes; a string that has run out gives the first choice for ever.

    One draw of Hypothesis makes a whole expression this way, and a shorter string makes a simpler one.
    """

    def __init__(self, data: bytes) -> None:
        self.data = iter(data)

    def below(self, count: int) -> int:
        return next(self.data, 0) % count

    def of(self, options: Sequence[T_]) -> T_:
        return options[self.below(len(options))]

    def coefficient(self) -> int:
        return self.of((1, -1, 2, -2, 3, -3))


one, m, n, k, s = (as_poly(a) for a in (1, M, N, K, S))
DIVISORS = (as_poly(2), as_poly(3), as_poly(4), s, m, 2 * s, s + 1, s * m, n, m * k, 2 * m, s + n + 2)
divisors = st.sampled_from(DIVISORS)


def make_affine(choose: Choices, indices: Sequence[Index] = INDICES, sizes: Sequence[Size] = SIZES) -> Poly:
    """Indices and sizes with small coefficients, some of them scaled by a size."""
    total = as_poly(choose.below(9) - 4)
    for atoms_, scales in ((indices, (one, one, s, m)), (sizes, (one, one, one, k))):
        for _ in range(choose.below(4) if atoms_ else 0):
            total = total + choose.coefficient() * as_poly(choose.of(atoms_)) * choose.of(scales)
    return total


def make_polynomial(choose: Choices, depth: int = 2) -> Poly:
    """Affine expressions with quotients, remainders and extremes of such inside, nested up to ``depth``."""
    total = make_affine(choose)
    for _ in range(choose.below(3) if depth else 0):
        inner, kind = make_polynomial(choose, depth - 1), choose.of(("quotient", "remainder", "max", "min"))
        match kind:
            case "quotient":
                part = quotient(inner, choose.of(DIVISORS))
            case "remainder":
                part = remainder(inner, choose.of(DIVISORS))
            case _:
                part = extreme(kind, [inner, make_affine(choose)])
        total = total + choose.coefficient() * part
    return total


def affine(indices: Sequence[Index] = INDICES, sizes: Sequence[Size] = SIZES) -> st.SearchStrategy[Poly]:
    """Random affine expressions."""
    return st.binary(max_size=20).map(lambda data: make_affine(Choices(data), indices, sizes))


def polynomials(depth: int = 2) -> st.SearchStrategy[Poly]:
    """Random integer expressions."""
    return st.binary(max_size=48).map(lambda data: make_polynomial(Choices(data), depth))


def describe(poly: Poly, columns: Columns, row: int) -> str:
    """A row as text, for messages."""
    names = sorted({a.name for a in atoms(poly) if isinstance(a, Size | Index)})
    return f"{poly} at " + ", ".join(f"{n} = {columns[n][row]}" for n in names)
