"""Forms that neither overflow nor cancel: named rules, each an identity over the reals.

Pointwise rules are a table; the one rule about reductions subtracts the largest exponent from every
exponential in a sum, which changes nothing because it cancels where the sum is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from symgrad.declare.algebra import add, apply, multiply, negate, number, power, subtract
from symgrad.declare.integers import as_poly
from symgrad.declare.program import Equation, Program
from symgrad.declare.scalars import (
    UNIT,
    Add,
    Apply,
    Mul,
    Node,
    Number,
    Power,
    Read,
    Reduce,
    Scalar,
    Stopped,
    free_indices,
    map_children,
    reads_of,
    walk,
)
from symgrad.derive.terms import rename
from symgrad.derive.trace import Trace
from symgrad.naming import fresh

Rule = Callable[[Scalar], Scalar | None]


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
    """u if the terms are 1 and exp(u)."""
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


def rewrite(node: Node, used: list[str]) -> Node:
    """Apply the pointwise rules from the inside out until none applies; names of those used go to ``used``."""
    node = map_children(node, lambda child: rewrite(child, used))
    for name, rule in POINTWISE:
        changed = rule(node)  # type: ignore[arg-type]
        if changed is not None and changed != node:
            used.append(name)
            return rewrite(changed, used)
    return node


def stabilise(program: Program, trace: Trace) -> Program:
    """Apply every rule to every equation of a split program."""
    program = _log_of_named(program, trace)
    program = _pointwise(program, trace)
    program = _shift(program, trace)
    return _pointwise(program, trace)


def _pointwise(program: Program, trace: Trace) -> Program:
    equations = []
    for equation in program.equations:
        used: list[str] = []
        after = replace(equation, body=rewrite(equation.body, used))
        for name in dict.fromkeys(used):
            trace.record(name, equation, after)
        equations.append(after)
    return replace(program, equations=tuple(equations))


# --- across equations --------------------------------------------------------------------------------------------


def _log_of_named(program: Program, trace: Trace) -> Program:
    """The logarithm of a named exponential or quotient of exponentials sees through the name."""
    pointwise = {e.target: e for e in program.equations if not any(isinstance(n, Reduce) for n in walk(e.body))}

    def change(node: Node) -> Node:
        node = map_children(node, change)
        match node:
            case Apply("log", (Read(tensor, indices, None),)) if tensor in pointwise:
                definition = pointwise[tensor]
                if any(isinstance(n, Apply) and n.function == "exp" for n in walk(definition.body)):
                    table = dict(zip(definition.indices, indices, strict=True))
                    return apply("log", rename(definition.body, table))  # type: ignore[arg-type]
        return node

    equations = []
    for equation in program.equations:
        after = replace(equation, body=change(equation.body))
        trace.record("write out the definition inside a logarithm", equation, after)
        equations.append(after)
    return replace(program, equations=tuple(equations))


def _shift(program: Program, trace: Trace) -> Program:
    """sum exp(a) v = exp(m) sum exp(a - m) v with m = max a, in every sum with the same a, where exp(m) cancels."""
    from symgrad.derive.terms import alpha_form

    groups: dict[str, list[tuple[Equation, Scalar]]] = {}
    for equation in program.equations:
        exponent = _exponent(equation)
        if exponent is not None and equation.target not in program.outputs:
            node = equation.body
            assert isinstance(node, Reduce)
            key, _ = alpha_form(Reduce("max", node.indices, node.condition, exponent))
            groups.setdefault(key, []).append((equation, exponent))
    for members in groups.values():
        program = _shift_group(program, members, trace)
    return program


def _exponent(equation: Equation) -> Scalar | None:
    """a if the equation is ``sum exp(a) * v`` and a varies inside the sum."""
    match equation.body:
        case Reduce("sum", indices, _, body, _):
            factors = body.args if isinstance(body, Mul) else (body,)
            found = [f.args[0] for f in factors if isinstance(f, Apply) and f.function == "exp"]
            if len(found) == 1 and free_indices(found[0]) & set(indices):
                return found[0]
    return None


def _shift_group(program: Program, members: list[tuple[Equation, Scalar]], trace: Trace) -> Program:
    taken = {t.name for t in program.inputs} | {e.target for e in program.equations}
    taken |= {a.name for a in program.attributes}
    first, exponent = members[0]
    node = first.body
    assert isinstance(node, Reduce)
    name = fresh(f"max_{_subject(exponent)}", taken)
    free = tuple(i for i in first.indices if i in free_indices(Reduce("max", node.indices, node.condition, exponent)))
    largest = Equation(name, free, Reduce("max", node.indices, node.condition, exponent, "none"))
    shifted: dict[str, Equation] = {}
    for equation, a in members:
        here = _correspond(first, free, equation)
        m = Stopped(Read(name, here))
        body = equation.body
        assert isinstance(body, Reduce)
        smaller = multiply(body.body, apply("exp", negate(m)))
        shifted[equation.target] = replace(equation, body=replace(body, body=smaller))
    equations: list[Equation] = []
    for equation in program.equations:
        if equation.target in shifted:
            if equation.target == first.target:
                equations.append(largest)
            equations.append(shifted[equation.target])
            continue
        after = replace(equation, body=_unscale(equation.body, shifted, first, free, name))
        used: list[str] = []
        after = replace(after, body=rewrite(after.body, used))
        if not _cancelled(after.body, name):
            return program
        equations.append(after)
    for equation, _ in members:
        trace.record("sum exp(a) = exp(m) sum exp(a - m), m = max a", equation, shifted[equation.target])
    for before, after in zip(program.equations, (e for e in equations if e.target != name), strict=True):
        if before.target not in shifted:
            trace.record("exp(m) cancels", before, after)
    return replace(program, equations=tuple(equations))


def _subject(exponent: Scalar) -> str:
    reads = reads_of(exponent)
    return reads[0].tensor if len(reads) == 1 else "exponent"


def _correspond(first: Equation, free: tuple, equation: Equation) -> tuple:  # type: ignore[type-arg]
    """The shift's indices in terms of another member's."""
    from symgrad.derive.terms import alpha_form

    if equation.target == first.target:
        return tuple(map(as_poly, free))
    a = Reduce("max", first.body.indices, first.body.condition, _exponent(first))  # type: ignore[union-attr, arg-type]
    b = Reduce("max", equation.body.indices, equation.body.condition, _exponent(equation))  # type: ignore[union-attr, arg-type]
    _, order_a = alpha_form(a)
    _, order_b = alpha_form(b)
    table = dict(zip(order_a, order_b, strict=True))
    return tuple(as_poly(table[i]) for i in free)


def _unscale(body: Scalar, shifted: dict[str, Equation], first: Equation, free: tuple, name: str) -> Scalar:  # type: ignore[type-arg]
    """Replace each read of a shifted sum by ``exp(m) *`` itself."""

    def change(node: Node) -> Node:
        if isinstance(node, Read) and node.tensor in shifted:
            equation = shifted[node.tensor]
            table = dict(zip(equation.indices, node.indices, strict=True))
            here = _correspond_target(equation, first, free)
            m = Read(name, tuple(rename_poly(p, table) for p in here))
            return multiply(apply("exp", Stopped(m)), node)
        return map_children(node, change)

    return change(body)  # type: ignore[return-value]


def _correspond_target(equation: Equation, first: Equation, free: tuple) -> tuple:  # type: ignore[type-arg]
    for part in walk(equation.body):
        if isinstance(part, Stopped) and isinstance(part.value, Read) and len(part.value.indices) == len(free):
            return part.value.indices
    return tuple(map(as_poly, free))


def rename_poly(poly, table):  # type: ignore[no-untyped-def]
    """Substitute indices in an integer expression."""
    from symgrad.declare.integers import substitute

    return substitute(poly, dict(table))


def _cancelled(body: Scalar, name: str) -> bool:
    """Whether every exponential of the shift has met one of what it shifts."""
    for part in walk(body):
        if isinstance(part, Apply) and part.function == "exp":
            tensors = {r.tensor for r in reads_of(part.args[0])}
            if tensors == {name}:
                return False
    return True


__all__ = ["POINTWISE", "rewrite", "stabilise", "subtract"]
