"""Pointwise forms that neither overflow nor cancel: a table of rules, each an identity over the reals."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TypeAlias, overload

from symgrad.declare.algebra import add, apply, multiply, negate, number, power
from symgrad.declare.frozen import remember
from symgrad.declare.rewriting import map_children
from symgrad.declare.scalars import UNIT, Add, Apply, Condition, Mul, Node, Number, Power, Scalar, reads_of
from symgrad.simplify.ceilings import ceiling, least
from symgrad.simplify.inverses import inverse_of_distance, inverse_of_expm1
from symgrad.simplify.logarithms import (
    exp_less_one,
    log_near_one,
    log_of_cosh,
    log_of_difference,
    log_of_one_plus_exp,
    log_of_product,
    log_of_root,
    log_of_sigmoid,
    log_of_sigmoids,
    log_of_sum,
    log_of_two,
    logcosh_by_softplus,
)
from symgrad.simplify.quotients import (
    complement,
    into_choice,
    logistic,
    one_plus_tanh,
    power_of_product,
    shifted,
    tangent,
)
from symgrad.simplify.roots import root_of_sigmoid
from symgrad.simplify.tails import by_tail, log_of_tail
from symgrad.simplify.terms import factors_of

Rule: TypeAlias = Callable[[Scalar], Scalar | None]


# --- sigmoid and tanh --------------------------------------------------------------------------------------------


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


def _one_minus_square(node: Scalar) -> Scalar | None:
    """1 - tanh(u)^2 = 1/cosh(u)^2."""
    match node:
        case Add((Mul(c, (Power(Apply("tanh", (u,)), Number(n)),)), Number(d))) | Add(
            (Number(d), Mul(c, (Power(Apply("tanh", (u,)), Number(n)),)))
        ) if n == 2 and c == -d:
            return multiply(Number(d), power(apply("cosh", u), number(-2)))
    return None


def _over_cosh(node: Scalar) -> Scalar | None:
    """sinh(u)/cosh(u) = tanh(u) and 1/cosh(u) = 2/(exp(u) + exp(-u))."""
    coefficient, factors = factors_of(node)
    for factor in factors:
        match factor:
            case Power(Apply("cosh", (u,)), Number(n)) if isinstance(n, Fraction) and n.denominator == 1 and n < 0:
                others = [f for f in factors if f is not factor]
                if (sinh := apply("sinh", u)) in others:
                    others.remove(sinh)
                    kept = power(apply("cosh", u), number(n + 1))
                    return multiply(Number(coefficient), apply("tanh", u), kept, *others)
                both = add(apply("exp", u), apply("exp", negate(u)))
                return multiply(
                    Number(coefficient), number(Fraction(2) ** -n.numerator), power(both, number(n)), *others
                )
    return None


# --- roots -------------------------------------------------------------------------------------------------------


def _root_less_one(node: Scalar) -> Scalar | None:
    """sqrt(1 + u) - 1 = u/(sqrt(1 + u) + 1)."""
    if not isinstance(node, Add):
        return None
    for term in node.args:
        match factors_of(term):
            case c, (Power(Add(inside), Number(n)) as root,) if n == Fraction(1, 2) and UNIT in inside:
                if (one := Number(-c)) in node.args and reads_of(root):
                    u = add(*(a for a in inside if a != UNIT))
                    rest = [a for a in node.args if a is not term and a != one]
                    return add(multiply(Number(c), u, power(add(root, UNIT), number(-1))), *rest)
    return None


SHIFTS: tuple[tuple[str, Rule], ...] = (
    ("v/(exp(a) + exp(b)) = v exp(-m)/(exp(a - m) + exp(b - m)), m = max(a, b)", shifted),
    ("log(exp(a) + exp(b)) = m + log(exp(a - m) + exp(b - m)), m = max(a, b)", log_of_sum),
)
"""Rules that take the largest exponent out; sums over an index have to have theirs taken out before."""

QUOTIENTS: tuple[tuple[str, Rule], ...] = (
    ("(exp(u) - exp(-u))/(exp(u) + exp(-u)) = tanh(u)", tangent),
    ("1/cosh(u) = 2/(exp(u) + exp(-u))", _over_cosh),
    ("1/(1 + exp(u)) = sigmoid(-u)", logistic),
    SHIFTS[0],
)
"""Rules for a product as a whole: what they look for would not be there if its factors were rewritten first."""

POINTWISE: tuple[tuple[str, Rule], ...] = (
    *QUOTIENTS,
    ("(exp(u) v)^n = exp(n u) v^n", power_of_product),
    ("sigmoid(u)^n = exp(-n softplus(-u))", root_of_sigmoid),
    ("exp(u) (v if c else w) = (exp(u) v if c else exp(u) w)", into_choice),
    ("exp(u) sigmoid(-u) = sigmoid(u)", _mirrored),
    ("1 - sigmoid(u) = sigmoid(-u)", complement),
    ("1 + tanh(u) = 2 sigmoid(2u)", one_plus_tanh),
    ("1 - tanh(u)^2 = 1/cosh(u)^2", _one_minus_square),
    ("log(1 + exp(u)) = softplus(u)", log_of_one_plus_exp),
    ("log(c + exp(u)) = log(c) + softplus(u - log(c))", log_of_two),
    ("log(sigmoid(u)) = -softplus(-u)", log_of_sigmoid),
    ("log(sigmoid(a) - sigmoid(b)) = -softplus(-a) - softplus(b) + log1mexp(b - a)", log_of_sigmoids),
    ("log(cosh(u)) = logcosh(u)", log_of_cosh),
    ("softplus(u) - u/2 - log(2) = logcosh(u/2)", logcosh_by_softplus),
    ("log(u + sqrt(u^2 + 1)) = arcsinh(u)", log_of_root),
    ("log(exp(u) v) = u + log(v)", log_of_product),
    ("log(exp(a) - exp(b)) = a + log1mexp(b - a)", log_of_difference),
    SHIFTS[1],
    ("log(c erfc(u)) = log(c) + logerfc(u)", log_of_tail),
    ("exp(-u^2)/erfc(u) = 1/erfcx(u) where u > 0", by_tail),
    ("log(1 + u) = log1p(u)", log_near_one),
    ("exp(u) - 1 = expm1(u)", exp_less_one),
    ("1/(exp(u) - 1) = -exp(-u)/(exp(-u) - 1) where u > 0", inverse_of_expm1),
    ("|exp(u) - 1| = exp(u) - 1 where u > 1", inverse_of_distance),
    ("sqrt(1 + u) - 1 = u/(sqrt(1 + u) + 1)", _root_less_one),
    ("min(exp(u) - 1, 0) = exp(min(u, 0)) - 1", least),
    ("f(exp(u)) = f(exp(min(u, c))), where f is at its limit", ceiling),
)


@overload
def rewrite(node: Scalar, used: list[str], shift: bool = True) -> Scalar: ...
@overload
def rewrite(node: Condition, used: list[str], shift: bool = True) -> Condition: ...
def rewrite(node: Node, used: list[str], shift: bool = True) -> Node:
    """Apply the pointwise rules from the inside out until none applies; names of those used go to ``used``.

    Without ``shift`` those rules wait that take a largest exponent out.
    """
    after, names = _rewriting(node, shift)
    used += names
    return after


@remember
def _rewriting(node: Node, shift: bool) -> tuple[Node, tuple[str, ...]]:
    """The node after all rules that apply, and their names in order."""
    used: list[str] = []
    if not isinstance(node, Condition):
        better = _rewritten(node, QUOTIENTS, used, shift)
        if better is not None:
            return better, tuple(used)
    node = map_children(node, lambda child: rewrite(child, used, shift))
    if not isinstance(node, Condition):
        node = _rewritten(node, POINTWISE, used, shift) or node
    return node, tuple(used)


def _rewritten(node: Scalar, rules: tuple[tuple[str, Rule], ...], used: list[str], shift: bool) -> Scalar | None:
    """The node after the first rule that applies, and all that apply then; None if none does."""
    for name, rule in rules:
        better = rule(node) if shift or (name, rule) not in SHIFTS else None
        if better is not None and better != node:
            used.append(name)
            return rewrite(better, used, shift)
    return None
