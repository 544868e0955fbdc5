"""Layers written as text: ``y[b, i] = sum(x[b, j]*w[i, j], j) + c[i]``.

The text is parsed with Python's ``ast`` and rebuilt from a list of what may stand in it; nothing of it is ever
evaluated. ``;`` or a new line separates statements, ``#`` begins a comment. A statement is an equation, an attribute
with its default, or a clause::

    layer: scaled_norm                  # the layer's name
    inputs: x[N, 2*C], w                # their order, and shapes that the reads do not give
    constants: mask, scale              # inputs that get no gradient
    integers: label                     # inputs that hold integers, where no index shows it
    outputs: y, m                       # otherwise the left sides that no other equation reads
    requires: stride <= R, R > 1        # what must hold of extents and attributes
    stride = 2                          # an attribute: a keyword argument, and its default

Extents need no declaration: the index ``b`` that reads an axis by itself names its extent ``B``; an axis that is
only read through expressions, axis 2 of ``x`` say, has the extent ``X2``. ``y[n, i:X2]`` gives an extent to an index
that no read bounds.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from symgrad.declare.layer import Layer
from symgrad.declare.textbuild import Builder
from symgrad.declare.textnames import (
    Given,
    Names,
    TextEquation,
    collect_names,
    elements_of,
    names_in,
    number_of,
    suggestion,
)
from symgrad.declare.textsource import CLAUSES, Clause, Source
from symgrad.declare.textwords import MOST_BITS, in_words_of_the_text
from symgrad.errors import DeclarationError
from symgrad.naming import check_name

LONGEST = 20_000
EXAMPLE = "y[b, i] = sum(x[b, j]*w[i, j], j)"


@dataclass
class _Statements:
    """The statements of a text by kind; ``named`` has the names that a clause lists."""

    equations: list[TextEquation] = field(default_factory=list)
    attributes: dict[str, ast.Assign] = field(default_factory=dict)
    named: dict[str, list[ast.Name]] = field(default_factory=dict)
    inputs: dict[str, Given] = field(default_factory=dict)
    requires: list[ast.expr] = field(default_factory=list)


def parse_layer(text: str, name: str = "layer") -> Layer:
    """Read a layer from its equations as text.

    Without clauses that say otherwise its inputs stand in order of appearance, and its outputs are the left sides that
    no other equation reads.

    Args:
        text: equations ``tensor[indices] = expression``, attributes and clauses, separated by ``;`` or new lines.
        name: the layer's name, where the text gives none.

    Raises:
        DeclarationError: the text is no declaration; the message shows the place.
    """
    return read_layer(Source(text), name)


def read_layer(
    source: Source, name: str, hint: Callable[[str], str] = lambda function: "", unnamed: str = "the layer's name"
) -> Layer:
    """Read a layer from a text.

    Args:
        source: the text.
        name: the layer's name, where the text gives none.
        hint: what to write instead of a function that the language does not have, empty if that is not known.
        unnamed: what ``name`` is, for the message that it cannot be one.

    Raises:
        DeclarationError: the text is no declaration; the message shows the place.
    """
    reached: list[ast.AST] = []
    try:
        found = _statements(source, _parse(source))
        name = _name(source, found, name, unnamed)
        names = collect_names(source, tuple(found.equations), found.attributes, found.inputs)
        reached.append(found.equations[0].node)
        builder = Builder(source, names, hint, _least(found))
        inputs, built = builder.inputs(), []
        for equation in found.equations:
            reached.append(equation.node)
            built.append(builder.equation(equation))
        requires = [relation for condition in found.requires for relation in builder.requirement(condition)]
    except (RecursionError, MemoryError):
        node = reached[-1] if reached else ast.Pass(lineno=1, col_offset=0)
        raise source.error(node, "nested too deeply; write it as several equations") from None
    for kind, names_of_it in (("constants", "inputs"), ("integers", "inputs"), ("outputs", "left sides")):
        known = names.inputs if kind != "outputs" else {e.name: e for e in found.equations}
        _check_known(source, found.named.get(kind, ()), known, names_of_it)
    chosen = {kind: [node.id for node in nodes] for kind, nodes in found.named.items()}
    for attribute, node in found.attributes.items():
        builder.places.mark(attribute, node)
    try:
        return Layer(
            name,
            inputs,
            built,
            builder.attributes(),
            constants=chosen.get("constants", ()),
            integers=chosen.get("integers", ()),
            outputs=chosen.get("outputs") or _unread(names),
            requires=requires,
        )
    except DeclarationError as error:
        raise source.error(builder.places.node(error.about), in_words_of_the_text(str(error))) from None


def _unread(names: Names) -> list[str] | None:
    """The left sides that no other equation reads."""
    read = {name for e in names.equations for name in names_in(e.value) if name != e.name}
    return [e.name for e in names.equations if e.name not in read] or None


def _name(source: Source, found: _Statements, name: str, unnamed: str) -> str:
    """The layer's name, from its clause if there is one."""
    given = found.named.get("layer")
    try:
        return check_name(given[0].id, "the layer's name") if given else check_name(name, unnamed)
    except DeclarationError as error:
        if given:
            raise source.error(given[0], str(error)) from None
        raise source.error_at(1, 0, f"{error}; or name the layer in the text, layer: NAME") from None


