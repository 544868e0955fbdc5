"""Every read judged under the conditions it stands behind: proved in bounds, refuted, or left to run time."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from symgrad.declare.bounds import lower_end, nonnegative, positive, tighten, upper_end
from symgrad.declare.conditions import at_least, conjuncts, negation
from symgrad.declare.evaluate import holds, value_of
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
    atoms,
    depends_on_data,
    indices_of,
)
from symgrad.declare.program import Attribute, Equation, Program, Requirement
from symgrad.declare.repeats import repeat_of
from symgrad.declare.rewriting import Change, changed, floor_of, map_children, map_polynomials
from symgrad.declare.scalars import (
    PLAIN,
    All,
    AnyOf,
    Compare,
    Condition,
    Extension,
    Node,
    Read,
    Reduce,
    Relation,
    Select,
    children,
    free_indices,
    own_polynomials,
    polynomials,
    tensors_of,
)
from symgrad.declare.substitution import rebuild
from symgrad.errors import About, DeclarationError

INSIDE: dict[str, int] = {}
"""Says that a read stays inside its tensor; told by identity, since a counterexample without symbols is empty too."""
TRIED = 20_000
"""Partial assignments of indices that are tried at one choice of sizes."""

Place = tuple[str, tuple[Poly, ...], tuple[Condition, ...]]


def places(node: Node, behind: tuple[Condition, ...] = ()) -> Iterator[Place]:
    """Every plain read (real or integer) with the conditions it stands behind."""
    match node:
        case Select(condition, then, otherwise):
            yield from places(condition, behind)
            yield from places(then, (*behind, *conjuncts(condition)))
            yield from places(otherwise, (*behind, *conjuncts(negation(condition))))
            return
        case All(args) | AnyOf(args):
            # Read only where the other parts have not decided yet.
            for p, arg in enumerate(args):
                others = [*args[:p], *args[p + 1 :]]
                known = others if isinstance(node, All) else [negation(o) for o in others]
                yield from places(arg, (*behind, *(c for o in known for c in conjuncts(o))))
            return
        case Reduce(_, _, condition, body, _):
            yield from places(condition, behind)
            yield from places(body, (*behind, *conjuncts(condition)))
            return
        case Read(tensor, indices, extension) if extension in PLAIN:
            yield tensor, indices, behind
    for poly in own_polynomials(node):
        for atom in atoms(poly):
            if isinstance(atom, Entry):
                yield atom.tensor, atom.indices, behind
            elif isinstance(atom, RealFloor):
                yield from places(atom.value, behind)
    for child in children(node):
        yield from places(child, behind)


def mark_guarded(program: Program, equation: Equation) -> Equation:
    """Mark reads that only a condition keeps inside their tensor: lowering evaluates both sides of a choice."""
    return equation.with_body(changed(equation.body, _marking(program, False)))


def mark_required(program: Program, requirement: Requirement) -> Requirement:
    """Mark the reads in a requirement: of several alternatives all are evaluated."""
    return replace(requirement, condition=changed(requirement.condition, _marking(program, True)))


def _marking(program: Program, guarded: bool) -> Change:
    def inside(tensor: str, indices: tuple[Poly, ...]) -> bool:
        extents = program.extents(tensor)
        return all(nonnegative(i) and nonnegative(e - 1 - i) for i, e in zip(indices, extents, strict=True))

    def entries(poly: Poly) -> Poly:
        def change(atom: Atom) -> Poly | None:
            if isinstance(atom, Entry) and not inside(atom.tensor, atom.indices):
                return as_poly(Entry(atom.tensor, tuple(map(entries, atom.indices)), True))
            return floor_of(atom, under(True))

        return rebuild(poly, change)

    def change(node: Node, behind: bool) -> Node:
        match node:
            case Select(condition, then, otherwise):
                return Select(
                    changed(condition, under(behind)), changed(then, under(True)), changed(otherwise, under(True))
                )
            case All() | AnyOf():
                return map_children(node, under(True))
            case Reduce(kind, indices, condition, body, ties):
                hidden = behind or bool(conjuncts(condition))
                where = changed(condition, under(behind))
                return Reduce(kind, indices, where, changed(body, under(hidden)), ties)
            case Read(tensor, indices, None) if behind and not inside(tensor, indices):
                return Read(tensor, tuple(map(entries, indices)), Extension("guarded"))
        if behind and own_polynomials(node):
            return map_polynomials(node, entries)
        return map_children(node, under(behind))

    def under(behind: bool) -> Change:
        return lambda node: change(node, behind)

    return under(guarded)


@dataclass(frozen=True, slots=True)
class Undecided:
    """One axis of a plain read that is not proved to stay inside, the conditions it stands behind, all its indices."""

    tensor: str
    axis: int
    index: Poly
    extent: Poly
    behind: tuple[Condition, ...]
    indices: tuple[Poly, ...]


def undecided(program: Program, equation: Equation) -> Iterator[Undecided]:
    """The axes of plain reads that neither ranges nor conditions are proved to keep inside their tensor."""
    for tensor, indices, behind in dict.fromkeys(places(equation.body)):
        for axis, (position, extent) in enumerate(zip(indices, program.extents(tensor), strict=True)):
            index = tighten(position)
            facts = [c.poly for c in behind if isinstance(c, Compare) and c.relation == ">="]
            facts += [s * c.poly for c in behind if isinstance(c, Compare) and c.relation == "==" for s in (1, -1)]
            apart = [s * c.poly for c in behind if isinstance(c, Compare) and c.relation == "!=" for s in (1, -1)]
            facts += [p - 1 for p in apart if nonnegative(p)]
            facts += _positions(program, index)
            repeats = positive(extent) and repeat_of(index, extent) is not None
            if not repeats and not (nonnegative(index, facts) and nonnegative(extent - 1 - index, facts)):
                yield Undecided(tensor, axis, index, extent, behind, indices)


def _positions(program: Program, index: Poly) -> Iterator[Poly]:
    """What is known of the results of ArgMax and ArgMin in an index: they are positions."""
    for atom in sorted((a for a in atoms(index) if isinstance(a, Entry)), key=str):
        equation = program.equation(atom.tensor)
        if equation is not None and isinstance(equation.body, Reduce):
            count = as_poly(1)
            for i in equation.body.indices:
                count = count * i.extent
            yield as_poly(atom)
            yield count - 1 - as_poly(atom)


def judge(program: Program, equation: Equation) -> list[Requirement]:
    """Requirements to be checked at run time for the reads of one equation.

    Raises:
        DeclarationError: a read leaves its tensor at every size tried; the message has a counterexample.
    """
    found: list[Requirement] = []
    for read in undecided(program, equation):
        compared = [c.poly for c in read.behind if isinstance(c, Compare)]
        if depends_on_data(read.index) or any(map(depends_on_data, compared)):
            continue
        _refute(program, equation, read)
        if not read.behind and reaches_ends(read.index):
            found += _ends(read.tensor, read.axis, read.index, read.extent)
    return found


def reaches_ends(index: Poly) -> bool:
    """Whether the index takes the values at the ends of the interval found for it: rounding may miss them."""
    rounding = [a for a in atoms(index) if isinstance(a, Quotient | Remainder | Extreme)]
    return not any(indices_of(as_poly(a)) for a in rounding)


def _ends(tensor: str, axis: int, index: Poly, extent: Poly) -> list[Requirement]:
    """Checks on the ends of the interval of values that the index takes."""
    low, high = lower_end(index), upper_end(index)
    checks = []
    for end, gap in ((low, low), (high, None if high is None else extent - 1 - high)):
        if gap is not None and end is not None and not nonnegative(gap):
            text = f"{tensor} is read at index {end} of axis {axis}, which has extent {extent}"
            checks.append(Requirement(at_least(gap, 0), text))
    return checks


def _refute(program: Program, equation: Equation, read: Undecided) -> None:
    """Raise if the read leaves the tensor at every small size tried."""
    tensor, axis, index, extent, behind = read.tensor, read.axis, read.index, read.extent, read.behind
    if any(isinstance(c, Compare | Relation) and tensors_of(c) for c in behind):
        return  # data may keep everything from being read
    polys = [index, extent, *(p for c in behind for p in polynomials(c))]
    used = sorted({a for p in polys for a in _deep_atoms(p) if isinstance(a, Index)}, key=lambda i: i.name)
    sizes = sorted({a for p in polys for a in _deep_atoms(p) if isinstance(a, Size)}, key=lambda s: s.name)
    defaults = {a.name: a for a in program.attributes}
    rng = random.Random(0)
    example = None
    tried = 0
    for attempt in range(200):
        values = {s.name: _draw(s, defaults.get(s.name), rng, 9 if attempt < 60 else 4) for s in sizes}
        verdict = _escapes(index, extent, used, behind, values)
        if verdict is None:
            continue
        tried += 1
        if verdict is INSIDE:
            return
        example = verdict
    if example is None or tried == 0:
        return
    at = "".join(f"{'for' if p == 0 else ','} {k} = {v}" for p, (k, v) in enumerate(sorted(example.items())))
    raise DeclarationError(
        f"{program.name}: {equation.target} reads {tensor} at {index} on axis {axis}, which has extent {extent}; "
        f"{at}{' ' if at else ''}that is {value_of(index, example)}, outside 0 .. {value_of(extent, example) - 1}. "
        f"Write Padded({tensor})[...] for zeros outside, or change the range",
        About(equation.target, ((tensor, read.indices), tensor)),
    )


def _deep_atoms(poly: Poly) -> set[Atom]:
    """Atoms of a polynomial and of the extents of its indices."""
    found: set[Atom] = set()
    for atom in atoms(poly):
        found.add(atom)
        if isinstance(atom, Index):
            found |= _deep_atoms(atom.extent)
    return found


def _draw(size: Size, attribute: Attribute | None, rng: random.Random, most: int) -> int:
    if attribute is not None and rng.random() < 0.5:
        return int(attribute.default)
    least = max(2 if attribute is None else 0, size.minimum or 0)
    return rng.randint(least, max(least, most))


def _escapes(
    index: Poly, extent: Poly, used: Sequence[Index], behind: Sequence[Condition], values: dict[str, int]
) -> dict[str, int] | None:
    """An assignment at which the read leaves its tensor, INSIDE if there is none, None if nothing is read."""
    if any(_divides_by_zero(p, values) for p in (index, extent, *(i.extent for i in used))):
        return None
    if any(value_of(i.extent, values) > 12 for i in used) or any(value_of(i.extent, values) < 1 for i in used):
        return None
    size = value_of(extent, values)
    read_any = False
    points = _points(used, behind, values)
    while True:
        try:
            here = next(points, None)
            position = value_of(index, here) if here is not None else 0
        except (KeyError, ZeroDivisionError):
            return None
        if here is None:
            break
        read_any = True
        if not 0 <= position < size:
            return here
    return INSIDE if read_any else None


def _points(used: Sequence[Index], behind: Sequence[Condition], values: dict[str, int]) -> Iterator[dict[str, int]]:
    """Values of the indices at which all conditions hold; each condition is tested as soon as its indices have values.

    Stops after ``TRIED`` partial assignments: a counterexample is looked for, not proved absent.
    """
    needs = {c: {i.name for i in used} & {i.name for i in free_indices(c)} for c in behind}
    order = _early(list(used), [n for n in needs.values() if n])
    due: list[list[Condition]] = [[] for _ in range(len(order) + 1)]
    for condition, names in needs.items():
        due[max((p + 1 for p, i in enumerate(order) if i.name in names), default=0)].append(condition)
    left = TRIED

    def extend(depth: int, here: dict[str, int]) -> Iterator[dict[str, int]]:
        nonlocal left
        left -= 1
        if left < 0 or not all(_surely_holds(c, here) for c in due[depth]):
            return
        if depth == len(order):
            yield here
            return
        for value in range(value_of(order[depth].extent, values)):
            yield from extend(depth + 1, here | {order[depth].name: value})

    return extend(0, values)


def _early(used: list[Index], groups: list[set[str]]) -> list[Index]:
    """Indices in an order that completes conditions early."""
    order: list[Index] = []
    while used:
        done = {i.name for i in order}
        open_ = [g - done for g in groups if g - done]
        nearest = min(open_, key=lambda g: (len(g), sorted(g)), default=set())
        chosen = next((i for i in used if i.name in nearest), used[0])
        used = [i for i in used if i != chosen]
        order.append(chosen)
    return order


def _surely_holds(condition: Condition, values: dict[str, int]) -> bool:
    """Whether the condition holds whatever the data: what depends on data may not be read at all."""
    try:
        return holds(condition, values)
    except KeyError:
        return False


def _divides_by_zero(poly: Poly, values: dict[str, int]) -> bool:
    for atom in atoms(poly):
        if isinstance(atom, Quotient | Remainder) and not any(
            isinstance(a, Index | Entry) for a in atoms(atom.denominator)
        ):
            try:
                if value_of(atom.denominator, values) <= 0:
                    return True
            except KeyError:
                return False
    return False
