"""What an emitted forward checks before it computes, and the sizes that it finds on the way."""

from __future__ import annotations

from dataclasses import dataclass

from symgrad.declare import solve
from symgrad.declare.bounds import nonnegative
from symgrad.declare.conditions import conjuncts
from symgrad.declare.integers import Index, Poly, Quotient, Remainder, Size, as_poly, atoms
from symgrad.declare.layer import Layer
from symgrad.declare.program import Program, Tensor
from symgrad.declare.scalars import Reduce, free_indices, polynomials, tensors_of, walk
from symgrad.emit.integer_text import PRODUCT, UNARY
from symgrad.emit.printer import Printer, escape
from symgrad.emit.sizes import PLAIN, plain_text
from symgrad.lower.builder import Builder
from symgrad.lower.elementwise import condition_value
from symgrad.lower.plan import ModulePlan


def entry_checks(layer: Layer, plan: ModulePlan, local_sizes: dict[str, Poly], printer: Printer) -> list[str]:
    """Lines that check a forward's arguments; ``printer`` has printed its statements and knows the sizes they use."""
    return _EntryChecks(layer, plan, local_sizes, printer).lines()


@dataclass(frozen=True, slots=True)
class _EntryChecks:
    layer: Layer
    plan: ModulePlan
    local_sizes: dict[str, Poly]
    printer: Printer

    @property
    def program(self) -> Program:
        return self.plan.program

    @property
    def real(self) -> list[Tensor]:
        return [t for t in self.program.inputs if not t.integer]

    @property
    def scalars(self) -> list[Tensor]:
        """Real inputs without axes, beside others that have some."""
        return [t for t in self.real if not t.extents and any(o.extents for o in self.real)]

    def lines(self) -> list[str]:
        """Dtype, rank, attributes, sizes, requirements: in this order; index bounds have checks of their own."""
        # A scalar takes the dtype of the arrays, so it comes after them.
        ordered = sorted(self.program.inputs, key=lambda t: t in self.scalars)
        lines = [f"{t.name} = {self._convert(t)}" for t in ordered]
        lines += self._dtype_line()
        for a in self.program.attributes:
            if a.integer:
                self.printer.helpers.add("_whole")
                lines.append(f'{a.name} = _whole("{a.name}", {a.name}, {a.minimum})')
            else:
                self.printer.helpers.add("_number")
                lines.append(f'{a.name} = _number("{a.name}", {a.name})')
        sizes, late = self._size_lines()
        lines += [*sizes, *self._extent_lines(), *late]
        return lines + self._requirement_lines()

    def _convert(self, t: Tensor) -> str:
        if t in self.scalars:
            self.printer.helpers.add("_scalar")
            array = next(o for o in self.real if o.extents)
            return f'_scalar("{t.name}", {t.name}, {array.name}.dtype)'
        self.printer.helpers.add("_integers" if t.integer else "_floats")
        return f'{"_integers" if t.integer else "_floats"}("{t.name}", {t.name}, {len(t.extents)})'

    def _dtype_line(self) -> list[str]:
        names = [t.name for t in self.real if t not in self.scalars]
        if len(names) > 1:
            self.printer.helpers.add("_same_dtype")
            call = f"_same_dtype({', '.join(f'{n}={n}' for n in names)})"
            return [f"{self.printer.dtype} = {call}" if self.printer.uses_dtype else call]
        if not self.printer.uses_dtype:
            return []
        return [f"{self.printer.dtype} = {names[0]}.dtype" if names else f"{self.printer.dtype} = np.float64"]

    def _size_lines(self) -> tuple[list[str], list[str]]:
        """Lines that find and compare sizes, and comparisons with extents that get a name only afterwards."""
        steps = self.layer.size_plan
        lines: list[str] = []
        late: list[str] = []
        compared: list[str] = []
        for t in self.program.inputs:
            mine = [s for s in steps if s.tensor == t.name]
            if mine and all(isinstance(s, solve.Solution) and s.plain for s in mine):
                names = [s.size for s in sorted(mine, key=lambda s: s.axis) if isinstance(s, solve.Solution)]
                lines.append(f"{', '.join(names)}{',' if len(names) == 1 else ''} = {t.name}.shape")
        for step in steps:
            whole = [s for s in steps if s.tensor == step.tensor]
            if all(isinstance(s, solve.Solution) and s.plain for s in whole):
                continue
            if step.tensor not in compared:
                compared.append(step.tensor)
            if isinstance(step, solve.Solution):
                lines += self._solution(step)
        for name in compared:
            self.printer.helpers.add("_expect")
            t = next(t for t in self.program.inputs if t.name == name)
            shape = self.printer.shape(t.extents)
            label = ", ".join(self.printer.poly(e) for e in t.extents)
            line = f'_expect("{name}", {name}, "({label})", {shape})'
            waits = any(self.printer.names_extent(e) for e in t.extents)
            (late if waits else lines).append(line)
        return lines, late

    def _solution(self, step: solve.Solution) -> list[str]:
        """Lines that solve one axis for a size, and refuse what has no solution of at least 0."""
        size = Size(step.size)
        where = f"axis {step.axis} of {step.tensor} has extent {step.coefficient * as_poly(size) + step.rest}"
        before: list[str] = []
        after: list[str] = []
        if step.coefficient.constant is None and not self._positive(step.coefficient):
            wrong = f"{where}, which does not determine {size.name}"
            before.append(self._require(f"{PLAIN.poly(step.coefficient)} > 0", wrong, step.coefficient))
        if not _surely_nonnegative(-step.rest) or not _surely_nonnegative(step.coefficient):
            wrong = f"{where}, which makes {size.name} negative"
            after.append(self._require(f"{size.name} >= 0", wrong, as_poly(size)))
        source = f"{step.tensor}.shape[{step.axis}]"
        if step.rest.terms:
            source += f" - {PLAIN.poly(step.rest, PRODUCT)}"
        if step.coefficient.constant != 1:
            source = f"({source})" if step.rest.terms else source
            source += f" // {PLAIN.poly(step.coefficient, UNARY)}"
        return [*before, f"{step.size} = {source}", *after]

    def _positive(self, poly: Poly) -> bool:
        """Whether attributes alone make it positive; a dimension may be 0."""
        least = {Size(a.name, a.minimum) for a in self.program.attributes if a.minimum}
        return bool(poly.terms) and all(c > 0 and set(m) <= least for m, c in poly.terms)

    def _require(self, condition: str, message: str, *shown: Poly) -> str:
        """A line that raises unless the condition holds, with the values of the sizes that ``shown`` names."""
        self.printer.helpers.add("_require")
        names = sorted({a.name for poly in shown for a in atoms(poly) if isinstance(a, Size)})
        if not names:
            return f'_require({condition}, "{escape(message)}")'
        text = escape(message).replace("{", "{{").replace("}", "}}")
        return f'_require({condition}, f"{text} ({", ".join(f"{{{name} = }}" for name in names)})")'

    def _extent_lines(self) -> list[str]:
        lines: list[str] = []
        divided: list[str] = []
        checked: set[Poly] = set()
        for equation in self.program.equations:
            for index in equation.indices:
                divided += self._division_lines(index)
                sure = nonnegative(index.extent) and _surely_nonnegative(index.extent)
                if sure or index.extent in checked:
                    continue
                checked.add(index.extent)
                self.printer.helpers.add("_require")
                extent = self.printer.poly(index.extent)
                message = f"index {index.name} has a negative extent, {plain_text(index.extent)} = {{{extent}}}"
                lines.append(f'_require({extent} >= 0, f"{message}")')
        named = [
            f"{name} = {plain_text(extent)}" for name, extent in self.local_sizes.items() if name in self.printer.sizes
        ]
        return [*dict.fromkeys(divided), *named, *lines]

    def _division_lines(self, index: Index) -> list[str]:
        """Refuse an extent that divides by a dimension that is 0."""
        lines = []
        for atom in atoms(index.extent):
            if isinstance(atom, Quotient | Remainder) and atom.denominator.constant is None:
                divisor = atom.denominator
                if not self._positive(divisor):
                    wrong = f"index {index.name} has extent {plain_text(index.extent)}, which divides by {divisor}"
                    lines.append(self._require(f"{plain_text(divisor)} > 0", wrong, divisor))
        return lines

    def _requirement_lines(self) -> list[str]:
        lines = []
        given = {t.name for t in self.program.inputs} | {a.name for a in self.program.attributes}
        for requirement in self.program.requirements:
            computed = set(tensors_of(requirement.condition)) - given
            if computed or any(isinstance(part, Reduce) for part in walk(requirement.condition)):
                continue  # on a value computed later; reads beyond the range are cut off there
            parts = []
            b = Builder(self.plan.adjoint.program, given | {e.target for e in self.program.equations})
            for part in conjuncts(requirement.condition):
                value = condition_value(b, part, tuple(sorted(free_indices(part), key=lambda i: i.name)))
                text = self.printer.expr(value.array)
                parts.append(f"np.all({text})" if value.axes else text)
            lines += self.printer.lines(tuple(b.block))
            lines.append(self._require(" and ".join(parts), requirement.message, *polynomials(requirement.condition)))
        return lines


def _surely_nonnegative(extent: Poly) -> bool:
    """Without assuming that an index runs at least once."""
    return all(c > 0 and all(isinstance(a, Size) for a in m) for m, c in extent.terms)
