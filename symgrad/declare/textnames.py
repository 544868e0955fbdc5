"""What the names of a text equation stand for: indices, extents, inputs, attributes.

A first look over the syntax tree, before anything is built: which names are indices, which tensors are read
and with how many axes, and which indices run over the same extent.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from symgrad.declare.textsource import Source

REDUCTIONS = ("sum", "prod", "reduce_max", "reduce_min", "argmax", "argmin", "logsumexp")
NUMBERS = ("pi", "oo", "inf")


@dataclass(frozen=True, slots=True)
class TextEquation:
    """One equation: what it defines, over which indices, the extents given to them, and its tree."""

    name: str
    axes: tuple[str, ...]
    given: dict[str, ast.expr]
    node: ast.Assign

    @property
    def value(self) -> ast.expr:
        """The right side."""
        return self.node.value


@dataclass(frozen=True, slots=True)
class Given:
    """An input that a clause names: ``inputs: x[N, 2*C], w``; no shape where the reads give it."""

    name: str
    shape: tuple[ast.expr, ...] | None
    node: ast.expr


@dataclass(frozen=True, slots=True)
class Read:
    """One read ``x[..]`` or ``pad(x)[..]``."""

    tensor: str
    elements: tuple[ast.expr, ...]
    padded: bool


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a text.

    Attributes:
        equations: the equations in the order written.
        attributes: attribute's name -> its default.
        indices: every index, free or bound, in order of appearance.
        inputs: input's name -> the extent of each axis; a scalar has no axes. Those that a clause names come first,
            the others in order of appearance.
        scalars: left sides without axes and scalar inputs that a clause names; these may stand in an index, while
            another name there may well be a slip.
        sizes: the names of extents that are no attributes.
        extents: index -> its extent, for every index that reads an axis bare.
        ranged: indices that run over the extent named in ``extents``: those of a reduction without limits, and those
            that no plain read bounds. The range of any other index follows from the reads.
    """

    equations: tuple[TextEquation, ...]
    attributes: dict[str, int | float]
    indices: tuple[str, ...]
    inputs: dict[str, tuple[ast.expr, ...]]
    scalars: frozenset[str]
    sizes: frozenset[str]
    extents: dict[str, ast.expr]
    ranged: frozenset[str]


def collect_names(
    source: Source,
    equations: tuple[TextEquation, ...],
    attributes: dict[str, ast.Assign],
    given_inputs: dict[str, Given],
) -> Names:
    """Say what every name in ``equations`` stands for.

    Raises:
        DeclarationError: a tensor is read with different ranks, or a name has two meanings.
    """
    limits = [limit for e in equations for limit in _limits(e.value)]
    bound = [index_of(source, limit) for limit in limits]
    indices = tuple(dict.fromkeys((*(i for e in equations for i in e.axes), *bound)))
    declared = {name: given.shape for name, given in given_inputs.items() if given.shape is not None}
    _check_meanings(source, equations, indices, attributes, declared)
    reads = [read for e in equations for read in _reads(source, e.value)]
    axes = {e.name: e.axes for e in equations}
    taken = {*axes, *indices, *declared, *(read.tensor for read in reads)}
    names = list(dict.fromkeys(name for e in equations for name in names_in(e.value)))
    _check_inputs(source, given_inputs, {"a left side": axes, "an index": indices, "an attribute": attributes}, names)
    extents = {
        index: _extent(group, reads, declared, names, taken)
        for group in _same_extent(reads, axes, indices)
        for index in group
    }
    spoken_for = {*taken, *(name for extent in extents.values() for name in names_in(extent))}
    implied = {
        r.tensor: _axis_extents(r.tensor, reads, extents, spoken_for)
        for r in reads
        if r.tensor not in {*axes, *declared}
    }
    shapes = declared | implied
    for name in sorted({n for shape in implied.values() for e in shape for n in names_in(e)} & attributes.keys()):
        if all(name not in names_in(extent) for shape in declared.values() for extent in shape):
            raise source.error(attributes[name], f"{name} is the extent of an axis: the arrays determine it")
    sizes = {name for shape in shapes.values() for extent in shape for name in names_in(extent)}
    sizes -= {*attributes, *NUMBERS}
    known = {*taken, *attributes, *NUMBERS, *sizes}
    order = dict.fromkeys((*given_inputs, *names))
    inputs = {name: shapes.get(name, ()) for name in order if name in shapes or name not in known}
    by_attribute = {i: _named(i.upper()) for i in indices if i not in extents and i.upper() in attributes}
    unlimited = {limit.id: limit for limit in limits if isinstance(limit, ast.Name)}
    extents = {i: e for i, e in (extents | by_attribute).items() if {*names_in(e)} <= {*sizes, *attributes}}
    given = {index for e in equations for index in e.given}
    for index in sorted(unlimited.keys() - extents.keys() - given):
        message = f"no axis is read by {index} alone, so its range is unknown; write ({index}, extent) or"
        raise source.error(unlimited[index], f"{message} ({index}, first, last)")
    ranged = {*unlimited, *indices} - (_bounded(reads, axes) - unlimited.keys())
    return Names(
        equations,
        {n: number for n, a in attributes.items() if (number := number_of(a.value)) is not None},
        indices,
        inputs,
        frozenset({e.name for e in equations if not e.axes} | {n for n in given_inputs if not inputs[n]}),
        frozenset(sizes),
        extents,
        frozenset(ranged),
    )


