"""Expressions that a function computes twice get a name; statements are traced to the results that need them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from itertools import chain

from symgrad.declare.frozen import remember
from symgrad.declare.integers import Size, atoms
from symgrad.lower.arrays import (
    Arange,
    Array,
    Assign,
    Blocks,
    By,
    Chunks,
    Collapse,
    Einsum,
    For,
    Helper,
    Map,
    MatMul,
    Name,
    Pad,
    Parts,
    Reshape,
    Run,
    Statement,
    Subscript,
    Transpose,
    Update,
    When,
    Whole,
)
from symgrad.lower.descriptions import describe
from symgrad.lower.traverse import map_arrays, map_parts, names_in, parts, polynomials_in
from symgrad.naming import fresh

BLOCKS = (For, When, Chunks, Parts, Blocks)
"""Statements that hold others."""

LONG = 6
"""An expression of positions alone gets a name from this many operations and operands on."""


def share(statements: tuple[Statement, ...], taken: set[str]) -> tuple[Statement, ...]:
    """Name every expression that takes work and occurs more than once outside loops, or in one turn of a loop."""
    views = views_of(statements)
    taken |= {name for s in walk(statements) for name in defines(s)}
    return tuple(_in_turns(s, taken, views) for s in _share(statements, taken))


def _in_turns(statement: Statement, taken: set[str], views: Mapping[str, set[str]]) -> Statement:
    """A loop with what a turn computes twice computed once."""
    if not isinstance(statement, BLOCKS) or isinstance(statement, Parts):
        return statement  # parts are functions, shared by themselves
    if isinstance(statement, When):
        statement = replace(statement, otherwise=tuple(_in_turns(s, taken, views) for s in statement.otherwise))
    block = [_in_turns(s, taken, views) for s in statement.body]
    places: dict[Array, list[int]] = {}
    for place, inner in enumerate(block):
        if isinstance(inner, Assign | Update | Run):
            for part in _every(inner.array):
                if _worth(part):
                    places.setdefault(part, []).append(place)
    for array in sorted(places, key=lambda a: (-_weight(a), str(a))):
        again = [p for p in places[array] if array in set(_every(getattr(block[p], "array")))]  # noqa: B009
        names = {v for n in names_in(array) for v in views.get(n, {n})}
        if len(again) > 1 and not any(defines(s) & names for s in block[again[0] : again[-1]]):
            name = fresh(describe(array), taken)
            taken.add(name)
            block = [_replaced(s, array, Name(name)) for s in block]
            block.insert(again[0], Assign(name, array))
            return _in_turns(replace(statement, body=tuple(block)), taken, views)
    return replace(statement, body=tuple(block))


def _share(statements: tuple[Statement, ...], taken: set[str]) -> tuple[Statement, ...]:
    block = list(statements)
    views = views_of(statements)
    changed_in_place = {v for s in walk(block) for n in _mutated(s) for v in views.get(n, {n})}
    made = Counter(s.name for s in walk(block) if isinstance(s, Assign))
    unsteady = changed_in_place | {n for n, times in made.items() if times > 1}

    def replaced(statement: Statement, old: Array, name: str) -> Statement:
        """The statement with a name for an expression; what is changed later begins as a copy."""
        if isinstance(statement, Assign) and statement.array == old and statement.name in changed_in_place:
            return replace(statement, array=Helper("copy", (Name(name),)))
        return _replaced(statement, old, Name(name))

    def is_steady(array: Array, places: list[int]) -> bool:
        """Whether nothing that the expression reads changes from its first place to its last."""
        names = {v for n in names_in(array) for v in views.get(n, {n})}
        between = block[places[0] : places[-1]] if names & unsteady else []
        return not any((defines(s) | _written(s, views)) & names for s in between)

    while True:
        places: dict[Array, list[int]] = {}
        for place, statement in enumerate(block):
            if isinstance(statement, Assign | Update | Run):
                for part in _every(statement.array):
                    places.setdefault(part, []).append(place)
        again = [a for a, found in places.items() if len(found) > 1 and _worth(a) and is_steady(a, found)]
        if not again:
            return tuple(block)
        chosen = max(again, key=lambda a: (_weight(a), str(a)))
        whole = (s for s in block if isinstance(s, Assign) and s.array == chosen)
        named = next((s for s in whole if s.name not in changed_in_place), None)
        first = next(p for p, s in enumerate(block) if not isinstance(s, BLOCKS) and chosen in set(_every(s.array)))
        if named is not None and (block.index(named) <= first or not (named.comment or made[named.name] > 1)):
            # What has no formula of its own is nobody's result, and may come as early as it is needed.
            block.insert(min(first, block.index(named)), block.pop(block.index(named)))
            block = [s if s is named else replaced(s, chosen, named.name) for s in block]
            continue
        name = fresh(describe(chosen), taken)
        taken.add(name)
        block = [replaced(s, chosen, name) for s in block]
        block.insert(first, Assign(name, chosen))


@remember
def _every(array: Array) -> tuple[Array, ...]:
    return (array, *chain.from_iterable(map(_every, parts(array))))


@remember
def _worth(array: Array) -> bool:
    if isinstance(array, Pad | MatMul | Einsum | Collapse):
        return True
    if isinstance(array, Reshape):
        return isinstance(array.source, Subscript | Transpose)  # mostly a copy
    if isinstance(array, Whole):
        return array.poly.atom not in dict(array.arrays) and bool(names_in(array))
    if isinstance(array, Map) and array.function != "neg":
        read = any(not isinstance(a, Whole) and names_in(a) - {"np.pi", "np.e"} for a in array.args)
        return read or (_weight(array) >= LONG and any(isinstance(a, Arange) for a in _every(array)))
    return False


@remember
def _weight(array: Array) -> int:
    return 1 + sum(_weight(p) for p in parts(array))


def _replaced(statement: Statement, old: Array, new: Array) -> Statement:
    if isinstance(statement, BLOCKS) or old not in _every(statement.array):
        return statement

    def change(array: Array) -> Array:
        if old not in _every(array):
            return array
        return new if array == old else map_parts(array, change)

    return replace(statement, array=change(statement.array))


def walk(statements: Iterable[Statement]) -> Iterable[Statement]:
    """Every statement, those inside loops as well."""
    for s in statements:
        yield s
        if isinstance(s, BLOCKS):
            yield from walk(inside(s))


def inside(block: For | When | Chunks | Parts | Blocks) -> tuple[Statement, ...]:
    """The statements that a block holds."""
    return (*block.body, *block.otherwise) if isinstance(block, When) else block.body


def _mutated(statement: Statement) -> Set[str]:
    match statement:
        case Update(target, _, _):
            return names_in(target) - _index_names(target)
        case Run(array):
            return _run_target(array)
    return set()


def _written(statement: Statement, views: Mapping[str, set[str]]) -> set[str]:
    """Names of the arrays that a statement, or one inside it, writes to; of their views as well."""
    return {v for s in walk((statement,)) for n in _mutated(s) for v in views.get(n, {n})}


def _index_names(target: Array) -> set[str]:
    found: set[str] = set()
    if isinstance(target, Subscript):
        for item in target.items:
            if isinstance(item, By):
                found |= names_in(item.array)
        found |= _index_names(target.source)
    return found


def defines(statement: Statement) -> Set[str]:
    """Names that a statement assigns or changes."""
    match statement:
        case Assign(name):
            return {name}
        case Update(target, _, _):
            return names_in(target) - _index_names(target)
        case Run(array):
            return _run_target(array)
        case For() | When() | Chunks():
            return {n for s in inside(statement) for n in defines(s)}
        case Blocks(body=body):
            views = views_of(body)
            return {v for s in body for n in defines(s) for v in views.get(n, {n})}
        case Parts(body=body, sums=sums):
            local = {s.name for s in body if isinstance(s, Assign)}
            views = views_of(body)
            return {v for s in body for n in defines(s) for v in views.get(n, {n}) if v not in local} | set(sums)
    return set()


def _run_target(array: Array) -> set[str]:
    """What a call changes: the array that ``out=`` or else its first argument is, or is a view of."""
    out = (p.args[0] for p in parts(array) if isinstance(p, Helper) and p.function == "out=")
    first = next(out, None) or next(iter(parts(array)), None)
    while isinstance(first, Transpose | Subscript | Reshape):
        first = first.source
    return {first.text} if isinstance(first, Name) else set()


def uses(statement: Statement) -> Set[str]:
    """Names that a statement reads."""
    match statement:
        case Assign(_, array) | Run(array):
            return names_in(array)
        case Update(target, _, array):
            return names_in(array) | names_in(target)
        case Parts(body=body, tiles=tiles):
            return {n for s in body for n in uses(s)}.union(tiles[0] if tiles else ())
        case For(body=body) | Chunks(body=body) | Blocks(body=body):
            return {n for s in body for n in uses(s)}
        case When(condition):
            return names_in(condition) | {n for s in inside(statement) for n in uses(s)}
    return set()


def needed_by(statements: tuple[Statement, ...], wanted: Mapping[str, Iterable[str]]) -> list[dict[str, set[str]]]:
    """For each statement the results that need it, in order, with the names that each needs after it.

    ``wanted`` gives the names that each result needs in the end.
    """
    needs: list[dict[str, set[str]]] = [{} for _ in statements]
    for result, names in wanted.items():
        for place, after in _needed(statements, set(names)):
            needs[place][result] = after
    return needs


def _needed(statements: tuple[Statement, ...], names: set[str]) -> Iterable[tuple[int, set[str]]]:
    """The places of the statements that names need, last first, with what is needed after each.

    ``names`` grows by what those read.
    """
    views, counted = views_of(statements), counts(statements)
    for place in reversed(range(len(statements))):
        statement = statements[place]
        if not (defines(statement) | _written(statement, views)) & names:
            continue
        after = {v for n in names for v in views.get(n, {n})}
        if isinstance(statement, Parts | Blocks):
            names |= after
            names |= set(statement.tiles[0]) if isinstance(statement, Parts) and statement.tiles else set()
            for _ in _needed(statement.body, names):
                pass
        else:
            names |= uses(statement) | (_sizes_in(statement) & counted if counted else set())
        yield place, after


def counts(statements: Iterable[Statement]) -> frozenset[str]:
    """Extents that statements find out themselves."""
    found = (s for s in walk(statements) if isinstance(s, Assign) and isinstance(s.array, Helper))
    return frozenset(s.name for s in found if isinstance(s.array, Helper) and s.array.function == "len")


def _sizes_in(statement: Statement) -> set[str]:
    found: set[str] = set()

    def look(array: Array) -> Array:
        found.update(a.name for p in polynomials_in(array) for a in atoms(p) if isinstance(a, Size))
        return array

    map_arrays(statement, look)
    return found


def views_of(statements: tuple[Statement, ...]) -> dict[str, set[str]]:
    """Names of one array that is written to, whole or as a view, by more than one of them: views of views as well.

    Those inside of loops and of functions of parts are among them.
    """
    found: dict[str, set[str]] = {}
    for statement in walk(statements):
        source = _viewed(statement.array) if isinstance(statement, Assign) else None
        if isinstance(statement, Assign) and isinstance(source, Name):
            joined = found.get(source.text, {source.text}) | found.get(statement.name, {statement.name})
            found |= dict.fromkeys(joined, joined)
    written = {v for s in walk(statements) for n in _mutated(s) for v in found.get(n, ())}
    return {name: joined for name, joined in found.items() if name in written}


def _viewed(array: Array) -> Array:
    """The array that an expression is a view of; one in another shape may be."""
    match array:
        case (
            Subscript(source, _)
            | Transpose(source, _)
            | Reshape(source, _)
            | Helper("_sheared" | "_emptied", (source, *_))
        ):
            return _viewed(source)
    return array
