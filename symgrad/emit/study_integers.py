"""Integer expressions and the conditions on them as LaTeX."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cache

from symgrad.declare.integers import (
    Atom,
    Entry,
    Extreme,
    Index,
    Poly,
    Quotient,
    RealFloor,
    Remainder,
    Size,
    as_poly,
    atom_key,
    indices_of,
)
from symgrad.declare.scalars import PLAIN, Compare, Condition, Extension, Scalar
from symgrad.declare.substitution import substitute
from symgrad.emit.study_names import Notation
from symgrad.emit.study_tex import ATOM, NARROW, PRODUCT, SUM, number

RELATIONS = {"<": "<", "<=": r"\le", "==": "=", "!=": r"\ne", ">=": r"\ge"}


@dataclass(frozen=True)
class IntegerTypesetter(ABC):
    """Prints integer expressions in one notation."""

    notation: Notation
    # What was printed before, for the steps of a derivation have most of their parts in common.
    _printed: dict[tuple[Poly, bool], str] = field(default_factory=dict, init=False, repr=False, compare=False)
    _set: dict[Scalar, tuple[str, int]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @abstractmethod
    def scalar(self, node: Scalar, level: int = 0) -> str:
        """Return a real expression."""

    def index(self, index: Index) -> str:
        """Return an index's letter."""
        return self.notation.index(index.name)

    def extent(self, extent: Poly) -> str:
        """Return an extent by its letter, or as it is."""
        return self.notation.extent(extent) or self.poly(extent)

    def last(self, index: Index) -> str:
        """Return the last value of an index."""
        letter = self.notation.extent(index.extent)
        return f"{letter}-1" if letter else self.poly(index.extent - 1, small=True)

    def read(self, tensor: str, indices: tuple[Poly, ...], extension: Extension | None = None) -> str:
        """Return an element of a tensor; what the tensor is outside its shape stands above its name."""
        if not indices:
            return self.notation.scalar(tensor)
        name = self.notation.tensor(tensor)
        if extension not in PLAIN and extension is not None:
            name += f"^{{{mark(extension)}}}"
        inside = [self.poly(i, small=True) for i in indices]
        letters = all(len(re.sub(r"\\[a-z]+|[{}'_]", "", i)) <= 1 for i in inside)
        return f"{name}_{{{(',' if letters else NARROW).join(inside)}}}"

    def poly(self, poly: Poly, small: bool = False) -> str:
        """Return an integer expression; ``small`` in a subscript, where floors take one line."""
        key = (poly, small)
        if key not in self._printed:
            self._printed[key] = self._poly(poly, small)
        return self._printed[key]

    def _poly(self, poly: Poly, small: bool) -> str:
        letter = self.notation.extent(poly)
        if letter:
            return letter
        poly = self._by_letters(poly)
        positive = [t for t in poly.terms if t[1] > 0]
        negative = [t for t in poly.terms if t[1] < 0]
        text, space = "", "" if small else " "
        for monomial, c in positive + negative:
            sign = ("-" if c < 0 else "") if not text else f"{space}{'-' if c < 0 else '+'}{space}"
            text += sign + self._monomial(monomial, abs(c), small)
        return text or "0"

    def _by_letters(self, poly: Poly) -> Poly:
        """Put letters in place of quotients that are an extent but for a number."""
        return substitute(poly, _letters_of(self.notation.extents))

    def _monomial(self, monomial: tuple[Atom, ...], c: int, small: bool) -> str:
        ordered = sorted(monomial, key=lambda a: (not isinstance(a, Size), atom_key(a)))
        factors = [self._atom(a, small) for a in ordered]
        if len(factors) > 1 or c != 1:
            factors = [f"({f})" if isinstance(a, Remainder) else f for f, a in zip(factors, ordered, strict=True)]
        if c != 1 or not factors:
            factors.insert(0, str(c))
        return r"\,".join(factors)

    def _atom(self, atom: Atom, small: bool) -> str:
        match atom:
            case Size(name):
                letters = {letter for _, letter in self.notation.extents}
                return name if name in letters else self.notation.scalar(name)
            case Index():
                return self.index(atom)
            case Quotient(a, b, exact):
                if small or exact:
                    ratio = f"{self._operand(a, small)}/{self._operand(b, small)}"
                    return ratio if exact else rf"\lfloor {ratio} \rfloor"
                return rf"\left\lfloor \frac{{{self.poly(a)}}}{{{self.poly(b)}}} \right\rfloor"
            case Remainder(a, b):
                return rf"{self._operand(a, small)} \bmod {self._operand(b, small)}"
            case Extreme(kind, args):
                return rf"\{kind}({NARROW.join(self.poly(a, small) for a in args)})"
            case Entry(tensor, args):
                return self.read(tensor, args)
            case RealFloor(value):
                return rf"\lfloor {self.scalar(value)} \rfloor"
        raise TypeError(atom)

    def _operand(self, poly: Poly, small: bool) -> str:
        text = self.poly(poly, small)
        exact = isinstance(poly.atom, Quotient) and poly.atom.exact
        single = poly.atom is not None and not exact and not isinstance(poly.atom, Remainder)
        return text if single or poly.constant is not None or self.notation.extent(poly) else f"({text})"

    def compared(self, condition: Compare) -> str:
        """Return a condition on integers, nothing negative on either side."""
        left = Poly(tuple(t for t in condition.poly.terms if t[1] > 0))
        right = -Poly(tuple(t for t in condition.poly.terms if t[1] < 0))
        return f"{self.poly(left)} {RELATIONS[condition.relation]} {self.poly(right)}"

    def range(self, one: Compare, other: Compare) -> str:
        """Return ``p >= 0`` and ``top - p >= 0`` as one range of whichever reads better."""
        top = one.poly + other.poly
        inner = min(one.poly, other.poly, key=lambda p: (_negative_part(p), len(p.terms)))
        end = f"< {self.extent(top + 1)}" if top.constant is None else rf"\le {top.constant}"
        return rf"0 \le {self.poly(inner)} {end}"


