"""The naive evaluator: loops over indices, nothing clever. It defines what an equation means.

It reads the SymPy equations of a declaration as the user wrote them and knows nothing of the compiler.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy
from sympy.tensor.indexed import Idx, Indexed

from symgrad.check.arithmetic import Arithmetic
from symgrad.check.closures import compile_expression
from symgrad.check.scope import Environment, Node, Scope, Table, label, whole
from symgrad.declare.layer import Layer
from symgrad.errors import CheckError

Arrays = Mapping[str, npt.NDArray[Any]]
Numbers = Mapping[str, int | float]


@dataclass(frozen=True)
class Stored:
    """An input: its elements as Python numbers, row-major."""

    shape: tuple[int, ...]
    elements: Sequence[Any]

    def at(self, position: tuple[int, ...]) -> Any:
        """Return an element inside the shape."""
        place = 0
        for k, extent in zip(position, self.shape, strict=True):
            place = place * extent + k
        return self.elements[place]


@dataclass(frozen=True)
class Computed:
    """A left side: each element is evaluated when it is first read, so the order of equations does not matter."""

    name: str
    shape: tuple[int, ...]
    indices: tuple[str, ...]
    body: Node
    surroundings: Environment
    where: str
    found: dict[tuple[int, ...], Any] = field(default_factory=dict)
    begun: set[tuple[int, ...]] = field(default_factory=set)

    def at(self, position: tuple[int, ...]) -> Any:
        """Return an element inside the shape.

        Raises:
            CheckError: the element needs itself, or what it reads fails.
        """
        if position in self.found:
            return self.found[position]
        if position in self.begun:
            raise CheckError(f"{self.where}: {self.name}[{', '.join(map(str, position))}] needs its own value")
        self.begun.add(position)
        try:
            value = self.body(self.surroundings | dict(zip(self.indices, position, strict=True)))
        finally:
            self.begun.discard(position)
        self.found[position] = value
        return value

    def elements(self) -> list[Any]:
        """Return every element, row-major; a recurrence that runs from the far end is followed from there."""
        everywhere = list(itertools.product(*map(range, self.shape)))
        try:
            return [self.at(position) for position in everywhere]
        except RecursionError:
            return [self.at(position) for position in reversed(everywhere)][::-1]


@dataclass(frozen=True)
class _Equation:
    target: str
    indices: tuple[str, ...]
    firsts: tuple[Node, ...]
    lasts: tuple[Node, ...]
    body: Node


class Evaluator:
    """The equations of a layer as closures over one kind of numbers; run it as often as wanted.

    Raises:
        CheckError: an equation holds something that has no meaning, or a left side is no tensor with plain indices.
    """

    def __init__(self, layer: Layer, arithmetic: Arithmetic | None = None) -> None:
        self.layer = layer
        self._tensors: dict[str, Table] = {}
        names = {t.name for t in layer.inputs} | {_target(e.lhs) for e in layer.equations}
        scope = Scope(layer.name, frozenset(names), self._tensors, layer.ranges, arithmetic or Arithmetic())
        self._equations = [_compile(e, scope) for e in layer.equations]
        self._scope = scope

    def surroundings(self, shapes: Mapping[str, tuple[int, ...]], attributes: Numbers) -> Environment:
        """Return the values of attributes and sizes by name.

        Raises:
            DeclarationError: the shapes do not agree with the declaration.
        """
        values = {s.name: _plain(v) for s, v in self.layer.attributes.items()}
        values |= {name: _plain(v) for name, v in attributes.items()}
        return values | {name: int(v) for name, v in self.layer.solve_sizes(shapes, values).items()}

    def run(self, arrays: Mapping[str, Table], attributes: Numbers) -> dict[str, Computed]:
        """Return every left side, its elements still to be evaluated.

        Raises:
            DeclarationError: the shapes do not agree with the declaration.
            CheckError: an extent is negative or no integer.
        """
        env = self.surroundings({name: table.shape for name, table in arrays.items()}, attributes)
        self._tensors.clear()
        self._tensors.update(arrays)
        computed = {e.target: self._left_side(e, env) for e in self._equations}
        self._tensors.update(computed)
        return computed

    def __call__(self, arrays: Arrays, attributes: Numbers) -> dict[str, npt.NDArray[Any]]:
        """Return every left side as an array: int64 where every element is an integer, else float64 or complex."""
        inputs = {t.name: stored(arrays[t.name], t.integer) for t in self.layer.inputs}
        with np.errstate(all="ignore"):
            return {name: as_array(left.elements(), left.shape) for name, left in self.run(inputs, attributes).items()}

    def _left_side(self, equation: _Equation, env: Environment) -> Computed:
        scope = self._scope
        shape = []
        for name, first, last in zip(equation.indices, equation.firsts, equation.lasts, strict=True):
            what = f"index {name} of {equation.target}"
            start, stop = (whole(end(env), f"an end of {what}", scope, env) for end in (first, last))
            if start != 0 or stop < -1:
                raise scope.fail(
                    f"{what} runs from {start} to {stop}; an axis begins at 0, its extent is not negative", env
                )
            shape.append(stop + 1)
        return Computed(equation.target, tuple(shape), equation.indices, equation.body, env, scope.where)


def evaluate(layer: Layer, arrays: Arrays, attributes: Numbers | None = None) -> dict[str, npt.NDArray[Any]]:
    """Evaluate every left side of a layer by loops over its indices.

    Args:
        layer: the declaration.
        arrays: a value for every input, by name; shapes as declared; real, complex (a complex step) or integer.
        attributes: values by name; the declared defaults for the others.

    Returns:
        Every left side by name, in the order of the equations: int64 where every element is an integer, else float64
        (or complex128).

    Raises:
        CheckError: a read out of bounds (it names tensor, axis and index), an index that is no integer, an empty
            maximum, an element that needs itself, or something in an equation without a meaning.
        DeclarationError: the shapes do not agree with the declaration.
    """
    return Evaluator(layer)(arrays, attributes or {})


def stored(array: npt.ArrayLike, integer: bool = False) -> Stored:
    """Return an array as a table of Python numbers."""
    values = np.asarray(array)
    if integer:
        values = values.astype(np.int64)
    elif values.dtype.kind == "f":
        values = values.astype(np.float64)
    return Stored(values.shape, values.ravel().tolist())


def as_array(elements: Sequence[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Return numbers as an array of the narrowest of int64, float64 and complex128 that holds them."""
    kinds = {type(e) for e in elements}
    if complex in kinds:
        return np.array([complex(e) for e in elements], dtype=np.complex128).reshape(shape)
    if elements and kinds <= {int, bool} and all(abs(e) < 2**63 for e in elements):
        return np.array(elements, dtype=np.int64).reshape(shape)
    return np.array([float(e) for e in elements], dtype=np.float64).reshape(shape)


