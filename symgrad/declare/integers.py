"""Integer expressions: polynomials over indices, sizes and a few integer functions, as frozen data.

Index maps, extents and index conditions are written in this form from the door on. It is canonical: two
polynomials are equal exactly when their terms are, whatever order they were built in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeAlias

from symgrad.declare.frozen import Single, frozen, remember

if TYPE_CHECKING:
    from symgrad.declare.scalars import Scalar


@frozen
class Size(Single):
    """A dimension symbol or an integer attribute; ``minimum`` is the least value it can take (None: unknown)."""

    name: str
    minimum: int | None = 1


@frozen
class Index(Single):
    """An iteration variable over 0 .. extent - 1."""

    name: str
    extent: Poly


@frozen
class Quotient(Single):
    """``floor(numerator / denominator)``; exact when the layer requires the division to leave no remainder."""

    numerator: Poly
    denominator: Poly
    exact: bool = False


@frozen
class Remainder(Single):
    """``numerator mod denominator``, in 0 .. denominator - 1."""

    numerator: Poly
    denominator: Poly


@frozen
class Extreme(Single):
    """The largest (``max``) or smallest (``min``) of several integers."""

    kind: str
    args: tuple[Poly, ...]


@frozen
class Entry(Single):
    """An element of an integer tensor, used as a number or as an index.

    A ``guarded`` one stands behind a condition without which it may lie outside.
    """

    tensor: str
    indices: tuple[Poly, ...]
    guarded: bool = False


@frozen
class RealFloor(Single):
    """``floor`` of a real expression, used as an index."""

    value: Scalar


Atom: TypeAlias = Size | Index | Quotient | Remainder | Extreme | Entry | RealFloor
Monomial: TypeAlias = tuple[Atom, ...]


@frozen
class Poly(Single):
    """A polynomial with integer coefficients: ``terms`` pairs each sorted monomial with its coefficient."""

    terms: tuple[tuple[Monomial, int], ...] = ()

    def __add__(self, other: Poly | int) -> Poly:
        """Sum."""
        return _sum(self, as_poly(other))

    __radd__ = __add__

    def __neg__(self) -> Poly:
        """Negation."""
        return _negated(self)

    def __sub__(self, other: Poly | int) -> Poly:
        """Difference."""
        return _sum(self, _negated(as_poly(other)))

    def __rsub__(self, other: int) -> Poly:
        """Difference with an integer on the left."""
        return as_poly(other) - self

    def __mul__(self, other: Poly | int) -> Poly:
        """Product."""
        return _product(self, as_poly(other))

    __rmul__ = __mul__

    def __str__(self) -> str:
        """Readable text, for messages."""
        return show(self)

    @property
    def constant(self) -> int | None:
        """The value, if the polynomial is a number."""
        match self.terms:
            case ():
                return 0
            case (((), value),):
                return value
        return None

    @property
    def atom(self) -> Atom | None:
        """The atom, if the polynomial is nothing but one atom."""
        match self.terms:
            case (((atom,), 1),):
                return atom
        return None


# --- arithmetic: the same few polynomials meet over and over --------------------------------------------------


@remember
def _sum(left: Poly, right: Poly) -> Poly:
    if not left.terms or not right.terms:
        return left if left.terms else right
    if not right.terms[-1][0] and len(right.terms) == 1:
        return _plus_number(left, right.terms[0][1])
    return collect([*left.terms, *right.terms])


def _plus_number(poly: Poly, number: int) -> Poly:
    """The number stands last."""
    *others, (monomial, last) = poly.terms
    if monomial:
        return Poly((*poly.terms, ((), number)))
    return Poly((*others, ((), last + number)) if last + number else tuple(others))


@remember
def _negated(poly: Poly) -> Poly:
    return Poly(tuple((m, -c) for m, c in poly.terms))


@remember
def _product(left: Poly, right: Poly) -> Poly:
    if right == ONE or not left.terms:
        return left
    if left == ONE:
        return right
    pairs = [(tuple(sorted(m + n, key=atom_key)), c * d) for m, c in left.terms for n, d in right.terms]
    return collect(pairs)


def collect(pairs: Iterable[tuple[Monomial, int]]) -> Poly:
    """The sum of coefficients times sorted monomials, in canonical form."""
    totals: dict[Monomial, int] = {}
    for monomial, coefficient in pairs:
        totals[monomial] = totals.get(monomial, 0) + coefficient
    kept = [(m, c) for m, c in totals.items() if c]
    if len(kept) > 1:
        kept.sort(key=_term_key)
    return Poly(tuple(kept))


_RANK = {Index: 0, Entry: 1, RealFloor: 2, Quotient: 3, Remainder: 4, Extreme: 5, Size: 6}


@remember
def atom_key(atom: Atom) -> tuple[int, str]:
    """A total order on atoms that no hash seed changes."""
    return _RANK[type(atom)], repr(atom) if isinstance(atom, RealFloor) else show_atom(atom)


@remember
def monomial_key(monomial: Monomial) -> tuple[object, ...]:
    """A total order on monomials: indices first, numbers last."""
    return (not monomial, tuple(atom_key(a) for a in monomial))


def _term_key(term: tuple[Monomial, int]) -> tuple[object, ...]:
    return monomial_key(term[0])


def as_poly(value: Poly | Atom | int) -> Poly:
    """An integer or an atom as a polynomial."""
    return value if isinstance(value, Poly) else _as_poly(value)


@remember
def _as_poly(value: Atom | int) -> Poly:
    if isinstance(value, int):
        return Poly((((), value),)) if value else Poly()
    return Poly((((value,), 1),))


ZERO, ONE = Poly(), as_poly(1)


@remember
def atoms(poly: Poly, deep: bool = True) -> tuple[Atom, ...]:
    """The atoms of a polynomial in canonical order, with those inside other atoms if ``deep``."""
    found: dict[Atom, None] = {}

    def visit(p: Poly) -> None:
        for monomial, _ in p.terms:
            for atom in monomial:
                found[atom] = None
                if deep:
                    for part in parts(atom):
                        visit(part)

    visit(poly)
    return tuple(sorted(found, key=atom_key))


def parts(atom: Atom) -> tuple[Poly, ...]:
    """The polynomials inside an atom (an index's extent is not inside it)."""
    match atom:
        case Quotient(a, b) | Remainder(a, b):
            return (a, b)
        case Extreme(_, args) | Entry(_, args, _):
            return args
        case RealFloor(value):
            from symgrad.declare.scalars import polynomials

            return polynomials(value)
    return ()


@remember
def indices_of(poly: Poly) -> frozenset[Index]:
    """Every index that the polynomial depends on."""
    return frozenset(a for a in atoms(poly) if isinstance(a, Index))


def depends_on_data(poly: Poly) -> bool:
    """Whether the value depends on the contents of a tensor."""
    return any(isinstance(a, Entry | RealFloor) for a in atoms(poly))


def extreme(kind: str, args: Iterable[Poly]) -> Poly:
    """The largest or smallest of several integers, numbers folded."""
    distinct = sorted(set(args), key=show)
    numbers = [a.constant for a in distinct if a.constant is not None]
    rest = [a for a in distinct if a.constant is None]
    if numbers:
        rest.append(as_poly(max(numbers) if kind == "max" else min(numbers)))
    return rest[0] if len(rest) == 1 else as_poly(Extreme(kind, tuple(rest)))


@remember
def affine_in(poly: Poly, index: Index) -> tuple[Poly, Poly] | None:
    """``(coefficient, rest)`` with ``poly = coefficient * index + rest``, or None if it is not of that form."""
    coefficient, rest = [], []
    for monomial, c in poly.terms:
        if index in monomial:
            others = list(monomial)
            others.remove(index)
            coefficient.append((tuple(others), c))
        else:
            rest.append((monomial, c))
    a, b = collect(coefficient), Poly(tuple(rest))
    if index in indices_of(a) or index in indices_of(b):
        return None
    return a, b


def set_equal(poly: Poly, index: Index) -> Poly | None:
    """What an index is if the polynomial is 0, where that needs no division."""
    split = affine_in(poly, index)
    if split is None or split[0].constant not in (1, -1):
        return None
    return -split[1] if split[0].constant == 1 else split[1]


# --- text ----------------------------------------------------------------------------------------------------


@remember
def show(poly: Poly) -> str:
    """The polynomial as text: what a person would write, also valid Python when no tensor is read."""
    positive = [t for t in poly.terms if t[1] > 0]
    negative = [t for t in poly.terms if t[1] < 0]
    text = ""
    for monomial, c in positive + negative:
        sign = ("-" if c < 0 else "") if not text else (" - " if c < 0 else " + ")
        piece = _show_term(monomial, abs(c))
        # A leading minus binds tighter than // and %.
        text += sign + (f"({piece})" if sign == "-" and ("//" in piece or " % " in piece) else piece)
    return text or "0"


def _show_term(monomial: Monomial, c: int) -> str:
    factors = [show_atom(a) for a in sorted(monomial, key=lambda a: (not isinstance(a, Size), atom_key(a)))]
    if len(factors) > 1:
        factors = [f"({f})" if "//" in f or " % " in f else f for f in factors]
    if c != 1 or not factors:
        factors.insert(0, str(c))
        factors = [f"({f})" if "//" in f or " % " in f else f for f in factors]
    return " * ".join(factors)


def show_atom(atom: Atom) -> str:
    """One atom as text."""
    match atom:
        case Size(name) | Index(name):
            return name
        case Quotient(a, b):
            return f"{group(a)} // {group(b)}"
        case Remainder(a, b):
            return f"{group(a)} % {group(b)}"
        case Extreme(kind, args):
            return f"{kind}({', '.join(map(show, args))})"
        case Entry(tensor, args, _):
            return f"{tensor}[{', '.join(map(show, args))}]"
        case RealFloor(value):
            from symgrad.declare.scalars import show_scalar

            return f"floor({show_scalar(value)})"
    raise TypeError(atom)


def group(poly: Poly) -> str:
    """Text of a polynomial as an operand: in parentheses unless it is a name or a number."""
    text = show(poly)
    simple = poly.constant is not None and poly.constant >= 0
    simple = simple or (poly.atom is not None and not isinstance(poly.atom, Quotient | Remainder))
    return text if simple else f"({text})"
