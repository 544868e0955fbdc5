"""The chain rule in a document: cotangent by cotangent, read by read."""

from __future__ import annotations

from collections.abc import Iterator

from symgrad.declare.integers import Size, atoms
from symgrad.declare.program import Equation, Program
from symgrad.declare.scalars import Number, Reduce
from symgrad.derive.terms import terms_of
from symgrad.emit.study_chain import Chain, Contribution
from symgrad.emit.study_forms import Solver
from symgrad.emit.study_kinks import kinks
from symgrad.emit.study_model import Block, DerivationStep, Formula, Inline, Row, Section, Sentence
from symgrad.emit.study_page import Page, say
from symgrad.emit.study_rewrites import CHAIN_RULE
from symgrad.emit.study_solve import equalities

READ_RULE = "contribution of a read"


def chain_section(page: Page, chain: Chain, program: Program, solver: Solver) -> Section:
    """Return the section on the chain rule."""
    blocks: list[Block] = [*_introduction(page, chain, program)]
    made = [e for e in chain.adjoint.program.equations if program.equation(e.target) is None]
    for equation in made:
        if equation.target not in chain.bars:
            blocks += _auxiliary(page, equation)
    for equation in made:
        if equation.target in chain.bars:
            blocks.append(_cotangent(page, chain, equation, solver))
    return Section(say("chain"), tuple(blocks))


def _introduction(page: Page, chain: Chain, program: Program) -> Iterator[Block]:
    letter = _objective(program)
    yield say("cotangents", objective=Inline(letter, letter))
    generic = Row(r"\bar{t}_{i}", "=", rf"\frac{{\partial {letter}}}{{\partial t_{{i}}}}")
    yield Formula((f"grad_t[i] = d{letter} / dt[i]",), (generic,))
    yield say("seeds", seeds=page.tensors(chain.adjoint.cotangents))
    constant = [t.name for t in program.inputs if t.constant or t.integer]
    if constant:
        yield say("constants", tensors=page.tensors(constant))
    yield say("rule of the chain")


def _objective(program: Program) -> str:
    """A letter for the number that is differentiated which nothing in the layer has."""
    taken = {t.name for t in program.inputs} | {e.target for e in program.equations}
    taken |= {a.name for a in program.attributes}
    taken |= {a.name for t in program.inputs for e in t.extents for a in atoms(e) if isinstance(a, Size)}
    return next(letter for letter in ("J", "L", "E", "Q", "J_0") if letter not in taken)


def _auxiliary(page: Page, equation: Equation) -> tuple[Block, ...]:
    page.steps.append(DerivationStep(CHAIN_RULE, None, equation, "A definition that the chain rule needs."))
    match equation.body:
        case Reduce("argmax" | "argmin"):
            key = "winner"
        case Reduce("product"):
            key = "others"
        case Reduce("sum"):
            key = "ties"
        case _:
            key = "definition"
    return say(key), page.equation(equation, numbered=True)


def _cotangent(page: Page, chain: Chain, total: Equation, solver: Solver) -> Section:
    """Return what is added to one cotangent, and the sum."""
    contributions = chain.to(total.target)
    tensor = chain.bars[total.target][0]
    given = tensor in _outputs(chain)
    alone = len(contributions) == 1 and not given
    blocks: list[Block] = [say("given", tensor=page.tensor(tensor))] if given else []
    for contribution in contributions:
        blocks += _contribution(page, contribution, total if alone else None)
        blocks += solver.contribution(page, contribution)
    if not contributions and not given:
        blocks += [say("nothing", tensor=page.tensor(tensor)), page.equation(total, numbered=True)]
    elif not alone:
        blocks += [say("together"), page.equation(total, numbered=True)]
    page.steps.append(DerivationStep(CHAIN_RULE, None, total, "The sum of the contributions of all reads."))
    return Section(say("cotangent of", tensor=page.tensor(tensor)), tuple(blocks))


def _outputs(chain: Chain) -> set[str]:
    """Return the outputs that are also read: their cotangents begin with what is given."""
    return {chain.bars[c][0] for c in chain.adjoint.cotangents if chain.bars[c][1]}


def _contribution(page: Page, contribution: Contribution, total: Equation | None) -> Iterator[Block]:
    read = page.scalar(contribution.read)
    where = say("reads", number=f"({page.number(contribution.equation)})", read=read)
    if contribution.summed:
        where = Sentence("reads in sum", (*where.places, ("indices", page.indices(contribution.summed))))
    body = contribution.equation.body
    slope = contribution.slope
    if contribution.term == contribution.read:
        yield say("two", one=where, two=say("slope one"))
    elif isinstance(slope, Number):
        yield say("two", one=where, two=say("slope number", slope=page.scalar(slope)))
    else:
        yield say("two", one=where, two=say("slope"))
        yield page.slope(contribution.read, contribution.term, slope)
    if isinstance(body, Reduce) and body.kind in ("max", "min"):
        bare = page.scalar(Reduce(body.kind, body.indices, body.condition, contribution.read))
        yield say("picked first" if body.ties == "first" else "picked split", reduction=bare)
    yield from kinks(page, contribution)
    part = contribution.part
    page.steps.append(DerivationStep(READ_RULE, None, part, f"What the read {read.text} adds."))
    conditional = any(equalities(t) for t in terms_of(part.body))
    element = page.element(page.notation.bars[part.target][0], part.indices)
    yield say("collected where" if conditional else "collected", element=element)
    if total is not None:
        yield page.equation(total, numbered=True)
    else:
        yield _added(page, part)


def _added(page: Page, part: Equation) -> Formula:
    """Return a contribution that is one of several."""
    formula = page.equation(part)
    first, *rest = formula.rows
    text = formula.text[0].replace(" = ", " += ", 1)
    return Formula((text,), (Row(first.left, r"\mathrel{+}=", first.right), *rest))
