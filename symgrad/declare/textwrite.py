"""Layers as text that ``parse_layer`` reads as the same layer again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sympy
from sympy.printing.precedence import PRECEDENCE
from sympy.printing.str import StrPrinter
from sympy.tensor.indexed import Idx, Indexed, IndexedBase

from symgrad.declare import survey, textwords
from symgrad.declare.arguments import required
from symgrad.declare.layer import Layer
from symgrad.declare.program import Program
from symgrad.declare.scope import label
from symgrad.declare.textform import parse_layer
from symgrad.errors import DeclarationError
from symgrad.naming import fresh

_CALLS = {
    function: name
    for name, function in (textwords.UNARY | textwords.PAIRED | textwords.EXTREMA | textwords.REDUCERS).items()
}


@dataclass(frozen=True, slots=True)
class _Detail:
    """How much a text says: of the inputs nothing, their order or their shapes; of ranges none, some or all.

    Some are those whose extent is no name.
    """

    inputs: str = ""
    ranges: str = ""


_DETAILS = (
    *(_Detail(), _Detail("order"), _Detail("order", "some")),
    *(_Detail("shapes"), _Detail("shapes", "some"), _Detail("shapes", "all")),
)


def text_of(layer: Layer, separator: str = "\n", named: bool = True) -> str:
    """A layer as text, the shortest of a few forms that mean the same.

    What no result hangs on is left out: the layer's ``doc``, its ``typical`` sizes, and messages of its own for what it
    requires.

    Args:
        layer: the layer.
        separator: what stands between statements, a new line or ``"; "``.
        named: whether the text names the layer.

    Raises:
        DeclarationError: the text form has no notation for something in the layer; the message says for what.
    """
    apart = _with_letters_apart(layer)
    reason = ""
    for detail in _DETAILS:
        text = separator.join(_statements(apart, detail, named))
        try:
            again = parse_layer(text, layer.name)
        except DeclarationError as error:
            reason = str(error)
            continue
        reason = _difference(again.program, apart.program)
        if not reason:
            return text
    raise DeclarationError(f"{layer.name} cannot be written as text; as text {reason}")


def _statements(layer: Layer, detail: _Detail, named: bool) -> Iterator[str]:
    """The clauses, attributes and equations of a layer."""
    writer = _Writer(layer, detail.ranges)
    shown = {t.name for t in survey.tensors(layer.name, _inputs(layer), layer.equations, (), ()) if t.integer}
    clauses = {
        "layer": [layer.name] if named else [],
        "inputs": [_input(t, writer, detail) for t in layer.inputs] if detail.inputs else [],
        "constants": [t.name for t in layer.inputs if t.constant and not t.integer],
        "integers": [t.name for t in layer.inputs if t.integer and t.name not in shown],
        "outputs": layer.outputs if layer.outputs != _unread(layer) else (),
        "requires": [*_least(layer), *(writer.doprint(r) for r in _required(layer))],
    }
    yield from (f"{word}: {', '.join(said)}" for word, said in clauses.items() if said)
    yield from (f"{a.name} = {a.default!r}" for a in layer.program.attributes)
    for equation in layer.equations:
        yield f"{writer.left(equation.lhs)} = {writer.doprint(equation.rhs)}"


def _inputs(layer: Layer) -> list[Any]:
    """The inputs as they are declared."""
    return [IndexedBase(t.name)[t.shape] if t.shape else sympy.Symbol(t.name) for t in layer.inputs]


def _input(tensor: Any, writer: _Writer, detail: _Detail) -> str:
    if detail.inputs == "order" or not tensor.shape:
        return str(tensor.name)
    return f"{tensor.name}[{', '.join(map(writer.doprint, tensor.shape))}]"


def _required(layer: Layer) -> list[Any]:
    """The relations that the layer requires, without those that always hold."""
    return [r for r in (required(layer.name, given)[0] for given in layer.requires) if r not in (True, sympy.true)]


def _least(layer: Layer) -> list[str]:
    """The least values of integer attributes, as far as the equations do not show them."""
    scaling = survey.scaling_symbols(layer.equations)
    symbols = {s.name: s for s in layer.attributes}
    bounded = [a for a in layer.program.attributes if a.minimum is not None and symbols[a.name] not in scaling]
    return [f"{a.name} >= {a.minimum}" for a in bounded]


def _unread(layer: Layer) -> tuple[str, ...]:
    """What a text returns that does not say it."""
    lefts = [survey.left(e)[0] for e in layer.equations]
    read = {
        name
        for own, equation in zip(lefts, layer.equations, strict=True)
        for name in _tensors_in(equation.rhs)
        if name != own
    }
    return tuple(name for name in lefts if name not in read)


def _tensors_in(expr: Any) -> set[str]:
    return {label(r.base) for r in expr.atoms(Indexed)} | {s.name for s in expr.atoms(sympy.Symbol)}


def _with_letters_apart(layer: Layer) -> Layer:
    """The layer with one range to each letter, and no letter that is a tensor's or an attribute's name."""
    indices = dict.fromkeys(n for e in layer.equations for n in sympy.preorder_traversal(e) if isinstance(n, Idx))
    taken = {t.name for t in layer.inputs} | {survey.left(e)[0] for e in layer.equations}
    taken |= {s.name for s in layer.attributes} | {
        s.name for t in layer.inputs for e in t.shape for s in e.free_symbols
    }
    table = {}
    for index in indices:
        name = fresh(label(index), taken)
        taken.add(name)
        if name != label(index):
            table[index] = Idx(name, *index.args[1:])
    if not table:
        return layer
    return Layer(
        layer.name,
        _inputs(layer),
        [sympy.Eq(e.lhs.xreplace(table), e.rhs.xreplace(table), evaluate=False) for e in layer.equations],
        layer.attributes,
        constants=[t.name for t in layer.inputs if t.constant and not t.integer],
        integers=[t.name for t in layer.inputs if t.integer],
        outputs=layer.outputs,
        requires=layer.requires,
    )


def _difference(made: Program, wanted: Program) -> str:
    """What a text makes another layer of, in words; nothing if it is the same."""
    for what, one, other in (
        ("attribute", made.attributes, wanted.attributes),
        ("input", made.inputs, wanted.inputs),
        ("output", made.outputs, wanted.outputs),
        ("equation of", made.equations, wanted.equations),
        ("requirement", *(tuple(r.condition for r in p.requirements) for p in (made, wanted))),
    ):
        if one != other:
            lost = [part for part in other if part not in one]
            return f"the {what} {_called(lost[0])} would be another" if lost else f"there would be another {what}"
    return ""


def _called(part: Any) -> str:
    return str(getattr(part, "name", "") or getattr(part, "target", "") or part)


class _Writer(StrPrinter):  # type: ignore[misc]
    """Prints as SymPy does where that is how the text form writes it.

    ``ranges`` says of which indices the first left side gives the extent, and every reduction the limits.
    """

    printmethod = "_as_text"  # not that of Padded and the reductions, which print themselves as Python

    def __init__(self, layer: Layer, ranges: str) -> None:
        super().__init__()
        self.layer, self.ranges = layer, ranges
        self.given: set[str] = set()

    def left(self, expr: Any) -> str:
        """A left side."""
        if not isinstance(expr, Indexed):
            return str(self.doprint(expr))
        return f"{self._print(expr.base.label)}[{', '.join(map(self._axis, expr.indices))}]"

    def _axis(self, index: Any) -> str:
        name = label(index)
        if not self._said(index) or name in self.given:
            return name
        self.given.add(name)
        return f"{name}:{self._print(index.upper + 1)}"

    def _said(self, index: Any) -> bool:
        """Whether the text gives the range of an index."""
        upper = getattr(index, "upper", None)
        return upper is not None and (self.ranges == "all" or (self.ranges == "some" and not (upper + 1).is_Symbol))

    def _no_word(self, what: str) -> DeclarationError:
        return DeclarationError(f"{self.layer.name} cannot be written as text: that has no notation for {what}")

    def emptyPrinter(self, expr: Any) -> str:
        raise self._no_word(str(expr))

    def _print_Function(self, expr: Any) -> str:
        if expr.func not in _CALLS:
            raise self._no_word(str(expr))
        return f"{_CALLS[expr.func]}({self.stringify(expr.args, ', ')})"

    _print_LatticeOp = _print_Abs = _print_KroneckerDelta = _print_StopGradient = _print_Function

    def _print_CustomGradient(self, expr: Any) -> str:
        raise self._no_word("a gradient of one's own, CustomGradient(..)")

    def _print_Piecewise(self, expr: Any) -> str:
        *arms, (last, condition) = expr.args
        if condition != sympy.true:
            raise self._no_word(f"{expr}, which gives nothing where no condition holds")
        text = str(self._print(last))
        for value, test in reversed(arms):
            text = f"where({self._print(test)}, {self._print(value)}, {text})"
        return text

    def _print_Sum(self, expr: Any) -> str:
        ties = f", ties='{expr.ties}'" if getattr(expr, "takes_ties", False) and expr.ties != "first" else ""
        limits = ", ".join(map(self._limit, expr.limits))
        return f"{_CALLS[expr.func]}({self._print(expr.function)}, {limits}{ties})"

    _print_Product = _print_Reduction = _print_Sum

    def _limit(self, limit: Any) -> str:
        """An index, which then runs over all that it has; its extent; or its ends."""
        index, *ends = limit
        if not ends and getattr(index, "upper", None) is not None:
            ends = [index.lower, index.upper]
        whole = ends == [getattr(index, "lower", None), getattr(index, "upper", None)]
        if not ends or (whole and not self._said(index)):
            return label(index)
        if ends[0] == 0:
            return f"({label(index)}, {self._print(ends[1] + 1)})"
        return f"({label(index)}, {self.stringify(ends, ', ')})"

    def _print_Mul(self, expr: Any) -> str:
        coefficient, rest = expr.as_coeff_Mul(rational=True)
        factors = rest.as_ordered_factors()
        sums = [f for f in factors if isinstance(f, sympy.Add)]
        if coefficient == 1 or not sums or len(factors) == 1:
            return str(super()._print_Mul(expr))
        # From left to right 2*(a + b)*c would be (2*a + 2*b)*c.
        first = [f for f in factors if not isinstance(f, sympy.Add) and f.as_numer_denom()[0] != 1]
        others = self.parenthesize(sympy.Mul(*(f for f in factors if f not in first)), PRECEDENCE["Mul"], strict=True)
        if first:
            return f"{self._print(sympy.Mul(coefficient, *first))}*{others}"
        return f"{others}*({self._print(coefficient)})"

    def _print_Indexed(self, expr: Any) -> str:
        return f"{self._print(expr.base.label)}[{self.stringify(expr.indices, ', ')}]"

    def _print_Idx(self, expr: Any) -> str:
        return label(expr)

    def _print_ExtendedRead(self, expr: Any) -> str:
        extra = f", mode='{expr.mode}'" if expr.mode != "constant" else ""
        if expr.mode == "constant" and expr.value != 0:
            extra = f", {self._print(expr.value)}"
        return f"pad({self._print(expr.read.base.label)}{extra})[{self.stringify(expr.read.indices, ', ')}]"

    def _print_Float(self, expr: Any) -> str:
        return repr(float(expr))

    def _print_Exp1(self, expr: Any) -> str:
        return "exp(1)"

    def _print_ImaginaryUnit(self, expr: Any) -> str:
        raise self._no_word("complex numbers")

    def _print_BooleanTrue(self, expr: Any) -> str:
        return "0 == 0"

    def _print_BooleanFalse(self, expr: Any) -> str:
        return "0 == 1"

    def _print_Relational(self, expr: Any) -> str:
        return f"{self._print(expr.lhs)} {'==' if expr.rel_op == '==' else expr.rel_op} {self._print(expr.rhs)}"

    def _print_And(self, expr: Any) -> str:
        return " and ".join(f"({self._print(a)})" for a in expr.args)

    def _print_Or(self, expr: Any) -> str:
        return " or ".join(f"({self._print(a)})" for a in expr.args)

    def _print_Not(self, expr: Any) -> str:
        return f"not ({self._print(expr.args[0])})"
