"""Forward values put in place of the expressions that define them: what makes sigmoid's slope ``y (1 - y)``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TypeAlias, TypeGuard, overload

from symgrad.declare.algebra import add, multiply, power, select
from symgrad.declare.conditions import all_of, at_least, conjuncts, negation
from symgrad.declare.integers import Index, Poly, as_poly
from symgrad.declare.program import Equation
from symgrad.declare.recurrence import recurrent_axes
from symgrad.declare.rewriting import Change, changed, map_children
from symgrad.declare.scalars import (
    NOUGHT,
    TRUE,
    Add,
    Apply,
    Condition,
    Extension,
    FromInteger,
    Mul,
    Node,
    Number,
    Power,
    Read,
    Reduce,
    Scalar,
    Select,
    Stopped,
    free_indices,
    tensors_of,
    walk,
)
from symgrad.declare.segments import Segment, segments
from symgrad.derive.terms import rename
from symgrad.simplify.patterns import Binding, instance, matches

Known: TypeAlias = tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Definition:
    """``target[at] = body`` for all values of ``indices`` for which ``where`` holds."""

    target: str
    indices: tuple[Index, ...]
    at: tuple[Poly, ...]
    body: Scalar
    where: Condition = TRUE

    @staticmethod
    def of(equation: Equation) -> Definition:
        """What an equation defines."""
        return Definition(equation.target, equation.indices, tuple(map(as_poly, equation.indices)), equation.body)

    def read(self, binding: Binding) -> Scalar:
        """The element that is defined where the indices have these values."""
        inside = all(tensors_of(c) for c in conjuncts(self.where))  # no range of an index is left out
        inside = inside or all(isinstance(p.atom, Index) and p.atom.extent == i.extent for i, p in binding.items())
        kept = None if self.where == TRUE or inside else Extension("guarded")
        return rename(Read(self.target, self.at, kept), binding)

    def holds(self, binding: Binding, behind: Known) -> bool:
        """Whether it holds where the indices have these values, behind conditions."""
        return all(c in behind for c in conjuncts(rename(self.where, binding)))


def usable(equations: Sequence[Equation]) -> tuple[Definition, ...]:
    """Definitions worth recognising: pointwise, and more than a copy.

    Inside a recurrence an equation defines each range of steps by itself.
    """
    recurrent = recurrent_axes(equations)
    indices = (e.indices[a] for e in equations for a in recurrent.get(e.target, ()))
    extents = tuple(dict.fromkeys(i.extent for i in indices))
    return tuple(
        d for e in equations if not e.integer for d in _ranges(e, recurrent.get(e.target, ()), extents) if _is_work(d)
    )


def _is_work(definition: Definition) -> bool:
    """Whether what is defined is pointwise, and more than a copy."""
    body = definition.body
    return not isinstance(body, Read | Number | Stopped) and not any(isinstance(p, Reduce) for p in walk(body))


def _ranges(equation: Equation, axes: tuple[int, ...], extents: Sequence[Poly]) -> list[Definition]:
    """The whole definition and its arms; inside a recurrence also each range of steps counted from its first.

    ``extents`` are those of other indices of recurrences: where one that runs a few steps longer or shorter is, a
    definition may hold as well.
    """
    found = [Definition.of(equation)]
    if not axes or not _is_work(found[0]):
        return [*found, *_arms(found[0])]
    for axis in axes:
        index = equation.indices[axis]
        found += filter(
            _is_work, [_range(d, index, s) for d in found for s in segments(index, d.body) if s.body != d.body]
        )
        others = [e for e in extents if e != index.extent and (e - index.extent).constant is not None]
        found += [_over(d, index, extent) for d in found for extent in others]
    return [*found, *_arms(found[0])]


def _over(whole: Definition, index: Index, extent: Poly) -> Definition:
    """The definition by an index with another extent."""
    other = Index(index.name, extent)
    table = {index: as_poly(other)}
    moved = rename(Read(whole.target, whole.at), table)
    assert isinstance(moved, Read)
    where = all_of(rename(whole.where, table), at_least(index.extent - 1, as_poly(other)))
    indices = tuple(other if i == index else i for i in whole.indices)
    return Definition(whole.target, indices, moved.indices, rename(whole.body, table), where)


def _arms(whole: Definition) -> Iterator[Definition]:
    """What a choice defines, arm by arm."""
    if isinstance(whole.body, Select):
        then, otherwise = whole.body.then, whole.body.otherwise
        for body, condition in ((then, whole.body.condition), (otherwise, negation(whole.body.condition))):
            made = replace(whole, body=body, where=all_of(whole.where, condition))
            yield made
            yield from _arms(made)


def _range(whole: Definition, index: Index, segment: Segment) -> Definition:
    """The definition by an index that counts from the first step of a range."""
    step = as_poly(index) + segment.first
    moved = rename(Read(whole.target, whole.at), {index: step})
    assert isinstance(moved, Read)
    where = all_of(rename(whole.where, {index: step}), at_least(segment.stop - 1, step))
    return Definition(whole.target, whole.indices, moved.indices, rename(segment.body, {index: step}), where)


@overload
def recognise(node: Scalar, definitions: Sequence[Definition], behind: Known = ()) -> Scalar: ...
@overload
def recognise(node: Condition, definitions: Sequence[Definition], behind: Known = ()) -> Condition: ...
def recognise(node: Node, definitions: Sequence[Definition], behind: Known = ()) -> Node:
    """Replace instances of definitions, whole subexpressions first, then parts of products.

    ``behind`` are conditions that hold wherever the value is used.
    """
    return changed(node, _Recognising(definitions).behind(behind))


class _Recognising:
    """One rewrite; what was seen before behind the same conditions is not looked at again.

    Products that are multiplied out meet the same factors over and over.
    """

    def __init__(self, definitions: Sequence[Definition]) -> None:
        self.definitions = definitions
        self.seen: dict[tuple[Node, Known], Node] = {}

    def behind(self, behind: Known) -> Change:
        def of(node: Node) -> Node:
            key = (node, behind)
            if key not in self.seen:
                self.seen[key] = self._made(node, behind)
            return self.seen[key]

        return of

    def _made(self, node: Node, behind: Known) -> Node:
        here = self.behind(behind)
        match node:
            case Select(condition, then, otherwise):
                node = select(
                    changed(condition, here),
                    changed(then, self.behind((*behind, *conjuncts(condition)))),
                    changed(otherwise, self.behind((*behind, *conjuncts(negation(condition))))),
                )
                if self._is_nought_elsewhere(node):
                    return node.then
            case Reduce(condition=condition):
                node = map_children(node, self.behind((*behind, *conjuncts(condition))))
            case _:
                node = map_children(node, here)
        for definition in self.definitions:
            free = frozenset(definition.indices)
            binding = instance(definition.body, node, free)
            if binding is not None and set(binding) >= free and definition.holds(binding, behind):
                return definition.read(binding)
            if (root := _as_power(node, definition, behind)) is not None:
                return root
        if isinstance(node, Mul | Apply):
            product = node if isinstance(node, Mul) else Mul(Fraction(1), (node,))
            for definition in self.definitions:
                if isinstance(definition.body, Mul):
                    found = _part_of_product(product, definition, behind)
                    if found is not None:
                        return here(found)
        return _multiplied_out(node, here) if isinstance(node, Mul) else node

    def _is_nought_elsewhere(self, node: Scalar) -> TypeGuard[Select]:
        """Whether a choice gives 0 where its first arm is 0 as well: numbers times ``y``, which is chosen so."""
        if not isinstance(node, Select) or node.otherwise != NOUGHT:
            return False
        factors = node.then.args if isinstance(node.then, Mul) else (node.then,)
        reads = [f for f in factors if isinstance(f, Read)]
        if len(reads) != 1 or not all(_is_finite(f) for f in factors if f is not reads[0]):
            return False
        return any(self._vanishes(d, reads[0], node.condition) for d in self.definitions if d.target == reads[0].tensor)

    def _vanishes(self, definition: Definition, read: Read, condition: Condition) -> bool:
        """Whether the element that is read is 0 where the condition fails, by this definition."""
        if definition.where != TRUE or not isinstance(definition.body, Select) or definition.body.otherwise != NOUGHT:
            return False
        binding = instance(Read(definition.target, definition.at), read, frozenset(definition.indices))
        return binding is not None and rename(definition.body.condition, binding) == condition


def _is_finite(factor: Scalar) -> bool:
    """Whether a factor is finite where a choice left it out as well as where not: no index and no tensor is in it."""
    return isinstance(factor, Number | FromInteger) or not (free_indices(factor) or tensors_of(factor))


def _multiplied_out(node: Mul, recognised: Change) -> Scalar:
    """``a (f(x) + 1)`` with ``y = a f(x)`` is ``y + a``: where a function need not be evaluated again."""
    match [f for f in node.args if isinstance(f, Add)]:
        case [Add() as factor]:
            others = [f for f in node.args if f is not factor]
            products = (multiply(Number(node.coefficient), a, *others) for a in factor.args)
            written = add(*(changed(p, recognised) for p in products))
            if _functions(written) < _functions(node):
                return written
    return node


def _functions(node: Scalar) -> int:
    return sum(isinstance(part, Apply) for part in walk(node))


def _as_power(node: Node, definition: Definition, behind: Known) -> Scalar | None:
    """``x^(-1/2)`` with ``y = x^(1/2)`` is ``1 / y``: an integer power, inverted only where a root is saved."""
    match node, definition.body:
        case Power(_, Number(n)), Power(base, Number(m) as exponent) if n != m and m:
            times = Fraction(n) / Fraction(m)
            if times.denominator > 1 or (times < 0 and Fraction(m).denominator == 1):
                return None
            binding = instance(Power(base, exponent), Power(node.base, exponent), frozenset(definition.indices))
            if binding is None or set(binding) < set(definition.indices) or not definition.holds(binding, behind):
                return None
            return power(definition.read(binding), Number(times))
    return None


def _part_of_product(node: Mul, definition: Definition, behind: Known) -> Scalar | None:
    """``a b c`` with ``y = a b`` is ``y c``."""
    body = definition.body
    assert isinstance(body, Mul)
    wanted, available = _expanded(body.args), _expanded(node.args)
    if len(wanted) > len(available):
        return None
    binding: Binding = {}
    rest = _take(wanted, available, frozenset(definition.indices), binding)
    if rest is None or set(binding) < set(definition.indices) or not definition.holds(binding, behind):
        return None
    scale = Number(Fraction(node.coefficient) / Fraction(body.coefficient))
    return multiply(scale, definition.read(binding), *rest)


def _expanded(factors: Sequence[Scalar]) -> list[Scalar]:
    """Integer powers written out, so that part of a power can be taken."""
    found: list[Scalar] = []
    for factor in factors:
        match factor:
            case Power(base, Number(n)) if isinstance(n, Fraction) and n.denominator == 1 and 1 < abs(n) <= 4:
                found += [power(base, Number(Fraction(1 if n > 0 else -1)))] * abs(int(n))
            case _:
                found.append(factor)
    return found


def _take(
    wanted: list[Scalar], available: list[Scalar], free: frozenset[Index], binding: Binding
) -> list[Scalar] | None:
    """Match every wanted factor with a different available one; what is left over, or None."""
    if not wanted:
        return available
    first, *others = wanted
    for p, candidate in enumerate(available):
        trial = dict(binding)
        if matches(first, candidate, free, trial):
            rest = _take(others, available[:p] + available[p + 1 :], free, trial)
            if rest is not None:
                binding.update(trial)
                return rest
    return None
