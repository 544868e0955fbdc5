"""Statements as documents, in the style of ``ruff format``.

A statement's value is set on one line; else with its own brackets broken; else in parentheses, broken before the
operators that bind least.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from enum import Enum

from symgrad.emit.layout_document import Choice, Doc, Group
from symgrad.emit.layout_expressions import Around, Expressions, brackets, items, parenthesised
from symgrad.emit.layout_source import OPERATORS, Link, Source, strength

_ATTRIBUTE, _INVERT = 1, 3


class Wrapping(Enum):
    """When a statement's value is put in parentheses."""

    IF_LONG = "if it does not fit"
    IF_IT_HELPS = "if it fits then"
    NEVER = "never"


def document(text: str) -> Doc | None:
    """A statement, or the head of a compound one, as a document; None if it is of a kind that stands as written."""
    head = "if" + text[4:] if text.startswith("elif ") else text
    try:
        tree = ast.parse(head + " pass" if head.endswith(":") else head)
    except SyntaxError:
        return None
    source = Source(head.encode())
    match tree.body:
        case [ast.For() | ast.If() | ast.While() | ast.FunctionDef() as node] if head.endswith(":"):
            doc = _Statement(source, Expressions(source)).head(node)
            return ("el", doc) if doc and head is not text else doc
        case [node] if node.end_col_offset == len(source.line):
            return _Statement(source, Expressions(source)).simple(node)
    return None


