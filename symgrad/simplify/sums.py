"""Sums made small: invariant factors before them, sums that vanish dropped, sums of the forward pass recognised."""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.declare.algebra import add, divide, from_integer, multiply
from symgrad.declare.conditions import conjuncts
from symgrad.declare.integers import Index, as_poly
from symgrad.declare.program import Equation
from symgrad.declare.scalars import (
    FALSE,
    NOUGHT,
    TRUE,
    Add,
    Compare,
    Condition,
    Extension,
    Number,
    Read,
    Reduce,
    Scalar,
    free_indices,
    walk,
)
from symgrad.derive.terms import alpha_form, terms_of
from symgrad.simplify.terms import expanded_terms, factors_of


def pulled(body: Scalar, linear: set[str], forward: Sequence[Equation]) -> Scalar:
    """Invariant factors before the sums; sums that are known to vanish dropped.

    Args:
        body: a sum of terms.
        linear: tensors that every cotangent is linear in; products are distributed over sums of them.
        forward: equations whose sums may be recognised.
    """
    args = body.args if isinstance(body, Add) else (body,)
    parts: list[Scalar] = []
    for arg in args:
        for term in terms_of(arg):
            if not term.bound and term.condition == TRUE:
                parts.append(multiply(term.scale, term.body))
                continue
            for piece in expanded_terms(term.body, linear):
                parts.append(multiply(term.scale, _pull(term.bound, term.condition, piece, forward)))
    return add(*parts)


def is_equality(condition: Condition) -> bool:
    """Whether a condition is an equality of integers."""
    return isinstance(condition, Compare) and condition.relation == "=="


def _pull(bound: tuple[Index, ...], condition: Condition, piece: Scalar, forward: Sequence[Equation]) -> Scalar:
    if condition == FALSE:
        return NOUGHT
    coefficient, factors = factors_of(piece)
    outside = [f for f in factors if not free_indices(f) & set(bound)] if condition == TRUE or bound else []
    if any(is_equality(c) for c in conjuncts(condition)):
        # A scatter: only numbers and what no index touches come out.
        outside = [f for f in outside if not free_indices(f)]
    if bound:
        # What a condition keeps inside stays behind it.
        outer = {i for c in conjuncts(condition) for i in free_indices(c) - set(bound)}
        outside = [f for f in outside if not outer & _guarded_at(f)]
    inside = [f for f in factors if f not in outside]
    idle = [i for i in bound if not any(i in free_indices(f) for f in (*inside, condition))]
    outside += [from_integer(i.extent) for i in idle]
    bound = tuple(i for i in bound if i not in idle)
    body = multiply(*inside)
    if not bound and condition == TRUE:
        return multiply(Number(coefficient), *outside, body)
    if condition == TRUE and _vanishes(bound, body, forward):
        return NOUGHT
    return multiply(Number(coefficient), *outside, Reduce("sum", bound, condition, body))


def _guarded_at(node: Scalar) -> set[Index]:
    """The indices of reads that may lie outside without the condition that they stand behind."""
    reads = [r for r in walk(node) if isinstance(r, Read) and r.extension == Extension("guarded")]
    return {i for r in reads for i in free_indices(r)}


def _vanishes(bound: tuple[Index, ...], body: Scalar, forward: Sequence[Equation]) -> bool:
    """Whether the sum is zero by the definition of a forward sum: deviations from a mean add up to nothing."""
    if not isinstance(body, Add):
        return False
    total = [_plain_sum(bound, a, forward) for a in body.args]
    return None not in total and add(*(t for t in total if t is not None)) == NOUGHT


def _plain_sum(bound: tuple[Index, ...], body: Scalar, forward: Sequence[Equation]) -> Scalar | None:
    """The unconditional sum without a reduction of its own: a count of terms, or a sum that the forward pass has."""
    coefficient, factors = factors_of(body)
    outside = [f for f in factors if not free_indices(f) & set(bound)]
    inside = [f for f in factors if f not in outside]
    if not inside:
        extent = as_poly(1)
        for i in bound:
            extent = extent * i.extent
        return multiply(Number(coefficient), *outside, from_integer(extent))
    key, order = alpha_form(Reduce("sum", bound, TRUE, multiply(*inside)))
    for equation in forward:
        terms = terms_of(equation.body)
        if len(terms) == 1 and terms[0].bound and terms[0].condition == TRUE:
            other, positions = alpha_form(Reduce("sum", terms[0].bound, TRUE, terms[0].body))
            if other == key and set(positions) == set(equation.indices):
                table = dict(zip(positions, order, strict=True))
                read = Read(equation.target, tuple(as_poly(table[i]) for i in equation.indices))
                return multiply(Number(coefficient), *outside, divide(read, terms[0].scale))
    return None
