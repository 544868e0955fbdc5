"""Short correlations with fewer multiplications, derived in exact rationals: Toom and Cook; in networks, Winograd.

A correlation ``y[i] = sum_u d[i + u] * g[u]`` of m + r - 1 data with r coefficients takes m r multiplications for its m
outputs. It is the transpose of a product of polynomials, and that is known from its values at m + r - 1 points, one
multiplication each. So there are matrices with

    y = AT @ ((G @ g) * (BT @ d))

Let V_k hold the powers 0 .. k - 1 of every point, infinity being a point whose last power alone counts. Then
``AT = V_m.T``, ``G = V_r`` and ``BT`` is the transposed inverse of V_{m + r - 1}: its rows are the coefficients of the
polynomials that vanish at all points but one. A row of BT may be multiplied by a number that divides the same row of G:
rows of BT are coprime integers here. In several dimensions the matrices are Kronecker products, ``kron(BT, BT)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import gcd, lcm

Row = tuple[Fraction, ...]
Matrix = tuple[Row, ...]

POINTS = tuple(map(Fraction, ("0", "1", "-1", "1/2", "-2", "2", "-1/2", "4", "-4", "1/4", "-1/4", "3", "-3")))
"""Finite points in the order in which they are taken: small ones with small reciprocals keep rounding errors small."""


@dataclass(frozen=True, slots=True)
class Transforms:
    """The matrices of F(m, r): m outputs of a correlation with r coefficients by m + r - 1 multiplications.

    Attributes:
        m: number of outputs.
        r: number of coefficients.
        at: from products to outputs, m rows.
        bt: from data to factors, square.
        g: from coefficients to factors, r columns.
    """

    m: int
    r: int
    at: Matrix
    bt: Matrix
    g: Matrix

    @property
    def products(self) -> int:
        """Multiplications of data with coefficients."""
        return self.m + self.r - 1

    def __str__(self) -> str:
        """As the literature writes it."""
        return f"F({self.m}, {self.r})"


@cache
def transforms(m: int, r: int) -> Transforms:
    """The matrices of F(m, r), proved.

    Raises:
        ValueError: m or r is not positive, or their products need more points than there are.
    """
    if m < 1 or r < 1 or m + r - 2 > len(POINTS):
        raise ValueError(f"F({m}, {r}): m and r must be at least 1, and m + r at most {len(POINTS) + 2}")
    points = POINTS[: m + r - 2]
    at, bt, g = [], [], []
    for point in points:
        row, scale = _coprime(_vanishing(tuple(p for p in points if p != point)))
        row = (*row, Fraction(0))
        value = sum((c * point**k for k, c in enumerate(row)), Fraction(0))
        at.append(tuple(point**k for k in range(m)))
        bt.append(row)
        g.append(tuple(point**k / value for k in range(r)))
    row, scale = _coprime(_vanishing(points))
    at.append(_last(m))
    bt.append(row)
    g.append(tuple(e / scale for e in _last(r)))
    found = Transforms(m, r, tuple(zip(*at, strict=True)), tuple(bt), tuple(g))
    if not is_correlation(found):
        raise AssertionError(f"{found} is not a correlation")
    return found


def is_correlation(f: Transforms) -> bool:
    """Whether ``AT @ ((G @ g) * (BT @ d))`` is the correlation of d with g for all d and g.

    Both sides are linear in d and in g, so they are the same polynomials if each product ``d[p] * g[q]`` has the same
    coefficient on both: 1 in output p - q, 0 elsewhere.
    """
    return all(
        sum(f.at[i][k] * f.bt[k][p] * f.g[k][q] for k in range(f.products)) == int(p == i + q)
        for i in range(f.m)
        for p in range(f.products)
        for q in range(f.r)
    )


def _vanishing(points: tuple[Fraction, ...]) -> Row:
    """Coefficients of the monic polynomial with these roots, lowest power first."""
    row: Row = (Fraction(1),)
    for point in points:
        row = tuple(up - point * same for up, same in zip((Fraction(0), *row), (*row, Fraction(0)), strict=True))
    return row


def _coprime(row: Row) -> tuple[Row, Fraction]:
    """The row times a positive number that makes it coprime integers, and that number."""
    whole = lcm(*(e.denominator for e in row))
    scale = Fraction(whole, gcd(*(int(e * whole) for e in row)))
    return tuple(e * scale for e in row), scale


def _last(count: int) -> Row:
    return (*[Fraction(0)] * (count - 1), Fraction(1))