@dataclass(frozen=True, slots=True)
class _Statement:
    """Documents for the nodes of one statement, whose text tells where parentheses were written."""

    source: Source
    expressions: Expressions

    def simple(self, node: ast.stmt) -> Doc | None:
        """The document of a simple statement; None where it stands as written."""
        bare, source = self.expressions.bare, self.source
        match node:
            case ast.Assign(targets=[*firsts, last], value=value):
                heads = tuple((self._target(target, i > 0), " = ") for i, target in enumerate(firsts))
                return (*heads, self._assignment(last, "=", value, bool(firsts)))
            case ast.AugAssign(target, op, value):
                return self._assignment(target, f"{OPERATORS[type(op)][0]}=", value, chained=False)
            case ast.Return(ast.Tuple([_, _] as pair) as value) if not source.has_brackets(value):
                flat = items([self.expressions.expression(part, Around.UNPRINTED) for part in pair])
                return ("return ", Choice((flat, parenthesised(self.expressions.inside(pair)))))
            case ast.Return(ast.expr() as value):
                return ("return ", self._value(value))
            case ast.Raise(ast.expr() as error, None) if not source.grouped(error):
                return ("raise ", bare(error, Around.NOTHING))
            case ast.Expr(ast.Call() | ast.Subscript() as value):
                return bare(value, Around.NOTHING)
        return None

    def head(self, node: ast.For | ast.If | ast.While | ast.FunctionDef) -> Doc | None:
        """The document of a compound statement's first line; None where it stands as written."""
        match node:
            case ast.For(target, iterable):
                return ("for ", self.expressions.bare(target, Around.NOTHING), " in ", self._value(iterable), ":")
            case ast.If(test) | ast.While(test):
                return (f"{type(node).__name__.lower()} ", self._value(test), ":")
            case ast.FunctionDef(name, arguments, returns=None) if not arguments.posonlyargs:
                parameters = self._parameters(arguments)
                return (f"def {name}", brackets("(", items(parameters, True), ")") if parameters else "()", ":")
        return None

    def _parameters(self, arguments: ast.arguments) -> list[Doc]:
        def one(argument: ast.arg, default: ast.expr | None) -> Doc:
            text = self.source.text(argument)
            equals = " = " if argument.annotation else "="
            return text if default is None else (text, equals, self.expressions.expression(default, Around.BRACKETS))

        missing = [None] * (len(arguments.args) - len(arguments.defaults))
        found = [one(a, d) for a, d in zip(arguments.args, [*missing, *arguments.defaults], strict=True)]
        if arguments.vararg or arguments.kwonlyargs:
            found.append(f"*{self.source.text(arguments.vararg)}" if arguments.vararg else "*")
        found += [one(a, d) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
        return found + ([f"**{self.source.text(arguments.kwarg)}"] if arguments.kwarg else [])

    def _target(self, node: ast.expr, chained: bool) -> Doc:
        """A target; in a chain of them a name may be put in parentheses."""
        if isinstance(node, ast.Name) and chained:
            return Choice((self.source.text(node), parenthesised(self.source.text(node))))
        return self.expressions.bare(node, Around.NOTHING)

    def _assignment(self, target: ast.expr, operator: str, value: ast.expr, chained: bool) -> Doc:
        """The last target, the operator and the value; a target with brackets breaks only if the value cannot."""
        head: Doc = (self._target(target, chained), f" {operator} ")
        plain = isinstance(value, ast.Name | ast.Constant | ast.JoinedStr)
        if not (chained or isinstance(target, ast.Tuple) or self.source.has_brackets(target)):
            return (head, self._value(value))
        if not (plain or (isinstance(value, Link) and self._wrapping(value) is Wrapping.IF_IT_HELPS)):
            return (head, self._value(value))
        bare = self.expressions.bare(value, Around.NOTHING)
        broken: tuple[Doc, ...] = () if plain else ((head, Group(bare, open=True)),)
        wrapped = (head, Group(parenthesised(bare), open=True))
        return Choice(((head, bare), *broken, wrapped, (head, bare)))

    def _value(self, node: ast.expr) -> Doc:
        """What a statement ends with; parentheses around it are kept only if it does not fit without them."""
        wrapping = self._wrapping(node)
        if wrapping is Wrapping.NEVER:
            return self.expressions.bare(node, Around.NOTHING)
        wrapped = parenthesised(self.expressions.bare(node, Around.BRACKETS))
        if wrapping is Wrapping.IF_IT_HELPS:
            return Choice((self.expressions.bare(node, Around.UNPRINTED), wrapped), shy=True)
        free = _Survey(self.source).allows_own_brackets(node)
        return Choice((self.expressions.bare(node, Around.UNPRINTED if free else Around.BRACKETS), wrapped))

    def _wrapping(self, node: ast.expr) -> Wrapping:
        match node:
            case ast.BinOp() | ast.Compare() | ast.BoolOp():
                return Wrapping.IF_LONG
            case ast.Attribute(inner) | ast.Call(inner) | ast.Subscript(inner) | ast.UnaryOp(operand=inner):
                if isinstance(node, Link) and len(self.source.breaks(self.source.links(node))) > 1:
                    return Wrapping.IF_LONG
                return Wrapping.NEVER if self.source.grouped(inner) else self._wrapping(inner)
            case ast.Name() | ast.Constant() | ast.JoinedStr():
                return Wrapping.IF_IT_HELPS
        return Wrapping.NEVER


@dataclass(slots=True)
class _Survey:
    """What decides whether a value can break in its own brackets alone: operators, first and last part of it."""

    source: Source
    strength: int = 0
    count: int = 0
    brackets: bool = False
    first: ast.AST | None = None
    last: ast.AST | None = None

    def allows_own_brackets(self, node: ast.expr) -> bool:
        """Whether ``node`` needs no parentheses: one weakest operator at most, and brackets first or last."""
        self._look(node)
        if not self.brackets or self.count > 1:
            return False
        return self.strength <= _ATTRIBUTE or self._breaks_well(self.last) or self._breaks_well(self.first)

    def _breaks_well(self, node: ast.AST | None) -> bool:
        if node is None or isinstance(node, ast.Subscript | ast.unaryop):
            return False
        return self.source.has_brackets(node) or self.source.grouped(node)

    def _note(self, strength: int, count: int = 1) -> None:
        self.count = count if strength > self.strength else self.count + count * (strength == self.strength)
        self.strength = max(strength, self.strength)

    def _visit(self, node: ast.expr) -> None:
        self.last = node
        if self.source.grouped(node):
            self.brackets = True
        else:
            self._look(node)
        self.first = self.first or node

    def _look(self, node: ast.expr) -> None:
        match node:
            case ast.BinOp(left, op, right):
                self._note(strength(op))
                self._visit(left)
                self._visit(right)
            case ast.BoolOp(op, values):
                self._note(strength(op), len(values) - 1)
                for value in values:
                    self._visit(value)
            case ast.Compare(left, ops, comparators):
                self._note(strength(ops[0]), len(ops))
                for value in (left, *comparators):
                    self._visit(value)
            case ast.Call(inner) | ast.Subscript(inner):
                self.brackets = True
                self._visit(inner)
                self.last = node
            case ast.Attribute(inner):
                self._visit(inner)
                if self.source.grouped(inner) or isinstance(inner, ast.Call) or self.source.has_brackets(inner):
                    self._note(_ATTRIBUTE)
                self.last = node
            case ast.UnaryOp(op, operand):
                if isinstance(op, ast.Invert):
                    self._note(_INVERT)
                self.first = self.first or op
                self._visit(operand)
            case ast.List() | ast.Dict() | ast.Set() | ast.ListComp() | ast.Tuple():
                self.brackets = True