def number_of(value: ast.expr) -> int | float | None:
    """The number that ``value`` is, if it is one."""
    match value:
        case ast.Constant(value=bool()):
            return None
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=operand) if (positive := number_of(operand)) is not None:
            return -positive
    return None


def elements_of(subscript: ast.Subscript) -> tuple[ast.expr, ...]:
    """What stands between the brackets, one expression per axis."""
    match subscript.slice:
        case ast.Tuple(elts=elements) if elements:
            return tuple(elements)
        case one:
            return (one,)


def index_of(source: Source, limit: ast.expr) -> str:
    """The index of a limit ``j``, ``(j, extent)`` or ``(j, first, last)``.

    Raises:
        DeclarationError: ``limit`` is none of these.
    """
    match limit:
        case ast.Name(id=index) | ast.Tuple(elts=[ast.Name(id=index), _] | [ast.Name(id=index), _, _]):
            return index
    raise source.error(limit, "expected an index: j, (j, extent) or (j, first, last)")


def suggestion(name: str, known: Iterable[str]) -> str:
    """``; did you mean x?`` where some known name is close, else nothing."""
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def names_in(value: ast.expr) -> list[str]:
    """Every name in ``value`` that is no function's, as written from left to right."""
    functions = {id(node.func) for node in ast.walk(value) if isinstance(node, ast.Call)}
    return [node.id for node in _in_order(value) if isinstance(node, ast.Name) and id(node) not in functions]


def _in_order(tree: ast.AST) -> list[ast.expr]:
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.expr)]
    return sorted(nodes, key=lambda node: (node.lineno, node.col_offset))


def _limits(value: ast.expr) -> Iterator[ast.expr]:
    for node in _in_order(value):
        match node:
            case ast.Call(func=ast.Name(id=name), args=[_, *limits]) if name in REDUCTIONS:
                yield from limits


def _bounded(reads: list[Read], axes: dict[str, tuple[str, ...]]) -> set[str]:
    """The names whose range a plain read limits; ``h[i]`` of an ``h`` defined over ``i`` itself does not."""
    return {
        name
        for read in reads
        if not read.padded
        for axis, element in enumerate(read.elements)
        for name in names_in(element)
        if axes.get(read.tensor, ())[axis : axis + 1] != (name,)
    }


def _reads(source: Source, value: ast.expr) -> Iterator[Read]:
    for node in _in_order(value):
        match node:
            case ast.Subscript(value=ast.Name(id=tensor)):
                yield Read(tensor, elements_of(node), padded=False)
            case ast.Subscript(value=ast.Call(func=ast.Name(id="pad"), args=[ast.Name(id=tensor), *_])):
                yield Read(tensor, elements_of(node), padded=True)
            case ast.Subscript():
                raise source.error(node, "only a tensor takes indices: x[i, j] or pad(x)[i, j]")


def _check_inputs(
    source: Source, inputs: dict[str, Given], meanings: dict[str, Iterable[str]], names: list[str]
) -> None:
    """Refuse an input that is something else, one that nothing says a shape of, and what cannot be in a shape."""
    for name, given in inputs.items():
        for meaning, holders in meanings.items():
            if name in holders:
                raise source.error(given.node, f"{name} is {meaning}, and no input")
        if given.shape is None and name not in names:
            raise source.error(given.node, f"no equation reads {name}{suggestion(name, names) or '; drop it'}")
        for part in (n for extent in given.shape or () for n in _in_order(extent) if isinstance(n, ast.Name)):
            if part.id in inputs or part.id in meanings["a left side"]:
                raise source.error(part, f"{part.id} is a tensor; an axis has an extent such as {part.id.upper()}_0")
            if part.id in meanings["an index"]:
                raise source.error(part, f"{part.id} is an index; an axis has an extent such as {part.id.upper()}")


