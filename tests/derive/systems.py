"""Random systems of equalities between summed indices and targets, and what they enumerate to."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass

import numpy as np

from symgrad.declare.conditions import all_of, compare
from symgrad.declare.integers import Index, Poly, Size, as_poly
from symgrad.declare.scalars import All, AnyOf, Compare, Condition, Read, Scalar, Truth

from ..declare.polynomials import Choices, Columns, evaluate

N, S, D = Size("N"), Size("S"), Size("D")
SIZES = ({"N": 3, "S": 2, "D": 1}, {"N": 2, "S": 1, "D": 3}, {"N": 4, "S": 3, "D": 2})
EXTENTS = (as_poly(N), as_poly(3), as_poly(2), as_poly(N))
TARGETS = (Index("p", as_poly(N) + 2), Index("q", as_poly(4)))


@dataclass(frozen=True)
class System:
    """Summed indices, the condition on them and on the targets, and a read that tells every point apart."""

    bound: tuple[Index, ...]
    condition: Condition
    body: Read

    def extents(self, tensor: str) -> tuple[Poly, ...]:
        """Every axis of the tensor belongs to one index."""
        assert tensor == self.body.tensor
        return tuple(i.extent for i in self.bound)


def make_system(choose: Choices, symbolic: bool = True) -> System:
    """One to three equalities over up to four summed indices, perhaps a triangle; coefficients -3..3 or sizes."""
    bound = tuple(Index(f"v{p}", choose.of(EXTENTS)) for p in range(choose.of((2, 1, 3, 2, 3, 4))))
    parts: list[Condition] = []
    rows = choose.of((1, 2, 1, 1, 2, 3))
    for row in range(rows):
        left = as_poly(choose.below(7) - 3)
        for index in bound:
            left = left + _coefficient(choose, symbolic and rows < 3) * as_poly(index)
        match choose.below(5):
            case 0 if row:  # a relation between summed indices alone
                parts.append(compare("==", left))
            case 1:  # a target with a coefficient of its own
                parts.append(compare("==", left - choose.of((2, 3, -1)) * as_poly(choose.of(TARGETS))))
            case _:
                parts.append(compare("==", left - as_poly(choose.of(TARGETS))))
    if len(bound) > 1 and choose.below(3) == 0:
        low, high = choose.of(bound), choose.of(bound)
        parts.append(compare(">=", as_poly(high) - as_poly(low) - choose.below(2)))
    return System(bound, all_of(*parts), Read("A", tuple(map(as_poly, bound))))


def _coefficient(choose: Choices, symbolic: bool) -> Poly:
    options = [as_poly(c) for c in (1, 0, -1, 2, 1, -2, 3, -3, 0, 1)]
    if symbolic:
        options += [as_poly(S), as_poly(D), -as_poly(S)]
    return choose.of(options)


def grid(indices: tuple[Index, ...], sizes: dict[str, int]) -> Columns:
    """Every combination of index values as columns, the sizes beside them."""
    one = {name: np.array([value]) for name, value in sizes.items()}
    ranges = [range(int(evaluate(i.extent, one)[0])) for i in indices]
    points = np.array(list(itertools.product(*ranges)), dtype=np.int64).reshape(-1, len(indices))
    columns = {i.name: points[:, p] for p, i in enumerate(indices)}
    return columns | {name: np.full(len(points), value) for name, value in sizes.items()}


def truth(condition: Condition, columns: Columns) -> np.ndarray:
    """Where a condition on integers holds."""
    match condition:
        case Truth(value):
            return np.full(len(columns["N"]), value)
        case Compare(relation, poly):
            values = evaluate(poly, columns)
            return {">=": values >= 0, "==": values == 0, "!=": values != 0}[relation]
        case All(args):
            return np.logical_and.reduce([truth(a, columns) for a in args])
        case AnyOf(args):
            return np.logical_or.reduce([truth(a, columns) for a in args])
    raise TypeError(condition)


def pairs(
    bound: tuple[Index, ...], condition: Condition, body: Scalar, extents: tuple[Poly, ...], sizes: dict[str, int]
) -> Counter[tuple[int, ...]]:
    """(targets, element read) with multiplicity; a zero-extended read outside the tensor contributes nothing."""
    assert isinstance(body, Read), body
    columns = grid((*TARGETS, *bound), sizes)
    if not len(columns["N"]):
        return Counter()
    chosen = truth(condition, columns)
    places = [evaluate(i, columns) for i in body.indices]
    inside = np.logical_and.reduce(
        [(p >= 0) & (p < evaluate(e, columns)) for p, e in zip(places, extents, strict=True)]
    )
    if body.extension is None:
        assert inside[chosen].all(), "a plain read outside the tensor"
    table = np.stack([*(columns[t.name] for t in TARGETS), *places])[:, chosen & inside]
    return Counter(map(tuple, table.T.tolist()))
