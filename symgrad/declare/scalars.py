"""Scalar expressions and conditions as frozen data: what one element of a tensor is computed from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import chain
from operator import attrgetter
from typing import Any, TypeAlias

from symgrad.declare.frozen import Single, frozen, remember
from symgrad.declare.integers import Entry, Index, Poly, atoms, indices_of, show

# --- conditions ----------------------------------------------------------------------------------------------


@frozen
class Truth(Single):
    """A condition that always or never holds."""

    value: bool


@frozen
class Compare(Single):
    """``poly >= 0``, ``poly == 0`` or ``poly != 0`` over the integers."""

    relation: str
    poly: Poly


@frozen
class Relation(Single):
    """``left < right`` and the like over the reals; relation is one of ``<``, ``<=``, ``==``, ``!=``."""

    relation: str
    left: Scalar
    right: Scalar


@frozen
class All(Single):
    """Every one of several conditions."""

    args: tuple[Condition, ...]


@frozen
class AnyOf(Single):
    """At least one of several conditions."""

    args: tuple[Condition, ...]


Condition: TypeAlias = Truth | Compare | Relation | All | AnyOf
TRUE, FALSE = Truth(True), Truth(False)


# --- scalars -------------------------------------------------------------------------------------------------


@frozen
class Number(Single):
    """A number: exact where it was written so."""

    value: Fraction | float


@frozen
class Named(Single):
    """A mathematical constant: ``pi`` or ``e``."""

    name: str


@frozen
class FromInteger(Single):
    """An integer expression used as a number."""

    poly: Poly


@frozen
class Extension(Single):
    """What a tensor is outside its shape: a mode, and the value for mode ``constant``.

    Mode ``guarded``: a condition around the read keeps it inside; what is outside does not matter. ``name`` is the
    variable that holds the value in array programs where it is no number.
    """

    mode: str
    value: float = 0.0
    name: str = ""


@frozen
class Read(Single):
    """An element of a real tensor; without an extension it lies inside, or behind a condition that says so."""

    tensor: str
    indices: tuple[Poly, ...]
    extension: Extension | None = None


@frozen
class Add(Single):
    """A sum of terms, sorted."""

    args: tuple[Scalar, ...]


@frozen
class Mul(Single):
    """A product: a number times sorted powers."""

    coefficient: Fraction | float
    args: tuple[Scalar, ...]


@frozen
class Power(Single):
    """``base ** exponent``."""

    base: Scalar
    exponent: Scalar


@frozen
class Apply(Single):
    """A function of the table in ``functions.py``, by name."""

    function: str
    args: tuple[Scalar, ...]


@frozen
class Select(Single):
    """``then`` where the condition holds, else ``otherwise``; only the one taken is evaluated."""

    condition: Condition
    then: Scalar
    otherwise: Scalar


@frozen
class Reduce(Single):
    """A reduction of ``body`` over ``indices`` where ``condition`` holds: sum, product, max, min, argmax, argmin.

    ``ties`` belongs to max and min: who gets the gradient of a value reached more than once. With ``none`` there is
    no gradient and an empty range gives the identity.
    """

    kind: str
    indices: tuple[Index, ...]
    condition: Condition
    body: Scalar
    ties: str = "first"


@frozen
class Stopped(Single):
    """Its value, constant for differentiation."""

    value: Scalar


@frozen
class Sloped(Single):
    """0, which changes by ``slope`` as ``variable`` does: what a gradient of one's own adds to a stopped value."""

    variable: Read
    slope: Scalar


Scalar: TypeAlias = Number | Named | FromInteger | Read | Add | Mul | Power | Apply | Select | Reduce | Stopped | Sloped
Node: TypeAlias = Scalar | Condition

NOUGHT, UNIT = Number(Fraction(0)), Number(Fraction(1))


_CHILDREN: dict[type, Callable[[Any], tuple[Node, ...]]] = {
    **dict.fromkeys((Add, Apply, Mul, All, AnyOf), attrgetter("args")),
    Power: attrgetter("base", "exponent"),
    Select: attrgetter("condition", "then", "otherwise"),
    Relation: attrgetter("left", "right"),
    Reduce: attrgetter("condition", "body"),
    Stopped: lambda node: (node.value,),
    Sloped: attrgetter("variable", "slope"),
}


