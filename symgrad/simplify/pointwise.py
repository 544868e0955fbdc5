"""Pointwise forms that neither overflow nor cancel: a table of rules, each an identity over the reals."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TypeAlias, overload

from symgrad.declare.algebra import add, apply, multiply, negate, number, power
from symgrad.declare.rewriting import map_children
from symgrad.declare.scalars import (
    UNIT,
    Add,
    Apply,
    Condition,
    Mul,
    Node,
    Number,
    Power,
    Scalar,
    reads_of,
)

Rule: TypeAlias = Callable[[Scalar], Scalar | None]


# --- pointwise -------------------------------------------------------------------------------------------------


def _logistic(node: Scalar) -> Scalar | None:
    """1 / (1 + exp(u)) = sigmoid(-u)."""
    match node:
        case Power(Add(args), Number(n)) if isinstance(n, Fraction) and n.denominator == 1 and n < 0:
            u = _one_plus_exp(args)
            if u is not None:
                return power(apply("sigmoid", negate(u)), number(-n))
    return None


def _one_plus_exp(args: tuple[Scalar, ...]) -> Scalar | None:
    """The u, if the terms are 1 and exp(u)."""
    match args:
        case (Apply("exp", (u,)), Number(one)) | (Number(one), Apply("exp", (u,))) if one == 1:
            return u
    return None


def _mirrored(node: Scalar) -> Scalar | None:
    """exp(u) * sigmoid(-u) = sigmoid(u)."""
    if not isinstance(node, Mul):
        return None
    for e in node.args:
        for s in node.args:
            match e, s:
                case Apply("exp", (u,)), Apply("sigmoid", (v,)) if add(u, v) == number(0):
                    rest = [a for a in node.args if a is not e and a is not s]
                    return multiply(Number(node.coefficient), apply("sigmoid", u), *rest)
                case Apply("exp", (u,)), Power(Apply("sigmoid", (v,)), Number(n)) if n >= 1 and add(u, v) == number(0):
                    rest = [a for a in node.args if a is not e and a is not s]
                    kept = power(apply("sigmoid", v), number(n - 1))
                    return multiply(Number(node.coefficient), apply("sigmoid", u), kept, *rest)
    return None


def _softplus(node: Scalar) -> Scalar | None:
    """log(1 + exp(u)) = softplus(u)."""
    match node:
        case Apply("log", (Add(args),)):
            u = _one_plus_exp(args)
            return None if u is None else apply("softplus", u)
    return None


def _log_sigmoid(node: Scalar) -> Scalar | None:
    """log(sigmoid(u)) = -softplus(-u) and log(1 - sigmoid(u)) = -softplus(u)."""
    match node:
        case Apply("log", (Apply("sigmoid", (u,)),)):
            return negate(apply("softplus", negate(u)))
        case Apply("log", (Add(args),)) if len(args) == 2 and UNIT in args:
            other = args[1] if args[0] == UNIT else args[0]
            match other:
                case Mul(c, (Apply("sigmoid", (u,)),)) if c == -1:
                    return negate(apply("softplus", u))
    return None


def _log_product(node: Scalar) -> Scalar | None:
    """log(exp(u) * v) = u + log(v) and log(1 / v) = -log(v)."""
    match node:
        case Apply("log", (Mul(coefficient, args),)):
            exponents = [a for a in args if isinstance(a, Apply) and a.function == "exp"]
            if exponents:
                rest = multiply(Number(coefficient), *(a for a in args if a not in exponents))
                return add(*(e.args[0] for e in exponents), apply("log", rest))
        case Apply("log", (Power(base, Number(n)),)) if n == -1:
            return negate(apply("log", base))
    return None


def _log1p(node: Scalar) -> Scalar | None:
    """log(1 + u) = log1p(u)."""
    match node:
        case Apply("log", (Add(args),)) if UNIT in args and _one_plus_exp(args) is None:
            rest = [a for a in args if a != UNIT]
            if any(reads_of(a) for a in rest):
                return apply("log1p", add(*rest))
    return None


def _expm1(node: Scalar) -> Scalar | None:
    """exp(u) - 1 = expm1(u)."""
    match node:
        case Add(args):
            for a in args:
                scale, e = (a.coefficient, a.args) if isinstance(a, Mul) else (Fraction(1), (a,))
                match e:
                    case (Apply("exp", (u,)),) if Number(-scale) in args and reads_of(u):
                        rest = [t for t in args if t is not a and t != Number(-scale)]
                        return add(multiply(Number(scale), apply("expm1", u)), *rest)
    return None


def _tanh(node: Scalar) -> Scalar | None:
    """(exp(u) - exp(-u)) / (exp(u) + exp(-u)) = tanh(u)."""
    if not isinstance(node, Mul):
        return None
    for top in node.args:
        for bottom in node.args:
            match top, bottom:
                case Add((Apply("exp", (u,)), Mul(c, (Apply("exp", (v,)),)))), Power(Add(below), Number(n)) if (
                    n == -1 and c == -1 and add(u, v) == number(0)
                ):
                    if set(below) == {apply("exp", u), apply("exp", v)}:
                        rest = [a for a in node.args if a is not top and a is not bottom]
                        return multiply(Number(node.coefficient), apply("tanh", u), *rest)
    return None


POINTWISE: tuple[tuple[str, Rule], ...] = (
    ("1/(1 + exp(u)) = sigmoid(-u)", _logistic),
    ("exp(u) sigmoid(-u) = sigmoid(u)", _mirrored),
    ("log(1 + exp(u)) = softplus(u)", _softplus),
    ("log(sigmoid(u)) = -softplus(-u)", _log_sigmoid),
    ("log(exp(u) v) = u + log(v)", _log_product),
    ("log(1 + u) = log1p(u)", _log1p),
    ("exp(u) - 1 = expm1(u)", _expm1),
    ("(exp(u) - exp(-u))/(exp(u) + exp(-u)) = tanh(u)", _tanh),
)


@overload
def rewrite(node: Scalar, used: list[str]) -> Scalar: ...
@overload
def rewrite(node: Condition, used: list[str]) -> Condition: ...
def rewrite(node: Node, used: list[str]) -> Node:
    """Apply the pointwise rules from the inside out until none applies; names of those used go to ``used``."""
    node = map_children(node, lambda child: rewrite(child, used))
    if isinstance(node, Condition):
        return node
    for name, rule in POINTWISE:
        better = rule(node)
        if better is not None and better != node:
            used.append(name)
            return rewrite(better, used)
    return node
