"""Choices moved inside: what both arms have in common is written once, outside of the choice."""

from __future__ import annotations

from fractions import Fraction

from symgrad.declare.algebra import add, apply, multiply, select
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import Add, Apply, Condition, Mul, Node, Number, Scalar, Select, tensors_of
from symgrad.derive.terms import alpha_form


def lifted(node: Scalar) -> Scalar:
    """Choices between values of one function, or between sums with common terms, inside it."""

    def change(part: Node) -> Node:
        part = map_children(part, change)
        return lift(part) if isinstance(part, Select) else part

    return changed(node, change)


def lift(node: Select) -> Scalar:
    """``f(a) if c else f(b)`` as ``f(a if c else b)``, and common terms outside."""
    condition = node.condition
    if tensors_of(condition):
        return node
    match node.then, node.otherwise:
        case Apply(f, (a,)), Apply(g, (b,)) if f == g:
            return apply(f, __choice(condition, a, b))
    product = _common_factors(condition, node.then, node.otherwise)
    if product is not None:
        return product
    first = node.then.args if isinstance(node.then, Add) else (node.then,)
    second = node.otherwise.args if isinstance(node.otherwise, Add) else (node.otherwise,)
    same = {alpha_form(a): a for a in second}
    common = [a for a in first if alpha_form(a) in same]
    if not common:
        return node
    known = {alpha_form(a) for a in common}
    rest = [add(*(a for a in args if alpha_form(a) not in known)) for args in (first, second)]
    return add(*common, __choice(condition, rest[0], rest[1]))


def _common_factors(condition: Condition, then: Scalar, otherwise: Scalar) -> Scalar | None:
    """``a b if c else a d`` as ``a (b if c else d)``."""
    if not (isinstance(then, Mul) or isinstance(otherwise, Mul)):
        return None
    (p, first), (q, second) = (
        (a.coefficient, a.args) if isinstance(a, Mul) else (Fraction(1), (a,)) for a in (then, otherwise)
    )
    common = [a for a in first if a in second]
    if not common:
        return None
    rest = (multiply(Number(c), *(a for a in args if a not in common)) for c, args in ((p, first), (q, second)))
    return multiply(*common, __choice(condition, *rest))


def __choice(condition: Condition, then: Scalar, otherwise: Scalar) -> Scalar:
    made = select(condition, then, otherwise)
    return lift(made) if isinstance(made, Select) else made
