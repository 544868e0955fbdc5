"""What the compiler's data means: integer expressions, conditions, scalars and programs, by loops over indices.

``check/`` holds the evaluator of the SymPy equations that a user wrote; this one reads the frozen data that the stages
hand on, so that a stage can be compared with the one before it. Numbers are Python floats, or mpmath's where asked.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np

from symgrad.declare.integers import Entry, Extreme, Index, Poly, Quotient, RealFloor, Remainder, Size, atoms
from symgrad.declare.program import Equation, Program
from symgrad.declare.scalars import (
    TRUE,
    Add,
    All,
    AnyOf,
    Apply,
    Compare,
    Condition,
    FromInteger,
    Mul,
    Named,
    Number,
    Power,
    Read,
    Reduce,
    Relation,
    Scalar,
    Select,
    Sloped,
    Stopped,
    Truth,
    polynomials,
)
from symgrad.declare.solve import plan, solve_sizes

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Numbers:
    """A kind of real numbers: how to make one, and the functions that ``Apply`` names."""

    make: Any
    functions: Mapping[str, Any]
    pi: Any
    e: Any

    def power(self, base: Any, exponent: Any) -> Any:
        """``base ** exponent``; nan where no real number is."""
        try:
            value = base**exponent
        except (ZeroDivisionError, OverflowError):
            return self.make("inf") if base == 0 and exponent < 0 else self.make("nan")
        return self.make("nan") if isinstance(value, complex | mpmath.mpc) else value


def _sign(u: Any) -> Any:
    return (u > 0) - (u < 0)


def _functions(m: Any, floor: Any, ceil: Any, names: Mapping[str, str]) -> dict[str, Any]:
    plain = ["exp", "log", "expm1", "log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh", "erf", "erfc"]
    table = {name: getattr(m, name) for name in plain} | {name: getattr(m, other) for name, other in names.items()}
    return table | {
        "log": lambda u: m.log(u) if u else -m.inf,
        "sigmoid": lambda u: 1 / (1 + m.exp(-u)),
        "softplus": lambda u: m.log(1 + m.exp(u)),
        "logcosh": lambda u: m.log(m.cosh(u)),
        "erfcx": lambda u: m.exp(u * u) * m.erfc(u),
        "ierfcx": lambda u: 1 / m.sqrt(m.pi) - u * m.exp(u * u) * m.erfc(u),
        "logerfc": lambda u: m.log(m.erfc(u)),
        "loghalferfc": lambda u: m.log(m.erfc(u) / 2),
        "log1mexp": lambda u: m.log(1 - m.exp(u)),
        "abs": abs,
        "sign": _sign,
        "floor": floor,
        "ceil": ceil,
        "mod": lambda u, v: u - v * floor(u / v),
        "max": max,
        "min": min,
    }


_ARC = {f"arc{f}": f"a{f}" for f in ("sin", "cos", "tan", "sinh", "cosh", "tanh")} | {"arctan2": "atan2"}
FLOATS = Numbers(float, _functions(math, math.floor, math.ceil, _ARC), math.pi, math.e)
EXACT = Numbers(mpmath.mpf, _functions(mpmath, mpmath.floor, mpmath.ceil, _ARC), +mpmath.pi, +mpmath.e)


@dataclass(frozen=True)
class World:
    """Values by name: of sizes and indices, and of tensors (arrays, or anything with integer tuples as keys)."""

    integers: Mapping[str, int]
    tensors: Mapping[str, Any] = field(default_factory=dict)
    numbers: Numbers = FLOATS

    def binding(self, names: Iterable[str], values: Iterable[int]) -> World:
        """The same world with some indices bound."""
        return World({**self.integers, **dict(zip(names, values, strict=True))}, self.tensors, self.numbers)


def integer(poly: Poly, world: World) -> int:
    """The value of an integer expression."""
    return sum(c * math.prod(_atom(a, world) for a in monomial) for monomial, c in poly.terms)


def _atom(atom: Any, world: World) -> int:
    match atom:
        case Size(name) | Index(name):
            return world.integers[name]
        case Quotient(a, b):
            return integer(a, world) // integer(b, world)
        case Remainder(a, b):
            return integer(a, world) % integer(b, world)
        case Extreme(kind, args):
            return {"max": max, "min": min}[kind](integer(a, world) for a in args)
        case Entry(tensor, indices):
            return int(world.tensors[tensor][tuple(integer(i, world) for i in indices)])
        case RealFloor(value):
            return math.floor(scalar(value, world))
    raise TypeError(atom)


_RELATIONS = {
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}


def holds(condition: Condition, world: World) -> bool:
    """Whether a condition holds."""
    match condition:
        case Truth(value):
            return value
        case Compare(relation, poly):
            return bool(_RELATIONS[relation](integer(poly, world), 0))
        case Relation(relation, left, right):
            return bool(_RELATIONS[relation](scalar(left, world), scalar(right, world)))
        case All(args):
            return all(holds(a, world) for a in sorted(args, key=_asks_data))
        case AnyOf(args):
            return any(holds(a, world) for a in sorted(args, key=_asks_data))
    raise TypeError(condition)


def _asks_data(condition: Condition) -> bool:
    """Whether integer data are asked: only where the other parts of a condition have not decided yet."""
    return any(isinstance(a, Entry) for p in polynomials(condition) for a in atoms(p))


def scalar(node: Scalar, world: World) -> Any:
    """The value of a scalar expression."""
    numbers = world.numbers
    match node:
        case Number(Fraction() as value):
            return numbers.make(value.numerator) / value.denominator
        case Number(value):
            return numbers.make(value)
        case Named(name):
            return getattr(numbers, name)
        case FromInteger(poly):
            return numbers.make(integer(poly, world))
        case Read():
            return _read(node, world)
        case Add(args):
            return sum((scalar(a, world) for a in args), numbers.make(0))
        case Mul(coefficient, args):
            return math.prod([scalar(a, world) for a in args], start=scalar(Number(coefficient), world))
        case Power(base, exponent):
            return numbers.power(scalar(base, world), scalar(exponent, world))
        case Apply(function, args):
            return numbers.functions[function](*(scalar(a, world) for a in args))
        case Select(condition, then, otherwise):
            return scalar(then if holds(condition, world) else otherwise, world)
        case Reduce():
            return _reduce(node, world)
        case Stopped(value):
            return scalar(value, world)
        case Sloped():
            return numbers.make(0)
    raise TypeError(node)


def _read(read: Read, world: World) -> Any:
    tensor = world.tensors[read.tensor]
    position = tuple(integer(i, world) for i in read.indices)
    if read.extension is not None:
        extents = tensor.shape if hasattr(tensor, "shape") else np.shape(tensor)
        if read.extension.mode == "constant":
            if any(not 0 <= p < e for p, e in zip(position, extents, strict=True)):
                return world.numbers.make(read.extension.value)
        else:
            position = tuple(_fold(read.extension.mode, p, e) for p, e in zip(position, extents, strict=True))
    elif isinstance(tensor, np.ndarray | Elements):
        assert all(0 <= p < e for p, e in zip(position, tensor.shape, strict=True)), f"{read.tensor} at {position}"
    return world.numbers.make(tensor[position])


def _fold(mode: str, position: int, extent: int) -> int:
    """Where an extended read lands: found by walking, one step at a time."""
    if mode == "wrap":
        return position % extent
    if mode == "replicate":
        return min(max(position, 0), extent - 1)
    there, step = 0, 1 if position >= 0 else -1
    for _ in range(abs(position)):  # reflect: turn round at either end
        step = -step if not 0 <= there + step < extent else step
        there += step if extent > 1 else 0
    return there


def _reduce(node: Reduce, world: World) -> Any:
    names = [i.name for i in node.indices]
    values: list[Any] = []
    places: list[int] = []
    for place, here in enumerate(itertools.product(*(range(_extent(i, world)) for i in node.indices))):
        inner = world.binding(names, here)
        if holds(node.condition, inner):
            values.append(scalar(node.body, inner))
            places.append(place)
    match node.kind:
        case "sum":
            return sum(values, world.numbers.make(0))
        case "product":
            return math.prod(values, start=world.numbers.make(1))
        case "max" | "min":
            # Where a condition lets nothing through, -oo stood there as declared.
            if not values and (node.ties == "none" or node.condition != TRUE):
                return world.numbers.make(float("-inf" if node.kind == "max" else "inf"))
            return {"max": max, "min": min}[node.kind](values)
        case "argmax" | "argmin":
            if not values and node.condition != TRUE:
                return 0  # of nothing but -oo the first
            best = {"argmax": max, "argmin": min}[node.kind](values)
            return places[values.index(best)]
    raise TypeError(node.kind)


def _extent(index: Index, world: World) -> int:
    return max(integer(index.extent, world), 0)


def points(indices: Iterable[Index], world: World) -> Iterable[World]:
    """The world at every value of the indices."""
    indices = tuple(indices)
    for values in itertools.product(*(range(_extent(i, world)) for i in indices)):
        yield world.binding([i.name for i in indices], values)


def sizes_of(program: Program, arrays: Arrays, attributes: Mapping[str, float] | None = None) -> dict[str, int]:
    """Dimension symbols and integer attributes, from the shapes of the inputs."""
    given = {a.name: a.default for a in program.attributes} | dict(attributes or {})
    steps = plan(program.inputs, frozenset(a.name for a in program.attributes), program.name)
    shapes = {t.name: np.shape(arrays[t.name]) for t in program.inputs}
    return solve_sizes(program, steps, shapes, given)


def run(program: Program, arrays: Arrays, attributes: Mapping[str, float] | None = None) -> dict[str, np.ndarray]:
    """Every left side of a program; an element is computed when it is first read, so that recurrences are followed."""
    given = {a.name: a.default for a in program.attributes} | dict(attributes or {})
    tensors: dict[str, Any] = {name: np.asarray(value) for name, value in {**given, **arrays}.items()}
    world = World(sizes_of(program, arrays, attributes), tensors)
    tensors |= {equation.target: Elements(equation, world) for equation in program.equations}
    return {equation.target: tensors[equation.target].array() for equation in program.equations}


class Elements:
    """A left side whose elements are computed when they are first read, and kept."""

    def __init__(self, equation: Equation, world: World) -> None:
        self.equation, self.world = equation, world
        self.shape = tuple(_extent(i, world) for i in equation.indices)
        self.found: dict[tuple[int, ...], Any] = {}

    def __getitem__(self, place: tuple[int, ...]) -> Any:
        if place not in self.found:
            here = self.world.binding([i.name for i in self.equation.indices], place)
            self.found[place] = scalar(self.equation.body, here)
        return self.found[place]

    def array(self) -> np.ndarray:
        """Every element."""
        values = [self[place] for place in itertools.product(*map(range, self.shape))]
        return np.array(values, dtype=np.int64 if self.equation.integer else np.float64).reshape(self.shape)
