"""Python statements as documents: where a line of code may break, in the style of ``ruff format``.

A statement's value is set on one line; else with its own brackets broken; else in parentheses, broken before the
operators that bind least. What is unknown here (lambdas, comprehensions, ...) stands as it was written.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from enum import Enum

from symgrad.emit.document import Broken, Choice, Doc, Group, Indent, Line


class Around(Enum):
    """What encloses an expression, hence where it may break."""

    NOTHING = "nothing"  # its brackets alone may break
    UNPRINTED = "unprinted"  # parentheses that were not needed: its brackets break if that makes the rest fit
    BRACKETS = "brackets"  # anywhere


class Wrapping(Enum):
    """When a statement's value is put in parentheses."""

    IF_LONG = "if it does not fit"
    IF_IT_HELPS = "if it fits then"
    NEVER = "never"


_OPERATORS: dict[type[ast.AST], tuple[str, int]] = {
    ast.Pow: ("**", 2), ast.Mult: ("*", 4), ast.MatMult: ("@", 4), ast.Div: ("/", 4), ast.FloorDiv: ("//", 4),
    ast.Mod: ("%", 4), ast.Add: ("+", 5), ast.Sub: ("-", 5), ast.LShift: ("<<", 6), ast.RShift: (">>", 6),
    ast.BitAnd: ("&", 7), ast.BitXor: ("^", 8), ast.BitOr: ("|", 9), ast.Eq: ("==", 10), ast.NotEq: ("!=", 10),
    ast.Lt: ("<", 10), ast.LtE: ("<=", 10), ast.Gt: (">", 10), ast.GtE: (">=", 10), ast.Is: ("is", 10),
    ast.IsNot: ("is not", 10), ast.In: ("in", 10), ast.NotIn: ("not in", 10), ast.And: ("and", 11), ast.Or: ("or", 11),
}  # fmt: skip
_UNARY: dict[type[ast.AST], str] = {ast.USub: "-", ast.UAdd: "+", ast.Invert: "~", ast.Not: "not "}
_ATTRIBUTE, _INVERT = 1, 3

_Operation = ast.BinOp | ast.Compare | ast.BoolOp
_Link = ast.Attribute | ast.Call | ast.Subscript


def document(text: str) -> Doc | None:
    """A statement, or the head of a compound one, as a document; None if it is of a kind that stands as written."""
    head = "if" + text[4:] if text.startswith("elif ") else text
    try:
        tree = ast.parse(head + " pass" if head.endswith(":") else head)
    except SyntaxError:
        return None
    statement = _Statement(head.encode())
    match tree.body:
        case [ast.stmt() as node] if isinstance(node, _HEADS) or node.end_col_offset == len(statement.source):
            doc = statement.document(node)
            return ("el", doc) if doc and head is not text else doc
    return None


_HEADS = (ast.For, ast.If, ast.While, ast.FunctionDef)


def _brackets(left: str, part: Doc, right: str, free: bool = False) -> Doc:
    return Group((left, Indent((Line(), part)), Line(), right), free)


def _items(docs: list[Doc], comma_after_one: bool = False) -> Doc:
    """Items between commas; broken, the last one has a comma too."""
    parts: list[Doc] = []
    for doc in docs:
        parts += [",", Line(" "), doc] if parts else [doc]
    return (*parts, Broken(",") if len(docs) > 1 or comma_after_one else "")


def _parenthesised(part: Doc) -> Doc:
    return ("(", Indent((Line(), part)), Line(), ")")


