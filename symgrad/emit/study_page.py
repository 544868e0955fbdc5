"""Formulas, inline and displayed, made from equations: in one notation, as text and as LaTeX at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from symgrad.declare.algebra import multiply
from symgrad.declare.formula import condition_text, equation_text, text
from symgrad.declare.integers import Index, Poly, as_poly, show
from symgrad.declare.program import Equation
from symgrad.declare.scalars import UNIT, Add, Condition, Mul, Number, Read, Reduce, Scalar
from symgrad.emit.study_integers import mark
from symgrad.emit.study_latex import Typesetter
from symgrad.emit.study_model import DerivationStep, Formula, Inline, Row, Sentence
from symgrad.emit.study_names import Notation
from symgrad.emit.study_solve import put_sizes
from symgrad.emit.study_tex import LINE, NARROW, POWER, PRODUCT, width


@dataclass
class Page:
    """A document in the making: its notation, its steps in order, and the numbers of its equations."""

    notation: Notation
    steps: list[DerivationStep] = field(default_factory=list)
    numbers: dict[Equation, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tex = Typesetter(self.notation)

    def number(self, equation: Equation) -> int:
        """Return the number of an equation, the next one if it has none yet."""
        return self.numbers.setdefault(equation, len(self.numbers) + 1)

    def assuming(self, values: Mapping[str, int]) -> Page:
        """Return the same page, where letters of extents stand for what they are at these values."""
        special = tuple((put_sizes(extent, values), letter) for extent, letter in self.notation.extents)
        return Page(replace(self.notation, extents=(*self.notation.extents, *special)), self.steps, self.numbers)

    # --- inside sentences --------------------------------------------------------------------------------------

    def scalar(self, node: Scalar) -> Inline:
        """Return an expression."""
        return Inline(text(node), self.tex.scalar(node))

    def poly(self, poly: Poly) -> Inline:
        """Return an integer expression."""
        return Inline(show(poly), self.tex.poly(poly, small=True))

    def condition(self, condition: Condition) -> Inline:
        """Return a condition."""
        return Inline(condition_text(condition), self.tex.condition(condition))

    def index(self, index: Index) -> Inline:
        """Return an index."""
        return Inline(index.name, self.tex.index(index))

    def indices(self, indices: Iterable[Index]) -> Inline:
        """Return indices with commas."""
        return self.together(map(self.index, indices))

    def tensor(self, name: str) -> Inline:
        """Return a tensor's name."""
        return Inline(name, self.notation.tensor(name))

    def tensors(self, names: Iterable[str]) -> Inline:
        """Return names of tensors with commas."""
        return self.together(map(self.tensor, names))

    def extent(self, extent: Poly) -> Inline:
        """Return an extent by its letter, or as it is."""
        letter = self.notation.extent(extent)
        return Inline(re.sub(r"[{}\\]", "", letter), letter) if letter else self.poly(extent)

    def extended(self, read: Read) -> Inline:
        """Return a tensor's name with the mark of what it is outside its shape."""
        assert read.extension is not None
        value = f", {read.extension.value:g}" if read.extension.value else ""
        name = f"{self.notation.tensor(read.tensor)}^{{{mark(read.extension)}}}"
        return Inline(f"pad({read.tensor}{value})", name)

    def together(self, parts: Iterable[Inline]) -> Inline:
        """Return formulas with commas between them."""
        found = tuple(parts)
        return Inline(", ".join(p.text for p in found), NARROW.join(p.latex for p in found))

    def element(self, name: str, indices: Sequence[Index]) -> Inline:
        """Return an element of a tensor."""
        return self.scalar(Read(name, tuple(map(as_poly, indices))))

    # --- displayed ---------------------------------------------------------------------------------------------

    def equation(self, equation: Equation, numbered: bool = False, boxed: bool = False) -> Formula:
        """Return an equation."""
        left = self.left(equation)
        number = self.number(equation) if numbered else None
        return Formula((equation_text(equation),), self.rows(left, "=", equation.body), number, boxed)

    def equations(self, equations: Iterable[Equation], boxed: bool = False) -> Formula:
        """Return several equations in one display."""
        found = tuple(equations)
        rows = [row for e in found for row in self.rows(self.left(e), "=", e.body)]
        return Formula(tuple(map(equation_text, found)), tuple(rows), None, boxed)

    def rewriting(self, before: Equation, after: Equation) -> Formula:
        """Return what an equation was, and below it what it becomes."""
        rows = [*self.rows(self.left(before), "=", before.body), *self.rows("", r"\longrightarrow", after.body)]
        lines = (equation_text(before), f"  -> {equation_text(after)}")
        return Formula(lines, tuple(rows))

    def slope(self, read: Read, term: Scalar, slope: Scalar) -> Formula:
        """Return ``d/d read (term) = slope``."""
        by = rf"\frac{{\partial}}{{\partial {self.tex.scalar(read)}}}"
        left = rf"{by}\, {self.tex.scalar(term, POWER)}"
        line = f"d/d {text(read)} ({text(term)}) = {text(slope)}"
        if width(left) + width(self.tex.scalar(slope)) <= LINE:
            return Formula((line,), self.rows(left, "=", slope))
        first, *rest = self.rows("", "=", slope)
        return Formula((line,), (Row("", "", left), Row("", "", rf"\qquad = {first.right}"), *rest))

    def left(self, equation: Equation) -> str:
        """Return a left side in LaTeX."""
        return self.tex.read(equation.target, tuple(map(as_poly, equation.indices)))

    def rows(self, left: str, relation: str, node: Scalar) -> tuple[Row, ...]:
        """Return a right side on as many lines as it takes."""
        room = LINE - width(left)
        pieces = self._pieces(node, room)
        lines: list[str] = []
        for piece in pieces:
            if lines and width(lines[-1] + piece) <= room:
                lines[-1] += piece
            else:
                lines.append(piece)
        first, *rest = lines
        return (Row(left, relation, first), *(Row("", "", rf"\qquad {line.lstrip()}") for line in rest))

    def _pieces(self, node: Scalar, room: int) -> list[str]:
        """Return a right side in pieces between which a line may end."""
        if width(self.tex.scalar(node)) <= room:
            return [self.tex.scalar(node)]
        match node:
            case Add(args):
                return self.tex.terms(args)
            case Reduce("sum", indices, condition, Mul(c, args)) if c < 0:
                positive = Reduce("sum", indices, condition, multiply(Number(-c), *args))
                first, *rest = self._pieces(positive, room)
                return [f"-{first}", *rest]
            case Reduce("sum", _, _, body):
                first, *rest = self._pieces(body, room) if isinstance(body, Mul) else [self.tex.scalar(body, PRODUCT)]
                return [self.tex.signs(node) + first, *rest, *self.tex.brackets(node)]
            case Mul(_, args) if sum(isinstance(a, Reduce) and a.kind == "sum" for a in args) == 1:
                whole = self.tex.scalar(node)
                brackets = self.tex.brackets(next(a for a in args if isinstance(a, Reduce)))
                end = "".join(brackets)
                if end and whole.endswith(end):
                    return [whole[: -len(end)], *brackets]
            case Mul(c, args):
                return self._opened(c, args)
        return [self.tex.scalar(node)]

    def _opened(self, coefficient: Fraction | float, args: tuple[Scalar, ...]) -> list[str]:
        """Return a product whose longest sum is open to line ends: its parentheses have one size."""
        sums = [a for a in args if isinstance(a, Add)]
        if not sums:
            return [self.tex.scalar(Mul(coefficient, args))]
        longest = max(sums, key=lambda a: width(self.tex.scalar(a)))
        rest = multiply(Number(coefficient), *(a for a in args if a is not longest))
        first, *others = self.tex.terms(longest.args)
        start = "" if rest == UNIT else "-" if rest == Number(Fraction(-1)) else self.tex.scalar(rest) + r"\, "
        others = [*others[:-1], rf"{others[-1]} \Bigr)"]
        return [rf"{start}\Bigl( {first}", *others]


def say(key: str, /, **places: str | Inline | Sentence) -> Sentence:
    """Return a sentence of ``study_words`` with its places filled."""
    return Sentence(key, tuple(places.items()))
