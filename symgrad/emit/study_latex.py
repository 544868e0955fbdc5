"""Real expressions and conditions as LaTeX, set the way a paper sets them."""

from __future__ import annotations

from fractions import Fraction

from symgrad.declare.algebra import add, multiply, negate, power
from symgrad.declare.conditions import conjuncts
from symgrad.declare.integers import Poly
from symgrad.declare.scalars import (
    NOUGHT,
    PLAIN,
    TRUE,
    UNIT,
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
)
from symgrad.emit.study_integers import RELATIONS, IntegerTypesetter, ends_of_one_range, poly_level
from symgrad.emit.study_tex import (
    ATOM,
    NARROW,
    POWER,
    PRODUCT,
    SUM,
    bare,
    bracketed,
    is_tall,
    number,
    parenthesised,
    width,
)

_STANDARD = ("arcsin", "arccos", "arctan", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "max", "min")
_WORDS = {name: f"\\{name}" for name in _STANDARD} | {"sigmoid": r"\sigma", "sign": r"\operatorname{sgn}"}
_LONG_NUMERATOR, _LONG_EXPONENT = 26, 14


class Typesetter(IntegerTypesetter):
    """Prints expressions in one notation."""

    def scalar(self, node: Scalar, level: int = 0) -> str:
        """Return an expression, in parentheses if it binds less tightly than ``level``."""
        text, mine = self._scalar(node)
        return parenthesised(text) if mine < level else text

    def _scalar(self, node: Scalar) -> tuple[str, int]:
        if node not in self._set:
            self._set[node] = self._typeset(node)
        return self._set[node]

    def _typeset(self, node: Scalar) -> tuple[str, int]:
        match node:
            case Number(value):
                return number(value)
            case Named(name):
                return (r"\pi" if name == "pi" else r"\mathrm{e}"), ATOM
            case FromInteger(poly):
                return self.poly(poly), poly_level(poly)
            case Read(tensor, indices, extension):
                above = extension not in PLAIN or self.notation.has_superscript(tensor)
                return self.read(tensor, indices, extension), POWER if above else ATOM
            case Add(args):
                return "".join(self.terms(args)), SUM
            case Mul(coefficient, args):
                return self._product(coefficient, args)
            case Power(base, exponent):
                return self._power(node, base, exponent)
            case Apply(function, args):
                return self._applied(function, args)
            case Select(condition, then, otherwise):
                return self._select(condition, then, otherwise)
            case Reduce():
                negative, text = self.signed(node) if node.kind == "sum" else (False, self._reduction(node))
                return (f"-{text}", SUM) if negative else (text, PRODUCT)
            case Stopped(value):
                return self._stopped(value)
            case Sloped(variable, slope):
                return self._scalar(multiply(slope, add(variable, negate(Stopped(variable)))))
        raise TypeError(node)

    # --- sums and products -------------------------------------------------------------------------------------

    def terms(self, args: tuple[Scalar, ...]) -> list[str]:
        """Return the terms of a sum with their signs: positive ones first, reductions last."""
        signed = [(*self.signed(a), _has_reduction(a)) for a in args]
        signed.sort(key=lambda s: (s[0], s[2]))
        texts: list[str] = []
        for negative, text, _ in signed:
            sign = ("-" if negative else "") if not texts else (" - " if negative else " + ")
            texts.append(sign + text)
        return texts

    def signed(self, node: Scalar) -> tuple[bool, str]:
        """Return whether a term is negative, and its absolute form."""
        match node:
            case Mul(c, args) if c < 0:
                return True, self._product(-c, args)[0]
            case Number(v) if v < 0:
                return True, number(-v)[0]
            case Reduce("sum", indices, condition, Mul(c, args)) if c < 0:
                return True, self._reduction(Reduce("sum", indices, condition, multiply(Number(-c), *args)))
            case FromInteger(Poly(((_, c),)) as poly) if c < 0:
                return True, self.poly(-poly)
            case Reduce("sum"):
                return False, self._reduction(node)
        return False, self.scalar(node, SUM)

    def _product(self, coefficient: Fraction | float, args: tuple[Scalar, ...]) -> tuple[str, int]:
        if coefficient < 0:
            return "-" + self._product(-coefficient, args)[0], SUM
        above: list[Scalar] = []
        below: list[Scalar] = []
        last: list[Scalar] = []
        for arg in args:
            match arg:
                case Power(base, Number(n)) if n < 0:
                    below.append(power(base, Number(-n)))
                case Reduce() | Select():
                    last.append(arg)
                case _:
                    above.append(arg)
        top, bottom = _halves(coefficient)
        line = self._factors(top, sorted(above, key=lambda a: not isinstance(a, FromInteger)))
        if below or bottom:
            long = width(line) > _LONG_NUMERATOR
            over = bare(self._factors(bottom, below))
            fraction = rf"\frac{{{'1' if long or not line else bare(line)}}}{{{over}}}"
            line = rf"{fraction}\, {line}" if long else fraction
        last.sort(key=lambda f: isinstance(f, Reduce))
        tail = [self.scalar(a, PRODUCT if a is last[-1] else POWER) for a in last]
        return r"\, ".join([line, *tail] if line else tail) or "1", PRODUCT

    def _factors(self, first: str, factors: list[Scalar]) -> str:
        texts = [self.scalar(f, PRODUCT + 1 if len(factors) > 1 or first else PRODUCT) for f in factors]
        return r"\, ".join([first, *texts] if first else texts)

    def _power(self, node: Power, base: Scalar, exponent: Scalar) -> tuple[str, int]:
        match exponent:
            case Number(n) if n == Fraction(1, 2):
                return rf"\sqrt{{{self.scalar(base)}}}", ATOM
            case Number(n) if n < 0:
                return self._product(Fraction(1), (node,))
            case Number(Fraction() as n) if n.denominator != 1:
                return rf"{self.scalar(base, ATOM)}^{{{n.numerator}/{n.denominator}}}", POWER
        return rf"{self.scalar(base, ATOM)}^{{{self.scalar(exponent)}}}", POWER

    # --- functions and cases -----------------------------------------------------------------------------------

    def _applied(self, function: str, args: tuple[Scalar, ...]) -> tuple[str, int]:
        inside = NARROW.join(map(self.scalar, args))
        match function:
            case "exp" if not is_tall(inside) and width(inside) <= _LONG_EXPONENT:
                return rf"e^{{{inside}}}", POWER
            case "abs":
                grow = ("\\left", "\\right") if is_tall(inside) else ("", "")
                return rf"{grow[0]}\lvert {inside} {grow[1]}\rvert", ATOM
            case "floor" | "ceil":
                return rf"\left\l{function} {inside} \right\r{function}", ATOM
            case "mod":
                return rf"{self.scalar(args[0], ATOM)} \bmod {self.scalar(args[1], ATOM)}", SUM
        word = _WORDS.get(function, rf"\operatorname{{{function}}}")
        return f"{word}{parenthesised(inside)}", ATOM

    def _select(self, condition: Condition, then: Scalar, otherwise: Scalar) -> tuple[str, int]:
        if then == UNIT and otherwise == NOUGHT:
            return self.iverson(condition), ATOM
        arms = [(then, condition)]
        while isinstance(otherwise, Select):
            arms.append((otherwise.then, otherwise.condition))
            otherwise = otherwise.otherwise
        lines = [rf"{self.scalar(value)} & \text{{if }} {self.condition(where)}" for value, where in arms]
        lines.append(rf"{self.scalar(otherwise)} & \text{{otherwise}}")
        return r"\begin{cases} " + r" \\ ".join(lines) + r" \end{cases}", ATOM

    def _stopped(self, value: Scalar) -> tuple[str, int]:
        if isinstance(value, Read) and value.tensor in self.notation.introduced:
            return self._scalar(value)
        return rf"\operatorname{{stop}}{parenthesised(self.scalar(value))}", ATOM

    # --- reductions --------------------------------------------------------------------------------------------

    def _reduction(self, node: Reduce) -> str:
        if node.kind in ("sum", "product"):
            return "".join([self.signs(node), self.scalar(node.body, PRODUCT), *self.brackets(node)])
        word = rf"\operatorname*{{{node.kind}}}" if node.kind.startswith("arg") else f"\\{node.kind}"
        under = [rf"0 \le {self.index(i)} < {self.extent(i.extent)}" for i in node.indices]
        under += self.conditions(node.condition)
        below = r"\substack{" + r" \\ ".join(under) + "}" if len(under) > 1 else under[0]
        return f"{word}_{{{below}}} {self.scalar(node.body, POWER)}"

    def signs(self, node: Reduce) -> str:
        """Return the summation signs, each with the range of its index."""
        sign = r"\sum" if node.kind == "sum" else r"\prod"
        return "".join(rf"{sign}_{{{self.index(i)}=0}}^{{{self.last(i)}}} " for i in node.indices)

    def brackets(self, node: Reduce) -> list[str]:
        """Return the conditions of a sum as Iverson brackets; those of a product are an exponent."""
        if node.condition == TRUE:
            return []
        if node.kind == "product":
            return [rf"^{{{self.iverson(node.condition)}}}"]
        return [rf"\, {bracketed(c)}" for c in self.conditions(node.condition)]

    # --- conditions --------------------------------------------------------------------------------------------

    def iverson(self, condition: Condition) -> str:
        """Return 1 where the condition holds, else 0."""
        return r"\, ".join(map(bracketed, self.conditions(condition))) or "1"

    def conditions(self, condition: Condition) -> list[str]:
        """Return the conditions that all have to hold; a lower and an upper end become one."""
        parts, texts = list(conjuncts(condition)), []
        while parts:
            part = parts.pop(0)
            partner = next((p for p in parts if ends_of_one_range(part, p)), None)
            if isinstance(part, Compare) and isinstance(partner, Compare):
                parts.remove(partner)
                texts.append(self.range(part, partner))
            else:
                texts.append(self.condition(part))
        return texts

    def condition(self, condition: Condition) -> str:
        """Return a condition."""
        match condition:
            case Truth(value):
                return r"\text{true}" if value else r"\text{false}"
            case Compare():
                return self.compared(condition)
            case Relation(relation, a, b):
                return f"{self.scalar(a, SUM)} {RELATIONS[relation]} {self.scalar(b, SUM)}"
            case All():
                return r",\; ".join(self.conditions(condition))
            case AnyOf(args):
                return r" \text{ or } ".join(map(self.condition, args))
        raise TypeError(condition)


def _halves(coefficient: Fraction | float) -> tuple[str, str]:
    """Return a factor as it stands above and below a fraction's line; nothing for 1."""
    if isinstance(coefficient, Fraction):
        above, below = coefficient.numerator, coefficient.denominator
        return str(above) if above != 1 else "", str(below) if below != 1 else ""
    return (number(coefficient)[0] if coefficient != 1 else ""), ""


def _has_reduction(node: Scalar) -> bool:
    return isinstance(node, Reduce) or (isinstance(node, Mul) and any(isinstance(a, Reduce) for a in node.args))
