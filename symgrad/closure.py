"""Derivatives of layers as layers: they can be printed, emitted, checked and differentiated again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from symgrad.declare.arguments import expect_layer
from symgrad.declare.graph import needed
from symgrad.declare.layer import Layer, Origin
from symgrad.declare.program import Program
from symgrad.declare.rewriting import with_tensors
from symgrad.declare.scalars import tensors_of
from symgrad.derive.adjoint import Adjoint, adjoint
from symgrad.derive.split import split
from symgrad.derive.trace import Trace
from symgrad.errors import DerivationError, nesting
from symgrad.naming import fresh
from symgrad.simplify.backward import simplify_backward
from symgrad.simplify.named import name_costly
from symgrad.simplify.running import running_forms
from symgrad.simplify.stable import stabilise


def vjp(layer: Layer) -> Layer:
    """The vector-Jacobian product as a layer.

    Its inputs are the layer's and a cotangent for each output (``grad_y``, of y's shape), its outputs the gradients
    of the inputs (``grad_x``, of x's shape); the layer's own equations are among its equations.

    Raises:
        ArgumentError: ``layer`` is no Layer.
        DerivationError: every input is constant.
    """
    expect_layer(layer, "vjp")
    with nesting(layer.name, DerivationError):
        return _derived("vjp", layer, _pulled_back(layer.program).program)


def jvp(layer: Layer) -> Layer:
    """The Jacobian-vector product as a layer.

    Its inputs are the layer's and a tangent for each input that has a gradient (``tangent_x``, of x's shape), its
    outputs the tangents of the layer's outputs (``tangent_y``, of y's shape). The backward pass is linear in the
    cotangents, and the adjoint of that linear map is the Jacobian-vector product.

    Raises:
        ArgumentError: ``layer`` is no Layer.
        DerivationError: every input is constant.
    """
    expect_layer(layer, "jvp")
    with nesting(layer.name, DerivationError):
        return _derived("jvp", layer, _pushed_forward(layer.program))


def _derived(kind: str, layer: Layer, program: Program) -> Layer:
    made = Layer.from_program(program, layer.requires)
    made.origin = Origin(kind, layer)
    return made


def _pushed_forward(program: Program) -> Program:
    once = _pulled_back(program)
    linear = replace(
        once.program,
        name=program.name,
        inputs=tuple(replace(t, constant=t.name not in once.cotangents) for t in once.program.inputs),
    )
    twice = _pulled_back(linear)
    taken = twice.program.names()
    sources = [t.name for t in program.inputs if not t.constant and not t.integer]
    names: dict[str, str] = {}
    pairs = [*zip(twice.cotangents, sources, strict=True), *zip(twice.gradients, program.real_outputs, strict=True)]
    for old, tensor in pairs:
        names[old] = fresh(f"tangent_{tensor}", taken)
        taken.add(names[old])
    given = {t.name: t.constant for t in program.inputs}
    inputs = tuple(replace(t, constant=given.get(t.name, False)) for t in twice.program.inputs)
    whole = replace(twice.program, inputs=inputs, name=f"{program.name}_jvp", outputs=twice.gradients)
    return _renamed(_without(whole, once.cotangents), names)


def _pulled_back(program: Program) -> Adjoint:
    trace = Trace()
    stable = name_costly(running_forms(stabilise(split(program, trace), trace), trace), trace)
    derived = simplify_backward(adjoint(stable, trace), trace, again=True)
    if not derived.gradients:
        raise DerivationError(f"{program.name}: every input is constant, so there is no gradient to return")
    declared = {e.target for e in program.equations}
    left = needed(derived.program.equations, {*derived.gradients, *declared})  # not what forward names for nobody
    return replace(derived, program=replace(derived.program, equations=left))


def _without(program: Program, inputs: tuple[str, ...]) -> Program:
    """The program without these inputs and without equations that no output needs."""
    kept = needed(program.equations, set(program.outputs))
    left = {t for e in kept for t in tensors_of(e.body)} & set(inputs)
    if left:
        raise DerivationError(f"{program.name}: the tangents depend on {', '.join(sorted(left))}, which they must not")
    return replace(program, inputs=tuple(t for t in program.inputs if t.name not in inputs), equations=tuple(kept))


def _renamed(program: Program, names: Mapping[str, str]) -> Program:
    """The program with tensors under other names."""
    return replace(
        program,
        inputs=tuple(replace(t, name=names.get(t.name, t.name)) for t in program.inputs),
        equations=tuple(
            replace(e, target=names.get(e.target, e.target), body=with_tensors(e.body, names))
            for e in program.equations
        ),
        outputs=tuple(names.get(o, o) for o in program.outputs),
    )
