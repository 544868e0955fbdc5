"""Expressions as documents: brackets break before operators, weak operators before strong ones.

What is unknown here (lambdas, comprehensions, ...) stands as it was written.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from symgrad.emit.layout_document import Broken, Choice, Doc, Group, Indent, Line
from symgrad.emit.layout_source import OPERATORS, Link, Operation, Source, is_simple, is_simple_power, span, strength

_Term: TypeAlias = tuple[ast.AST, ast.expr]  # an operator, and the operand after it; the first operator is none
_UNARY: dict[type[ast.AST], str] = {ast.USub: "-", ast.UAdd: "+", ast.Invert: "~", ast.Not: "not "}


class Around(Enum):
    """What encloses an expression, hence where it may break."""

    NOTHING = "nothing"  # its brackets alone may break
    UNPRINTED = "unprinted"  # parentheses that were not needed: its brackets break if that makes the rest fit
    BRACKETS = "brackets"  # anywhere


def brackets(left: str, part: Doc, right: str, free: bool = False) -> Doc:
    """A part in brackets, which stand on lines of their own where it breaks."""
    return Group((left, Indent((Line(), part)), Line(), right), free)


def parenthesised(part: Doc) -> Doc:
    """A part in parentheses that break with what surrounds them."""
    return ("(", Indent((Line(), part)), Line(), ")")


def items(docs: list[Doc], comma_after_one: bool = False) -> Doc:
    """Items between commas; broken, the last one has a comma too."""
    parts: list[Doc] = []
    for doc in docs:
        parts += [",", Line(" "), doc] if parts else [doc]
    return (*parts, Broken(",") if len(docs) > 1 or comma_after_one else "")


@dataclass(frozen=True, slots=True)
class Expressions:
    """Documents for the expressions of one line."""

    source: Source

    def expression(self, node: ast.expr, around: Around) -> Doc:
        """An expression with the parentheses it was written in."""
        if not self.source.grouped(node):
            return self.bare(node, around)
        return brackets("(", self.bare(node, Around.BRACKETS), ")", around is Around.UNPRINTED)

    def bare(self, node: ast.expr, around: Around) -> Doc:
        """An expression without the parentheses around it."""
        if isinstance(node, ast.Name | ast.Constant):  # most of them
            return self.source.text(node)
        free = around is Around.UNPRINTED
        match node:
            case ast.BinOp() | ast.Compare() | ast.BoolOp():
                operation = self._operation(self._terms(node, node), around)
                return Group(operation) if around is Around.BRACKETS else operation
            case ast.UnaryOp(op, ast.BinOp(op=ast.Pow()) as operand):
                return (_UNARY[type(op)], brackets("(", self.bare(operand, Around.BRACKETS), ")", free))
            case ast.UnaryOp(op, operand):
                return (_UNARY[type(op)], self.expression(operand, around))
            case ast.Attribute() | ast.Call() | ast.Subscript():
                return self._chain(node, around)
            case ast.Tuple([]) | ast.List([]):
                return "()" if isinstance(node, ast.Tuple) else "[]"
            case ast.List(parts):
                return brackets("[", self.inside(parts), "]", free)
            case ast.Tuple([only]):
                return brackets("(", (self.expression(only, Around.BRACKETS), ","), ")", free)
            case ast.Tuple(parts) if self.source.has_brackets(node):
                return brackets("(", self.inside(parts), ")", free)
            case ast.Tuple(parts):
                return Choice((self.inside(parts), parenthesised(self.inside(parts))))
            case ast.Starred(value):
                return ("*", self.expression(value, around))
            case ast.Slice():
                return self._slice(node)
        return self.source.text(node)

    def inside(self, nodes: list[ast.expr]) -> Doc:
        """Expressions between commas, in brackets."""
        return items([self.expression(node, Around.BRACKETS) for node in nodes])

    # --- operations ----------------------------------------------------------------------------------------------

    def _operation(self, terms: list[_Term], around: Around) -> Doc:
        """Operands after their operators, broken before the operators that bind least."""
        weakest = max(strength(operator) for operator, _ in terms[1:])
        starts = [i for i, (operator, _) in enumerate(terms) if not i or strength(operator) == weakest]
        docs: list[Doc] = []
        for start, end in zip(starts, [*starts[1:], len(terms)], strict=True):
            operator, operand = terms[start]
            docs += self._operator(operator, terms[start - 1][1], operand, around) if start else []
            if end - start == 1:
                docs.append(self.expression(operand, around))
            else:
                inner = self._operation(terms[start:end], around)
                docs.append(Group(inner) if around is Around.BRACKETS else inner)
        return tuple(docs)

    def _operator(self, operator: ast.AST, left: ast.expr, right: ast.expr, around: Around) -> list[Doc]:
        text, _ = OPERATORS[type(operator)]
        simple = all(is_simple_power(node) and not self.source.grouped(node) for node in (left, right))
        tight = isinstance(operator, ast.Pow) and simple
        if around is not Around.BRACKETS:
            return [text if tight else f" {text} "]
        return [Line("" if tight else " "), text, Broken(" ") if tight else " "]

    def _terms(self, node: Operation, before: ast.AST) -> list[_Term]:
        """Operands after their operators, those of nested operations without parentheses too."""
        match node:
            case ast.BinOp(left, op, right):
                terms: list[_Term] = [(before, left), (op, right)]
            case ast.BoolOp(op, values):
                terms = [(op if i else before, value) for i, value in enumerate(values)]
            case ast.Compare(left, ops, comparators):
                terms = [(before, left), *zip(ops, comparators, strict=True)]
        return [inner for term in terms for inner in self._nested(*term)]

    def _nested(self, before: ast.AST, node: ast.expr) -> list[_Term]:
        if isinstance(node, Operation) and not self.source.grouped(node):
            return self._terms(node, before)
        return [(before, node)]

    # --- chains of attributes, calls and subscripts --------------------------------------------------------------

    def _chain(self, node: Link, around: Around) -> Doc:
        links = self.source.links(node)
        breaks = self.source.breaks(links)
        fluent = around is Around.BRACKETS and len(breaks) > 1
        docs: list[Doc] = [self.expression(links[0], around)]
        for i, link in enumerate(links[1:], 1):
            docs += [Line()] if fluent and i in breaks else []
            docs.append(self._link(link, around is Around.UNPRINTED))
        return Group(tuple(docs)) if fluent else tuple(docs)

    def _link(self, link: ast.expr, free: bool) -> Doc:
        match link:
            case ast.Attribute(attr=name):
                return f".{name}"
            case ast.Call(args=[], keywords=[]):
                return "()"
            case ast.Call(args=args, keywords=keywords):
                given: list[ast.expr | ast.keyword] = sorted([*args, *keywords], key=span)
                docs = [self._argument(argument, sole=len(given) == 1) for argument in given]
                return brackets("(", Group(items(docs)), ")", free)
            case ast.Subscript(slice=ast.Tuple([_, _, *_] as parts) as index) if not self.source.has_brackets(index):
                return brackets("[", Group(self.inside(parts)), "]", free)
            case ast.Subscript(slice=index):
                return brackets("[", self.expression(index, Around.BRACKETS), "]", free)
        raise TypeError(link)

    def _argument(self, node: ast.expr | ast.keyword, sole: bool) -> Doc:
        if isinstance(node, ast.keyword):
            return (f"{node.arg}=" if node.arg else "**", self.expression(node.value, Around.BRACKETS))
        if isinstance(node, ast.GeneratorExp):
            return self.source.text(node).removeprefix("(").removesuffix(")")
        if sole and len(self.source.parentheses(node)) < 2:
            return self.bare(node, Around.BRACKETS)
        return self.expression(node, Around.BRACKETS)

    def _slice(self, node: ast.Slice) -> Doc:
        """``a[1:n]``, but ``a[n + 1 : m]``: spaces unless all of it are names and numbers."""
        given = [part for part in (node.lower, node.upper, node.step) if part]
        space = "" if all(map(is_simple, given)) else " "
        docs: list[Doc] = [self.expression(node.lower, Around.BRACKETS), space] if node.lower else []
        docs.append(":")
        if node.upper:
            docs += [space, self.expression(node.upper, Around.BRACKETS)]
        if node.step:
            docs += [space if node.upper else "", ":", space, self.expression(node.step, Around.BRACKETS)]
        return tuple(docs)
