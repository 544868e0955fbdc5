"""Windows accumulated at steps that attributes give: where those are 1, a product with windows of the other tensor.

``out[t] = sum over i, u with t = s * i + u of w[u, ..] * y[i, ..]`` is accumulated, slice by slice, because s is known
only when a module runs. At s = 1 it is ``sum over u of w[u, ..] * y[t - u, ..]``: one product, no accumulation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import prod

from symgrad.declare.algebra import add
from symgrad.declare.formula import equation_text
from symgrad.declare.integers import ONE, ZERO, Poly, Size, as_poly
from symgrad.declare.program import Equation, Program
from symgrad.declare.scalars import Scalar, reads_of
from symgrad.derive.terms import Term, terms_of
from symgrad.lower.arrays import FULL, Array, Assign, Fresh, Helper, Map, Name, Subscript, Update, When, Whole
from symgrad.lower.axes import Axes
from symgrad.lower.builder import Builder, comment
from symgrad.lower.inplace import bare
from symgrad.lower.placement import as_scatter, in_one_pass, prefers_solved, scatter_axes, solved_form
from symgrad.lower.prepare import eliminate
from symgrad.lower.specialise import equation_with_ones, steps_in, with_ones
from symgrad.lower.walks import along
from symgrad.lower.window_matrices import matrices_of_windows

Lower = Callable[[Builder, Equation, str | None], None]

COPIED = 1
"""How many elements may be copied into windows for each that would be accumulated, at no loss."""

POSITIONS = 2
"""How many windows there may be, each of them a row of the product, for each position that is accumulated."""


@dataclass(frozen=True, slots=True)
class _Gain:
    """Attributes that have to be 1, and the equation with these.

    ``copied`` and ``accumulated`` are axes that one form copies and the other accumulates, ``windows`` and
    ``positions`` how many windows one has and how many positions the other.
    """

    names: tuple[str, ...]
    narrowed: Equation
    solved: Equation
    copied: Poly
    accumulated: Poly
    windows: Poly
    positions: Poly


def at_unit_steps(b: Builder, equation: Equation, winner: str | None, lower: Lower) -> bool:
    """Emit the equation in both forms, where steps decide between them; False if they do not."""
    if b.general or b.loops or b.chunked or b.at_steps or equation.integer or winner:
        return False
    gain = next(_gains(b, equation), None)
    if gain is None:
        return False
    ones, steps = _apart(b, with_ones(b.program, gain.names)), _apart(b, b.program)
    lower(ones, gain.narrowed, None)
    steps.chunk = ones.chunk
    lower(steps, equation, None)
    b.chunk = steps.chunk
    b.taken |= ones.taken | steps.taken
    tests: list[Array] = [Map("eq", (Whole(as_poly(Size(name))), Whole(as_poly(1)))) for name in gain.names]
    if gain.copied != gain.accumulated:
        tests.append(Map("le", (Whole(gain.copied), Whole(COPIED * gain.accumulated))))
    if gain.windows != gain.positions:
        tests.append(Map("le", (Whole(gain.windows), Whole(POSITIONS * gain.positions))))
    condition = tests[0] if len(tests) == 1 else Helper("and", tuple(tests))
    comment(ones, 0, equation_text(gain.solved))
    b.because(f"{equation.target}: one product with windows where {' = '.join((*gain.names, '1'))}, else accumulated")
    if b.fast:  # so that nothing has to ask which form made the result
        for form in (ones, steps):
            _fill(form, equation.target)
        b.emit(Assign(equation.target, Fresh("empty", tuple(i.extent for i in equation.indices))))
    b.emit(When(condition, tuple(ones.block), otherwise=tuple(steps.block)))
    return True


def _apart(b: Builder, program: Program) -> Builder:
    """Where one of the two forms is lowered; both may use the same names."""
    return replace(b, program=program, block=[], levels=[], known=dict(b.known), taken=set(b.taken), at_steps=True)


def _gains(b: Builder, equation: Equation) -> Iterator[_Gain]:
    """The smallest sets of attributes first."""
    names = steps_in(b.program, equation.body)
    if not names:
        return
    before = [_accumulated(b, t, equation.indices) for t in terms_of(equation.body)]
    if not any(before):
        return
    for chosen in dict.fromkeys((*((name,) for name in names), names)):
        narrowed = equation_with_ones(equation, chosen)
        if narrowed.indices != equation.indices:
            continue  # the extents of the result would have two formulas
        inner = replace(b, program=with_ones(b.program, chosen), reasons=[])
        after = terms_of(narrowed.body)
        if len(before) != len(after):
            continue  # where steps are 1, two terms are one, or none
        for place, (old, new) in enumerate(zip(before, after, strict=True)):
            found = old and _better(b, inner, (old, new), (equation.indices, narrowed.indices))
            if found:
                solved = [found[0] if p == place else t for p, t in enumerate(after)]
                body = add(*(t.scalar() for t in solved))
                yield _Gain(chosen, narrowed, narrowed.with_body(body), *found[1:])


def _accumulated(b: Builder, term: Term, free: Axes) -> Term | None:
    """The term, made ready, if it is accumulated."""
    term = eliminate(b, term)
    job = as_scatter(term, free)
    return None if job is None or prefers_solved(b, job, solved_form(b, term)) else term


def _better(
    b: Builder, inner: Builder, terms: tuple[Term, Term], free: tuple[Axes, Axes]
) -> tuple[Term, Poly, Poly, Poly, Poly] | None:
    """The second term as a product with windows, where the first, before steps were 1, is accumulated."""
    old, new = terms[0], eliminate(inner, terms[1])
    job = as_scatter(new, free[1])
    if job is None:
        return None
    solved = solved_form(inner, new)
    if solved is None or not prefers_solved(inner, job, solved) or not _is_view(solved.body):
        return None
    term = Term(new.scale, solved.bound, solved.condition, solved.body)
    if in_one_pass(inner, solved):
        return term, ONE, ONE, ONE, ONE
    copied = [whole for whole, _ in matrices_of_windows(inner, term, free[1])]
    spread = [whole for whole, _ in matrices_of_windows(b, old, free[0])]
    if len(copied) != 1 or len(spread) != 1:
        return None
    placed = {i.name for i in (*scatter_axes(job), *(p.index for p in solved.pivots))}
    return term, *_alone(copied[0], spread[0], placed), _volume(copied[0], placed), _volume(spread[0], placed)


def _is_view(body: Scalar) -> bool:
    return all(along(p, frozenset()) is not None for r in reads_of(body) for p in r.indices)


def _alone(copied: Axes, spread: Axes, placed: set[str]) -> tuple[Poly, Poly]:
    """The extents that only one of two sets of indices has, other than ``placed``."""
    left, right = ({i.name for i in axes} - placed for axes in (copied, spread))
    return _volume(copied, left - right), _volume(spread, right - left)


def _volume(axes: Axes, names: set[str]) -> Poly:
    """The product of the extents of the indices with these names."""
    return prod((i.extent for i in axes if i.name in names), start=ONE)


def _fill(b: Builder, target: str) -> None:
    """Let the statements fill in an array that is there before them."""
    for place, statement in enumerate(b.block):
        if isinstance(statement, Assign) and statement.name == target:
            if isinstance(statement.array, Fresh) and statement.array.kind == "empty":
                del b.block[place]
            else:
                zeros = isinstance(statement.array, Fresh) and statement.array.kind == "zeros"
                value = Whole(ZERO) if zeros else bare(statement.array)
                b.block[place] = Update(Subscript(Name(target), (FULL,)), "=", value, statement.comment)
            return
