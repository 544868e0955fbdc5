"""Powers of values between 0 and 1 that underflow: as exponentials, whose slopes are finite where the value is 0.

``sigmoid(u)^n = exp(-n softplus(-u))``; a named product of exponentials is written out inside a broken power, where
``(exp(u) v)^n = exp(n u) v^n``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from symgrad.declare.algebra import apply, multiply, negate, number, power
from symgrad.declare.program import Equation, Program
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import Apply, FromInteger, Mul, Node, Number, Power, Read, Scalar, contains, walk
from symgrad.derive.terms import written_out
from symgrad.derive.trace import Trace
from symgrad.simplify.terms import factors_of

RULE = "write out the definition inside a root"


def root_of_sigmoid(node: Scalar) -> Scalar | None:
    """(sigmoid(u)^k v)^n = exp(-n k softplus(-u)) v^n, where n is no integer."""
    if not (isinstance(node, Power) and is_broken(node.exponent)):
        return None
    coefficient, factors = factors_of(node.base)
    found: list[Scalar] = []
    rest: list[Scalar] = [Number(coefficient)]
    for factor in factors:
        match factor:
            case Apply("sigmoid", (u,)):
                found.append(apply("softplus", negate(u)))
            case Power(Apply("sigmoid", (u,)), Number() as k):
                found.append(multiply(k, apply("softplus", negate(u))))
            case _:
                rest.append(factor)
    left = multiply(*rest)
    if not found or (isinstance(left, Number) and left.value < 0):
        return None
    exponents = (apply("exp", multiply(number(-1), node.exponent, f)) for f in found)
    return multiply(*exponents, power(left, node.exponent))


def roots_of_named(program: Program, trace: Trace) -> Program:
    """Write out the names of products of exponentials inside powers whose exponent is no integer."""
    definitions = {e.target: e for e in program.equations if _is_product(e.body)}

    def change(node: Node) -> Node:
        if not contains(node, Power):
            return node
        node = map_children(node, change)
        match node:
            case Power(base, Number() as n) if is_broken(n):
                written = changed(base, lambda part: _written(part, definitions))
                if written != base and _is_product(written):
                    return power(written, n)
        return node

    equations = []
    for equation in program.equations:
        after = equation.with_body(changed(equation.body, change))
        trace.record(RULE, equation, after)
        equations.append(after)
    return program if tuple(equations) == program.equations else replace(program, equations=tuple(equations))


def is_broken(exponent: Scalar) -> bool:
    """Whether an exponent is a number that is not whole: no negative number has such a power."""
    return isinstance(exponent, Number) and not (
        isinstance(exponent.value, Fraction) and exponent.value.denominator == 1
    )


def _is_product(body: Scalar) -> bool:
    """Whether a value is a product of exponentials, or logistic functions, and of powers of reads."""
    coefficient, factors = factors_of(body)
    made = any(isinstance(p, Apply) and p.function in ("exp", "sigmoid") for f in factors for p in walk(f))
    return coefficient > 0 and made and all(map(_is_plain, factors))


def _is_plain(factor: Scalar) -> bool:
    match factor:
        case Apply("exp" | "sigmoid", _) | Read() | FromInteger():
            return True
        case Power(base, Number()):
            return _is_plain(base)
    return False


def _written(node: Node, definitions: Mapping[str, Equation]) -> Node:
    match node:
        case Read(tensor, indices, None) if tensor in definitions:
            definition = definitions[tensor]
            return written_out(definition, indices)
        case Mul() | Power():
            return map_children(node, lambda child: _written(child, definitions))
    return node
