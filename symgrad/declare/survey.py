"""A first look at a declaration in SymPy: which names are what, in which order equations can be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sympy
from sympy.tensor.indexed import Idx, Indexed, IndexedBase

from symgrad.declare import notation
from symgrad.declare.graph import components
from symgrad.declare.scope import label, printed
from symgrad.errors import About, DeclarationError


@dataclass(frozen=True, slots=True)
class Surveyed:
    """An input tensor as found in the declaration."""

    name: str
    shape: tuple[Any, ...]
    integer: bool
    constant: bool


@lru_cache(maxsize=1 << 12)
def nodes_of(expr: Any) -> tuple[Any, ...]:
    """The expression and all that is inside of it, each once, outermost first."""
    found: dict[Any, None] = {expr: None}
    waiting = [expr]
    while waiting:
        inside = [part for part in getattr(waiting.pop(), "args", ()) if part not in found]
        found |= dict.fromkeys(inside)
        waiting += inside
    return tuple(found)


def check_equations(layer: str, equations: Sequence[Any]) -> None:
    """Every equation is an Eq that defines a tensor once.

    Raises:
        DeclarationError: an equation collapsed to a Boolean, is no Eq, or defines a name a second time.
    """
    if not equations:
        raise DeclarationError(f"{layer}: there is no equation; write equations=[Eq(y[i], ...)]")
    seen: set[str] = set()
    for position, equation in enumerate(equations):
        if isinstance(equation, bool | sympy.logic.boolalg.BooleanAtom):
            raise DeclarationError(
                f"{layer}: equation {position} is {equation}: SymPy evaluated Eq(...) before symgrad saw it, as it "
                f"does when the right side is a relation or the left side itself; write Eq(y[i], Piecewise(...))"
            )
        if not isinstance(equation, sympy.Eq):
            raise DeclarationError(f"{layer}: equation {position} is {equation!r}, not an Eq(left, right)")
        name, _ = left(equation, layer)
        if name in seen:
            raise DeclarationError(f"{layer}: {name} is defined by two equations; combine them in a Piecewise")
        seen.add(name)


def left(equation: Any, layer: str = "") -> tuple[str, tuple[Any, ...]]:
    """Name and indices of a left side."""
    match equation.lhs:
        case Indexed() as read:
            return label(read.base), tuple(read.indices)
        case sympy.Symbol() as symbol:
            return symbol.name, ()
    raise DeclarationError(f"{layer}: the left side {equation.lhs} is neither a read y[i] nor a symbol")


def name_of(thing: Any, layer: str = "") -> str:
    """Name of a tensor given as IndexedBase, Indexed, Symbol or string.

    Raises:
        DeclarationError: it is none of these.
    """
    match thing:
        case str():
            return thing
        case Indexed():
            return printed(thing.base.label)
        case IndexedBase():
            return printed(thing.label)
        case sympy.Symbol():
            return str(thing.name)
    raise DeclarationError(f"{layer}: {thing!r} is not a tensor; write IndexedBase('x'), a Symbol or a name")


def tensors(
    layer: str, inputs: Sequence[Any], equations: Sequence[Any], constants: Sequence[Any], integers: Sequence[Any]
) -> tuple[Surveyed, ...]:
    """The inputs with what is known about each.

    Raises:
        DeclarationError: an input is declared twice, is defined by an equation, or a name in a list is no input.
    """
    shapes: dict[str, tuple[Any, ...]] = {}
    for given in inputs:
        if isinstance(given, IndexedBase):
            raise DeclarationError(f"{layer}: input {given} has no shape; write {given}[N, ...] with its extents")
        if not isinstance(given, Indexed | sympy.Symbol):
            raise DeclarationError(f"{layer}: input {given!r} is neither x[N, C] nor a Symbol")
        name = name_of(given)
        if name in shapes:
            raise DeclarationError(f"{layer}: input {name} is declared twice")
        shapes[name] = tuple(given.indices) if isinstance(given, Indexed) else ()
    defined = {left(e)[0] for e in equations}
    for name in sorted(defined & set(shapes)):
        raise DeclarationError(f"{layer}: {name} is an input and also a left side; rename one", About(name, (name,)))
    for role, names in (("constants", constants), ("integers", integers)):
        for thing in names:
            if name_of(thing, layer) not in shapes:
                about = About(parts=(name_of(thing),))
                raise DeclarationError(f"{layer}: {role}=[{thing}]: {name_of(thing)} is not an input", about)
    plain = tuple(Surveyed(n, s, False, False) for n, s in shapes.items())
    whole = {name_of(t) for t in integers} | _used_as_integers(plain, equations)
    whole |= _only_arms(_with_arms(set(used_in_indices(equations)), equations), equations) & set(shapes)
    fixed = {name_of(t) for t in constants}
    return tuple(Surveyed(n, s, n in whole, n in fixed or n in whole) for n, s in shapes.items())


def integer_tensors(inputs: Sequence[Any], equations: Sequence[Any]) -> frozenset[str]:
    """Integer inputs and left sides that hold integers (ArgMax, or used as an index)."""
    named = {t.name for t in inputs if t.integer}
    named |= {left(e)[0] for e in equations if isinstance(e.rhs, notation.ArgMax | notation.ArgMin)}
    named |= used_in_indices(equations)
    return frozenset(named | (_with_arms(named, equations) & {left(e)[0] for e in equations}))


def _with_arms(integers: set[str], equations: Sequence[Any]) -> set[str]:
    """Names with those of the arms of a choice that is an integer, which are integers as well."""
    found = set(integers)
    while more := {n for e in equations if left(e)[0] in found for n in _arms(e.rhs)} - found:
        found |= more
    return found


def _only_arms(integers: set[str], equations: Sequence[Any]) -> set[str]:
    """Those of the names that are read nowhere but as arms of integers: nothing else asks them to be real."""
    arms = [name for e in equations if left(e)[0] in integers for name in _arms(e.rhs)]
    if not arms:
        return set()
    nodes = [n for e in equations for n in sympy.preorder_traversal(e.rhs)]
    reads = [label(n.base) for n in nodes if isinstance(n, Indexed)]
    reads += [n.name for n in nodes if isinstance(n, sympy.Symbol) and n.name not in reads]
    return {name for name in arms if reads.count(name) == arms.count(name)}


def _arms(body: Any) -> list[str]:
    """The tensors that a choice gives as they are."""
    match body:
        case sympy.Piecewise():
            return [name for arm, _ in body.args for name in _arms(arm)]
        case Indexed():
            return [label(body.base)]
        case sympy.Symbol():
            return [str(body.name)]
    return []


def used_in_indices(equations: Sequence[Any]) -> frozenset[str]:
    """Left sides read bare inside an index, a limit or a KroneckerDelta."""
    return frozenset(_index_uses([Surveyed(*left(e), False, False) for e in equations], equations))


def _used_as_integers(inputs: Sequence[Surveyed], equations: Sequence[Any]) -> set[str]:
    return _index_uses(inputs, equations) | _only_compared(inputs, equations)


def _index_uses(tensors: Sequence[Surveyed], equations: Sequence[Any]) -> set[str]:
    """Tensors read bare inside an index, a limit or a KroneckerDelta, or reduced to a tensor that is."""
    names = {t.name for t in tensors}
    reduced = {
        left(e)[0]: e.rhs for e in equations if isinstance(e.rhs, sympy.Sum | sympy.Product | notation.Reduction)
    }
    found: set[str] = set()

    def visit(node: Any, inside: bool) -> None:
        match node:
            case Indexed():
                if inside:
                    found.add(printed(node.base.label))
                for index in node.indices:
                    visit(index, True)
                return
            case sympy.Symbol() if inside:
                found.add(node.name)
                return
            case sympy.floor() | sympy.ceiling() if inside:
                for argument in node.args:
                    visit(argument, False)
                return
            case sympy.KroneckerDelta():
                for argument in node.args[:2]:
                    visit(argument, True)
                return
            case sympy.core.relational.Relational():
                inside = False
            case sympy.Sum() | sympy.Product() | notation.Reduction():
                visit(node.function, inside and not isinstance(node, notation.ArgMax | notation.ArgMin))
                for limit in node.limits:
                    for end in limit[1:]:
                        visit(end, True)
                return
            case IndexedBase() | Idx():
                return
        for argument in getattr(node, "args", ()):
            visit(argument, inside)

    for equation in equations:
        visit(equation.rhs, False)
    while reached := sorted(found & set(reduced)):
        for name in reached:
            visit(reduced.pop(name), True)
    return found & names


def _only_compared(inputs: Sequence[Surveyed], equations: Sequence[Any]) -> set[str]:
    """Inputs whose every use is a comparison with an index, as in ``t < length[b]``."""
    compared: set[str] = set()
    otherwise: set[str] = set()

    def visit(node: Any) -> None:
        if isinstance(node, sympy.core.relational.Relational):
            for side, other in ((node.lhs, node.rhs), (node.rhs, node.lhs)):
                if isinstance(side, Indexed) and other.has(Idx) and not other.has(Indexed):
                    compared.add(printed(side.base.label))
                else:
                    visit(side)
            return
        if isinstance(node, Indexed):
            otherwise.add(printed(node.base.label))
        for argument in getattr(node, "args", ()):
            visit(argument)

    for equation in equations:
        visit(equation.rhs)
    return (compared - otherwise) & {t.name for t in inputs}


def outputs(layer: str, equations: Sequence[Any], given: Sequence[Any] | None) -> tuple[str, ...]:
    """Names of the outputs in order.

    Raises:
        DeclarationError: an output is no left side, or is named twice.
    """
    defined = [left(e)[0] for e in equations]
    names = [name_of(o, layer) for o in given] if given else defined[-1:]
    for name in names:
        if name not in defined:
            about, known = About(parts=(name,)), ", ".join(defined)
            raise DeclarationError(f"{layer}: output {name} is no left side (left sides: {known})", about)
        if names.count(name) > 1:
            raise DeclarationError(f"{layer}: output {name} is named twice", About(parts=(name,)))
    return tuple(names)


def in_order(equations: Sequence[Any]) -> list[Any]:
    """Equations in an order in which each reads only earlier ones, but for those that need each other."""
    by_name = {left(e)[0]: e for e in equations}
    needs = {n: sorted(_names_read(e.rhs) & set(by_name)) for n, e in by_name.items()}
    return [by_name[n] for group in components(needs) for n in group]


def _names_read(expr: Any) -> set[str]:
    """Tensors and scalars; an index may have the name of one that is not read."""
    nodes = nodes_of(expr)
    symbols = {s.name for s in nodes if isinstance(s, sympy.Symbol)}
    symbols -= {printed(i.label) for i in nodes if isinstance(i, Idx)}
    return symbols | {printed(r.base.label) for r in nodes if isinstance(r, Indexed)}


def scaling_symbols(equations: Sequence[Any]) -> set[Any]:
    """What divides, or multiplies an index, somewhere in an index or a range."""
    found: set[Any] = set()
    for node in dict.fromkeys(node for equation in equations for node in nodes_of(equation)):
        match node:
            case sympy.floor() | sympy.ceiling() | Idx():
                found |= {p.base for p in nodes_of(node) if isinstance(p, sympy.Pow) and p.exp.is_negative}
            case sympy.Mod():
                found.add(node.args[1])
            case Indexed():
                inside = (part for index in node.indices for part in nodes_of(index))
                found |= {factor for m in inside if isinstance(m, sympy.Mul) and m.has(Idx) for factor in m.args}
    return found