def _plain(value: Any) -> int | float:
    """Return an attribute as a Python number: exact where it is an integer, so that it may stand in an index."""
    number = value.item() if isinstance(value, np.generic) else value
    if isinstance(number, sympy.Basic):
        number = int(number) if number.is_Integer else float(number)
    return int(number) if isinstance(number, bool) else number


def _target(left: Any) -> str:
    return label(left.base if isinstance(left, Indexed) else left)


def _compile(equation: Any, scope: Scope) -> _Equation:
    left = equation.lhs
    indices = tuple(left.indices) if isinstance(left, Indexed) else ()
    ends = [_ends(index, equation, scope) for index in indices]
    return _Equation(
        _target(left),
        tuple(label(i) for i in indices),
        tuple(compile_expression(first, scope) for first, _ in ends),
        tuple(compile_expression(last, scope) for _, last in ends),
        compile_expression(equation.rhs, scope),
    )


def _ends(index: Any, equation: Any, scope: Scope) -> tuple[Any, Any]:
    """Return first and last value of an index on a left side."""
    if not isinstance(index, Idx | sympy.Symbol) or (isinstance(index, Idx) and index.label.is_Integer):
        raise scope.fail(f"the left side {equation.lhs} is indexed by {index}; a left side takes plain indices")
    if isinstance(index, Idx) and index.lower is not None and index.upper is not None:
        return index.lower, index.upper
    if label(index) not in scope.ranges:
        raise scope.fail(f"the index {index} of the left side {equation.lhs} has no range")
    return scope.ranges[label(index)]
