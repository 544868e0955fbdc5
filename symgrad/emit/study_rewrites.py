"""The steps of the trace, grouped by rule: each with its equation, what it is for, and what it did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from symgrad.derive.trace import Step
from symgrad.emit.study_model import Block, DerivationStep, Formula, Row, Section, Sentence
from symgrad.emit.study_page import Page, say
from symgrad.emit.study_rules import words_of

CHAIN_RULE = "chain rule"


def parts(steps: Sequence[Step]) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """Return the steps before the chain rule, and those after it."""
    places = [p for p, s in enumerate(steps) if s.rule == CHAIN_RULE]
    if not places:
        return tuple(steps), ()
    return tuple(steps[: places[0]]), tuple(s for s in steps[places[-1] + 1 :])


def rewrites(page: Page, steps: Iterable[Step]) -> tuple[Section, ...]:
    """Return a section for every run of steps by one rule; a step that changes nothing to be seen is left out."""
    sections: list[Section] = []
    said: set[str] = set()
    for rule, run in groupby(steps, key=lambda s: s.rule):
        blocks = [b for step in _distinct(run) for b in _shown(page, step)]
        if not blocks:
            continue
        words = words_of(rule)
        head: list[Block] = []
        if words.why and words.why not in said:
            head.append(say("plain", text=words.why))
        if words.latex and words.latex not in said:
            head.append(Formula((words.text or rule,), (Row("", "", words.latex),)))
        said |= {words.why, words.latex}
        sections.append(Section(say("plain", text=words.title), (*head, *blocks)))
    return tuple(sections)


def _distinct(run: Iterable[Step]) -> tuple[Step, ...]:
    """Return the steps of a run, each once."""
    return tuple({(s.before, s.after): s for s in run}.values())


def _shown(page: Page, step: Step) -> tuple[Formula | Sentence, ...]:
    why = words_of(step.rule).why or step.rule
    page.steps.append(DerivationStep(step.rule, step.before, step.after, step.note or why))
    note = (say("plain", text=step.note),) if step.note else ()
    if step.before is None:
        return (*note, page.equation(step.after))
    formula = page.rewriting(step.before, step.after)
    before, after = page.rows("", "", step.before.body), page.rows("", "", step.after.body)
    return () if before == after else (*note, formula)
