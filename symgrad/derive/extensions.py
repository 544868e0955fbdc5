"""Reads that repeat a tensor beyond its border (reflect, replicate, wrap), through a copy with that border.

``x[mod(i - j, N)]`` is ``x_wrap[i - j + N - 1]`` with ``x_wrap[p] = x[mod(p - N + 1, N)]``: what is left are plain
windows, whose adjoint is plain too, and one repetition, whose adjoint folds the border back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from symgrad.declare.bounds import lower_end, nonnegative, relaxed_upper, upper_end
from symgrad.declare.graph import groups, is_recurrent
from symgrad.declare.integers import ZERO, Entry, Index, Poly, RealFloor, affine_in, as_poly, atoms, extreme, indices_of
from symgrad.declare.program import Equation, Program
from symgrad.declare.repeats import Repeat, folded, repeat_of
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import PLAIN, Node, Read, walk
from symgrad.derive.trace import Trace
from symgrad.naming import fresh

SPAN = 3
"""A border is made only if what is read spans at most so many times the axis; else elements are gathered."""


@dataclass(frozen=True, slots=True)
class Border:
    """How far one axis is read before its beginning and beyond its end, and what stands there."""

    mode: str
    before: Poly
    after: Poly


Frame = tuple[Border | None, ...]


def explicit_extensions(program: Program, trace: Trace) -> Program:
    """Write reflect, replicate and wrap as reads of elements that exist, through an extended copy where that helps."""
    program = replace(program, equations=tuple(_as_index_maps(program, e) for e in program.equations))
    frames: dict[str, list[Frame]] = {}
    # A recurrence has no moment at which a copy of it could be made.
    stepped = {e.target for g in groups(program.equations) if is_recurrent(g) for e in g}
    for equation in program.equations:
        for node in walk(equation.body):
            if isinstance(node, Read) and node.tensor not in stepped and (frame := _frame(program, node)) is not None:
                _join(frames.setdefault(node.tensor, []), frame)
    taken = program.names()
    copies: dict[str, list[tuple[str, Frame]]] = {}
    for tensor, found in frames.items():
        for frame in found:
            mode = next(b.mode for b in frame if b)
            copies.setdefault(tensor, []).append((fresh(f"{tensor}_{mode}", taken), frame))
            taken.add(copies[tensor][-1][0])
    return replace(program, equations=tuple(_with_copies(program, copies, taken, trace)))


def _as_index_maps(program: Program, equation: Equation) -> Equation:
    def change(node: Node) -> Node:
        if isinstance(node, Read) and node.extension and node.extension.mode not in ("constant", "guarded"):
            extents, mode = program.extents(node.tensor), node.extension.mode
            return Read(node.tensor, tuple(folded(mode, i, e) for i, e in zip(node.indices, extents, strict=True)))
        return map_children(node, change)

    return equation.with_body(changed(equation.body, change))


def _frame(program: Program, read: Read) -> Frame | None:
    """The borders that a read needs; None if it needs none, or does not walk along its axes."""
    if read.extension not in PLAIN:
        return None
    extents = program.extents(read.tensor)
    repeats = [repeat_of(i, e) for i, e in zip(read.indices, extents, strict=True)]
    if not any(repeats):
        return None
    frame = tuple(None if r is None else _border(r, e) for r, e in zip(repeats, extents, strict=True))
    return None if any(r and not b for r, b in zip(repeats, frame, strict=True)) else frame


def _border(found: Repeat, extent: Poly) -> Border | None:
    inner = found.inner
    if any(isinstance(a, Entry | RealFloor) for a in atoms(inner)) or not indices_of(inner):
        return None
    for index in indices_of(inner):
        split = affine_in(inner, index)
        if split is None or indices_of(split[0]):
            return None
    low, high = lower_end(inner), upper_end(relaxed_upper(inner))
    if low is None or high is None:
        return None
    if not (nonnegative(low + SPAN * extent) and nonnegative(SPAN * extent - high)):
        return None
    return Border(found.mode, _at_least_zero(-low), _at_least_zero(high - extent + 1))


def _at_least_zero(width: Poly) -> Poly:
    return width if nonnegative(width) else ZERO if nonnegative(-width) else extreme("max", [width, ZERO])


def _join(frames: list[Frame], frame: Frame) -> None:
    """Widen a frame of the same modes, or append a new one."""
    for p, known in enumerate(frames):
        if all(a is None or b is None or a.mode == b.mode for a, b in zip(known, frame, strict=True)):
            frames[p] = tuple(_wider(a, b) for a, b in zip(known, frame, strict=True))
            return
    frames.append(frame)


def _wider(a: Border | None, b: Border | None) -> Border | None:
    if a is None or b is None:
        return a or b
    return Border(a.mode, _larger(a.before, b.before), _larger(a.after, b.after))


def _larger(a: Poly, b: Poly) -> Poly:
    return a if nonnegative(a - b) else b if nonnegative(b - a) else extreme("max", [a, b])


def _with_copies(
    program: Program, copies: dict[str, list[tuple[str, Frame]]], taken: set[str], trace: Trace
) -> list[Equation]:
    """The equations with their reads changed, each copy before its first use."""
    done: list[Equation] = []
    made: set[str] = set()

    def change(node: Node) -> Node:
        match node:
            case Read(tensor, indices, _) if tensor in copies and (own := _frame(program, node)) is not None:
                name, frame = next((n, f) for n, f in copies[tensor] if _covers(f, own))
                if name not in made:
                    made.add(name)
                    done.append(_copy(program, tensor, name, frame, taken))
                    trace.record("a copy with the border that is read", None, done[-1])
                extents = program.extents(tensor)
                return Read(name, tuple(map(_moved, indices, extents, frame)), node.extension)
        return map_children(node, change)

    for equation in program.equations:
        after = equation.with_body(changed(equation.body, change))
        trace.record("read the copy", equation, after)
        done.append(after)
    return done


def _covers(frame: Frame, own: Frame) -> bool:
    return all(b is None or (a is not None and a.mode == b.mode) for a, b in zip(frame, own, strict=True))


def _moved(index: Poly, extent: Poly, border: Border | None) -> Poly:
    if border is None:
        return index
    found = repeat_of(index, extent)
    return border.before + (index if found is None or found.mode != border.mode else found.inner)


def _copy(program: Program, tensor: str, name: str, frame: Frame, taken: set[str]) -> Equation:
    """``name[p, ..] = tensor[fold(p - before), ..]``."""
    used = set(taken)
    axes: list[Index] = []
    positions: list[Poly] = []
    for extent, border in zip(program.extents(tensor), frame, strict=True):
        symbol = getattr(extent.atom, "name", "")
        index_name = fresh("p" if border else str(symbol).lower() or "a", used)
        used.add(index_name)
        before, after = (border.before, border.after) if border else (ZERO, ZERO)
        index = Index(index_name, extent + before + after)
        axes.append(index)
        positions.append(folded(border.mode, as_poly(index) - before, extent) if border else as_poly(index))
    return Equation(name, tuple(axes), Read(tensor, tuple(positions)))
