"""What a document says about equations that need each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from symgrad.declare.program import Equation
from symgrad.declare.recurrence import Scan, schedule
from symgrad.emit.study_model import Inline, Sentence
from symgrad.emit.study_page import Page, say


def recurrences(page: Page, equations: Sequence[Equation]) -> Iterator[Sentence]:
    """Yield for every recurrence which equations it consists of, and which way it and its cotangents run.

    The equations have been shown with their numbers.
    """
    for scan in (item for item in schedule(equations) if isinstance(item, Scan)):
        numbers = ", ".join(f"({page.number(e)})" for e in scan.members)
        index = page.index(scan.index(scan.members[0].target))
        ways = (say("after"), say("before")) if scan.reverse else (say("before"), say("after"))
        yield say("recurrence", numbers=Inline(numbers, rf"\text{{{numbers}}}"), index=index, before=ways[0])
        yield say("recurrence adjoint", tensors=page.tensors(e.target for e in scan.members), after=ways[1])
