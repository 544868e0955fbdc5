"""Layers written as a line of text: ``y[b, i] = sum(x[b, j]*w[i, j], j) + c[i]``.

The text is parsed with Python's ``ast`` and rebuilt from a list of what may stand in it; nothing of it is ever
evaluated. ``;`` or a new line separates equations, ``stride = 2`` declares an attribute with its default.

Extents need no declaration: the index ``b`` that reads an axis by itself names its extent ``B``; an axis that is
only read through expressions, axis 2 of ``x`` say, has the extent ``X2``. ``y[n, i:X2]`` gives an extent to an index
that no read bounds.
"""

from __future__ import annotations

import ast
import re
import warnings

from symgrad.declare.layer import Layer
from symgrad.declare.textbuild import Builder
from symgrad.declare.textnames import Source, TextEquation, collect_names, elements_of, names_in, number_of
from symgrad.errors import DeclarationError

LONGEST = 20_000
_IDX = re.compile(r"write Idx\('(\w+)', extent\)")


def parse_layer(text: str, name: str = "layer") -> Layer:
    """Read a layer from its equations as text.

    Its outputs are the left sides that no other equation reads; its inputs stand in order of appearance.

    Args:
        text: equations ``tensor[indices] = expression``, separated by ``;`` or new lines.
        name: the layer's name.

    Raises:
        DeclarationError: the text is no declaration; the message shows the place.
    """
    source = Source("\n".join(line.strip() for line in text.splitlines()).strip())
    try:
        equations, attributes = _statements(source, _parse(source))
        builder = Builder(source, collect_names(source, equations, attributes))
        built = [builder.equation(equation) for equation in equations]
    except (RecursionError, MemoryError):
        raise DeclarationError("text equation: nested too deeply; write it as several equations") from None
    read = {name for e in equations for name in names_in(e.value) if name != e.name}
    unread = [left.lhs for equation, left in zip(equations, built, strict=True) if equation.name not in read]
    try:
        return Layer(name, builder.inputs(), built, builder.attributes(), outputs=unread or None)
    except DeclarationError as error:  # the advice, in the notation of the text
        raise DeclarationError(_IDX.sub(r"write \1:extent on the left side", str(error))) from None


def _parse(source: Source) -> list[ast.stmt]:
    text = source.text
    if len(text) > LONGEST:
        raise DeclarationError(f"text equation: {len(text)} characters, at most {LONGEST} are read; use a layer file")
    for number, line in enumerate(text.splitlines(), start=1):
        for column, character in enumerate(line):
            if not (" " <= character <= "~" or character == "\t"):
                raise source.error_at(number, column, f"{character!r} is no ASCII letter, digit or sign")
    try:
        with warnings.catch_warnings():  # of the text, such as "invalid decimal literal"; what is wrong is said below
            warnings.simplefilter("ignore")
            return ast.parse(text).body
    except SyntaxError as error:
        message = f"not an equation ({error.msg}); write it like y[b, i] = sum(x[b, j]*w[i, j], j)"
        raise source.error_at(error.lineno or 1, (error.offset or 1) - 1, message) from None


def _statements(source: Source, statements: list[ast.stmt]) -> tuple[tuple[TextEquation, ...], dict[str, ast.Assign]]:
    """Tell equations from attributes; ``name = number`` is an attribute."""
    equations: list[TextEquation] = []
    attributes: dict[str, ast.Assign] = {}
    for statement in statements:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if number_of(value) is not None:
                if name in attributes:
                    raise source.error(statement, f"{name} is defined twice")
                attributes[name] = statement
            case ast.Assign(targets=[target]):
                equations.append(_equation(source, statement, target))
            case ast.Assign(targets=[_, second, *_]):
                raise source.error(second, "one equation defines one tensor; write a second one after a semicolon")
            case _:
                raise source.error(statement, "expected an equation: y[b, i] = ...")
    if not equations:
        raise DeclarationError("text equation: there is no equation; write one like y[b, i] = sum(x[b, j]*w[i, j], j)")
    return tuple(equations), attributes


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