def _check_known(source: Source, nodes: Iterable[ast.Name], known: Iterable[str], what: str) -> None:
    names = list(known)
    for position, node in enumerate(nodes := list(nodes)):
        if node.id not in names:
            raise source.error(node, f"{node.id} is none of the {what}, {', '.join(names)}{suggestion(node.id, names)}")
        if node.id in {other.id for other in nodes[:position]}:
            raise source.error(node, f"{node.id} is named twice")


def _parse(source: Source) -> list[ast.stmt]:
    if len(source.text) > LONGEST:
        message = f"the text goes on from here; of {len(source.text)} characters at most {LONGEST} are read"
        before = source.text[:LONGEST].replace("\r\n", "\n").replace("\r", "\n").split("\n")
        raise source.error_at(len(before), len(before[-1]), f"{message}; declare the layer in a Python file")
    for clause in source.clauses:
        if source.lines[clause.line - 1][clause.after :].partition("#")[0].partition(";")[0].strip() == "":
            raise source.error_at(clause.line, clause.column, f"{clause.word}: says nothing", len(clause.word) + 1)
    for number, line in enumerate(source.lines, start=1):
        for column, character in enumerate(line.partition("#")[0]):
            if not (" " <= character <= "~" or character == "\t"):
                raise source.error_at(number, column, f"{character!r} is no ASCII letter, digit or sign")
    try:
        with warnings.catch_warnings():  # of the text, such as "invalid decimal literal"; what is wrong is said below
            warnings.simplefilter("ignore")
            return ast.parse(source.code).body
    except SyntaxError as error:
        for number, line in enumerate(source.lines, start=1):
            if digits := re.search(r"\d{1000,}", line.partition("#")[0]):
                raise source.error_at(number, digits.start(), "this number is too large", len(digits[0])) from None
        row, place = error.lineno or 1, max(1, error.offset or 1) - 1
        message = f"not an equation ({error.msg}); write it like {EXAMPLE}"
        raise source.error_at(row, place + source.indent(row), message) from None


def _statements(source: Source, statements: list[ast.stmt]) -> _Statements:
    """Tell equations from attributes and clauses; ``name = number`` is an attribute."""
    found = _Statements()
    clauses = {_beginning(source, clause): clause for clause in source.clauses}
    for statement in statements:
        clause = clauses.pop(source.place(statement), None)
        if clause is not None:
            _clause(source, clause, statement, found)
            continue
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if number_of(value) is not None:
                if name in found.attributes:
                    raise source.error(statement, f"{name} is defined twice")
                if _is_too_large(number_of(value)):
                    raise source.error(value, "this number is too large")
                found.attributes[name] = statement
            case ast.Assign(targets=[target]):
                found.equations.append(_equation(source, statement, target))
            case ast.Assign(targets=[_, second, *_]):
                raise source.error(second, "one equation defines one tensor; write a second one after a semicolon")
            case ast.AnnAssign(target=ast.Name(id=word) as target):
                raise source.error(target, f"{word}: is no clause; there are {': '.join(CLAUSES)}:")
            case ast.Expr() if found.equations:
                text = "expected an equation: y[b, i] = ...; one that goes over several lines stands in parentheses"
                raise source.error(statement, text)
            case _:
                raise source.error(statement, "expected an equation: y[b, i] = ...")
    if not found.equations:
        raise source.error_at(1, 0, f"there is no equation; write one like {EXAMPLE}")
    return found


