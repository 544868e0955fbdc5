"""A layer as data: tensors, equations in order, attributes, requirements. What every later stage works on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from symgrad.declare.frozen import remember
from symgrad.declare.integers import Index, Poly, Size, atoms
from symgrad.declare.scalars import Condition, Reduce, Scalar, polynomials, walk


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor: its name, the extent of each axis, what it holds and whether it gets a gradient."""

    name: str
    extents: tuple[Poly, ...]
    integer: bool = False
    constant: bool = False


@dataclass(frozen=True, slots=True)
class Equation:
    """``target[indices] = body``; ``indices`` are distinct, one per axis."""

    target: str
    indices: tuple[Index, ...]
    body: Scalar
    integer: bool = False

    def with_body(self, body: Scalar) -> Equation:
        """The equation with another right side; itself where that is the same."""
        return self if body is self.body else replace(self, body=body)


@dataclass(frozen=True, slots=True)
class Attribute:
    """A keyword argument of the emitted functions; ``minimum`` is the least integer value it may have."""

    name: str
    default: int | float
    integer: bool
    minimum: int | None = None


@dataclass(frozen=True, slots=True)
class Requirement:
    """A condition on sizes (or on integer data) that the emitted module checks, and what to say when it fails."""

    condition: Condition
    message: str


@dataclass(frozen=True, slots=True)
class Part:
    """One use of a layer inside a composed one: what it is called, which layer it is, the left sides that it gave."""

    label: str
    layer: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """Equations in an order in which each reads only what stands before it.

    ``declared`` are the equations as they were before any rewriting: forward checks their reads.
    """

    name: str
    inputs: tuple[Tensor, ...]
    equations: tuple[Equation, ...]
    outputs: tuple[str, ...]
    attributes: tuple[Attribute, ...] = ()
    requirements: tuple[Requirement, ...] = ()
    typical: tuple[tuple[str, int], ...] = ()
    doc: str = field(default="", compare=False)
    declared: tuple[Equation, ...] = field(default=(), repr=False)

    def extents(self, tensor: str) -> tuple[Poly, ...]:
        """Extents of an input or of a left side."""
        for t in self.inputs:
            if t.name == tensor:
                return t.extents
        if any(a.name == tensor for a in self.attributes):
            return ()
        for e in (*self.equations, *self.declared):
            if e.target == tensor:
                return tuple(i.extent for i in e.indices)
        raise KeyError(tensor)

    def names(self) -> set[str]:
        """Every name in use: of tensors, attributes and sizes, of indices free and bound."""
        found = {a.name for t in self.inputs for e in t.extents for a in atoms(e) if isinstance(a, Size | Index)}
        found |= {t.name for t in self.inputs} | {a.name for a in self.attributes}
        return found.union(*map(_names_in, self.equations))

    @property
    def real_outputs(self) -> tuple[str, ...]:
        """The outputs that a gradient can flow through: those that take a cotangent.

        Where all of them hold integers no gradient flows, and each takes one for the sake of its dtype.
        """
        integers = {e.target for e in self.equations if e.integer}
        return tuple(o for o in self.outputs if o not in integers) or self.outputs

    def equation(self, target: str) -> Equation | None:
        """The equation that defines ``target``."""
        return next((e for e in self.equations if e.target == target), None)


@remember
def _names_in(equation: Equation) -> frozenset[str]:
    found = {a.name for p in polynomials(equation.body) for a in atoms(p) if isinstance(a, Size | Index)}
    found |= {i.name for part in walk(equation.body) if isinstance(part, Reduce) for i in part.indices}
    return frozenset(found | {equation.target} | {i.name for i in equation.indices})
