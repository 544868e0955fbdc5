"""What has to be said about notation that is not everybody's, and only where a document uses it."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from symgrad.declare.algebra import add, apply, multiply, negate, number, power, subtract
from symgrad.declare.program import Equation
from symgrad.declare.scalars import (
    PLAIN,
    UNIT,
    Apply,
    Compare,
    Extension,
    Named,
    Node,
    Number,
    Read,
    Scalar,
    Select,
    Sloped,
    Stopped,
    walk,
)
from symgrad.emit.study_model import Inline, Sentence
from symgrad.emit.study_page import Page, say

_U: Scalar = Read("u", ())
DEFINED: dict[str, Scalar] = {
    "sigmoid": power(add(UNIT, apply("exp", negate(_U))), number(-1)),
    "softplus": Apply("log", (add(UNIT, apply("exp", _U)),)),
    "log1p": Apply("log", (add(UNIT, _U),)),
    "expm1": subtract(apply("exp", _U), UNIT),
    "logcosh": Apply("log", (apply("cosh", _U),)),
    "erfcx": multiply(apply("exp", power(_U, number(2))), apply("erfc", _U)),
    "ierfcx": subtract(
        power(Named("pi"), Number(Fraction(-1, 2))), multiply(_U, apply("exp", power(_U, number(2))), apply("erfc", _U))
    ),
    "logerfc": Apply("log", (apply("erfc", _U),)),
    "loghalferfc": Apply("log", (multiply(Number(Fraction(1, 2)), apply("erfc", _U)),)),
    "log1mexp": Apply("log", (subtract(UNIT, apply("exp", _U)),)),
}
"""Functions that not every reader knows, by their definition."""


def conventions(page: Page, equations: tuple[Equation, ...]) -> Iterator[Sentence]:
    """Yield a sentence for every convention that the equations make use of."""
    nodes = [n for e in equations for n in walk(e.body)]
    seen: dict[Extension, str] = {}
    for node in nodes:
        if isinstance(node, Read) and node.extension and node.extension not in PLAIN:
            seen.setdefault(node.extension, node.tensor)
    for extension, tensor in seen.items():
        yield _beyond(page, tensor, extension)
    if any(isinstance(n, Compare) or (isinstance(n, Select) and n.then == UNIT) for n in nodes):
        yield say("bracket", bracket=Inline("[P]", "[P]"), condition=Inline("P", "P"))
    functions = {n.function for n in nodes if isinstance(n, Apply)}
    for function in sorted(functions & set(DEFINED)):
        name, definition = page.scalar(apply(function, _U)), page.scalar(DEFINED[function])
        if function == "sigmoid":
            yield say("sigma", sigma=name, definition=definition)
        else:
            yield say("function", name=name, definition=definition)
    if any(_is_stop(page, n) for n in nodes):
        yield say("stop", stop=Inline("stop", r"\operatorname{stop}"))


def _is_stop(page: Page, node: Node) -> bool:
    """Return whether a stop is the user's own, and printed."""
    if isinstance(node, Sloped):
        return True
    if not isinstance(node, Stopped):
        return False
    return not (isinstance(node.value, Read) and node.value.tensor in page.notation.introduced)


def _beyond(page: Page, tensor: str, extension: Extension) -> Sentence:
    shown = page.extended(Read(tensor, (), extension))
    if extension.mode != "constant":
        return say(f"mode {extension.mode}", extended=shown, tensor=page.tensor(tensor))
    outside = number(0) if not extension.value else Number(extension.value)
    return say("zero extension", extended=shown, tensor=page.tensor(tensor), value=page.scalar(outside))
