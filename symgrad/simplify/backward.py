"""The backward pass made short: invariant factors out of sums, forward values reused, single uses folded in.

Every cotangent is linear in the cotangents it is made of, so each body is a sum of products with one cotangent
each; products are distributed only over sums that hold cotangents, never over the user's own.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from symgrad.declare.algebra import add, all_of, conjuncts, divide, from_integer, multiply, power
from symgrad.declare.integers import Index, as_poly
from symgrad.declare.program import Equation
from symgrad.declare.scalars import (
    NOUGHT,
    TRUE,
    UNIT,
    Add,
    Mul,
    Node,
    Number,
    Power,
    Read,
    Reduce,
    Scalar,
    Select,
    Stopped,
    free_indices,
    map_children,
    reads_of,
    tensors_of,
    walk,
)
from symgrad.declare.typical import typical_sizes
from symgrad.derive.adjoint import Adjoint
from symgrad.derive.terms import alpha_form, freshen, rename, terms_of
from symgrad.derive.trace import Trace
from symgrad.naming import fresh
from symgrad.simplify.cost import cost
from symgrad.simplify.known import recognise, usable
from symgrad.simplify.patterns import base_and_exponent


def simplify_backward(adjoint: Adjoint, trace: Trace) -> Adjoint:
    """Rewrite the backward equations; gradients and cotangents keep their names."""
    return _Simplifier(adjoint, trace).run()


class _Simplifier:
    def __init__(self, adjoint: Adjoint, trace: Trace) -> None:
        self.adjoint, self.trace = adjoint, trace
        program = adjoint.program
        self.sizes = typical_sizes(program)
        self.forward = [e for e in program.equations if e.target not in adjoint.backward]
        self.backward = [e for e in program.equations if e.target in adjoint.backward]
        self.known = usable([replace(e, body=_unstop(e.body)) for e in self.forward])
        self.linear = set(adjoint.cotangents) | {e.target for e in self.backward}
        self.taken = {t.name for t in program.inputs} | {e.target for e in program.equations}
        self.taken |= {a.name for a in program.attributes}
        self.cores: dict[str, tuple[str, tuple[int, ...]]] = {}
        self.core_names: set[str] = set()
        self.done: list[Equation] = []

    def run(self) -> Adjoint:
        for equation in self.backward:
            self._one(equation)
        gradients = set(self.adjoint.gradients)
        equations = _live([*self.forward, *self.done], gradients | set(self.adjoint.program.outputs), self.forward)
        equations = self._fold(equations)
        made = tuple(e.target for e in equations if e not in self.forward)
        program = replace(self.adjoint.program, equations=tuple([*self.forward, *(e for e in equations if e.target in made)]))
        return replace(self.adjoint, program=program, backward=made)

    # --- one equation --------------------------------------------------------------------------------------------

    def _one(self, equation: Equation) -> None:
        plain = recognise(_unstop(equation.body), self.known)
        best = self._pulled(plain, equation)
        inlined = self._inline(plain)
        if inlined != plain:
            other = self._pulled(recognise(_expand(inlined, self.linear), self.known), equation)
            if self._cost(other) < self._cost(best):
                best = other
        body = _factor(self._named(best, equation))
        after = replace(equation, body=body)
        self.trace.record("reuse forward values, take invariant factors out of sums", equation, after)
        self.done.append(after)

    def _cost(self, body: Scalar) -> int:
        """Cost of the body with what it needs that nothing else has computed yet."""
        seen: set[Node] = set()
        total = cost(_factor(body), self.sizes, seen)
        by_name = {e.target: e for e in self.done}
        pending = [t for t in tensors_of(body) if t in by_name]
        counted = self._computed_anyway()
        while pending:
            name = pending.pop()
            if name in counted:
                continue
            counted.add(name)
            total += cost(by_name[name].body, self.sizes, seen)
            pending += [t for t in tensors_of(by_name[name].body) if t in by_name]
        return total

    def _computed_anyway(self) -> set[str]:
        """What the gradients found so far need."""
        by_name = {e.target: e for e in self.done}
        pending = [n for n in self.adjoint.gradients if n in by_name]
        found: set[str] = set()
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending += [t for t in tensors_of(by_name[name].body) if t in by_name]
        return found

    def _inline(self, body: Scalar) -> Scalar:
        """Write out the pointwise cotangents that the body reads."""
        by_name = {e.target: e for e in self.done if _is_pointwise(e.body) and not e.integer}

        def change(node: Node) -> Node:
            node = map_children(node, change)
            if isinstance(node, Read) and node.tensor in by_name and node.extension is None:
                definition = by_name[node.tensor]
                if all(isinstance(p.atom, Index) for p in node.indices):
                    return rename(definition.body, dict(zip(definition.indices, node.indices, strict=True)))
            return node

        return change(body)  # type: ignore[return-value]

    def _pulled(self, body: Scalar, equation: Equation) -> Scalar:
        """Invariant factors before the sums; sums that are known to vanish dropped."""
        args = body.args if isinstance(body, Add) else (body,)
        parts: list[Scalar] = []
        for arg in args:
            for term in terms_of(arg):
                if not term.bound and term.condition == TRUE:
                    parts.append(multiply(term.scale, term.body))
                    continue
                for piece in _expand_args(term.body, self.linear):
                    parts.append(multiply(term.scale, self._pull(term.bound, term.condition, piece)))
        return add(*parts)

    def _pull(self, bound: tuple[Index, ...], condition, piece: Scalar) -> Scalar:  # type: ignore[no-untyped-def]
        factors = piece.args if isinstance(piece, Mul) else (piece,)
        coefficient = piece.coefficient if isinstance(piece, Mul) else Fraction(1)
        outside = [f for f in factors if not free_indices(f) & set(bound)] if condition == TRUE or bound else []
        inside = [f for f in factors if f not in outside]
        if any(isinstance(c, object) and _is_equality(c) for c in conjuncts(condition)):
            # A scatter: only numbers and what no index touches come out.
            outside = [f for f in outside if not free_indices(f)]
            inside = [f for f in factors if f not in outside]
        idle = [i for i in bound if not any(i in free_indices(f) for f in (*inside, condition))]
        outside += [from_integer(i.extent) for i in idle]
        bound = tuple(i for i in bound if i not in idle)
        if not bound and condition == TRUE:
            return multiply(Number(coefficient), *outside, *inside)
        core: Scalar = Reduce("sum", bound, condition, multiply(*inside))
        vanished = self._vanishes(bound, condition, multiply(*inside))
        return NOUGHT if vanished else multiply(Number(coefficient), *outside, core)

    def _vanishes(self, bound: tuple[Index, ...], condition, body: Scalar) -> bool:  # type: ignore[no-untyped-def]
        """Whether the sum is zero by the definition of a forward sum: deviations from a mean add up to nothing."""
        if condition != TRUE or not isinstance(body, Add):
            return False
        total = [self._plain_sum(bound, a) for a in body.args]
        return None not in total and add(*(t for t in total if t is not None)) == NOUGHT

    def _plain_sum(self, bound: tuple[Index, ...], body: Scalar) -> Scalar | None:
        coefficient, factors = (body.coefficient, body.args) if isinstance(body, Mul) else (Fraction(1), (body,))
        outside = [f for f in factors if not free_indices(f) & set(bound)]
        inside = [f for f in factors if f not in outside]
        if not inside:
            extent = as_poly(1)
            for i in bound:
                extent = extent * i.extent
            return multiply(Number(coefficient), *outside, from_integer(extent))
        key, order = alpha_form(Reduce("sum", bound, TRUE, multiply(*inside)))
        for equation in self.forward:
            terms = terms_of(equation.body)
            if len(terms) == 1 and terms[0].bound and terms[0].condition == TRUE:
                mine = Reduce("sum", terms[0].bound, TRUE, terms[0].body)
                other, positions = alpha_form(mine)
                if other == key and set(positions) == set(equation.indices):
                    table = dict(zip(positions, order, strict=True))
                    read = Read(equation.target, tuple(as_poly(table[i]) for i in equation.indices))
                    return multiply(Number(coefficient), *outside, divide(read, terms[0].scale))
        return None

    # --- cores ---------------------------------------------------------------------------------------------------

    def _named(self, body: Scalar, equation: Equation) -> Scalar:
        """Every sum that is not the whole body gets a name, equal ones the same."""
        if isinstance(body, Reduce):
            return self._shared(body, equation, alone=True)
        args = body.args if isinstance(body, Add) else (body,)
        return add(*(self._name_in_term(a, equation) for a in args))

    def _name_in_term(self, term: Scalar, equation: Equation) -> Scalar:
        match term:
            case Reduce("sum"):
                return self._shared(term, equation, alone=False)
            case Mul(coefficient, factors):
                new = [self._shared(f, equation, False) if isinstance(f, Reduce) else f for f in factors]
                return multiply(Number(coefficient), *new)
        return term

    def _shared(self, node: Reduce, equation: Equation, alone: bool) -> Scalar:
        if node.kind != "sum" or any(_is_equality(c) for c in conjuncts(node.condition)):
            return node
        key, order = alpha_form(node)
        if key in self.cores:
            name, positions = self.cores[key]
            return Read(name, tuple(as_poly(order[p]) for p in positions))
        lead = [i for i in equation.indices if i in order]
        wanted = tuple([*lead, *(i for i in order if i not in lead)])
        if alone and wanted == equation.indices:
            self.cores[key] = (equation.target, tuple(order.index(i) for i in wanted))
            return node
        name = fresh(_core_name(node), self.taken)
        self.taken.add(name)
        self.linear.add(name)
        self.core_names.add(name)
        made = Equation(name, wanted, freshen(node, {i.name for i in wanted}))
        self.trace.record("name a sum", None, made)
        self.done.append(made)
        self.cores[key] = (name, tuple(order.index(i) for i in wanted))
        return Read(name, tuple(map(as_poly, wanted)))

    def _fold(self, equations: list[Equation]) -> list[Equation]:
        """A named sum that is used once, as a term over the same indices, goes back where it is used."""
        for name in sorted(self.core_names):
            users = [e for e in equations if any(r.tensor == name for r in reads_of(e.body))]
            core = next((e for e in equations if e.target == name), None)
            if core is None or len(users) != 1 or _count(users[0].body, name) != 1:
                continue
            folded = _fold_into(users[0], core)
            if folded is not None:
                equations = [folded if e is users[0] else e for e in equations if e is not core]
        return equations


def _fold_into(user: Equation, core: Equation) -> Equation | None:
    args = user.body.args if isinstance(user.body, Add) else (user.body,)
    new: list[Scalar] = []
    done = False
    for arg in args:
        factors = arg.args if isinstance(arg, Mul) else (arg,)
        read = next((f for f in factors if isinstance(f, Read) and f.tensor == core.target), None)
        if read is None:
            new.append(arg)
            continue
        same = {p.atom for p in read.indices} == set(user.indices) and len(read.indices) == len(user.indices)
        if not same or not isinstance(core.body, Reduce):
            return None
        body = rename(core.body, dict(zip(core.indices, read.indices, strict=True)))
        inner = freshen(body, {i.name for i in user.indices})  # type: ignore[arg-type]
        rest = [f for f in factors if f is not read]
        coefficient = arg.coefficient if isinstance(arg, Mul) else Fraction(1)
        new.append(multiply(Number(coefficient), *rest, inner))
        done = True
    return replace(user, body=add(*new)) if done else None


def _count(node: Node, name: str) -> int:
    return sum(isinstance(p, Read) and p.tensor == name for p in walk(node))


def _core_name(node: Reduce) -> str:
    """``sum_grad_y`` or ``dot_grad_y_x``: what is summed."""
    reads = [r.tensor for r in reads_of(node.body)]
    factors = node.body.args if isinstance(node.body, Mul) else (node.body,)
    if len(reads) == 1:
        return f"sum_{reads[0]}"
    names = [f.tensor for f in factors if isinstance(f, Read)]
    if len(factors) == 2 and len(names) == 2:
        return f"dot_{names[0]}_{names[1]}"
    lead = next((n for n in reads if n.startswith("grad")), reads[0] if reads else "ones")
    return f"dot_{lead}" if len(factors) > 1 else f"sum_{lead}"


def _is_equality(condition: object) -> bool:
    return getattr(condition, "relation", "") == "==" and hasattr(condition, "poly")


def _is_pointwise(body: Scalar) -> bool:
    return not any(isinstance(p, Reduce) for p in walk(body))


def _unstop(node: Node) -> Scalar:
    """After differentiation a stopped value is a value."""
    if isinstance(node, Stopped):
        return _unstop(node.value)
    return map_children(node, _unstop)  # type: ignore[return-value]


def _live(equations: list[Equation], wanted: set[str], keep: list[Equation]) -> list[Equation]:
    """Equations that the wanted names need, in order."""
    needed = set(wanted)
    kept: list[Equation] = []
    for equation in reversed(equations):
        if equation.target in needed or equation in keep:
            kept.append(equation)
            needed |= set(tensors_of(equation.body))
    return kept[::-1]


# --- algebra on sums of products ---------------------------------------------------------------------------------


def _expand(node: Scalar, linear: set[str]) -> Scalar:
    """Distribute products over sums of cotangents, inside sums over indices as well."""
    match node:
        case Add(args):
            return add(*(_expand(a, linear) for a in args))
        case Mul():
            return add(*_expand_args(node, linear))
        case Reduce("sum", indices, condition, body, ties):
            return add(*(Reduce("sum", indices, condition, p, ties) for p in _expand_args(body, linear)))
    return node


def _expand_args(node: Scalar, linear: set[str]) -> tuple[Scalar, ...]:
    """The terms of a product distributed over its cotangent sums."""
    match node:
        case Add(args) if _holds(node, linear):
            return tuple(p for a in args for p in _expand_args(a, linear))
        case Mul(coefficient, factors):
            for p, factor in enumerate(factors):
                inner = _expand(factor, linear) if isinstance(factor, Mul | Reduce) else factor
                if isinstance(inner, Add) and _holds(inner, linear):
                    rest = multiply(Number(coefficient), *factors[:p], *factors[p + 1 :])
                    return tuple(q for a in inner.args for q in _expand_args(multiply(rest, a), linear))
    return (node,)


def _holds(node: Scalar, linear: set[str]) -> bool:
    return any(r.tensor in linear for r in reads_of(node))


def _factor(body: Scalar) -> Scalar:
    """Common factors of all terms written once."""
    if not isinstance(body, Add) or any(isinstance(p, Reduce) for p in walk(body)):
        return body
    tables = [_powers(a) for a in body.args]
    common: list[Scalar] = []
    for base, exponent in tables[0].items():
        if all(base in t for t in tables[1:]):
            exponents = [t[base] for t in tables]
            if all(isinstance(e, Number) for e in exponents):
                numbers = [e.value for e in exponents if isinstance(e, Number)]
                if all(n > 0 for n in numbers) or all(n < 0 for n in numbers):
                    common.append(power(base, Number(min(numbers, key=abs))))
            elif all(e == exponent for e in exponents):
                common.append(power(base, exponent))
    if not common or all(not free_indices(c) and not reads_of(c) for c in common):
        return body
    factor = multiply(*common)
    return multiply(factor, add(*(divide(a, factor) for a in body.args)))


def _powers(term: Scalar) -> dict[Scalar, Scalar]:
    factors = term.args if isinstance(term, Mul) else (term,)
    return {b: e for b, e in map(base_and_exponent, factors) if not isinstance(b, Number)}


__all__ = ["Power", "Select", "UNIT", "all_of", "simplify_backward"]
