"""Sizes in an emitted module: names for compound extents, and how backward gets back the sizes it needs."""

from __future__ import annotations

from symgrad.declare.integers import Atom, Extreme, Poly, Quotient, Size, as_poly, atoms
from symgrad.emit.printer import Printer
from symgrad.lower.plan import ModulePlan


def plain_text(poly: Poly) -> str:
    """An integer expression with no names for compound extents."""
    return Printer({}, "").poly(poly)


def local_extents(plan: ModulePlan) -> tuple[dict[Atom, Poly], dict[str, Poly]]:
    """Names for compound extents: the quotient in ``(H - R) // s + 1`` is ``I - 1`` from here on."""
    program = plan.adjoint.program
    taken = program.names()
    table: dict[Atom, Poly] = {}
    sizes: dict[str, Poly] = {}
    for equation in program.equations:
        for index in equation.indices:
            loose = [(m, c) for m, c in index.extent.terms if any(isinstance(a, Quotient | Extreme) for a in m)]
            if len(loose) != 1 or loose[0][1] != 1 or len(loose[0][0]) != 1:
                continue
            atom = loose[0][0][0]
            rest = index.extent - as_poly(atom)
            if atom in table or rest.constant is None:
                continue
            name = index.name.upper()
            if name in taken:
                name = f"{index.name}_extent"
            if name in taken:
                continue
            taken.add(name)
            table[atom] = as_poly(Size(name)) - rest
            sizes[name] = index.extent
    return table, sizes


def recovered(plan: ModulePlan, local_sizes: dict[str, Poly], need: list[str]) -> tuple[list[str], list[str]]:
    """Sizes from the shapes of residuals, else kept as numbers.

    Returns the lines that find sizes, and the names of the sizes and attributes that the residuals must hold.
    """
    integers = {a.name for a in plan.program.attributes if a.integer}
    compound = {name: extent for name, extent in local_sizes.items() if name in need}
    inner = {name: [a.name for a in atoms(extent) if isinstance(a, Size)] for name, extent in compound.items()}
    wanted = [n for n in need if n not in local_sizes and n not in integers]
    for names in inner.values():
        wanted += [n for n in sorted(set(names)) if n not in integers and n not in wanted]
    lines, known = _from_shapes(plan, wanted)
    used = set(need) | set(plan.attributes) | {n for names in inner.values() for n in names if n in integers}
    lines += [f"{name} = {plain_text(extent)}" for name, extent in compound.items()]
    kept = [n for n in wanted if n not in known]
    return lines, [*kept, *(a.name for a in plan.program.attributes if a.name in used)]


def _from_shapes(plan: ModulePlan, wanted: list[str]) -> tuple[list[str], set[str]]:
    """Lines that read wanted sizes off the shapes of residuals, and the sizes found."""
    lines: list[str] = []
    known: set[str] = set()
    for tensor in plan.residuals:
        atoms_of = [e.atom for e in plan.adjoint.program.extents(tensor)]
        names = [a.name if isinstance(a, Size) and a.name in wanted and a.name not in known else None for a in atoms_of]
        found = {n: axis for axis, n in reversed(list(enumerate(names))) if n is not None}
        if not found:
            continue
        if len(found) == len(names):
            lines.append(f"{', '.join(map(str, names))}{',' if len(names) == 1 else ''} = {tensor}.shape")
        else:
            order = sorted(found, key=found.__getitem__)
            lines.append(f"{', '.join(order)} = {', '.join(f'{tensor}.shape[{found[n]}]' for n in order)}")
        known |= set(found)
    return lines, known