def _is_too_large(number: int | float | None) -> bool:
    return number.bit_length() > MOST_BITS if isinstance(number, int) else number is not None and math.isinf(number)


def _beginning(source: Source, clause: Clause) -> tuple[int, int]:
    """Where the statement after the word of a clause begins."""
    rest = source.lines[clause.line - 1][clause.after :]
    return clause.line, clause.after + len(rest) - len(rest.lstrip())


def _clause(source: Source, clause: Clause, statement: ast.stmt, found: _Statements) -> None:
    """Take in what a clause says."""
    match statement:
        case ast.Expr(value=ast.Tuple(elts=[_, *_] as elements)):
            pass
        case ast.Expr(value=element):
            elements = [element]
        case _:
            raise source.error(statement, f"{clause.word}: takes no equation; write that on a line of its own")
    if clause.word == "requires":
        found.requires += elements
        return
    if clause.word == "inputs":
        for element in elements:
            given = _input(source, element)
            if given.name in found.inputs:
                raise source.error(element, f"{given.name} is named twice")
            found.inputs[given.name] = given
        return
    for element in elements:
        if not isinstance(element, ast.Name):
            raise source.error(element, f"expected a name; {clause.word}: takes names")
        found.named.setdefault(clause.word, []).append(element)
    if clause.word == "layer" and len(found.named["layer"]) > 1:
        raise source.error(found.named["layer"][1], "a text declares one layer, which has one name")


def _input(source: Source, element: ast.expr) -> Given:
    match element:
        case ast.Name(id=name):
            return Given(name, None, element)
        case ast.Subscript(value=ast.Name(id=name)):
            return Given(name, elements_of(element), element)
    raise source.error(element, "expected an input, x or x[N, 2*C]; inputs: takes names, with shapes where needed")


def _least(found: _Statements) -> dict[str, int]:
    """What ``requires:`` says of an attribute by itself: that it is at least 0, or at least 1."""
    least: dict[str, int] = {}
    for condition in found.requires:
        match condition:
            case ast.Compare(left=ast.Name(id=name), ops=[ast.Gt() | ast.GtE() as op], comparators=[number]):
                pass
            case ast.Compare(left=number, ops=[ast.Lt() | ast.LtE() as op], comparators=[ast.Name(id=name)]):
                pass
            case _:
                continue
        bound = number_of(number)
        if not isinstance(bound, int) or name not in found.attributes:
            continue
        bound += isinstance(op, ast.Gt | ast.Lt)
        if bound in (0, 1):  # what a symbol can tell; more than that is a requirement like any other
            least[name] = max(least.get(name, bound), bound)
    return least


def _equation(source: Source, statement: ast.Assign, target: ast.expr) -> TextEquation:
    match target:
        case ast.Name(id=name):
            return TextEquation(name, (), {}, statement)
        case ast.Subscript(value=ast.Name(id=name)):
            axes: dict[str, ast.expr | None] = {}
            for element in elements_of(target):
                match element:
                    case ast.Name(id=index) if index not in axes:
                        axes[index] = None
                    case ast.Slice(lower=ast.Name(id=index), upper=ast.expr() as extent, step=None) if (
                        index not in axes
                    ):
                        axes[index] = extent
                    case _:
                        raise source.error(element, f"each axis of the left side is an index of its own: {name}[b, i]")
            return TextEquation(name, tuple(axes), {i: e for i, e in axes.items() if e is not None}, statement)
    raise source.error(target, "the left side is a tensor with its indices, y[b, i], or a scalar's name")
