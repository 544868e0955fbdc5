"""What SymPy's notation lacks: extended reads, maximum and log-sum-exp reductions, stop-gradient.

Everything here is an inert SymPy expression: it prints, substitutes and compares like any other,
and never evaluates itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sympy import Expr, Idx, IndexedBase, Piecewise, S, Symbol, Tuple
from sympy.core.symbol import Str
from sympy.tensor.indexed import Indexed

from symgrad.declare.expressions import expression, expressions
from symgrad.errors import DeclarationError

EXTENSIONS = ("constant", "reflect", "replicate", "wrap")
TIES = ("first", "split")


class ExtendedRead(Expr):  # type: ignore[misc]
    """A read of a tensor that is defined outside its shape as well; made by ``Padded(x)[...]``."""

    is_commutative = True  # SymPy takes a sum with anything else in it for no real number

    def __new__(cls, read: Indexed, value: Any = 0, mode: str | Str = "constant") -> ExtendedRead:
        """Wrap ``read``; ``value`` fills what lies outside when ``mode`` is ``constant``."""
        outside = expression(value, "Padded(x, value=...): the value")
        made: ExtendedRead = Expr.__new__(cls, read, outside, mode if isinstance(mode, Str) else Str(mode))
        return made

    @property
    def read(self) -> Indexed:
        """The read itself, as if the tensor had no border."""
        return self.args[0]

    @property
    def value(self) -> Expr:
        """The value outside the tensor (mode ``constant``)."""
        return self.args[1]

    @property
    def mode(self) -> str:
        """One of ``constant``, ``reflect``, ``replicate``, ``wrap``."""
        return str(self.args[2].name)

    def _eval_is_extended_real(self) -> bool | None:
        return self.read.is_extended_real  # type: ignore[no-any-return]

    def _sympystr(self, printer: Any) -> str:
        extra = f", mode='{self.mode}'" if self.mode != "constant" else f", {self.value}" if self.value != 0 else ""
        indices = ", ".join(printer._print(e) for e in self.read.indices)
        return f"Padded({self.read.base.label}{extra})[{indices}]"

    def _latex(self, printer: Any) -> str:
        indices = ",".join(printer._print(e) for e in self.read.indices)
        return rf"\mathring{{{printer._print(self.read.base.label)}}}_{{{indices}}}"


class Padded:
    """A tensor with an extension beyond its border: ``Padded(x, value=0)[n, i - 1]``.

    Args:
        tensor: the tensor, an ``IndexedBase``.
        value: what a read outside the tensor gives (mode ``constant``): a number, ``-oo`` included, or an expression
            of attributes and sizes.
        mode: ``constant``, ``reflect`` (without repeating the border), ``replicate`` or ``wrap``.

    Raises:
        DeclarationError: ``tensor`` is no ``IndexedBase``, ``value`` no expression, or ``mode`` is unknown.
    """

    def __init__(self, tensor: IndexedBase, value: Any = 0, mode: str = "constant") -> None:
        if not isinstance(tensor, IndexedBase):
            raise DeclarationError(f"Padded takes a tensor (IndexedBase), not {tensor!r}; write Padded(x)[i - 1]")
        if not isinstance(mode, str) or mode not in EXTENSIONS:
            raise DeclarationError(f"Padded({tensor}, mode={mode!r}): the mode is one of {', '.join(EXTENSIONS)}")
        self.tensor, self.mode = tensor, mode
        self.value = expression(value, f"Padded({tensor}, value=...): the value")

    def __getitem__(self, indices: Any) -> ExtendedRead:
        """Read at ``indices``, which may lie outside the tensor."""
        places = expressions(indices, f"Padded({self.tensor})[...]: an index")
        return ExtendedRead(self.tensor[places], self.value, self.mode)


class Reduction(Expr):  # type: ignore[misc]
    """A reduction that SymPy has no class for, with the limits that ``Sum`` takes.

    ``ReduceMax(f, u, v)``, ``ReduceMax(f, (u, 0, n - 1))``; ``ties`` says who gets the gradient of a
    maximum that is reached more than once: ``first`` in the order of the limits as written, or
    ``split`` evenly.

    Raises:
        DeclarationError: what is reduced is no expression, a limit is neither an ``Idx`` with a range nor
            ``(index, first, last)``, or ``ties`` is unknown.
    """

    takes_ties = False
    is_commutative = True

    def __new__(cls, function: Any, *limits: Any, ties: str | Str = "first") -> Reduction:
        """Reduce ``function`` over ``limits``."""
        args = list(limits)
        if args and isinstance(args[-1], Str):  # SymPy rebuilds expressions from .args
            ties = args.pop()
        name = ties.name if isinstance(ties, Str) else ties
        if not isinstance(name, str) or name not in TIES:
            raise DeclarationError(f"{cls.__name__}(..., ties={name!r}): ties is one of {', '.join(TIES)}")
        if not args:
            raise DeclarationError(f"{cls.__name__}({function}) has no index to reduce over; name one, as in Sum")
        body = expression(function, f"{cls.__name__}(...): what is reduced")
        made: Reduction = Expr.__new__(cls, body, *(_limit(cls.__name__, a) for a in args), Str(name))
        return made

    @property
    def function(self) -> Expr:
        """The expression that is reduced."""
        return self.args[0]

    @property
    def limits(self) -> tuple[Tuple, ...]:
        """The limits ``(index, first, last)`` in the order written."""
        return tuple(self.args[1:-1])

    @property
    def ties(self) -> str:
        """``first`` or ``split``."""
        return str(self.args[-1].name)

    def has(self, *patterns: Any) -> bool:
        """Hide a Piecewise: SymPy would fold it out, past the indices that are bound here."""
        return False if patterns == (Piecewise,) else bool(super().has(*patterns))

    def _eval_is_extended_real(self) -> bool | None:
        """As real as what is reduced: Max and Min take real arguments only."""
        return self.function.is_extended_real  # type: ignore[no-any-return]

    def _sympystr(self, printer: Any) -> str:
        limits = ", ".join(printer._print(limit) for limit in self.limits)
        ties = f", ties='{self.ties}'" if self.takes_ties and self.ties != "first" else ""
        return f"{type(self).__name__}({printer._print(self.function)}, {limits}{ties})"

    def _latex(self, printer: Any) -> str:
        under = ",".join(printer._print(limit[0]) for limit in self.limits)
        return rf"{self.latex_name}_{{{under}}} {printer.parenthesize(self.function, 40)}"

    latex_name = ""


class ReduceMax(Reduction):
    """Largest value over the limits."""

    takes_ties, latex_name = True, r"\max"


class ReduceMin(Reduction):
    """Smallest value over the limits."""

    takes_ties, latex_name = True, r"\min"


class ArgMax(Reduction):
    """Position of the first largest value, counted from the first of its range; row-major over several limits.

    An integer, no gradient.
    """

    latex_name = r"\operatorname{argmax}"


class ArgMin(Reduction):
    """Position of the first smallest value, counted from the first of its range; row-major over several limits.

    An integer, no gradient.
    """

    latex_name = r"\operatorname{argmin}"


class LogSumExp(Reduction):
    """``log(Sum(exp(f)))``, evaluated without overflow."""

    latex_name = r"\operatorname{logsumexp}"


class StopGradient(Expr):  # type: ignore[misc]
    """Its argument, constant for differentiation."""

    is_commutative = True

    def __new__(cls, value: Any) -> Expr:
        """Wrap ``value``; a number is constant anyway.

        Raises:
            DeclarationError: it is no expression.
        """
        inner = expression(value, "StopGradient(...): its argument")
        return inner if inner.is_number else Expr.__new__(cls, inner)

    def _eval_is_extended_real(self) -> bool | None:
        return self.args[0].is_extended_real  # type: ignore[no-any-return]


class CustomGradient(Expr):  # type: ignore[misc]
    """An expression with derivatives of one's own: a straight-through estimator, a reversed or a clipped gradient.

    ``CustomGradient(sign(x[i]), {x[i]: 1}, check=False)`` is sign(x[i]) going forward and has slope 1 in x[i]; what
    is not named has no gradient through it.
    """

    def __new__(cls, value: Any, derivatives: Any, check: bool = True) -> CustomGradient:
        """Declare the derivatives.

        Args:
            value: the expression.
            derivatives: ``{x[i]: derivative}``, elements of tensors (or scalar inputs) and expressions.
            check: ``symgrad check`` compares them with differences of the expression.

        Raises:
            DeclarationError: a key is no element of a tensor, or the value or a derivative is no expression.
        """
        whole = expression(value, "CustomGradient(...): the value")
        pairs = [(k, expression(v, f"CustomGradient: the derivative in {k}")) for k, v in _pairs(derivatives)]
        for element, _ in pairs:
            if not isinstance(element, Indexed | Symbol):
                raise DeclarationError(
                    f"CustomGradient: {element} is not an element of a tensor; write {{x[i]: derivative}}"
                )
        kept = S.true if check else S.false
        made: CustomGradient = Expr.__new__(cls, whole, Tuple(*(Tuple(*p) for p in pairs)), kept)
        return made

    @property
    def checked(self) -> bool:
        """Whether ``symgrad check`` compares the derivatives with differences."""
        return bool(self.args[2])

    @property
    def expanded(self) -> Expr:
        """The expression as a constant, and terms that are 0 but have these derivatives."""
        value, pairs, _ = self.args
        return StopGradient(value) + sum(slope * (element - StopGradient(element)) for element, slope in pairs)

    def _sympystr(self, printer: Any) -> str:
        pairs = ", ".join(f"{printer._print(k)}: {printer._print(v)}" for k, v in self.args[1])
        return f"CustomGradient({printer._print(self.args[0])}, {{{pairs}}})"

    def _latex(self, printer: Any) -> str:
        return str(printer._print(self.args[0]))


def _pairs(derivatives: Any) -> list[tuple[Any, Any]]:
    """Elements and derivatives, of a dict or as SymPy keeps them."""
    if isinstance(derivatives, Mapping):
        return list(derivatives.items())
    if isinstance(derivatives, Tuple) and all(isinstance(pair, Tuple) and len(pair) == 2 for pair in derivatives):
        return [tuple(pair) for pair in derivatives]
    raise DeclarationError(f"CustomGradient: {derivatives!r} is no dict; write {{x[i]: derivative}}")


def _limit(owner: str, limit: Any) -> Tuple:
    parts = tuple(limit) if isinstance(limit, Tuple | tuple | list) else (limit,)
    index, *ends = [expression(part, f"{owner}: a part of the limit {limit}") for part in parts] or [None]
    if len(ends) > 2 or not (ends or isinstance(index, Idx | Symbol)):
        raise DeclarationError(f"{owner}: the limit {limit} is neither an index nor (index, first, last)")
    if len(ends) == 1:
        return Tuple(index, S.Zero, ends[0] - 1)
    if ends or not isinstance(index, Idx) or None in (index.lower, index.upper):
        return Tuple(index, *ends)
    return Tuple(index, index.lower, index.upper)
