"""Conventions at kinks and jumps, named where a slope makes use of them."""

from __future__ import annotations

from collections.abc import Iterator

from symgrad.declare.algebra import add, apply, number
from symgrad.declare.scalars import (
    NOUGHT,
    Apply,
    Node,
    Number,
    Power,
    Read,
    Relation,
    Scalar,
    Select,
    Sloped,
    Stopped,
    children,
    reads_of,
    walk,
)
from symgrad.derive.derivatives import derivative
from symgrad.emit.study_chain import Contribution
from symgrad.emit.study_model import Sentence
from symgrad.emit.study_page import Page, say


def kinks(page: Page, contribution: Contribution) -> Iterator[Sentence]:
    """Yield a sentence for every kink in the term that the slope by the read passes."""
    read = contribution.read
    for node in dict.fromkeys(_live(contribution.term)):
        match node:
            case Apply("max" | "min", args) if read in reads_of(node) and len(args) > 1:
                yield _extreme(page, node, args, read)
            case Apply("abs", (argument,)) if read in reads_of(argument):
                yield say("kink abs", argument=page.scalar(argument), value=page.scalar(node))
            case Power(base, _) if read in reads_of(base) and _is_guarded(contribution.slope, base):
                yield say("kink root", argument=page.scalar(base), value=page.scalar(node))
            case Apply("sign" | "floor" | "ceil", _) if read in reads_of(node):
                yield say("kink step", value=page.scalar(node))
            case Select(condition, then, otherwise) if _on_values(condition) and (
                read in reads_of(then) or read in reads_of(otherwise)
            ):
                yield say("kink select", condition=page.condition(condition))


def _extreme(page: Page, node: Apply, args: tuple[Scalar, ...], read: Read) -> Sentence:
    """At a tie the first argument counts as the one taken."""
    slope = derivative(args[0], read)
    return say(
        "kink extreme",
        value=page.scalar(apply(node.function, *args)),
        first=page.scalar(args[0]),
        read=page.scalar(read),
        slope=page.scalar(slope if isinstance(slope, Number) else add(slope, number(0))),
    )


def _is_guarded(slope: Scalar, base: Scalar) -> bool:
    """Return whether the slope is 0 by convention where the base of a power is."""
    apart = Relation("!=", base, NOUGHT)
    return any(isinstance(n, Select) and n.condition == apart and n.otherwise == NOUGHT for n in walk(slope))


def _on_values(condition: Node) -> bool:
    return any(isinstance(n, Relation) for n in walk(condition))


def _live(node: Node) -> Iterator[Node]:
    """Yield the node and everything in it outside StopGradient and outside slopes of the user's own."""
    if isinstance(node, Stopped | Sloped):
        return
    yield node
    for child in children(node):
        yield from _live(child)