def children(node: Node) -> tuple[Node, ...]:
    """The scalars and conditions directly inside a node."""
    inside = _CHILDREN.get(type(node))
    return inside(node) if inside else ()


def walk(node: Node) -> Iterator[Node]:
    """The node and everything inside it, outermost first."""
    return iter(_inside(node))


@remember
def _inside(node: Node) -> tuple[Node, ...]:
    return (node, *chain.from_iterable(map(_inside, children(node))))


@remember
def _kinds(node: Node) -> frozenset[type]:
    return frozenset((type(node),)).union(*map(_kinds, children(node)))


def contains(node: Node, *kinds: type) -> bool:
    """Whether the node or anything inside it is of one of these kinds: what rewrites nothing else need not look."""
    return not _kinds(node).isdisjoint(kinds)


def own_polynomials(node: Node) -> tuple[Poly, ...]:
    """The integer expressions that stand directly in a node."""
    match node:
        case FromInteger(poly) | Compare(_, poly):
            return (poly,)
        case Read(_, indices, _):
            return indices
    return ()


@remember
def polynomials(node: Node) -> tuple[Poly, ...]:
    """Every integer expression inside a node."""
    return tuple(p for part in walk(node) for p in own_polynomials(part))


@remember
def free_indices(node: Node) -> frozenset[Index]:
    """The indices that the value depends on."""
    found: frozenset[Index] = frozenset()
    for poly in own_polynomials(node):
        found |= indices_of(poly)
    for child in children(node):
        found |= free_indices(child)
    return found - frozenset(node.indices) if isinstance(node, Reduce) else found


@remember
def reads_of(node: Node) -> tuple[Read, ...]:
    """The real reads inside a node, each once, in order."""
    return tuple(dict.fromkeys(part for part in walk(node) if isinstance(part, Read)))


@remember
def tensors_of(node: Node) -> tuple[str, ...]:
    """Names of every tensor read inside a node, integer ones included, sorted."""
    names = {r.tensor for r in reads_of(node)}
    for poly in polynomials(node):
        names |= {a.tensor for a in atoms(poly) if isinstance(a, Entry)}
        names |= {t for a in atoms(poly) if hasattr(a, "value") for t in tensors_of(a.value)}
    return tuple(sorted(names))


PLAIN = (None, Extension("guarded"))


# --- text ----------------------------------------------------------------------------------------------------


@remember
def show_scalar(node: Node) -> str:
    """A node as compact one-line text, for messages, names of steps and canonical order."""
    match node:
        case Number(value):
            return str(value)
        case Named(name):
            return name
        case FromInteger(poly):
            return f"({show(poly)})"
        case Read(tensor, indices, extension):
            border = "" if extension is None or extension.mode == "guarded" else f"~{extension.mode}{extension.value:g}"
            return f"{tensor}{border}" + (f"[{', '.join(map(show, indices))}]" if indices else "")
        case Add(args):
            return "(" + " + ".join(map(show_scalar, args)) + ")"
        case Mul(coefficient, args):
            head = [] if coefficient == 1 else [str(coefficient)]
            return "*".join(head + [show_scalar(a) for a in args])
        case Power(base, exponent):
            return f"{show_scalar(base)}^{show_scalar(exponent)}"
        case Apply(function, args):
            return f"{function}({', '.join(map(show_scalar, args))})"
        case Select(condition, then, otherwise):
            return f"({show_scalar(then)} if {show_scalar(condition)} else {show_scalar(otherwise)})"
        case Reduce(kind, indices, condition, body, ties):
            where = "" if condition == TRUE else f" if {show_scalar(condition)}"
            tie = f" {ties}" if ties == "split" else ""
            return f"{kind}{tie}_{{{', '.join(i.name for i in indices)}{where}}} {show_scalar(body)}"
        case Stopped(value):
            return f"stop({show_scalar(value)})"
        case Sloped(variable, slope):
            return f"sloped({show_scalar(variable)}, {show_scalar(slope)})"
        case Truth(value):
            return str(value)
        case Compare(kind, poly):
            return f"{show(poly)} {kind} 0"
        case Relation(kind, left, right):
            return f"{show_scalar(left)} {kind} {show_scalar(right)}"
        case All(args):
            return "(" + " and ".join(map(show_scalar, args)) + ")"
        case AnyOf(args):
            return "(" + " or ".join(map(show_scalar, args)) + ")"
    raise TypeError(node)
