"""Integer expressions as Python text: sizes, shapes, bounds of slices and loops."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

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
    atoms,
)
from symgrad.declare.substitution import substitute
from symgrad.errors import EmissionError
from symgrad.lower.arrays import Array

# Precedence of Python's operators, loosest first.
COMPARE, OR, AND, SUM, PRODUCT, UNARY, POWER, CALL = 1, 2, 3, 4, 5, 6, 7, 8


class IntegerPrinter(ABC):
    """Prints integer expressions.

    ``locals_`` replaces quotients by the names of the extents they define, ``extents`` what adds up to a long extent
    by its name.

    Attributes:
        sizes: the sizes printed so far.
    """

    def __init__(self, locals_: Mapping[Atom, Poly], extents: Mapping[str, Poly] | None = None) -> None:
        self.locals = dict(locals_)
        self.extents = dict(extents or {})
        self.sizes: set[str] = set()

    @abstractmethod
    def expr(self, array: Array, level: int = 0) -> str:
        """An array that stands for an index or an integer tensor in an integer expression."""

    def shape(self, shape: tuple[Poly, ...], bare: bool = False) -> str:
        """A tuple of extents; ``bare`` leaves the parentheses out."""
        inner = ", ".join(self.poly(p) for p in shape)
        if bare:
            return inner or "()"
        return f"({inner}{',' if len(shape) == 1 else ''})"

    def poly(self, poly: Poly, level: int = 0, arrays: Mapping[Atom, Array] | None = None) -> str:
        """An integer expression; in parentheses if it binds less tightly than ``level``."""
        line, mine = self.ranked_poly(poly, arrays)
        return f"({line})" if mine < level else line

    def ranked_poly(self, poly: Poly, arrays: Mapping[Atom, Array] | None = None) -> tuple[str, int]:
        """An integer expression and the precedence of its outermost operator."""
        if self.locals:
            poly = substitute(poly, self.locals)
            arrays = {self._named(a): array for a, array in (arrays or {}).items()}
        for name, extent in self.extents.items():
            poly = shortened(poly, name, extent)
        positive = [t for t in poly.terms if t[1] > 0]
        negative = [t for t in poly.terms if t[1] < 0]
        pieces: list[str] = []
        mine = CALL
        for monomial, c in positive + negative:
            piece, rank = self._monomial(monomial, abs(c), arrays or {})
            sign = ("-" if c < 0 else "") if not pieces else (" - " if c < 0 else " + ")
            # A leading minus binds tighter than // and %.
            pieces.append(sign + (f"({piece})" if sign == "-" and rank == PRODUCT else piece))
            mine = min(mine, SUM if len(poly.terms) > 1 else UNARY if c < 0 else rank)
        return "".join(pieces) or "0", mine

    def names_extent(self, poly: Poly) -> bool:
        """Whether the name of a compound extent stands in the text."""
        long = any(shortened(poly, name, extent) != poly for name, extent in self.extents.items())
        return long or any(atom in self.locals for atom in atoms(poly))

    def _named(self, atom: Atom) -> Atom:
        """What stands for an array, with the names of the extents inside."""
        return substitute(as_poly(atom), self.locals).atom or atom

    def _monomial(self, monomial: tuple[Atom, ...], c: int, arrays: Mapping[Atom, Array]) -> tuple[str, int]:
        ordered = sorted(monomial, key=lambda a: (not isinstance(a, Size), atom_key(a)))
        factors = [self._atom(a, arrays) for a in ordered]
        if c != 1 or not factors:
            factors.insert(0, (str(c), CALL))
        if len(factors) == 1:
            return factors[0]
        return " * ".join(t if r > PRODUCT else f"({t})" for t, r in factors), PRODUCT

    def _atom(self, atom: Atom, arrays: Mapping[Atom, Array]) -> tuple[str, int]:
        if atom in arrays:
            return self.expr(arrays[atom], CALL), CALL
        match atom:
            case Size(name):
                self.sizes.add(name)
                return name, CALL
            case Index(name):
                return name, CALL
            case Quotient(a, b):
                return f"{self.poly(a, PRODUCT, arrays)} // {self.poly(b, UNARY, arrays)}", PRODUCT
            case Remainder(a, b):
                return f"{self.poly(a, PRODUCT, arrays)} % {self.poly(b, UNARY, arrays)}", PRODUCT
            case Extreme(kind, args):
                name = f"np.{kind}imum" if any(_has_array(a, arrays) for a in args) else kind
                line = self.poly(args[0], 0, arrays)
                if name == kind:
                    return f"{kind}({', '.join(self.poly(a, 0, arrays) for a in args)})", CALL
                for a in args[1:]:
                    line = f"{name}({line}, {self.poly(a, 0, arrays)})"
                return line, CALL
            case Entry() | RealFloor():
                raise EmissionError(f"{atom} has no array")
        raise TypeError(atom)


def shortened(poly: Poly, name: str, extent: Poly) -> Poly:
    """The polynomial with multiples of ``extent`` in it by its name, if that makes it shorter by two terms or more."""
    lead, scale = extent.terms[0]
    for monomial, c in poly.terms:
        others = list(monomial)
        if c % scale or any(lead.count(a) > others.count(a) for a in lead):
            continue
        for a in lead:
            others.remove(a)
        times = Poly(((tuple(others), c // scale),))
        found = poly - times * extent + times * as_poly(Size(name))
        if len(found.terms) + 1 < len(poly.terms):
            return shortened(found, name, extent)
    return poly


def _has_array(poly: Poly, arrays: Mapping[Atom, Array]) -> bool:
    return any(a in arrays for a in atoms(poly))
