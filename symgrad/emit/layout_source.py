"""What a line of code says beyond its syntax tree: the parentheses that were written, and chains of links."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TypeAlias

Link: TypeAlias = ast.Attribute | ast.Call | ast.Subscript
Operation: TypeAlias = ast.BinOp | ast.Compare | ast.BoolOp

# Text and strength of the operators; the weakest have the highest number.
OPERATORS: dict[type[ast.AST], tuple[str, int]] = {
    ast.Pow: ("**", 2),
    ast.Mult: ("*", 4),
    ast.MatMult: ("@", 4),
    ast.Div: ("/", 4),
    ast.FloorDiv: ("//", 4),
    ast.Mod: ("%", 4),
    ast.Add: ("+", 5),
    ast.Sub: ("-", 5),
    ast.LShift: ("<<", 6),
    ast.RShift: (">>", 6),
    ast.BitAnd: ("&", 7),
    ast.BitXor: ("^", 8),
    ast.BitOr: ("|", 9),
    ast.Eq: ("==", 10),
    ast.NotEq: ("!=", 10),
    ast.Lt: ("<", 10),
    ast.LtE: ("<=", 10),
    ast.Gt: (">", 10),
    ast.GtE: (">=", 10),
    ast.Is: ("is", 10),
    ast.IsNot: ("is not", 10),
    ast.In: ("in", 10),
    ast.NotIn: ("not in", 10),
    ast.And: ("and", 11),
    ast.Or: ("or", 11),
}


# What stands beside an expression in parentheses.
_BEFORE, _AFTER = (b"(", b" "), (b")", b" ")


@dataclass(frozen=True, slots=True)
class Source:
    """The text that a syntax tree of one line was read from; columns count bytes."""

    line: bytes

    def text(self, node: ast.AST) -> str:
        """What was written, a string with the fewest escapes."""
        start, end = span(node)
        text = self.line[start:end].decode()
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and text.startswith('"'):
            return quoted(text)
        return text

    def parentheses(self, node: ast.AST) -> list[int]:
        """The columns of the parentheses that open before an expression, from the inside; a call's own among them."""
        start, end = span(node)
        if self.line[start - 1 : start] not in _BEFORE or self.line[end : end + 1] not in _AFTER:
            return []  # most expressions
        before, after = self.line[:start].rstrip(), self.line[end:].lstrip()
        found: list[int] = []
        while before.endswith(b"(") and after.startswith(b")"):
            found.append(len(before) - 1)
            before, after = before[:-1].rstrip(), after[1:].lstrip()
        return found

    def grouped(self, node: ast.AST) -> bool:
        """Whether an expression that is no sole argument stands in parentheses."""
        return bool(self.parentheses(node))

    def has_brackets(self, node: ast.AST) -> bool:
        """Whether a node has brackets of its own, those of a call, a subscript, a list or a tuple, and not ``()``."""
        match node:
            case ast.Call(args=args, keywords=keywords):
                return bool(args or keywords)
            case ast.Tuple(elts=[first, *_]):
                return span(node)[0] < min(self.parentheses(first), default=span(first)[0])
            case ast.List(elts=items):
                return bool(items)
        return isinstance(node, ast.Subscript)

    def links(self, node: ast.expr) -> list[ast.expr]:
        """The chain that ends at ``node``, its root first; the root is no link, or stands in parentheses."""
        links = [node]
        while isinstance(first := links[0], Link) and (len(links) == 1 or not self.grouped(first)):
            links.insert(0, first.func if isinstance(first, ast.Call) else first.value)
        return links

    def breaks(self, links: list[ast.expr]) -> list[int]:
        """The attributes of a chain that may start a line: those of a call, a subscript or something in parentheses."""

        def may_break(value: ast.expr, link: ast.expr) -> bool:
            if not isinstance(link, ast.Attribute):
                return False
            return isinstance(value, ast.Call | ast.Subscript) or self.grouped(value)

        return [i for i in range(1, len(links)) if may_break(links[i - 1], links[i])]


def span(node: ast.AST) -> tuple[int, int]:
    """The columns where a node starts and ends."""
    return getattr(node, "col_offset"), getattr(node, "end_col_offset")  # noqa: B009


def strength(operator: ast.AST) -> int:
    """How weakly an operator binds."""
    return OPERATORS[type(operator)][1]


def is_simple(node: ast.AST) -> bool:
    """Names and numbers, perhaps negative."""
    match node:
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Invert(), operand=operand):
            return is_simple(operand)
    return isinstance(node, ast.Name | ast.Constant)


def is_simple_power(node: ast.AST) -> bool:
    """Operands that stand close to ``**``: names, numbers and attributes of them."""
    match node:
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Invert(), operand=inner) | ast.Attribute(value=inner):
            return is_simple_power(inner)
    return isinstance(node, ast.Name) or (isinstance(node, ast.Constant) and not isinstance(node.value, str))


def quoted(text: str) -> str:
    """A string in double quotes as it is written with the fewest escapes."""
    inner = text[1:-1]
    if inner.count('\\"') <= inner.count("'"):
        return text
    return "'" + inner.replace("'", "\\'").replace('\\"', '"') + "'"
