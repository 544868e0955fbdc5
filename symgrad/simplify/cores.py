"""Cores: the sums of the backward pass under names of their own, equal ones computed once."""

from __future__ import annotations

from dataclasses import replace

from symgrad.declare.algebra import add, multiply, select
from symgrad.declare.conditions import all_of, conjuncts
from symgrad.declare.integers import as_poly
from symgrad.declare.program import Equation
from symgrad.declare.rewriting import changed, map_children
from symgrad.declare.scalars import (
    NOUGHT,
    TRUE,
    Add,
    Apply,
    Condition,
    Mul,
    Node,
    Number,
    Power,
    Read,
    Reduce,
    Scalar,
    contains,
    free_indices,
    reads_of,
    tensors_of,
    walk,
)
from symgrad.derive.terms import alpha_form, freshen, rename
from symgrad.derive.trace import Trace
from symgrad.naming import fresh
from symgrad.simplify.sums import is_equality
from symgrad.simplify.terms import factors_of


class Cores:
    """Sums that have a name; ``done`` receives the equations that define them, ``taken`` their names.

    ``cotangents`` are what a sum of many factors is called after.

    A sum that the forward pass has computed is read from there.
    """

    def __init__(
        self, forward: list[Equation], taken: set[str], done: list[Equation], trace: Trace, cotangents: frozenset[str]
    ) -> None:
        self.taken, self.done, self.trace, self.cotangents = taken, done, trace, cotangents
        self.made: dict[str, tuple[str, tuple[int, ...]]] = {}
        self.read: set[tuple[str, ...]] = set()  # what those read, for a sum of other tensors is none of them
        self.names: set[str] = set()
        for equation in forward:
            if isinstance(equation.body, Reduce) and equation.body.kind == "sum":
                key, order = alpha_form(equation.body)
                if set(order) == set(equation.indices):
                    self.read.add(tensors_of(equation.body))
                    self.made[key] = (equation.target, tuple(order.index(i) for i in equation.indices))

    def known_in(self, body: Scalar) -> Scalar:
        """The body with sums that have a name read by it."""

        def change(node: Node) -> Node:
            if not contains(node, Reduce):
                return node
            if isinstance(node, Reduce) and node.kind == "sum" and tensors_of(node) in self.read:
                key, order = alpha_form(node)
                if key in self.made:
                    name, positions = self.made[key]
                    return Read(name, tuple(as_poly(order[p]) for p in positions))
            return map_children(node, change)

        return changed(body, change)

    def name_in(self, body: Scalar, equation: Equation) -> Scalar:
        """Every sum that is not the whole body gets a name, equal ones the same."""
        if isinstance(body, Reduce):
            return self.shared(body, equation, alone=True)
        args = body.args if isinstance(body, Add) else (body,)
        return add(*(self._name_in_term(a, equation) for a in args))

    def _name_in_term(self, term: Scalar, equation: Equation) -> Scalar:
        match term:
            case Reduce("sum"):
                return self.shared(term, equation)
            case Mul(coefficient, factors) if (outer := _outside(factors)) != TRUE:
                rest = [f for f in factors if not isinstance(f, Reduce)]
                (node,) = (f for f in factors if isinstance(f, Reduce))
                free = replace(
                    node, condition=all_of(*(c for c in conjuncts(node.condition) if c not in conjuncts(outer)))
                )
                shared = self.shared(free, equation)
                return select(outer, multiply(Number(coefficient), *rest, shared), NOUGHT)
            case Mul(coefficient, factors):
                new = [self.shared(f, equation) if isinstance(f, Reduce) else f for f in factors]
                return multiply(Number(coefficient), *new)
        return term

    def shared(self, node: Reduce, equation: Equation, alone: bool = False) -> Scalar:
        """What reads a sum of the equation; the sum itself where it is the whole body."""
        if node.kind != "sum" or any(is_equality(c) for c in conjuncts(node.condition)):
            return node
        key, order = alpha_form(node)
        if key in self.made:
            name, positions = self.made[key]
            return Read(name, tuple(as_poly(order[p]) for p in positions))
        lead = [i for i in equation.indices if i in order]
        wanted = (*lead, *(i for i in order if i not in lead))
        self.read.add(tensors_of(node))
        if alone and wanted == equation.indices:
            self.made[key] = (equation.target, tuple(order.index(i) for i in wanted))
            return node
        name = fresh(_core_name(node, self.cotangents), self.taken)
        self.taken.add(name)
        self.names.add(name)
        made = Equation(name, wanted, freshen(node, {i.name for i in wanted}))
        self.trace.record("name a sum", None, made)
        self.done.append(made)
        self.made[key] = (name, tuple(order.index(i) for i in wanted))
        return Read(name, tuple(map(as_poly, wanted)))

    def fold(self, equations: list[Equation]) -> list[Equation]:
        """A named sum that is used once, as a term over the same indices, goes back where it is used."""
        for name in sorted(self.names):
            users = [e for e in equations if any(r.tensor == name for r in reads_of(e.body))]
            core = next((e for e in equations if e.target == name), None)
            if core is None or len(users) != 1 or _count(users[0].body, name) != 1:
                continue
            folded = _fold_into(users[0], core)
            if folded is not None:
                equations = [folded if e is users[0] else e for e in equations if e is not core]
        return equations


