"""Scatter forms solved for their summed indices, with every elimination and every condition kept to be shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from symgrad.declare.bounds import nonnegative, positive, tighten
from symgrad.declare.conditions import conjuncts
from symgrad.declare.division import quotient
from symgrad.declare.integers import (
    Atom,
    Entry,
    Index,
    Poly,
    Quotient,
    Remainder,
    Size,
    affine_in,
    as_poly,
    atoms,
    indices_of,
)
from symgrad.declare.program import Equation
from symgrad.declare.rewriting import map_children, map_polynomials
from symgrad.declare.scalars import (
    PLAIN,
    All,
    Apply,
    Compare,
    Node,
    Power,
    Read,
    Scalar,
    free_indices,
    polynomials,
    reads_of,
    walk,
)
from symgrad.declare.substitution import rebuild, substitute
from symgrad.derive.invert import Solved, absorb, solve
from symgrad.derive.terms import Term, all_indices, rename, terms_of, total
from symgrad.lower.prepare import split_digits

Extents = Callable[[str], tuple[Poly, ...]]


@dataclass(frozen=True, slots=True)
class Elimination:
    """``equality`` solved for ``index`` by dividing by ``pivot`` (positive)."""

    equality: Compare | None
    index: Index
    pivot: Poly
    value: Poly

    @property
    def unit(self) -> bool:
        """Whether every right side has a solution."""
        return self.pivot == as_poly(1)

    @property
    def always_in_range(self) -> bool:
        """Whether the solution is in the index's range whatever the other indices are."""
        return _always(self.value, self.index.extent)


@dataclass(frozen=True, slots=True)
class SolvedForm:
    """An equation whose sums run over fewer indices, and how they went.

    Attributes:
        equation: the solved equation, equal to the one it came from.
        eliminations: in order.
        extended: factors that are read as zero outside their range, in place of a range condition.
        digits: the equation with an index written by its digits, if that was done first.
    """

    equation: Equation
    eliminations: tuple[Elimination, ...]
    extended: tuple[Read, ...]
    digits: Equation | None = None

    @property
    def remaining(self) -> bool:
        """Whether an equality is left that no summed index could be solved for."""
        return any(equalities(t) for t in terms_of(self.equation.body))

    @property
    def effort(self) -> tuple[int, int]:
        """How many conditions are left, and how many divisions it took: less is easier to read."""
        conditions = [c for t in terms_of(self.equation.body) for c in conjuncts(t.condition)]
        whole = [c for c in conditions if not (isinstance(c, Compare) and isinstance(c.poly.atom, Remainder))]
        return len(whole), sum(not e.unit for e in self.eliminations)


def equalities(term: Term) -> list[Compare]:
    """Return the equalities of a term's condition, divisibility left out."""
    parts = [c for c in conjuncts(term.condition) if isinstance(c, Compare) and c.relation == "=="]
    return [c for c in parts if not isinstance(c.poly.atom, Remainder)]


def can_be_solved(equation: Equation) -> bool:
    """Return whether an equation has a term with an equality and summed indices."""
    return any(t.bound and equalities(t) for t in terms_of(equation.body))


def solve_equation(
    equation: Equation, cotangents: frozenset[str], extents: Extents, others: bool = False
) -> SolvedForm | None:
    """Return the solved form, None if nothing could be solved.

    Args:
        equation: sums under equalities.
        cotangents: tensors whose indices are to go first, so that those of kernels and windows remain.
        extents: the extents of a tensor, by name.
        others: eliminate the other indices first.
    """
    solved = _solved(equation, cotangents, extents, others)
    if (solved is None or solved.remaining) and _has_digits(equation):
        written, split_left = split_digits(equation)
        written = _numbered_digits(equation, written)
        by_digits = None if split_left else _solved(written, cotangents, extents, others)
        if by_digits is not None and not by_digits.remaining:
            return replace(by_digits, digits=written)
    return solved


def _solved(equation: Equation, cotangents: frozenset[str], extents: Extents, others: bool) -> SolvedForm | None:
    done: list[Term] = []
    eliminations: list[Elimination] = []
    extended: list[Read] = []
    for term in terms_of(equation.body):
        if not (term.bound and equalities(term)):
            done.append(term)
            continue
        first = _first(term, cotangents)
        prefer = tuple(i for i in term.bound if (i in first) != others)
        solved = solve(term.bound, term.condition, term.body, prefer)
        eliminations += _eliminations(term, solved)
        absorbed = absorb(solved, extents)
        body = _plainly(absorbed.body)
        beyond = [r for r in reads_of(body) if r not in reads_of(_plainly(solved.body))]
        if beyond and _stays_inside(term, solved, len(beyond)):
            extended += beyond
            done.append(Term(term.scale, solved.bound, absorbed.condition, body))
        else:
            done.append(Term(term.scale, solved.bound, solved.condition, solved.body))
    if not eliminations:
        return None
    return SolvedForm(equation.with_body(total(done)), tuple(eliminations), tuple(extended))


def _has_digits(equation: Equation) -> bool:
    bound = {i for t in terms_of(equation.body) for i in t.bound}
    for term in terms_of(equation.body):
        for equality in equalities(term):
            for atom in atoms(equality.poly):
                if isinstance(atom, Quotient | Remainder) and indices_of(atom.numerator) & bound:
                    return True
    return False


