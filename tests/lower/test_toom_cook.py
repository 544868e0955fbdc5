"""F(m, r) in exact rationals: the identity in symbols, brute-force correlation, and the transposes."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction

import pytest
from sympy import Expr, Rational, expand, symbols

from symgrad.lower.toom_cook import POINTS, Matrix, Transforms, is_correlation, transforms

PAIRS = [(m, r) for m in range(1, 8) for r in range(1, 8)]


def _times(matrix: Matrix, vector: list[Fraction]) -> list[Fraction]:
    return [sum((e * x for e, x in zip(row, vector, strict=True)), Fraction(0)) for row in matrix]


def _outputs(f: Transforms, data: list[Fraction], kernel: list[Fraction]) -> list[Fraction]:
    factors = zip(_times(f.g, kernel), _times(f.bt, data), strict=True)
    return _times(f.at, [a * b for a, b in factors])


@pytest.mark.parametrize(("m", "r"), PAIRS)
def test_correlation_by_fewer_multiplications(m: int, r: int) -> None:
    f, rng = transforms(m, r), random.Random(m * 10 + r)
    data = [Fraction(rng.randint(-9, 9), rng.randint(1, 9)) for _ in range(m + r - 1)]
    kernel = [Fraction(rng.randint(-9, 9), rng.randint(1, 9)) for _ in range(r)]
    assert _outputs(f, data, kernel) == [sum(data[i + u] * kernel[u] for u in range(r)) for i in range(m)]
    assert (len(f.at), len(f.bt), len(f.g), f.products) == (m, m + r - 1, m + r - 1, m + r - 1)


@pytest.mark.parametrize(("m", "r"), [(1, 1), (2, 3), (4, 3), (3, 4), (4, 5)])
def test_the_identity_in_symbols(m: int, r: int) -> None:
    f = transforms(m, r)
    d, g = symbols(f"d:{m + r - 1}"), symbols(f"g:{r}")

    def dot(row: tuple[Fraction, ...], terms: tuple[Expr, ...]) -> Expr:
        return sum(Rational(e.numerator, e.denominator) * x for e, x in zip(row, terms, strict=True))

    products = tuple(dot(kernel, g) * dot(data, d) for kernel, data in zip(f.g, f.bt, strict=True))
    for i, row in enumerate(f.at):
        assert expand(dot(row, products) - sum(d[i + u] * g[u] for u in range(r))) == 0


@pytest.mark.parametrize(("m", "r"), [(1, 1), (2, 3), (4, 3), (1, 4), (4, 1)])
def test_transposes_are_the_adjoints(m: int, r: int) -> None:
    """``G.T @ ((BT @ d) * (AT.T @ y))`` is the correlation of d with y: m coefficients, r outputs."""
    f, rng = transforms(m, r), random.Random(7)
    data = [Fraction(rng.randint(-9, 9)) for _ in range(m + r - 1)]
    cotangent = [Fraction(rng.randint(-9, 9)) for _ in range(m)]
    spread = zip(_times(f.bt, data), _times(tuple(zip(*f.at, strict=True)), cotangent), strict=True)
    found = _times(tuple(zip(*f.g, strict=True)), [a * b for a, b in spread])
    assert found == [sum(data[i + u] * cotangent[i] for i in range(m)) for u in range(r)]


def test_rows_for_data_are_coprime_integers() -> None:
    for m, r in PAIRS:
        assert all(e.denominator == 1 for row in transforms(m, r).bt for e in row)


def test_the_proof_notices_a_wrong_entry() -> None:
    f = transforms(2, 3)
    assert is_correlation(f)
    for name in ("at", "bt", "g"):
        matrix: Matrix = getattr(f, name)
        wrong = ((matrix[0][0] + 1, *matrix[0][1:]), *matrix[1:])
        assert not is_correlation(replace(f, **{name: wrong}))


@pytest.mark.parametrize(("m", "r"), [(0, 3), (3, 0), (len(POINTS), 4)])
def test_extents_that_have_no_points(m: int, r: int) -> None:
    with pytest.raises(ValueError, match=r"m and r must be at least 1"):
        transforms(m, r)
