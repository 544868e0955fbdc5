"""From the syntax tree of a text equation to SymPy, by a list of what may stand in it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from fractions import Fraction
from types import EllipsisType
from typing import Any

import sympy
from sympy import Expr, Idx, IndexedBase, Symbol

from symgrad.declare.notation import EXTENSIONS, TIES, Padded
from symgrad.declare.textnames import Names, TextEquation, elements_of, index_of, suggestion
from symgrad.declare.textplaces import Places
from symgrad.declare.textsource import Source
from symgrad.declare.textwords import (
    BINARY,
    CALLABLE,
    CONSTANTS,
    EXTREMA,
    INSTEAD,
    MOST_BITS,
    PAIRED,
    REDUCERS,
    RELATIONS,
    ROUNDING,
    UNARY,
)
from symgrad.declare.write import size_symbol


class Builder:
    """Builds SymPy from the syntax trees of one text.

    Every method takes the indices in scope, those of the left side and of the reductions around, and raises a
    ``DeclarationError`` that points at the node.
    """

    def __init__(self, source: Source, names: Names, hint: Callable[[str], str], least: Mapping[str, int]) -> None:
        self.source, self.names, self.hint = source, names, hint
        self.places = Places(source, names.equations)
        self._extents = {n: Symbol(n, integer=True, positive=True) for n in sorted(names.sizes)}
        self._attributes = {
            n: size_symbol(n, least.get(n)) if isinstance(default, int) else Symbol(n, real=True)
            for n, default in names.attributes.items()
        }
        self._rank = {e.name: len(e.axes) for e in names.equations} | {n: len(s) for n, s in names.inputs.items()}
        self._idx = {index: self._index(index) for index in names.indices}

    def inputs(self) -> list[Expr]:
        """The inputs with their shapes, in order of appearance."""
        return [
            IndexedBase(name)[tuple(self._axis(name, extent) for extent in shape)] if shape else Symbol(name)
            for name, shape in self.names.inputs.items()
        ]

    def attributes(self) -> dict[Symbol, int | float]:
        """The attributes with their defaults."""
        return {self._attributes[name]: default for name, default in self.names.attributes.items()}

    def equation(self, equation: TextEquation) -> sympy.Eq:
        """One equation; its left side's indices are in scope on its right side."""
        self.places.equation = equation.name
        axes = tuple(self._idx[index] for index in equation.axes)
        left = IndexedBase(equation.name)[axes] if axes else Symbol(equation.name)
        return sympy.Eq(left, self.number(equation.value, frozenset(equation.axes)), evaluate=False)

    def requirement(self, node: ast.expr) -> list[Any]:
        """A condition on extents and attributes, which SymPy does not decide: it takes no extent to be 0."""
        self.places.equation, found = "", []
        for part in (n for n in ast.walk(node) if isinstance(n, ast.Name) and n.id in self._rank):
            raise self.source.error(part, f"{part.id} is a tensor; requires: is about extents and attributes")
        match node:
            case ast.Compare(left=first, ops=ops, comparators=rest) if all(type(op) in RELATIONS for op in ops):
                values = [self.number(value, frozenset()) for value in (first, *rest)]
                for op, left, right in zip(ops, values, values[1:], strict=False):
                    found.append(RELATIONS[type(op)](left, right, evaluate=False))
            case _:
                found.append(self.condition(node, frozenset()))
        for relation in found:
            self.places.note(relation, node)
        return found

    def number(self, node: ast.expr, scope: frozenset[str], place: str = "") -> Expr:
        """The value of ``node``.

        ``place`` says what it stands in (``an index of x``) where names are indices, extents or attributes only.
        """
        value: Expr
        match node:
            case ast.Constant(value=constant):
                value = self._literal(node, constant)
            case ast.Name():
                value = self._name(node, scope, place)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                value = -self.number(operand, scope, place)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                value = self.number(operand, scope, place)
            case ast.BinOp(op=op) if type(op) in BINARY:
                value = self._binary(node, scope, place)
            case ast.BinOp(op=ast.BitXor()):
                raise self.source.error(node, "a power is written **")
            case ast.Subscript(value=ast.Name(id=tensor)):
                value = IndexedBase(tensor)[self._elements(node, tensor, scope)]
            case ast.Subscript(value=ast.Call(args=[ast.Name(id=tensor), *_]) as call):
                value = self._padded(call, scope)[self._elements(node, tensor, scope)]
                self.places.note(value.read, node)
            case ast.Call(func=ast.Name(id=name)):
                value = self._call(node, name, scope, place)
            case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
                raise self.source.error(node, "a condition is no number; write where(condition, 1, 0)")
            case _:
                known = ", ".join(CALLABLE)
                text = f"this cannot stand in an equation; use + - * / // % **, x[i, j] and {known}"
                raise self.source.error(node, text)
        self.places.note(value, node)
        return value

    def condition(self, node: ast.expr, scope: frozenset[str]) -> Any:
        """The condition ``node``: relations joined by and, or, not."""
        match node:
            case ast.Compare(left=first, ops=ops, comparators=rest) if all(type(op) in RELATIONS for op in ops):
                values = [self.number(value, scope) for value in (first, *rest)]
                pairs = zip(ops, values, values[1:], strict=False)
                relations = [self._sound(node, RELATIONS[type(op)], a, b) for op, a, b in pairs]
                found = relations[0] if len(relations) == 1 else self._sound(node, sympy.And, *relations)
                self.places.note(found, node)
                return found
            case ast.BoolOp(op=op, values=values):
                join = sympy.And if isinstance(op, ast.And) else sympy.Or
                return join(*(self.condition(value, scope) for value in values))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return sympy.Not(self.condition(operand, scope))
        raise self.source.error(node, "expected a condition such as i < n or x[i] > 0; join them with and, or, not")

    def _index(self, index: str) -> Idx:
        """The index, with a range where the text gives one or no read bounds it."""
        given = [(e.given[index], self._extent(e, index)) for e in self.names.equations if index in e.given]
        for node, extent in given[1:]:
            if extent != given[0][1]:
                text = f"index {index} has extent {given[0][1]} elsewhere; another range takes another letter"
                raise self.source.error(node, text)
        if given:
            return Idx(index, given[0][1])
        named = self.names.extents.get(index) if index in self.names.ranged else None
        return Idx(index, self._size(named, f"index {index}")) if named else Idx(index)

    def _extent(self, equation: TextEquation, index: str) -> Expr:
        """The extent given to an index on a left side."""
        self.places.equation = equation.name
        return self._size(equation.given[index], index)

    def _axis(self, tensor: str, node: ast.expr) -> Expr:
        self.places.equation = ""
        return self._size(node, f"an axis of {tensor}")

    def _size(self, node: ast.expr, what: str) -> Expr:
        """An extent: an integer of at least 0."""
        if isinstance(node, ast.Name) and node.id in (known := self._extents | self._attributes):
            extent = known[node.id]
        else:
            extent = self.number(node, frozenset(), "an extent")
        if extent.is_integer is False or extent.is_finite is False or extent.is_extended_real is False:
            raise self.source.error(node, f"the extent of {what} is an integer, which {extent} is not")
        if extent.is_negative:
            raise self.source.error(node, f"the extent of {what} is {extent}, which is negative")
        return extent

    def _literal(self, node: ast.expr, value: object) -> Expr:
        """A number; a decimal that is exact in a few binary digits (0.5) is kept exact."""
        match value:
            case bool() | str() | bytes() | complex() | EllipsisType() | None:
                raise self.source.error(node, "only integers and decimal numbers can stand here")
            case int() if value.bit_length() <= MOST_BITS:
                return sympy.Integer(value)
            case float() if value - value == 0:
                exact = Fraction(value)
                few = exact.denominator <= 1024 and abs(exact.numerator) < 2**53
                return sympy.Rational(exact) if few else sympy.Float(value)
        raise self.source.error(node, "this number is too large")

    def _name(self, node: ast.Name, scope: frozenset[str], place: str) -> Expr:
        name = node.id
        if name in scope:
            return self._idx[name]
        if name in self.names.indices:
            raise self.source.error(
                node, f"index {name} is neither on the left side nor reduced over here; write sum(.., {name})"
            )
        if self._rank.get(name):
            raise self.source.error(node, f"{name} is a tensor of {self._rank[name]} axes; give its indices")
        known = self._attributes | self._extents | CONSTANTS
        if name in known and name not in self.names.inputs:
            return known[name]
        if place and name not in self.names.scalars:
            close = suggestion(name, {*scope, *self._attributes, *self._extents})
            if place == "an extent" and self._extents and not close:
                close = f"; the extents here are {', '.join(self._extents)}"
            raise self.source.error(
                node, f"{name} in {place} is no index here, no extent and no attribute ({name} = 1; ..){close}"
            )
        return Symbol(name)

    def _binary(self, node: ast.BinOp, scope: frozenset[str], place: str) -> Expr:
        left, right = self.number(node.left, scope, place), self.number(node.right, scope, place)
        if isinstance(node.op, ast.Pow) and left.is_number and right.is_number:
            bits = max((part.bit_length() for n in left.atoms(sympy.Rational) for part in (n.p, n.q)), default=1)
            if not (right.is_Rational and bits * abs(right) <= MOST_BITS):
                raise self.source.error(node, "this power of numbers is too large")
        if isinstance(node.op, ast.FloorDiv | ast.Mod):
            self._roundable(node, left, right)
        return self._sound(node, BINARY[type(node.op)], left, right)

    def _call(self, node: ast.Call, name: str, scope: frozenset[str], place: str) -> Expr:
        if name in REDUCERS:
            return self._reduction(node, name, scope)
        if name == "pad":
            raise self.source.error(node, "pad stands before indices: pad(x)[i - 1]")
        if node.keywords:
            raise self.source.error(node, f"{name} takes no named argument")
        match name, node.args:
            case "where", [test, then, otherwise]:
                condition = self.condition(test, scope)
                arms = (self.number(then, scope, place), condition), (self.number(otherwise, scope, place), True)
                return sympy.Piecewise(*arms)
            case (_, [_]) if name in UNARY:
                function = UNARY[name]
            case (_, [_, _]) if name in PAIRED:
                function = PAIRED[name]
            case _, [_, _, *_] if name in EXTREMA:
                function = EXTREMA[name]
                self._not_an_index(node, name, scope)
            case _ if name in CALLABLE:
                raise self.source.error(
                    node, f"{name} does not take {len(node.args)} argument{'s'[: len(node.args) != 1]}"
                )
            case _:
                raise self.source.error(node.func, f"unknown function {name}; {self._advice(name)}")
        values = [self.number(argument, scope, place) for argument in node.args]
        if name in ROUNDING:
            self._roundable(node, *values)
        return self._sound(node, function, *values)

    def _advice(self, name: str) -> str:
        """What to write instead of a function that there is not."""
        advice = INSTEAD.get(name.lower()) or self.hint(name)
        if advice:
            return f"write {advice}"
        return suggestion(name, CALLABLE).removeprefix("; ") or f"there are {', '.join(CALLABLE)}"

    def _reduction(self, node: ast.Call, name: str, scope: frozenset[str]) -> Expr:
        """``sum(f, i, (j, 0, i), (k, extent))``; a later limit's index may stand in an earlier limit, as in Sum."""
        if len(node.args) < 2:
            raise self.source.error(node, f"{name} names what it runs over: {name}(x[i, j], j)")
        limits = node.args[1:]
        inner = scope | {index_of(self.source, limit) for limit in limits}
        if len(inner) != len(scope) + len(limits):
            raise self.source.error(node, f"an index of this {name} is already in use here; take another letter")
        arguments = [self.number(node.args[0], inner), *(self._limit(limit, inner) for limit in limits)]
        match node.keywords:
            case []:
                return self._sound(node, REDUCERS[name], *arguments)
            case [ast.keyword(arg="ties", value=ast.Constant(value=str(ties)))] if name.startswith("reduce_"):
                if ties in TIES:
                    return REDUCERS[name](*arguments, ties=ties)
        raise self.source.error(
            node, f"the only named argument is ties={' or '.join(map(repr, TIES))} of reduce_max and reduce_min"
        )

    def _limit(self, limit: ast.expr, scope: frozenset[str]) -> Any:
        match limit:
            case ast.Tuple(elts=[ast.Name(id=index), extent]):
                return self._idx[index], 0, self.number(extent, scope, "a limit") - 1
            case ast.Tuple(elts=[ast.Name(id=index), first, last]):
                return self._idx[index], self.number(first, scope, "a limit"), self.number(last, scope, "a limit")
        return self._idx[index_of(self.source, limit)]

    def _elements(self, node: ast.Subscript, tensor: str, scope: frozenset[str]) -> tuple[Expr, ...]:
        return tuple(self.number(element, scope, f"an index of {tensor}") for element in elements_of(node))

    def _padded(self, call: ast.Call, scope: frozenset[str]) -> Padded:
        """``pad(x)``, ``pad(x, -oo)``, ``pad(x, value=1)``, ``pad(x, mode="reflect")``."""
        if not (isinstance(call.func, ast.Name) and call.func.id == "pad"):
            raise self.source.error(call, "only a tensor takes indices: x[i, j] or pad(x)[i, j]")
        given: dict[str | None, ast.expr] = {keyword.arg: keyword.value for keyword in call.keywords}
        given |= dict(zip(["value"], call.args[1:], strict=False))
        tensor, mode = call.args[0], given.get("mode", ast.Constant("constant"))
        if len(call.args) > 2 or not given.keys() <= {"value", "mode"} or not isinstance(tensor, ast.Name):
            raise self.source.error(call, 'write pad(x), pad(x, value) or pad(x, mode="reflect")')
        if not (isinstance(mode, ast.Constant) and mode.value in EXTENSIONS):
            raise self.source.error(mode, f"the mode is one of {', '.join(map(repr, EXTENSIONS))}")
        value = self.number(given["value"], frozenset(), "the padding") if "value" in given else sympy.S.Zero
        return Padded(IndexedBase(tensor.id), value, str(mode.value))

    def _not_an_index(self, node: ast.Call, name: str, scope: frozenset[str]) -> None:
        """Catch ``max(x[i + u], u)``, which means to reduce."""
        read = {name.id for name in ast.walk(node.args[0]) if isinstance(name, ast.Name)}
        for argument in node.args[1:]:
            if isinstance(argument, ast.Name) and argument.id in read - scope:
                message = f"{name} takes the {'largest' if name == 'max' else 'smallest'} of its arguments"
                raise self.source.error(argument, f"{message}; over the index {argument.id} write reduce_{name}")

    def _roundable(self, node: ast.expr, *values: Expr) -> None:
        """Keep SymPy from computing every digit of a constant such as ``floor(exp(10**9))``."""
        if any(value.is_number and not value.is_Rational for value in values):
            raise self.source.error(node, "an irrational constant cannot be rounded here")

    def _sound(self, node: ast.expr, function: Callable[..., Any], *arguments: Any) -> Any:
        """Apply ``function``; what SymPy refuses or leaves undefined is an error at ``node``."""
        try:
            value = function(*arguments)
        except (ValueError, TypeError, ArithmeticError) as error:
            raise self.source.error(node, f"no value: {error}") from None
        if value.has(sympy.nan, sympy.zoo):
            raise self.source.error(node, "undefined, a division by zero for example")
        return value