@dataclass(frozen=True, slots=True)
class _Statement:
    """Documents for the nodes of one statement, whose text tells where parentheses were written."""

    source: bytes

    # --- statements ----------------------------------------------------------------------------------------------

    def document(self, node: ast.stmt) -> Doc | None:
        """The document of a statement; None where it stands as written."""
        match node:
            case ast.Assign(targets=[*firsts, last]):
                heads = tuple((self._target(t, i > 0), " = ") for i, t in enumerate(firsts))
                return (*heads, self._assignment(last, "=", node.value, bool(firsts)))
            case ast.AugAssign(target, op, value):
                return self._assignment(target, f"{_OPERATORS[type(op)][0]}=", value, chained=False)
            case ast.Return(ast.Tuple([_, _] as items) as value) if not self.has_brackets(value):
                flat = _items([self.expression(item, Around.UNPRINTED) for item in items])
                return ("return ", Choice((flat, _parenthesised(self._inside(items)))))
            case ast.Return(ast.expr() as value):
                return ("return ", self._value(value))
            case ast.Raise(ast.expr() as error, None):
                return ("raise ", self.bare(error, Around.NOTHING))
            case ast.Expr(ast.Call() | ast.Subscript() as value):
                return self.bare(value, Around.NOTHING)
            case ast.For(target, iterable, orelse=[]):
                return ("for ", self.bare(target, Around.NOTHING), " in ", self._value(iterable), ":")
            case ast.If(test, orelse=[]) | ast.While(test, orelse=[]):
                return (f"{type(node).__name__.lower()} ", self._value(test), ":")
            case ast.FunctionDef(name, arguments, returns=None, decorator_list=[]) if not arguments.posonlyargs:
                parameters = self._parameters(arguments)
                return (f"def {name}", _brackets("(", _items(parameters, True), ")") if parameters else "()", ":")
        return None

    def _parameters(self, arguments: ast.arguments) -> list[Doc]:
        def one(argument: ast.arg, default: ast.expr | None) -> Doc:
            text = self._text(argument)
            equals = " = " if argument.annotation else "="
            return text if default is None else (text, equals, self.expression(default, Around.BRACKETS))

        missing: list[ast.expr | None] = [None] * (len(arguments.args) - len(arguments.defaults))
        found = [one(a, d) for a, d in zip(arguments.args, missing + arguments.defaults, strict=True)]
        if arguments.vararg or arguments.kwonlyargs:
            found.append(f"*{self._text(arguments.vararg)}" if arguments.vararg else "*")
        found += [one(a, d) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
        return found + ([f"**{self._text(arguments.kwarg)}"] if arguments.kwarg else [])

    def _target(self, node: ast.expr, chained: bool) -> Doc:
        """A target; in a chain of them a name may be put in parentheses."""
        if isinstance(node, ast.Name) and chained:
            return Choice((self._text(node), _parenthesised(self._text(node))))
        return self.bare(node, Around.NOTHING)

    def _assignment(self, target: ast.expr, operator: str, value: ast.expr, chained: bool) -> Doc:
        """The last target, the operator and the value; a target with brackets breaks only if the value cannot."""
        head: Doc = (self._target(target, chained), f" {operator} ")
        plain = isinstance(value, ast.Name | ast.Constant | ast.JoinedStr)
        if not (chained or isinstance(target, ast.Tuple) or self.has_brackets(target)):
            return (head, self._value(value))
        if not (plain or (isinstance(value, _Link) and self._wrapping(value) is Wrapping.IF_IT_HELPS)):
            return (head, self._value(value))
        bare = self.bare(value, Around.NOTHING)
        broken: tuple[Doc, ...] = () if plain else ((head, Group(bare, open=True)),)
        wrapped = (head, Group(_parenthesised(bare), open=True))
        return Choice(((head, bare), *broken, wrapped, (head, bare)))

    def _value(self, node: ast.expr) -> Doc:
        """What a statement ends with; parentheses around it are kept only if it does not fit without them."""
        wrapping = self._wrapping(node)
        if wrapping is Wrapping.NEVER:
            return self.bare(node, Around.NOTHING)
        wrapped = _parenthesised(self.bare(node, Around.BRACKETS))
        if wrapping is Wrapping.IF_IT_HELPS:
            return Choice((self.bare(node, Around.UNPRINTED), wrapped), shy=True)
        free = _Survey(self).allows_own_brackets(node)
        return Choice((self.bare(node, Around.UNPRINTED if free else Around.BRACKETS), wrapped))

    def _wrapping(self, node: ast.expr) -> Wrapping:
        match node:
            case ast.BinOp() | ast.Compare() | ast.BoolOp():
                return Wrapping.IF_LONG
            case ast.Attribute(inner) | ast.Call(inner) | ast.Subscript(inner) | ast.UnaryOp(operand=inner):
                if isinstance(node, _Link) and len(self._breaks(self._links(node))) > 1:
                    return Wrapping.IF_LONG
                return Wrapping.NEVER if self.grouped(inner) else self._wrapping(inner)
            case ast.Name() | ast.Constant() | ast.JoinedStr():
                return Wrapping.IF_IT_HELPS
        return Wrapping.NEVER

    # --- expressions ---------------------------------------------------------------------------------------------

    def expression(self, node: ast.expr, around: Around) -> Doc:
        """An expression with the parentheses it was written in."""
        if not self.grouped(node):
            return self.bare(node, around)
        return _brackets("(", self.bare(node, Around.BRACKETS), ")", around is Around.UNPRINTED)

    def bare(self, node: ast.expr, around: Around) -> Doc:
        """An expression without the parentheses around it."""
        free = around is Around.UNPRINTED
        match node:
            case ast.BinOp() | ast.Compare() | ast.BoolOp():
                operation = self._operation(self._flattened(node), around)
                return Group(operation) if around is Around.BRACKETS else operation
            case ast.UnaryOp(op, ast.BinOp(op=ast.Pow()) as operand):
                return (_UNARY[type(op)], _brackets("(", self.bare(operand, Around.BRACKETS), ")", free))
            case ast.UnaryOp(op, operand):
                return (_UNARY[type(op)], self.expression(operand, around))
            case ast.Attribute() | ast.Call() | ast.Subscript():
                return self._chain(node, around)
            case ast.List([]) | ast.Tuple([]):
                return "[]" if isinstance(node, ast.List) else "()"
            case ast.List(items):
                return _brackets("[", self._inside(items), "]", free)
            case ast.Tuple([only]):
                return _brackets("(", (self.expression(only, Around.BRACKETS), ","), ")", free)
            case ast.Tuple(items) if self.has_brackets(node):
                return _brackets("(", self._inside(items), ")", free)
            case ast.Tuple(items):
                return Choice((self._inside(items), _parenthesised(self._inside(items))))
            case ast.Starred(value):
                return ("*", self.expression(value, around))
            case ast.Slice():
                return self._slice(node)
        return self._text(node)

    def _inside(self, nodes: list[ast.expr]) -> Doc:
        return _items([self.expression(node, Around.BRACKETS) for node in nodes])

    def _operation(self, parts: list[ast.expr | ast.AST], around: Around) -> Doc:
        """Operands and operators in turn, broken before the operators that bind least."""
        weakest = max(_OPERATORS[type(p)][1] for p in parts[1::2])
        starts = [0, *(i + 1 for i, p in enumerate(parts) if i % 2 and _OPERATORS[type(p)][1] == weakest)]
        docs: list[Doc] = []
        for start, end in zip(starts, [*(s - 1 for s in starts[1:]), len(parts)], strict=True):
            if start:
                docs += self._operator(parts[start - 1], parts[start - 2], parts[start], around)
            if end - start == 1:
                docs.append(self.expression(parts[start], around))
            else:
                inner = self._operation(parts[start:end], around)
                docs.append(Group(inner) if around is Around.BRACKETS else inner)
        return tuple(docs)

    def _operator(self, operator: ast.AST, left: ast.AST, right: ast.AST, around: Around) -> list[Doc]:
        text = _OPERATORS[type(operator)][0]
        tight = isinstance(operator, ast.Pow) and all(
            _is_simple_power(n) and not self.grouped(n) for n in (left, right)
        )
        if around is not Around.BRACKETS:
            return [text if tight else f" {text} "]
        return [Line("" if tight else " "), text, Broken(" ") if tight else " "]

    def _flattened(self, node: ast.expr) -> list[ast.expr | ast.AST]:
        """Operands and operators in turn, those of nested operations without parentheses too."""
        match node:
            case ast.BinOp(left, op, right):
                parts: list[ast.AST] = [left, op, right]
            case ast.BoolOp(op, values):
                parts = [part for value in values for part in (op, value)][1:]
            case ast.Compare(left, ops, comparators):
                parts = [left, *(part for pair in zip(ops, comparators, strict=True) for part in pair)]
        found: list[ast.AST] = []
        for part in parts:
            nested = isinstance(part, _Operation) and not self.grouped(part)
            found += self._flattened(part) if nested else [part]
        return found

    # --- chains of attributes, calls and subscripts --------------------------------------------------------------

    def _links(self, node: ast.expr) -> list[ast.expr]:
        """The chain that ends at ``node``, its root first; the root is no link, or stands in parentheses."""
        links = [node]
        while isinstance(links[0], _Link) and (len(links) == 1 or not self.grouped(links[0])):
            links.insert(0, links[0].func if isinstance(links[0], ast.Call) else links[0].value)
        return links

    def _breaks(self, links: list[ast.expr]) -> list[int]:
        """The attributes of a chain that may start a line: those of a call, a subscript or something in parentheses."""
        pairs = enumerate(zip(links, links[1:], strict=False), 1)
        return [
            i
            for i, (value, link) in pairs
            if isinstance(link, ast.Attribute)
            and (isinstance(value, ast.Call | ast.Subscript) or self.grouped(value))
        ]

    def _chain(self, node: _Link, around: Around) -> Doc:
        links = self._links(node)
        breaks = self._breaks(links)
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
                given = sorted([*args, *keywords], key=lambda a: (a.lineno, a.col_offset))
                sole = len(given) == 1 and not keywords
                docs = [self._argument(a, sole) for a in given]
                return _brackets("(", Group(_items(docs)), ")", free)
            case ast.Subscript(slice=ast.Tuple([_, _, *_] as items) as index) if not self.has_brackets(index):
                return _brackets("[", Group(self._inside(items)), "]", free)
            case ast.Subscript(slice=index):
                return _brackets("[", self.expression(index, Around.BRACKETS), "]", free)
        raise TypeError(link)

    def _argument(self, node: ast.expr | ast.keyword, sole: bool) -> Doc:
        if isinstance(node, ast.keyword):
            return (f"{node.arg}=" if node.arg else "**", self.expression(node.value, Around.BRACKETS))
        if isinstance(node, ast.GeneratorExp):
            return self._text(node).removeprefix("(").removesuffix(")")
        if sole and self._layers(node) < 2:
            return self.bare(node, Around.BRACKETS)
        return self.expression(node, Around.BRACKETS)

    def _slice(self, node: ast.Slice) -> Doc:
        """``a[1:n]``, but ``a[n + 1 : m]``: spaces unless all of it are names and numbers."""
        given = [part for part in (node.lower, node.upper, node.step) if part]
        space = "" if all(map(_is_simple, given)) else " "
        docs: list[Doc] = [self.expression(node.lower, Around.BRACKETS), space] if node.lower else []
        docs.append(":")
        if node.upper:
            docs += [space, self.expression(node.upper, Around.BRACKETS)]
        if node.step:
            docs += [space if node.upper else "", ":", space, self.expression(node.step, Around.BRACKETS)]
        return tuple(docs)

    # --- what was written ----------------------------------------------------------------------------------------

    def _text(self, node: ast.AST) -> str:
        text = self.source[node.col_offset : node.end_col_offset].decode()
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and text.startswith('"'):
            return _quoted(text)
        return text

    def _layers(self, node: ast.AST) -> int:
        """How many pairs of parentheses stand around an expression; those of a call count for its sole argument."""
        before, after = self.source[: node.col_offset].rstrip(), self.source[node.end_col_offset :].lstrip()
        count = 0
        while before.endswith(b"(") and after.startswith(b")"):
            before, after, count = before[:-1].rstrip(), after[1:].lstrip(), count + 1
        return count

    def grouped(self, node: ast.AST) -> bool:
        """Whether an expression that is no sole argument stands in parentheses."""
        return self._layers(node) > 0

    def has_brackets(self, node: ast.AST) -> bool:
        """Whether a node has brackets of its own, those of a call, a subscript, a list or a tuple, and not ``()``."""
        match node:
            case ast.Call(args=args, keywords=keywords):
                return bool(args or keywords)
            case ast.Tuple([first, *_]):
                start, opening = node.col_offset, len(self.source[: first.col_offset].rstrip()) - 1
                opens = self.source[start : start + 1] == b"(" and start < first.col_offset
                return opens and not (opening == start and self.grouped(first))
            case ast.List(items):
                return bool(items)
        return isinstance(node, ast.Subscript)


@dataclass(slots=True)
class _Survey:
    """What decides whether a value can break in its own brackets alone: operators, first and last part of it."""

    statement: _Statement
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
        return self.statement.has_brackets(node) or self.statement.grouped(node)

    def _note(self, strength: int, count: int = 1) -> None:
        self.count = count if strength > self.strength else self.count + count * (strength == self.strength)
        self.strength = max(strength, self.strength)

    def _visit(self, node: ast.expr) -> None:
        self.last = node
        if self.statement.grouped(node):
            self.brackets = True
        else:
            self._look(node)
        self.first = self.first or node

    def _look(self, node: ast.expr) -> None:
        match node:
            case ast.BinOp(left, op, right):
                self._note(_OPERATORS[type(op)][1])
                self._visit(left)
                self._visit(right)
            case ast.BoolOp(_, values):
                self._note(_OPERATORS[type(node.op)][1], len(values) - 1)
                for value in values:
                    self._visit(value)
            case ast.Compare(left, ops, comparators):
                self._note(_OPERATORS[type(ops[0])][1], len(ops))
                for value in (left, *comparators):
                    self._visit(value)
            case ast.Call(inner) | ast.Subscript(inner):
                self.brackets = True
                self._visit(inner)
                self.last = node
            case ast.Attribute(inner):
                self._visit(inner)
                if self.statement.grouped(inner) or isinstance(inner, ast.Call) or self.statement.has_brackets(inner):
                    self._note(_ATTRIBUTE)
                self.last = node
            case ast.UnaryOp(op, operand):
                if isinstance(op, ast.Invert):
                    self._note(_INVERT)
                self.first = self.first or op
                self._visit(operand)
            case ast.List() | ast.Dict() | ast.Set() | ast.ListComp() | ast.Tuple():
                self.brackets = True


def _is_simple(node: ast.AST) -> bool:
    """Names and numbers, perhaps negative."""
    match node:
        case ast.UnaryOp(ast.USub() | ast.UAdd() | ast.Invert(), operand):
            return _is_simple(operand)
    return isinstance(node, ast.Name | ast.Constant)


def _is_simple_power(node: ast.AST) -> bool:
    """Operands that stand close to ``**``: names, numbers and attributes of them."""
    match node:
        case ast.UnaryOp(ast.USub() | ast.UAdd() | ast.Invert(), operand):
            return _is_simple_power(operand)
        case ast.Attribute(value):
            return _is_simple_power(value)
    return isinstance(node, ast.Name) or (isinstance(node, ast.Constant) and not isinstance(node.value, str))


def _quoted(text: str) -> str:
    """A string in double quotes as it is written with the fewest escapes."""
    inner = text[1:-1]
    if inner.count('\\"') <= inner.count("'"):
        return text
    return "'" + inner.replace("'", "\\'").replace('\\"', '"') + "'"