def _outside(factors: tuple[Scalar, ...]) -> Condition:
    """What a sum's condition says of other indices than its own, where factors beside it need not be finite elsewhere.

    It stays with these: apart from the sum they would not be known to be multiplied by 0 there.
    """
    sums = [f for f in factors if isinstance(f, Reduce)]
    if len(sums) != 1 or sums[0].kind != "sum" or not any(map(_may_be_infinite, factors)):
        return TRUE
    if any(is_equality(c) for c in conjuncts(sums[0].condition)):
        return TRUE  # says where the sum lands
    return all_of(*(c for c in conjuncts(sums[0].condition) if not free_indices(c) & set(sums[0].indices)))


def _may_be_infinite(factor: Scalar) -> bool:
    """Whether finite data can give infinity: by a quotient, a root or a function."""
    if isinstance(factor, Reduce):
        return False
    return any(isinstance(p, Apply) or (isinstance(p, Power) and not _is_whole(p.exponent)) for p in walk(factor))


def _is_whole(exponent: Scalar) -> bool:
    return isinstance(exponent, Number) and exponent.value == int(exponent.value) >= 0


def _fold_into(user: Equation, core: Equation) -> Equation | None:
    """The user with the core in place of its read; None where that would not be a term over the same indices."""
    args = user.body.args if isinstance(user.body, Add) else (user.body,)
    new: list[Scalar] = []
    done = False
    for arg in args:
        coefficient, factors = factors_of(arg)
        read = next((f for f in factors if isinstance(f, Read) and f.tensor == core.target), None)
        if read is None:
            new.append(arg)
            continue
        same = {p.atom for p in read.indices} == set(user.indices) and len(read.indices) == len(user.indices)
        if not same or not isinstance(core.body, Reduce):
            return None
        clear = freshen(core.body, {i.name for i in (*user.indices, *core.indices)})
        inner = rename(clear, dict(zip(core.indices, read.indices, strict=True)))
        rest = [f for f in factors if f is not read]
        if any(isinstance(f, Reduce) for f in rest):
            return None  # a term has one sum
        new.append(multiply(Number(coefficient), *rest, inner))
        done = True
    return user.with_body(add(*new)) if done else None


def _count(node: Node, name: str) -> int:
    return sum(isinstance(p, Read) and p.tensor == name for p in walk(node))


def _core_name(node: Reduce, cotangents: frozenset[str]) -> str:
    """``sum_grad_y`` or ``dot_grad_y_x``: what is summed."""
    reads = [r.tensor for r in reads_of(node.body)]
    _, factors = factors_of(node.body)
    if len(reads) == 1:
        return f"sum_{reads[0]}"
    names = [f.tensor for f in factors if isinstance(f, Read)]
    if len(factors) == 2 and len(names) == 2:
        return f"dot_{names[0]}_{names[1]}"
    lead = next((n for n in reads if n in cotangents), reads[0] if reads else "ones")
    return f"dot_{lead}" if len(factors) > 1 else f"sum_{lead}"