@cache
def _letters_of(extents: tuple[tuple[Poly, str], ...]) -> dict[Atom, Poly]:
    table: dict[Atom, Poly] = {}
    for extent, letter in extents:
        varying = [(m, c) for m, c in extent.terms if m]
        if len(varying) == 1 and varying[0][1] == 1 and len(varying[0][0]) == 1:
            atom = varying[0][0][0]
            if isinstance(atom, Quotient):
                table[atom] = as_poly(Size(letter)) - (extent - as_poly(atom))
    return table


def mark(extension: Extension) -> str:
    """Return what stands above a tensor that is read beyond its shape."""
    if extension.mode != "constant":
        return rf"\mathrm{{{extension.mode}}}"
    return r"\circ" if not extension.value else number(extension.value)[0]


def poly_level(poly: Poly) -> int:
    """Return how tightly an integer expression binds."""
    if len(poly.terms) > 1 or any(c < 0 for _, c in poly.terms):
        return SUM
    return ATOM if poly.atom is not None and not isinstance(poly.atom, Remainder) else PRODUCT


def ends_of_one_range(one: Condition, other: Condition) -> bool:
    """Return whether ``p >= 0`` and ``q >= 0`` bound one expression from both sides: their sum has no index."""
    if not (isinstance(one, Compare) and isinstance(other, Compare) and one.relation == other.relation == ">="):
        return False
    both = one.poly + other.poly
    shorter = len(both.terms) < len(one.poly.terms) + len(other.poly.terms)
    return shorter and bool(indices_of(one.poly)) and not indices_of(both)


def _negative_part(poly: Poly) -> int:
    """Return how many terms with an index are negative."""
    return sum(c < 0 for m, c in poly.terms if indices_of(Poly(((m, 1),))))
