"""Solved forms in a document: each elimination, each condition, and the special cases in which none is left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from symgrad.declare.conditions import compare, conjuncts
from symgrad.declare.division import remainder
from symgrad.declare.integers import Index, Poly, Quotient, Size, atoms
from symgrad.declare.program import Equation, Program
from symgrad.declare.scalars import Read, reads_of
from symgrad.derive.terms import terms_of
from symgrad.emit.study_chain import Contribution
from symgrad.emit.study_model import Block, DerivationStep, Inline, Sentence
from symgrad.emit.study_page import Page, say
from symgrad.emit.study_solve import (
    Elimination,
    SolvedForm,
    can_be_solved,
    equalities,
    extents_with,
    solve_equation,
    with_sizes,
)

SOLVE_RULE, SPECIAL_RULE = "solve the index map", "special case"


@dataclass(frozen=True)
class Solver:
    """Finds the forms of an equation and words them."""

    program: Program
    cotangents: frozenset[str]

    def forms(self, equation: Equation) -> tuple[SolvedForm, ...]:
        """Return the solved forms of an equation, the one that is easiest to read first; none if nothing is solved."""
        if not can_be_solved(equation):
            return ()
        found = [solve_equation(equation, self.cotangents, self.program.extents, others) for others in (False, True)]
        distinct = {form.equation: form for form in found if form is not None}
        return tuple(sorted(distinct.values(), key=lambda form: form.effort))

    def special(self, equation: Equation, form: SolvedForm) -> tuple[dict[str, int], SolvedForm] | None:
        """Return the form for the attributes at which no division is left, and their values."""
        values: dict[str, int] = {}
        for elimination in form.eliminations:
            pivot = elimination.pivot.atom
            if elimination.unit:
                continue
            if not (isinstance(pivot, Size) and any(a.name == pivot.name for a in self.program.attributes)):
                return None
            values[pivot.name] = 1
        if not values:
            return None
        cotangents, extents = self.cotangents, extents_with(self.program.extents, values)
        put = with_sizes(equation, values)
        options = [solve_equation(put, cotangents, extents, others) for others in (False, True)]
        gone = {e.index.name for e in form.eliminations}
        same = [o for o in options if o is not None and {e.index.name for e in o.eliminations} == gone]
        return (values, same[0]) if same else None

    # --- in words ----------------------------------------------------------------------------------------------

    def contribution(self, page: Page, contribution: Contribution) -> Iterator[Block]:
        """Yield how a contribution is solved, in every form."""
        part = contribution.part
        open_ones = [e for t in terms_of(part.body) if t.bound for e in equalities(t)]
        forms = self.forms(part)
        for form in forms[:1]:
            yield from self._worked(page, part, form)
        for form in forms[1:]:
            yield say("otherwise", indices=page.indices(e.index for e in form.eliminations))
            yield from self._shown(page, part, form)
        if not forms:
            for equality in open_ones:
                yield say("unsolved", equality=page.condition(equality))

    def _worked(self, page: Page, part: Equation, form: SolvedForm) -> Iterator[Block]:
        if form.digits is not None:
            new = _new_indices(part, form.digits)
            yield say("digits", index=page.indices(new))
            yield page.equation(form.digits)
        for elimination in form.eliminations:
            yield _eliminated(page, elimination)
        yield from self._shown(page, part, form)

    def _shown(self, page: Page, part: Equation, form: SolvedForm) -> Iterator[Block]:
        why = f"Solved for {', '.join(e.index.name for e in form.eliminations)}."
        page.steps.append(DerivationStep(SOLVE_RULE, part, form.equation, why))
        extended = tuple({r.tensor: r for r in form.extended}.values())
        if extended:
            marked = page.together(map(page.extended, extended))
            yield say("extended instead", extended=marked, tensor=page.tensors(r.tensor for r in extended))
        elif _conditions(form):
            yield say("conditions kept")
        else:
            yield say("no conditions")
        yield page.equation(form.equation)
        special = self.special(part, form)
        if special is not None:
            yield from self._special(page, part, *special)
        else:
            yield from _flipped(page, form)

    def _special(self, page: Page, part: Equation, values: dict[str, int], form: SolvedForm) -> Iterator[Block]:
        why = f"For {', '.join(f'{n} = {v}' for n, v in values.items())}."
        before = with_sizes(part, values)
        page.steps.append(DerivationStep(SPECIAL_RULE, before, form.equation, why, tuple(values.items())))
        yield say("special", assumption=assumption(page, values))
        yield page.assuming(values).equation(form.equation)
        yield from _flipped(page, form)


def assumption(page: Page, values: dict[str, int]) -> Inline:
    """Return ``stride = 1``."""
    return Inline(
        ", ".join(f"{n} = {v}" for n, v in values.items()),
        ",\\, ".join(f"{page.notation.scalar(n)} = {v}" for n, v in values.items()),
    )


def _new_indices(part: Equation, written: Equation) -> tuple[Index, ...]:
    old = {i for t in terms_of(written.body) for i in t.bound}
    return tuple(i for t in terms_of(part.body) for i in t.bound if i not in old)


def _eliminated(page: Page, elimination: Elimination) -> Sentence:
    index, value = page.index(elimination.index), page.poly(elimination.value)
    inside = say("in range", range=_range(page, elimination))
    if elimination.always_in_range:
        inside = say("in range always")
    if elimination.equality is None:
        return say("eliminate plainly", index=index, value=value, range=inside)
    equality = page.condition(elimination.equality)
    if elimination.unit:
        return say("eliminate unit", equality=equality, index=index, value=value, range=inside)
    parts = [a for a in atoms(elimination.value) if isinstance(a, Quotient) and a.denominator == elimination.pivot]
    top = parts[0].numerator if parts else elimination.value
    divisible = compare("==", remainder(top, elimination.pivot))
    return say(
        "eliminate",
        equality=equality,
        index=index,
        pivot=page.poly(elimination.pivot),
        value=value,
        divisible=page.condition(divisible),
        range=inside,
    )


def _range(page: Page, elimination: Elimination) -> Inline:
    value = page.poly(elimination.value)
    extent = page.extent(elimination.index.extent)
    return Inline(f"0 <= {value.text} < {extent.text}", rf"0 \le {value.latex} < {extent.latex}")


def _conditions(form: SolvedForm) -> bool:
    return any(conjuncts(t.condition) for t in terms_of(form.equation.body))


def _flipped(page: Page, form: SolvedForm) -> Iterator[Block]:
    """Say which summed indices run against an axis of a zero-extended factor."""
    for term in terms_of(form.equation.body):
        for read in reads_of(term.body):
            if read.extension is None:
                continue
            against = [i for i in term.bound if any(_falls(p, i) for p in read.indices)]
            others = sorted({r.tensor for r in reads_of(term.body) if r != read and _holds(r, against)})
            if against and others:
                yield say(
                    "flipped",
                    indices=page.indices(against),
                    tensor=page.tensor(read.tensor),
                    other=page.tensors(others),
                )


def _falls(poly: Poly, index: Index) -> bool:
    """Whether an index expression falls as the index grows."""
    for monomial, c in poly.terms:
        if index in monomial and c < 0:
            return True
        if c > 0 and any(isinstance(a, Quotient) and _falls(a.numerator, index) for a in monomial):
            return True
    return False


def _holds(read: Read, indices: list[Index]) -> bool:
    return any(p.atom in indices for p in read.indices)
