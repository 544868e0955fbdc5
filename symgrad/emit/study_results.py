"""How a document ends: the gradients, and what backward needs for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from symgrad.declare.program import Equation, Program
from symgrad.declare.scalars import tensors_of
from symgrad.derive.adjoint import Adjoint
from symgrad.emit.study_forms import SOLVE_RULE, SPECIAL_RULE, Solver, assumption
from symgrad.emit.study_model import Block, DerivationStep, Listing, Section
from symgrad.emit.study_page import Page, say
from symgrad.emit.study_solve import with_sizes


def gradients_section(page: Page, derived: Adjoint, solver: Solver) -> Section:
    """Return the section with the final formulas."""
    program = derived.program
    backward = [e for e in program.equations if e.target in derived.backward]
    final = [e for e in backward if e.target in derived.gradients]
    order = {name: p for p, name in enumerate(derived.gradients)}
    final.sort(key=lambda e: order[e.target])
    before = [e for e in backward if e.target not in derived.gradients]
    blocks: list[Block] = []
    if not final:
        return Section(say("gradients"), (say("no results"),))
    if before:
        blocks += [say("on the way"), page.equations(before)]
        blocks.append(say("results"))
    blocks.append(page.equations(final, boxed=True))
    for equation in final:
        blocks += _solved(page, equation, solver)
    return Section(say("gradients"), tuple(blocks))


def _solved(page: Page, equation: Equation, solver: Solver) -> Iterator[Block]:
    forms = solver.forms(equation)
    if not forms or (forms[0].remaining and not forms[0].eliminations):
        return
    form = forms[0]
    names = ", ".join(e.index.name for e in form.eliminations)
    page.steps.append(DerivationStep(SOLVE_RULE, equation, form.equation, f"Solved for {names}."))
    yield say("solved", indices=page.indices(e.index for e in form.eliminations))
    yield page.equation(form.equation, boxed=True)
    special = solver.special(equation, form)
    if special is not None:
        values, put = special
        before = with_sizes(equation, values)
        page.steps.append(DerivationStep(SPECIAL_RULE, before, put.equation, "A special case.", tuple(values.items())))
        yield say("special, plainly", assumption=assumption(page, values))
        yield page.assuming(values).equation(put.equation, boxed=True)


def residuals_section(page: Page, program: Program, derived: Adjoint, residuals: Sequence[str]) -> Section:
    """Return the section on what forward keeps for backward."""
    backward = [e for e in derived.program.equations if e.target in derived.backward]
    inputs = {t.name for t in program.inputs}
    rows = []
    for name in residuals:
        readers = [e.target for e in backward if name in tensors_of(e.body)]
        role = "an input" if name in inputs else "an output" if name in program.outputs else "computed"
        rows.append((page.tensor(name), say(role), page.tensors(readers)))
    kept = set(residuals)
    others = [*(t.name for t in program.inputs), *(e.target for e in program.equations)]
    left_out = [name for name in others if name not in kept]
    blocks: list[Block] = [say("kept" if rows else "kept nothing")]
    if rows:
        blocks.append(Listing(("tensor", "role", "needed for"), tuple(rows)))
    if left_out:
        blocks.append(say("not kept", names=page.tensors(left_out)))
    return Section(say("residuals"), tuple(blocks))
