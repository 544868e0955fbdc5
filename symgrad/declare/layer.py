"""``Layer``: a declaration as the user writes it, validated, with the data form that the compiler works on."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sympy
from sympy.tensor.indexed import Idx

from symgrad.declare import arguments, reads, recurrence, solve, survey
from symgrad.declare.bounds import nonnegative
from symgrad.declare.door import to_condition, to_scalar
from symgrad.declare.door_integers import to_poly
from symgrad.declare.formula import condition_text
from symgrad.declare.holding import is_integer, no_integer
from symgrad.declare.inline import without_inner_reductions
from symgrad.declare.integers import Index, Poly, Size, as_poly, depends_on_data
from symgrad.declare.program import Attribute, Equation, Part, Program, Requirement, Tensor
from symgrad.declare.ranges import bound_in, range_from_reads
from symgrad.declare.scalars import FALSE, TRUE, tensors_of
from symgrad.declare.scope import Scope, label
from symgrad.declare.unfold import unfolded
from symgrad.declare.write import declaration, poly_to_sympy
from symgrad.errors import About, DeclarationError, nesting
from symgrad.naming import check_name, fresh


@dataclass(frozen=True, slots=True)
class DeclaredTensor:
    """An input as declared: name, shape as SymPy expressions, whether it holds integers, whether it is constant."""

    name: str
    shape: tuple[Any, ...]
    integer: bool
    constant: bool


@dataclass(frozen=True, slots=True)
class Origin:
    """What a derived layer is: ``vjp`` or ``jvp`` (the kind) of a layer."""

    kind: str
    layer: Layer


class Layer:
    """A neural-network layer declared by index equations.

    Args:
        name: the layer's name, an identifier.
        inputs: ``x[N, C]`` for a tensor with its shape, a plain ``Symbol`` for a scalar; in signature order.
        equations: ``Eq(y[n, k], ...)`` in any order; a left side may be read by other equations.
        attributes: hyperparameters ``{symbol: default}``; keyword arguments of the emitted functions.
        constants: inputs that get no gradient.
        integers: inputs that hold integers, where that does not show from their use as an index.
        outputs: left sides that ``forward`` returns; by default the last equation's.
        typical: sizes to optimise for, ``{symbol: int}``.
        doc: one or more lines about the layer, for its module and its documents.
        requires: relations between sizes and attributes that must hold, such as ``padding < K``, or pairs of one and
            what to say where it does not hold; checked at run time.

    Attributes:
        program: the declaration as data.
        parts: the uses of layers that a composed layer consists of, in order; none in a declared one.
        origin: what a derived layer is the derivative of; None for a declared one.

    Raises:
        DeclarationError: the declaration does not say what it means; the message names equation, index, tensor, axis.
    """

    parts: tuple[Part, ...] = ()
    origin: Origin | None = None

    def __init__(
        self,
        name: str,
        inputs: Sequence[Any],
        equations: Sequence[Any],
        attributes: Mapping[Any, Any] | None = None,
        constants: Sequence[Any] = (),
        integers: Sequence[Any] = (),
        outputs: Sequence[Any] | None = None,
        typical: Mapping[Any, int] | None = None,
        doc: str = "",
        requires: Sequence[Any] = (),
    ) -> None:
        if not isinstance(name, str):
            raise DeclarationError(f"a layer's name is a string, not {name!r}")
        check_name(name, "the layer's name")
        self.name, self.doc = name, inspect.cleandoc(arguments.worded(name, doc))
        with nesting(name, DeclarationError):
            self.requires: tuple[Any, ...] = arguments.listed(name, "requires", requires)
            self.attributes: dict[Any, Any] = arguments.mapped(name, "attributes", attributes, "default")
            self.equations: tuple[Any, ...] = tuple(
                unfolded(e, name) for e in arguments.listed(name, "equations", equations)
            )
            self.typical: dict[Any, int] = arguments.mapped(name, "typical", typical, "size")
            self.ranges: dict[str, tuple[Any, Any]] = {}
            survey.check_equations(name, self.equations)
            roles = {"inputs": inputs, "constants": constants, "integers": integers}
            lists = {role: arguments.listed(name, role, given) for role, given in roles.items()}
            self.equations = without_inner_reductions(name, self.equations, (*lists["inputs"], *self.attributes))
            tensors = survey.tensors(name, equations=self.equations, **lists)
            self.inputs = tuple(DeclaredTensor(t.name, t.shape, t.integer, t.constant) for t in tensors)
            chosen = None if outputs is None else arguments.listed(name, "outputs", outputs)
            self.outputs = survey.outputs(name, self.equations, chosen)
            self.program = _Reader(self).program()
            known = frozenset(a.name for a in self.program.attributes)
            self.size_plan = solve.plan(self.program.inputs, known, name)

    @classmethod
    def from_program(cls, program: Program, requires: Sequence[Any] = ()) -> Layer:
        """A layer from its data form; its equations are written back in SymPy."""
        return cls(**declaration(program), requires=requires)

    def solve_sizes(
        self, shapes: Mapping[str, tuple[int, ...]], attributes: Mapping[str, int | float] | None = None
    ) -> dict[str, int]:
        """Dimension symbols (and integer attributes) from the shapes of the inputs.

        Raises:
            DeclarationError: a rank or an extent does not agree with the declaration.
        """
        values = {a.name: a.default for a in self.program.attributes} | dict(attributes or {})
        return solve.solve_sizes(self.program, self.size_plan, shapes, values)

    def __repr__(self) -> str:
        """One line: name and signature."""
        shapes = [f"{t.name}[{', '.join(map(str, t.shape))}]" if t.shape else t.name for t in self.inputs]
        settings = [f"{s}={v}" for s, v in self.attributes.items()]
        return f"Layer({self.name}({', '.join(shapes + settings)}) -> {', '.join(self.outputs)})"


class _Reader:
    """Reads one declaration into a Program."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.lefts = [survey.left(e) for e in layer.equations]
        scaling = survey.scaling_symbols(layer.equations) if layer.attributes else set()
        self.attributes = [self._attribute(s, v, s in scaling) for s, v in layer.attributes.items()]
        names = [a.name for a in self.attributes]
        for name in names:
            if names.count(name) > 1:
                raise DeclarationError(f"{layer.name}: two attributes are called {name}; keep one Symbol of that name")
        self.sizes = self._sizes()
        ranks = {t.name: len(t.shape) for t in layer.inputs} | {n: len(i) for n, i in self.lefts}
        integers = survey.integer_tensors(layer.inputs, layer.equations)
        reals = frozenset(a.name for a in self.attributes if not a.integer)
        self.known: dict[str, tuple[Poly, ...]] = {}
        self.scope = Scope(ranks, integers, self.sizes, reals, self.known.get, layer.name)
        self.scope.names = {*ranks, *self.sizes, *reals}

    def program(self) -> Program:
        """Convert inputs, then equations in the order of their dependencies, then judge every read."""
        layer = self.layer
        inputs = []
        for t in layer.inputs:
            extents = tuple(to_poly(e, self.scope) for e in t.shape)
            self._check_extents(t.name, extents)
            self.known[t.name] = extents
            inputs.append(Tensor(t.name, extents, t.integer, t.constant))
        self._check_names()
        equations = [self._equation(e) for e in survey.in_order(layer.equations)]
        typical = arguments.typical_sizes(layer.name, layer.typical, self.sizes)
        program = Program(
            layer.name, tuple(inputs), tuple(equations), layer.outputs, tuple(self.attributes), (), typical, layer.doc
        )
        self.scope.where, self.scope.target, self.scope.bound_now = layer.name, "", {}
        required = [r for r in map(self._required, layer.requires) if r.condition != TRUE]
        said = {condition_text(r.condition) for r in required}
        requirements = [r for r in self.scope.requirements if condition_text(r.condition) not in said] + required
        try:
            recurrence.check(layer.name, equations)
            for equation in equations:
                requirements += reads.judge(program, equation)
        except DeclarationError as error:
            raise self.scope.as_written(error) from None
        return Program(
            layer.name,
            tuple(inputs),
            tuple(reads.mark_guarded(program, e) for e in equations),
            layer.outputs,
            tuple(self.attributes),
            tuple(dict.fromkeys(reads.mark_required(program, r) for r in requirements)),
            typical,
            layer.doc,
        )

    def _required(self, required: Any) -> Requirement:
        """A relation of ``requires``.

        Raises:
            DeclarationError: it is none, or it never holds.
        """
        empty = {name: Size(name, min(size.minimum or 0, 0)) for name, size in self.sizes.items()}
        given = {a.name: self.sizes[a.name] for a in self.attributes if a.integer}
        relation, message = arguments.required(self.layer.name, required)
        condition = to_condition(relation, replace(self.scope, sizes=empty | given))
        if condition == FALSE:
            raise self.scope.fail(f"the requirement {relation} never holds; an extent is at least 0", relation)
        if read := tensors_of(condition):
            text = f"the requirement {relation} reads {read[0]}; requires is about extents and attributes"
            raise self.scope.fail(
                f"{text}, and an equation tells of data, Piecewise((u, condition), (0, True))", relation
            )
        return Requirement(condition, message)

    def _check_extents(self, tensor: str, extents: tuple[Poly, ...]) -> None:
        for axis, extent in enumerate(extents):
            if nonnegative(-extent - 1):
                raise self.scope.fail(f"axis {axis} of {tensor} has extent {extent}, which is negative", tensor)

    def _attribute(self, symbol: Any, default: Any, scales: bool) -> Attribute:
        if not isinstance(symbol, sympy.Symbol):
            raise DeclarationError(f"{self.layer.name}: the attribute {symbol!r} is not a Symbol")
        name = check_name(symbol.name, f"{self.layer.name}: the attribute")
        value = arguments.default_of(self.layer.name, name, default, bool(symbol.is_integer))
        if not symbol.is_integer:
            return Attribute(name, value, False)
        minimum = 1 if symbol.is_positive or scales else 0 if symbol.is_nonnegative else None
        if minimum is not None and value < minimum:
            text = f"{self.layer.name}: attribute {name} must be at least {minimum}, its default is {value}"
            raise DeclarationError(text, About(parts=(name,)))
        return Attribute(name, value, True, minimum)

    def _sizes(self) -> dict[str, Size]:
        sizes = {a.name: Size(a.name, a.minimum) for a in self.attributes if a.integer}
        reals = {a.name for a in self.attributes if not a.integer}
        for t in self.layer.inputs:
            for axis, extent in enumerate(t.shape):
                for symbol in sorted(extent.free_symbols, key=str):
                    if symbol.name in reals:
                        raise DeclarationError(
                            f"{self.layer.name}: axis {axis} of {t.name} has extent {extent}, but {symbol} is a real "
                            f"attribute; declare it with integer=True",
                            About(parts=(symbol, t.name)),
                        )
                    sizes.setdefault(symbol.name, Size(symbol.name, 1))
        return sizes

    def _check_names(self) -> None:
        where = self.layer.name
        for name in sorted({*self.scope.ranks, *self.sizes}):
            check_name(name, f"{where}: the name")
        clash = sorted(set(self.scope.ranks) & {*self.sizes, *self.scope.reals})
        if clash:
            text = f"{where}: {clash[0]} names both a tensor and a size or attribute; rename one"
            raise DeclarationError(text, About(parts=(clash[0],)))

    def _equation(self, equation: Any) -> Equation:
        target, lefts = survey.left(equation)
        scope = self.scope
        scope.where, scope.target = f"{self.layer.name}, equation of {target}", target
        scope.bound_now.clear()
        scope.bound_anywhere = bound_in(equation.rhs)
        scope.binders = {label(i): i for i in lefts}
        indices = self._left_indices(target, lefts, equation)
        body = to_scalar(equation.rhs, scope)
        self.layer.ranges |= {n: (poly_to_sympy(a), poly_to_sympy(z)) for n, (a, z) in scope.inferred.items()}
        integer = target in scope.integers
        self.known[target] = tuple(i.extent for i in indices)
        if integer and not is_integer(body):
            raise scope.fail(no_integer(target, body, equation), target)
        return Equation(target, indices, body, integer)

    def _left_indices(self, target: str, lefts: Sequence[Any], equation: Any) -> tuple[Index, ...]:
        scope = self.scope
        found: dict[str, Index] = {}
        waiting: list[tuple[str, Any]] = []
        for axis, index in enumerate(lefts):
            if not isinstance(index, Idx | sympy.Symbol):
                raise scope.fail(
                    f"axis {axis} of the left side {equation.lhs} is {index}; a left side takes plain indices, "
                    f"so solve the equation for {target}[..., i, ...] with a plain index i",
                    index,
                )
            name = check_name(label(index), f"{scope.where}: the index")
            if name in found or name in {n for n, _ in waiting}:
                raise scope.fail(f"index {name} stands twice on the left side {equation.lhs}; use two indices", index)
            if name in scope.sizes:
                raise scope.fail(f"{name} on the left side {equation.lhs} is a size, not an index; use an Idx", index)
            if isinstance(index, Idx) and index.upper is not None:
                first, last = to_poly(index.lower, scope), to_poly(index.upper, scope)
                if depends_on_data(first) or depends_on_data(last):
                    extent = f"axis {axis} of {target} has the extent {index.upper + 1}, which hangs on more than sizes"
                    raise scope.fail(f"{extent}; one is made of sizes and integer attributes", index)
                if first.constant != 0:
                    raise scope.fail(
                        f"index {name} on the left side begins at {first}; axes begin at 0, so shift it", index
                    )
                found[name] = self._apart(name, last + 1)
                scope.bound_now[name] = as_poly(found[name])
            else:
                waiting.append((name, index))
        self._infer(waiting, found, equation)
        scope.names |= {i.name for i in found.values()}
        return tuple(found[label(i)] for i in lefts)

    def _apart(self, name: str, extent: Poly) -> Index:
        """An index of a left side, with a name of its own where a tensor has that one: both become variables."""
        if nonnegative(-extent - 1):
            raise self.scope.fail(f"index {name} has extent {extent}, which is negative", name)
        return Index(fresh(name, {*self.scope.ranks, *self.scope.reals}), extent)

    def _infer(self, waiting: list[tuple[str, Any]], found: dict[str, Index], equation: Any) -> None:
        """Ranges of indices without one, in rounds: those whose reads hold nothing else unknown come first."""
        scope = self.scope
        while waiting:
            failures: list[DeclarationError] = []
            before = len(waiting)
            for name, index in list(waiting):
                try:
                    low, high = range_from_reads(name, equation.rhs, scope)
                except DeclarationError as error:
                    failures.append(error)
                    continue
                if low.constant != 0:
                    raise scope.fail(
                        f"the reads keep index {name} in {low} .. {high}; axes begin at 0, so shift it", index
                    )
                found[name] = self._apart(name, high + 1)
                scope.bound_now[name] = as_poly(found[name])
                waiting.remove((name, index))
                self.layer.ranges[name] = (sympy.Integer(0), poly_to_sympy(high))
            if failures and len(waiting) == before:
                raise failures[0]
