"""Terms that cancel are brought together: over one denominator, or out of the bracket they stand in.

``1/v - |x|/v^2`` with ``v = 1 + |x|`` loses its digits where x is large; ``1/v^2`` is the same and keeps them.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from symgrad.declare.algebra import add, apply, multiply, number, power
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import Add, Apply, Mul, Node, Number, Power, Reduce, Scalar, contains, walk
from symgrad.simplify.exponentials import spread
from symgrad.simplify.terms import factors_of

RULE = "terms that cancel meet"


def met(body: Scalar) -> Scalar:
    """The expression with every sum of terms, some of which cancel, written without these."""

    def change(node: Node) -> Node:
        if not contains(node, Add):
            return node
        node = map_children(node, change)
        if not isinstance(node, Add) or any(isinstance(p, Reduce) for p in walk(node)):
            return node
        whole = spread(node)
        if len(_terms(whole)) < sum(len(_terms(spread(a))) for a in node.args):
            return whole
        return next(_over_one_denominator(node.args), node)

    return changed(body, change)


def _terms(node: Scalar) -> tuple[Scalar, ...]:
    return node.args if isinstance(node, Add) else (node,)


def _over_one_denominator(terms: tuple[Scalar, ...]) -> Iterator[Scalar]:
    """The sum with the terms over powers of one sum as one term, for each such sum that shortens it."""
    split = [_split(t) for t in terms]
    for below in dict.fromkeys(b for parts in split for b, _, _ in parts):
        over = {p: (k, rest) for p, parts in enumerate(split) for b, k, rest in parts if b == below}
        most = max(k for k, _ in over.values())
        if len(over) < 2 or all(k == most for k, _ in over.values()) or any(most - k > 1 for k, _ in over.values()):
            continue
        parts = (rest if k == most else _distributed(rest, below) for k, rest in over.values())
        above = add(*map(_signs_absorbed, (t for part in parts for t in _terms(part))))
        if len(_terms(above)) < len(over):
            others = (t for p, t in enumerate(terms) if p not in over)
            yield add(multiply(above, power(below, number(-most))), *others)


def _split(term: Scalar) -> list[tuple[Add, int, Scalar]]:
    """The sums that a term is divided by: each with its power, and what is left of the term."""
    coefficient, factors = factors_of(term)
    found: list[tuple[Add, int, Scalar]] = []
    for p, factor in enumerate(factors):
        match factor:
            case Power(Add() as below, Number(Fraction(denominator=1) as n)) if n < 0:
                rest = multiply(Number(coefficient), *factors[:p], *factors[p + 1 :])
                found.append((below, int(-n), rest))
    return found


def _distributed(factor: Scalar, total: Add) -> Scalar:
    return add(*(multiply(factor, t) for t in total.args))


def _signs_absorbed(term: Scalar) -> Scalar:
    """U sign(u) = |u|."""
    if not isinstance(term, Mul):
        return term
    for s in term.args:
        match s:
            case Apply("sign", (u,)):
                scale, inside = factors_of(u)
                others = [a for a in term.args if a is not s]
                if all(f in others for f in inside):
                    for f in inside:
                        others.remove(f)
                    front = multiply(Number(term.coefficient), power(Number(scale), number(-1)))
                    return multiply(front, apply("abs", u), *others)
    return term