def _numbered_digits(equation: Equation, written: Equation) -> Equation:
    """Call the digits of ``i`` ``i_digit1``, ``i_digit2``, ..., the first one being worth most."""
    names = {i.name for i in all_indices(equation.body)}
    table: dict[Index, Poly] = {}
    counts: dict[str, int] = {}
    for index in (i for t in terms_of(written.body) for i in t.bound if i.name not in names):
        base = index.name.partition("_high")[0].partition("_low")[0]
        counts[base] = counts.get(base, 0) + 1
        table[index] = as_poly(Index(f"{base}_digit{counts[base]}", index.extent))
    return replace(written, body=rename(written.body, table))


def _first(term: Term, cotangents: frozenset[str]) -> tuple[Index, ...]:
    """Return the summed indices that index a cotangent."""
    polys = [p for r in reads_of(term.body) if r.tensor in cotangents for p in r.indices]
    return tuple(i for i in term.bound if any(i in indices_of(p) for p in polys))


def _plainly(node: Node) -> Scalar:
    """Return a scalar without marks for reads that a condition keeps inside: what is shown has the condition."""
    if isinstance(node, Read) and node.extension in PLAIN:
        return Read(node.tensor, tuple(rebuild(i, _plain_entry) for i in node.indices))
    return map_children(node, _plainly)  # type: ignore[return-value]


def _plain_entry(atom: Atom) -> Poly | None:
    return as_poly(Entry(atom.tensor, atom.indices)) if isinstance(atom, Entry) and atom.guarded else None


def _stays_inside(term: Term, solved: Solved, extended: int) -> bool:
    """Return whether the ranges of eliminated indices may go.

    They may if nothing but zero-extended factors depends on those indices: where a factor is zero because it is read
    outside its range, no other factor may be undefined.
    """
    gone = {p.index for p in solved.pivots if not _always(p.value, p.index.extent)}
    rest = [c for c in conjuncts(term.condition) if c not in equalities(term)]
    data = [a for p in polynomials(All((*equalities(term), *rest))) for a in atoms(p) if isinstance(a, Entry)]
    data += [a for p in polynomials(term.body) for a in atoms(p) if isinstance(a, Entry)]
    if any(free_indices(c) & gone for c in rest) or any(indices_of(as_poly(a)) & gone for a in data):
        return False
    loose = [r for r in reads_of(term.body) if free_indices(r) & gone and r.extension in PLAIN]
    risky = [n for n in walk(term.body) if _may_be_undefined(n) and free_indices(n) & gone]
    return len(loose) <= extended and not risky


def _always(value: Poly, extent: Poly) -> bool:
    return nonnegative(value) and nonnegative(extent - 1 - value)


def _may_be_undefined(node: Node) -> bool:
    return isinstance(node, Power) or (isinstance(node, Apply) and node.function in ("log", "log1p", "mod"))


def _eliminations(term: Term, solved: Solved) -> list[Elimination]:
    """Retrace which equality each pivot was taken from."""
    open_ones = equalities(term)
    found: list[Elimination] = []
    for pivot in solved.pivots:
        source, scale, top = None, as_poly(1), as_poly(0)
        for equality in open_ones:
            parts = affine_in(equality.poly, pivot.index)
            if parts is None or not parts[0].terms or indices_of(parts[0]):
                continue
            coefficient, rest = parts
            up = positive(coefficient)
            scale, top = (coefficient, -rest) if up else (-coefficient, rest)
            if tighten(quotient(top, scale)) == pivot.value:
                source = equality
                break
        found.append(Elimination(source, pivot.index, scale, pivot.value))
        open_ones = [_after(e, pivot.index, scale, top, pivot.value) for e in open_ones if e is not source]
    return found


def _after(equality: Compare, index: Index, scale: Poly, top: Poly, value: Poly) -> Compare:
    """Return an equality after an elimination."""
    parts = affine_in(equality.poly, index)
    if parts is not None and parts[0].terms and scale != as_poly(1):
        return Compare("==", parts[0] * top + parts[1] * scale)
    return Compare("==", tighten(substitute(equality.poly, {index: value})))


def with_sizes(equation: Equation, values: Mapping[str, int]) -> Equation:
    """Return an equation with some sizes put in, in the extents of its indices as well."""
    table: dict[Atom, Poly] = {}
    for index in all_indices(equation.body) | set(equation.indices):
        table[index] = as_poly(Index(index.name, put_sizes(index.extent, values)))
    for poly in polynomials(equation.body):
        table |= {a: as_poly(values[a.name]) for a in atoms(poly) if isinstance(a, Size) and a.name in values}

    def put(poly: Poly) -> Poly:
        return substitute(poly, table)

    indices = tuple(Index(i.name, put_sizes(i.extent, values)) for i in equation.indices)
    body = map_polynomials(map_polynomials(equation.body, put), tighten)
    return replace(equation, indices=indices, body=body)


def extents_with(extents: Extents, values: Mapping[str, int]) -> Extents:
    """Return the extents of tensors with some sizes put in."""
    return lambda tensor: tuple(put_sizes(e, values) for e in extents(tensor))


def put_sizes(poly: Poly, values: Mapping[str, int]) -> Poly:
    """Return an integer expression with some sizes put in."""
    known = [a for a in atoms(poly) if isinstance(a, Size) and a.name in values]
    return substitute(poly, {a: as_poly(values[a.name]) for a in known})
