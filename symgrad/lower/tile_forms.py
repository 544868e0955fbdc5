"""Statements for products with windows in tiles, behind the condition that the windows are at every position."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from math import prod

from symgrad.declare.algebra import add, multiply
from symgrad.declare.division import quotient
from symgrad.declare.integers import ONE, Index, Poly, Size, as_poly, indices_of, show
from symgrad.declare.program import Equation, Program
from symgrad.declare.scalars import UNIT, Read, Scalar, free_indices
from symgrad.declare.typical import typical, typical_sizes
from symgrad.derive.terms import all_indices, terms_of
from symgrad.lower.arrays import (
    FLIP,
    FULL,
    Array,
    Assign,
    Fresh,
    Helper,
    Item,
    Map,
    Name,
    NewAxis,
    Pad,
    Run,
    Slice,
    Statement,
    Subscript,
    Transpose,
    Update,
    Value,
    When,
    Whole,
)
from symgrad.lower.axes import Axes, align, subscript
from symgrad.lower.builder import Builder
from symgrad.lower.elementwise import value_of
from symgrad.lower.inplace import bare
from symgrad.lower.part_costs import has_window_products
from symgrad.lower.placement import as_scatter
from symgrad.lower.share import defines, uses, walk
from symgrad.lower.specialise import equation_with_ones, steps_in, with_ones
from symgrad.lower.sums import term_value
from symgrad.lower.tiles import TILES, Tiled, recognised
from symgrad.lower.toom_cook import Transforms, transforms
from symgrad.lower.traverse import parts
from symgrad.lower.values import add_values, as_float

Lower = Callable[[Builder, Equation, str | None], None]


def in_tiles(b: Builder, equation: Equation, winner: str | None, lower: Lower) -> bool:
    """Emit the equation in tiles where that pays and in the direct form elsewhere; False if no term is like that."""
    if not b.fast or b.general or b.loops or b.direct or equation.integer or winner:
        return False
    ones = steps_in(b.program, equation.body, lambda poly, index: not _in_window(b, poly, index))
    tiles = _apart(b, with_ones(b.program, ones))
    narrowed = equation_with_ones(equation, ones)
    terms = terms_of(narrowed.body)
    found = [recognised(tiles, t, narrowed.indices) for t in terms]
    place = next((p for p, tiled in enumerate(found) if tiled is not None), None)
    if place is None:
        return False
    tiled = found[place]
    assert tiled is not None
    if (free_indices(tiled.data) | free_indices(tiled.other)) & (set(b.whole) - set(tiled.batch)):
        return False  # parts along anything but examples would transform what all of them need once each
    tests: list[Array] = [Map("eq", (Whole(as_poly(Size(name))), Whole(as_poly(1)))) for name in ones]
    tile = b.name("tile")
    before = b.outside if b.whole else b.block
    before.append(Assign(tile, Helper("and", (*tests, _tiling(b, tiled, equation)))))
    direct = _apart(b, b.program)
    lower(direct, equation, winner)
    tiles.known |= {s.array: s.name for s in _borders(direct)}
    given = Name(tile) if tiled.transposed else _transformed(tiles, tiled, Name(tile), before)
    _lower_tiled(tiles, equation, narrowed, tiled, place, given, lower)
    _share_borders(b, tiles, direct)
    _share_result(b, equation.target, tiles, direct)
    b.chunk = direct.chunk
    if not has_window_products(replace(narrowed, body=add(*(t.scalar() for t in terms if t != terms[place])))):
        b.tiled[equation.target] = tile
    b.because(f"{equation.target}: {reason(b, tiled)}")
    b.emit(When(Name(tile), tuple(tiles.block), otherwise=tuple(direct.block)))
    return True


def _in_window(b: Builder, poly: Poly, index: Index) -> bool:
    """Whether an index looks like an offset in a window, which may have steps: the shortest of some."""
    others = [b.typical(i.extent) for i in indices_of(poly) if i != index]
    extent = b.typical(index.extent)
    return extent in TILES and bool(others) and extent < min(others)


def transforms_in(program: Program, statements: Iterable[Statement]) -> tuple[Transforms, ...]:
    """The tiles among which statements choose, for the kernels expected."""
    sizes = typical_sizes(program)
    extents: set[int] = set()

    def look(array: Array) -> None:
        match array:
            case Helper("_tiling", (Helper("tuple", kernel), *_)):
                extents.update(typical(extent.poly, sizes) for extent in kernel if isinstance(extent, Whole))
        for part in parts(array):
            look(part)

    for statement in walk(statements):
        if isinstance(statement, Assign):
            look(statement.array)
    return tuple(transforms(m, r) for r in sorted(extents & TILES.keys()) for m in TILES[r])


def reason(b: Builder, tiled: Tiled) -> str:
    """What is saved, for the kernels expected."""
    extents = [b.typical(i.extent) for i in tiled.kernel]
    choices = [[transforms(m, r) for m in TILES[r]] for r in extents]
    saved = (
        f"{prod(f.products for f in some)} multiplications for {prod(f.m * f.r for f in some)}"
        for some in zip(*choices, strict=False)
    )
    along = ", ".join(
        f"{' or '.join(map(str, some))} along {i.name}" for some, i in zip(choices, tiled.windows, strict=True)
    )
    turned = ", transposed" if tiled.transposed else ""
    steps = dict.fromkeys(show(step) for step in tiled.steps if step != ONE)
    turned += f", in steps of {' and '.join(steps)}" if steps else ""
    return f"tiles of {along}{turned}: {' or '.join(saved)}; AT[(G g) * (BT d)] = correlation is proved"


def _apart(b: Builder, program: Program) -> Builder:
    """Where one of the two forms is lowered."""
    return replace(b, program=program, block=[], levels=[], known=dict(b.known), direct=True)


def _lower_tiled(
    b: Builder, equation: Equation, narrowed: Equation, tiled: Tiled, place: int, given: Name, lower: Lower
) -> None:
    """The correlation by a helper, then what else the equation has.

    ``given``: the extents of a tile or, where the data meet kernels, the factors of these.
    """
    terms = terms_of(narrowed.body)
    term, rest = terms[place], [t for p, t in enumerate(terms) if p != place]
    shown = dict(zip(narrowed.indices, equation.indices, strict=True))
    kept = tuple(i for i in narrowed.indices if i in tiled.out)
    added = term.scale == UNIT and kept == narrowed.indices and not any(as_scatter(t, kept) for t in rest)
    name = equation.target if added else b.name(f"{equation.target}_windows")
    b.emit(Assign(name, Fresh("empty", tuple(shown[i].extent for i in kept))))
    _correlate(b, tiled, given, Value(Name(name), kept))
    if added:
        if rest:
            values = [as_float(term_value(b, t, kept)) for t in rest]
            b.emit(Update(Name(name), "+", align(add_values(values, kept), kept)))
        return
    made = Equation(name, kept, term.scalar())
    b.program = replace(b.program, equations=(*b.program.equations, made))
    read: Scalar = multiply(term.scale, Read(name, tuple(map(as_poly, kept))))
    lower(b, narrowed.with_body(add(read, *(t.scalar() for t in rest))), None)


def _transformed(b: Builder, tiled: Tiled, tile: Name, before: list[Statement]) -> Name:
    """The kernels as factors of the products: the same for all parts of an axis that they do not have."""
    summed = tuple(i for _, _, i in tiled.axes)
    kernels = Helper("_factors", (_view(b, tiled.other, (*summed, tiled.channel, tiled.column)), tile))
    name = b.name(f"{tiled.other.tensor}_factors")
    before.append(Assign(name, Helper("if", (tile, kernels))))
    return Name(name)


def _correlate(b: Builder, tiled: Tiled, given: Name, out: Value) -> None:
    """The call of the helper, on views in the order of axes that it takes."""
    one = [] if tiled.batch else [NewAxis()]
    along = tuple(whole for whole, _, _ in tiled.axes)
    view, before = _unbordered(b, _view(b, tiled.data, (*tiled.batch, *along, tiled.channel)), len(tiled.batch))
    data, zeros = subscript(view, one), Helper("tuple", tuple(Whole(e) for e in before or [as_poly(0)] * len(along)))
    steps = (Helper("tuple", tuple(map(Whole, tiled.steps))),) if any(s != ONE for s in tiled.steps) else ()
    result = align(out, tiled.out)
    if tiled.flipped:
        result = subscript(result, [FLIP if i in tiled.flipped else FULL for i in tiled.out])
    if tiled.transposed:
        summed = tuple(i for _, _, i in tiled.axes)
        other = subscript(_view(b, tiled.other, (*tiled.batch, *summed, tiled.column)), one)
        b.emit(Run(Helper("_correlate_transposed", (result, data, other, given, zeros, *steps))))
    else:
        b.emit(Run(Helper("_correlate", (subscript(result, one), data, given, zeros, *steps))))


def _unbordered(b: Builder, view: Array, first: int) -> tuple[Array, list[Poly]]:
    """A view without a border of zeros, and how wide that is before each axis from the first one on but the last.

    The helpers put zeros where they copy; none are told where the view has another border, or none.
    """
    order = view.order if isinstance(view, Transpose) else None
    source = view.source if isinstance(view, Transpose) else view
    items: tuple[Item, ...] = source.items if isinstance(source, Subscript) else ()
    name = source.source if isinstance(source, Subscript) else source
    pad = next((a for a, known in b.known.items() if name == Name(known) and isinstance(a, Pad)), None)
    if pad is None or pad.mode != "constant" or pad.value != 0.0 or any(not isinstance(i, Slice) for i in items):
        return view, []
    none = as_poly(0)
    starts = [i.start if isinstance(i, Slice) and i.start is not None else none for i in items]
    starts += [none] * (len(pad.widths) - len(starts))
    places = order or tuple(range(len(pad.widths)))
    inner = places[first:-1]
    steps = any(isinstance(i, Slice) and i.step is not None for i in items)
    if steps or any(pad.widths[p] != (none, none) or starts[p] != none for p in places if p not in inner):
        return view, []
    b.block[:] = [s for s in b.block if not (isinstance(s, Assign) and s.array == pad)]
    bare: Array = pad.source if order is None else Transpose(pad.source, order)
    return bare, [pad.widths[p][0] - starts[p] for p in inner]


def _view(b: Builder, read: Read, axes: Axes) -> Array:
    return align(value_of(b, read, axes), axes)


def _tiling(b: Builder, tiled: Tiled, equation: Equation) -> Array:
    """The tiles that pay, as the module finds out; extents as the equation has them."""
    own = {i.name: i for i in sorted(all_indices(equation.body) | set(equation.indices), key=lambda i: i.name)}

    def extents(axes: Axes) -> Helper:
        return Helper("tuple", tuple(Whole(own.get(i.name, i).extent) for i in axes))

    count = _whole(b, tiled.batch[0]).extent if tiled.batch else as_poly(1)
    channels = extents((tiled.channel, tiled.column))
    copied = extents((tiled.channel, tiled.column) if tiled.solved else (tiled.channel,))
    fewest = Helper("min", copied.args) if tiled.solved else copied.args[0]
    windows = [own.get(i.name, i).extent for i in tiled.windows]
    phases = tuple(Whole(quotient(e - 1, step) + 1) for e, step in zip(windows, tiled.steps, strict=True))
    examples = Whole(prod(tiled.steps, start=count))
    return Helper("_tiling", (extents(tiled.kernel), channels, fewest, examples, Helper("tuple", phases)))


def _whole(b: Builder, index: Index) -> Index:
    """An index of a part along its whole range."""
    return next(iter(indices_of(b.whole[index])), index) if index in b.whole else index


def _share_borders(b: Builder, tiles: Builder, direct: Builder) -> None:
    """Borders that both forms need are made before the choice between them."""
    used = {n for s in tiles.block for n in uses(s)}
    for statement in _borders(direct):
        if statement.name in used:
            b.emit(statement)
            b.known[statement.array] = statement.name
            direct.block.remove(statement)


def _share_result(b: Builder, target: str, tiles: Builder, direct: Builder) -> None:
    """The array that both forms fill in is made before the choice, where the direct form comes to it in one step."""
    made = next((s for s in tiles.block if isinstance(s, Assign) and s.name == target), None)
    if made is None or not isinstance(made.array, Fresh):
        return
    match direct.block:
        case [*before, Assign(name, array, comment)] if name == target and not any(
            target in defines(s) | uses(s) for s in before
        ):
            written = Update(Subscript(Name(target), (FULL,)), "=", bare(array), comment)
            direct.block[:] = [*before, written]
        case [*_] if made in direct.block:
            direct.block.remove(made)
        case _:
            return
    tiles.block.remove(made)
    b.emit(made)


def _borders(b: Builder) -> list[Assign]:
    return [s for s in b.block if isinstance(s, Assign) and isinstance(s.array, Pad)]
