"""What an emitted forward checks before it computes, and the sizes that it finds on the way."""

from __future__ import annotations

from dataclasses import dataclass

from symgrad.declare import solve
from symgrad.declare.bounds import nonnegative
from symgrad.declare.conditions import conjuncts
from symgrad.declare.integers import Poly, Size, atoms
from symgrad.declare.layer import Layer
from symgrad.declare.program import Program, Tensor
from symgrad.declare.scalars import Reduce, free_indices, tensors_of, walk
from symgrad.emit.integer_text import PRODUCT, UNARY
from symgrad.emit.printer import Printer, escape
from symgrad.emit.sizes import plain_text
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

    def lines(self) -> list[str]:
        """Dtype, rank, attributes, sizes, requirements: in this order; index bounds have checks of their own."""
        lines = [f"{t.name} = {self._convert(t)}" for t in self.program.inputs]
        lines += self._dtype_line()
        for a in self.program.attributes:
            if a.integer:
                self.printer.helpers.add("_whole")
                lines.append(f'{a.name} = _whole("{a.name}", {a.name}, {a.minimum})')
            else:
                lines.append(f"{a.name} = float({a.name})")
        sizes, late = self._size_lines()
        lines += [*sizes, *self._extent_lines(), *late]
        return lines + self._requirement_lines()

    def _convert(self, t: Tensor) -> str:
        self.printer.helpers.add("_integers" if t.integer else "_floats")
        if not t.integer and not t.extents:
            others = [o for o in self.real if o.extents]
            if others:
                return f'_floats("{t.name}", np.asarray({t.name}, dtype=np.asarray({others[0].name}).dtype), 0)'
        return f'{"_integers" if t.integer else "_floats"}("{t.name}", {t.name}, {len(t.extents)})'

    def _dtype_line(self) -> list[str]:
        names = [t.name for t in self.real]
        if len(names) > 1:
            self.printer.helpers.add("_same_dtype")
            call = f"_same_dtype({', '.join(f'{n}={n}' for n in names)})"
            return [f"dtype = {call}" if self.printer.uses_dtype else call]
        if not self.printer.uses_dtype:
            return []
        return [f"dtype = {names[0]}.dtype" if names else "dtype = np.float64"]

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
                lines.append(self._solution(step))
        for name in compared:
            self.printer.helpers.add("_expect")
            t = next(t for t in self.program.inputs if t.name == name)
            shape = self.printer.shape(t.extents)
            label = ", ".join(self.printer.poly(e) for e in t.extents)
            line = f'_expect("{name}", {name}, "({label})", {shape})'
            waits = any(a in self.printer.locals for e in t.extents for a in atoms(e))
            (late if waits else lines).append(line)
        return lines, late

    def _solution(self, step: solve.Solution) -> str:
        source = f"{step.tensor}.shape[{step.axis}]"
        if step.rest.terms:
            source += f" - {self.printer.poly(step.rest, PRODUCT)}"
        if step.coefficient.constant != 1:
            source = f"({source})" if step.rest.terms else source
            source += f" // {self.printer.poly(step.coefficient, UNARY)}"
        return f"{step.size} = {source}"

    def _extent_lines(self) -> list[str]:
        lines: list[str] = []
        checked: set[Poly] = set()
        for equation in self.program.equations:
            for index in equation.indices:
                sure = nonnegative(index.extent) and _surely_nonnegative(index.extent)
                if sure or index.extent in checked:
                    continue
                checked.add(index.extent)
                self.printer.helpers.add("_require")
                message = f"index {index.name} has a negative extent, {plain_text(index.extent)}"
                lines.append(f'_require({self.printer.poly(index.extent)} >= 0, "{message}")')
        named = [
            f"{name} = {plain_text(extent)}" for name, extent in self.local_sizes.items() if name in self.printer.sizes
        ]
        return named + lines

    def _requirement_lines(self) -> list[str]:
        lines = []
        given = {t.name for t in self.program.inputs} | {a.name for a in self.program.attributes}
        for requirement in self.program.requirements:
            computed = set(tensors_of(requirement.condition)) - given
            if computed or any(isinstance(part, Reduce) for part in walk(requirement.condition)):
                continue  # on a value computed later; reads beyond the range are cut off there
            self.printer.helpers.add("_require")
            parts = []
            b = Builder(self.plan.adjoint.program, given | {e.target for e in self.program.equations})
            for part in conjuncts(requirement.condition):
                value = condition_value(b, part, tuple(sorted(free_indices(part), key=lambda i: i.name)))
                text = self.printer.expr(value.array)
                parts.append(f"np.all({text})" if value.axes else text)
            lines += self.printer.lines(tuple(b.block))
            lines.append(f'_require({" and ".join(parts)}, "{escape(requirement.message)}")')
        return lines


def _surely_nonnegative(extent: Poly) -> bool:
    """Without assuming that an index runs at least once."""
    return isinstance(extent.atom, Size) or all(c > 0 and all(isinstance(a, Size) for a in m) for m, c in extent.terms)
