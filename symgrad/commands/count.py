"""How much a layer has to do at given sizes: operations of its sums of products, as they are declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sympy
from sympy.tensor.indexed import Indexed

if TYPE_CHECKING:
    from symgrad import Layer

Work = tuple[int, int]
"""Operations forward and backward."""


def operations(layer: Layer, sizes: Mapping[str, int]) -> Work | None:
    """Multiplications and additions in sums of products, forward and backward.

    A product of two tensors, summed, takes one of each for every value of all indices; its gradients are sums of
    products over the same indices, one for each factor that is differentiated. Of the arms of a Piecewise counts the
    one with the most.

    Returns:
        None where the layer has no such sum, the range of one hangs on data or on another index, or a delta picks few
        of its values.
    """
    count = _Count(layer, sizes, frozenset(t.name for t in layer.inputs if t.integer or t.constant))
    try:
        found = [count.equation(equation) for equation in layer.equations]
    except _UnknownError:
        return None
    forward, backward = (sum(numbers) for numbers in zip(*found, strict=True))
    return (forward, backward) if forward else None


class _UnknownError(Exception):
    """The sizes do not tell how many values a sum has."""


@dataclass(frozen=True)
class _Count:
    layer: Layer
    sizes: Mapping[str, int]
    data: frozenset[str]

    def equation(self, equation: Any) -> Work:
        space = 1
        for index in getattr(equation.lhs, "indices", ()):
            space *= self._extent(index, ())
        return self._work(equation.rhs, space, False)

    def _work(self, expr: Any, space: int, summed: bool) -> Work:
        """Operations of an expression that is evaluated at ``space`` values of the indices around it."""
        if isinstance(expr, Indexed):
            return 0, 0
        if isinstance(expr, sympy.Sum):
            if not (summed or _has_product(expr.function)):
                return self._work(expr.function, space, False)
            for index, *ends in expr.limits:
                space *= self._extent(index, ends)
            return self._work(expr.function, space, True)
        if isinstance(expr, sympy.Piecewise):
            return max((self._work(arm, space, summed) for arm, _ in expr.args), default=(0, 0))
        factors = [f for f in sympy.Mul.make_args(expr) if _computed(f)]
        own = 2 * space * (len(factors) - 1) if summed and len(factors) > 1 else 0
        if own and any(f.has(sympy.KroneckerDelta) for f in sympy.Mul.make_args(expr)):
            raise _UnknownError
        inner = [self._work(argument, space, summed) for argument in expr.args]
        differentiated = sum(bool(_names(f) - self.data) for f in factors)
        return own + sum(f for f, _ in inner), own * differentiated + sum(b for _, b in inner)

    def _extent(self, index: Any, ends: Any) -> int:
        first, last = ends or (getattr(index, "lower", None), getattr(index, "upper", None))
        if first is None or last is None:
            first, last = self.layer.ranges.get(_label(index), (None, None))
        if first is None or last is None:
            raise _UnknownError
        extent = sympy.sympify(last - first + 1, strict=True)
        known = {symbol: self.sizes[symbol.name] for symbol in extent.free_symbols if symbol.name in self.sizes}
        value = extent.subs(known)
        if not value.is_Integer:
            raise _UnknownError
        return max(int(value), 0)


def _has_product(expr: Any) -> bool:
    """Whether a product of tensors stands somewhere in an expression."""
    products = expr.atoms(sympy.Mul) | {expr}
    return any(sum(map(_computed, sympy.Mul.make_args(product))) > 1 for product in products)


def _computed(factor: Any) -> bool:
    """Whether a factor is computed from tensors; a delta only picks, and a sum counts by itself."""
    return bool(factor.has(Indexed)) and not factor.has(sympy.KroneckerDelta) and not factor.has(sympy.Sum)


def _names(expr: Any) -> set[str]:
    return {_label(read.base) for read in expr.atoms(Indexed)}


def _label(base: Any) -> str:
    return str(getattr(base, "label", base))