def _check_meanings(
    source: Source,
    equations: tuple[TextEquation, ...],
    indices: tuple[str, ...],
    attributes: dict[str, ast.Assign],
    declared: dict[str, tuple[ast.expr, ...]],
) -> None:
    """Refuse a tensor with two ranks, a name with two meanings and a name defined twice."""
    ranks = {name: len(shape) for name, shape in declared.items()} | {e.name: len(e.axes) for e in equations}
    for position, equation in enumerate(equations):
        target = equation.node.targets[0]
        if equation.name in {e.name for e in equations[:position]} or equation.name in attributes:
            raise source.error(target, f"{equation.name} is defined twice")
        if equation.name in indices:
            raise source.error(target, f"{equation.name} is an index and cannot be defined")
        for node in _in_order(equation.value):
            match node:
                case ast.Subscript(value=ast.Name(id=tensor) | ast.Call(args=[ast.Name(id=tensor), *_])):
                    if tensor in indices or tensor in attributes:
                        meaning = "an index" if tensor in indices else "an attribute"
                        raise source.error(node, f"{tensor} is {meaning}, and cannot take indices")
                    rank = len(elements_of(node))
                    if rank != ranks.setdefault(tensor, rank):
                        message = f"{tensor} has {rank} {'axis' if rank == 1 else 'axes'} here"
                        raise source.error(node, f"{message} and {ranks[tensor]} elsewhere")


def _same_extent(
    reads: list[Read], axes: dict[str, tuple[str, ...]], indices: tuple[str, ...]
) -> list[tuple[str, ...]]:
    """Group the indices that read the same axis of a tensor bare; one that reads none is in no group."""
    groups: dict[str, set[str]] = {}
    slots: dict[tuple[str, int], set[str]] = {}
    for read in reads:
        for axis, element in enumerate(read.elements):
            if isinstance(element, ast.Name) and element.id in indices:
                own = axes.get(read.tensor, ())
                together = {element.id, *own[axis : axis + 1]}
                slots.setdefault((read.tensor, axis), set()).update(together)
    for together in slots.values():
        merged = set().union(together, *(groups.get(index, set()) for index in together))
        groups.update(dict.fromkeys(merged, merged))
    ordered = [tuple(index for index in indices if index in groups[i]) for i in indices if i in groups]
    return list(dict.fromkeys(ordered))


def _named(name: str) -> ast.expr:
    return ast.Name(name, lineno=1, col_offset=0)


def _extent(
    group: tuple[str, ...],
    reads: list[Read],
    declared: dict[str, tuple[ast.expr, ...]],
    written: list[str],
    taken: set[str],
) -> ast.expr:
    """The extent that a clause gives an axis which one of the group reads bare, else one named after the group."""
    for read in (r for r in reads if r.tensor in declared):
        for element, extent in zip(read.elements, declared[read.tensor], strict=True):
            if isinstance(element, ast.Name) and element.id in group:
                return extent
    return _named(_extent_name(group, written, taken))


def _extent_name(group: tuple[str, ...], written: list[str], taken: set[str]) -> str:
    """``B`` for an index ``b``; of several spellings the one that the text uses."""
    free = [index.upper() for index in group if index.upper() not in taken]
    return next((name for name in free if name in written), free[0] if free else f"{group[0]}_extent")


def _axis_extents(
    tensor: str, reads: list[Read], extents: dict[str, ast.expr], taken: set[str]
) -> tuple[ast.expr, ...]:
    """An axis that an index reads bare has that index's extent, any other one of its own: ``X2`` for axis 2 of x."""
    elements = zip(*(read.elements for read in reads if read.tensor == tensor), strict=True)
    shape = []
    for axis, written in enumerate(elements):
        bare = [extents[node.id] for node in written if isinstance(node, ast.Name) and node.id in extents]
        own = f"{tensor.upper()}{axis}"
        shape.append(bare[0] if bare else _named(f"{own}_extent" if own in taken else own))
    return tuple(shape)
