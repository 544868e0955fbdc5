"""Reductions over all elements with the same integer: once a group, through the first element of each, not once a pair.

``sum_{k : d[k] == d[i]} f(k) = S(g(i))`` with ``S(v) = sum_{k : g(k) == v} f(k)``, for g(i) the first k with
``d[k] == d[i]``: whatever the integers are, there are no more groups than elements.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from symgrad.declare.algebra import indicator, multiply
from symgrad.declare.conditions import all_of, compare, conjuncts
from symgrad.declare.integers import Atom, Entry, Index, Poly, as_poly, indices_of
from symgrad.declare.program import Equation, Program
from symgrad.declare.rewriting import changed, map_children, map_polynomials
from symgrad.declare.scalars import (
    NOUGHT,
    TRUE,
    Compare,
    Condition,
    Mul,
    Node,
    Number,
    Read,
    Reduce,
    Scalar,
    Select,
    contains,
    free_indices,
)
from symgrad.declare.substitution import substitute
from symgrad.derive.trace import Trace
from symgrad.naming import fresh

RULE = "reduce once a group of equal integers"

_IDENTITY = {"sum": NOUGHT, "max": Number(float("-inf")), "min": Number(float("inf"))}


def through_groups(program: Program, trace: Trace) -> Program:
    """Give every reduction over the elements that share an integer as a value of their group."""
    maker = _Groups(program.names(), trace)
    equations: list[Equation] = []
    for equation in program.equations:
        after = equation.with_body(changed(equation.body, maker.change))
        trace.record(RULE, equation, after)
        maker.note(after)
        equations += [*maker.made, after]
        maker.made.clear()
    return replace(program, equations=tuple(equations))


@dataclass(frozen=True, slots=True)
class _Same:
    """A condition that an entry at a summed index is the one at an outer index, and the other conditions."""

    entry: Entry
    inner: Index
    outer: Index
    rest: Condition

    def at(self, index: Index) -> Entry:
        """The entry at another index."""
        table: dict[Atom, Poly] = {self.inner: as_poly(index)}
        return replace(self.entry, indices=tuple(substitute(p, table) for p in self.entry.indices))

    @property
    def key(self) -> Entry:
        """The same for every pair of indices."""
        return self.at(Index("any", self.inner.extent))


class _Groups:
    """The equations made so far for one equation, the groups that have a name, what is the same within a group."""

    def __init__(self, taken: set[str], trace: Trace) -> None:
        self.taken, self.trace = taken, trace
        self.made: list[Equation] = []
        self.named: dict[Entry, str] = {}
        self.places: dict[str, Index] = {}
        self.shared: dict[str, tuple[Entry, int]] = {}

    def change(self, node: Node) -> Node:
        """The node with each reduction over a group read from its group."""
        if not contains(node, Reduce):
            return node
        node = map_children(node, self.change)
        match node:
            case Reduce("sum" | "max" | "min"):
                node = conditional(node)
                same = _same(node)
                return node if same is None else self._read(node, same)
        return node

    def _read(self, node: Reduce, same: _Same) -> Scalar:
        outside, body = _split(node, same.outer)
        body = self._inside(body, same)
        if same.outer in free_indices(body) | free_indices(same.rest):
            return node
        lead = tuple(sorted(_indices(same.entry) - {same.inner}, key=lambda i: i.name))
        group = self._group(same, lead)
        place = self.places[group]
        other = (free_indices(body) | free_indices(same.rest)) - set(node.indices) - set(lead)
        batch = (*lead, *sorted(other, key=lambda i: i.name))
        entry = Entry(group, (*map(as_poly, lead), as_poly(same.inner)))
        lands = compare("==", as_poly(entry) - as_poly(place))
        value = Reduce(node.kind, node.indices, all_of(lands, same.rest), body, node.ties)
        made = Equation(self._name(f"{node.kind}_of_{group}"), (*batch, place), value)
        self._keep(made)
        found = Entry(group, (*map(as_poly, lead), as_poly(same.outer)))
        return multiply(*outside, Read(made.target, (*map(as_poly, batch), as_poly(found))))

    def _inside(self, body: Scalar, same: _Same) -> Scalar:
        """What is reduced, with the integer and the group of the outer index read at the inner one: they are equal."""
        table: dict[Atom, Poly] = {same.at(same.outer): as_poly(same.at(same.inner))}
        if (group := self.named.get(same.key)) is not None:
            at = [replace(same.at(i), tensor=group) for i in (same.outer, same.inner)]
            table[at[0]] = as_poly(at[1])
        return changed(map_polynomials(body, lambda p: substitute(p, table)), lambda node: self._moved(node, same))

    def _moved(self, node: Node, same: _Same) -> Node:
        """Reads of what is the same within a group, at the inner index as well."""
        node = map_children(node, lambda child: self._moved(child, same))
        match node:
            case Read(tensor, indices) if tensor in self.shared:
                key, axis = self.shared[tensor]
                if key == same.key and indices[axis] == as_poly(same.outer):
                    return replace(node, indices=(*indices[:axis], as_poly(same.inner), *indices[axis + 1 :]))
        return node

    def note(self, equation: Equation) -> None:
        """Remember a left side that is the same at all elements of a group."""
        match equation.body:
            case Read(_, indices) if (
                isinstance(entry := indices[-1].atom if indices else None, Entry) and entry.indices
            ):
                index = entry.indices[-1].atom
                others = {i for p in (*indices[:-1], *entry.indices[:-1]) for i in indices_of(p)}
                for key, group in self.named.items():
                    if group == entry.tensor and isinstance(index, Index) and index not in others:
                        self.shared[equation.target] = (key, equation.indices.index(index))

    def _group(self, same: _Same, lead: tuple[Index, ...]) -> str:
        """The name of the tensor that holds the first element with the same integer."""
        if same.key not in self.named:
            equal = compare("==", as_poly(same.at(same.inner)) - as_poly(same.at(same.outer)))
            first = Reduce("argmax", (same.inner,), TRUE, indicator(equal), "none")
            made = Equation(self._name(f"same_{same.entry.tensor}"), (*lead, same.outer), first, integer=True)
            self._keep(made)
            self.named[same.key] = made.target
            self.places[made.target] = Index(self._name(f"{same.inner.name}_first"), same.inner.extent)
        return self.named[same.key]

    def _name(self, base: str) -> str:
        name = fresh(base, self.taken)
        self.taken.add(name)
        return name

    def _keep(self, made: Equation) -> None:
        self.made.append(made)
        self.trace.record(RULE, None, made)


def conditional(node: Reduce) -> Reduce:
    """``max_k (f(k) if c else -oo)`` is the maximum of those for which c holds."""
    match node.body:
        case Select(condition, then, otherwise) if otherwise == _IDENTITY.get(node.kind):
            return replace(node, condition=all_of(node.condition, condition), body=then)
    return node


def _same(node: Reduce) -> _Same | None:
    parts = conjuncts(node.condition)
    for part in parts:
        match part:
            case Compare("==", poly) if len(poly.terms) == 2:
                ((first, one), (second, other)) = poly.terms
                if (one, other) not in ((1, -1), (-1, 1)) or len(first) != 1 or len(second) != 1:
                    continue
                rest = all_of(*(p for p in parts if p is not part))
                for entry, beside in ((first[0], second[0]), (second[0], first[0])):
                    for inner in node.indices:
                        found = _moved(entry, beside, inner, rest)
                        if found is not None and not _indices(found.entry) & (set(node.indices) - {inner}):
                            return found
    return None


def _moved(entry: Atom, other: Atom, inner: Index, rest: Condition) -> _Same | None:
    """Two entries that differ in an index only, which runs over the same positions in both."""
    if not isinstance(entry, Entry) or not isinstance(other, Entry) or inner not in _indices(entry):
        return None
    if not all(isinstance(p.atom, Index) for p in entry.indices):
        return None
    for index in _indices(other) - _indices(entry):
        found = _Same(entry, inner, index, rest)
        if index.extent == inner.extent and found.at(index) == other:
            return found
    return None


def _split(node: Reduce, outer: Index) -> tuple[list[Scalar], Scalar]:
    """Factors of a sum that do not change in it but with the outer index, and the rest of the body."""
    match node:
        case Reduce("sum", indices, _, Mul(coefficient, factors)):
            outside = [f for f in factors if outer in free_indices(f) and not free_indices(f) & set(indices)]
            return outside, multiply(Number(coefficient), *(f for f in factors if f not in outside))
    return [], node.body


def _indices(entry: Entry) -> set[Index]:
    return {i for p in entry.indices for i in indices_of(p)}
