"""Sizes in an emitted module: names for compound extents, and how backward gets back the sizes it needs."""

from __future__ import annotations

from dataclasses import dataclass

from symgrad.declare.integers import Atom, Extreme, Poly, Quotient, Size, as_poly, atoms
from symgrad.emit.printer import Printer
from symgrad.lower.plan import ModulePlan

PLAIN = Printer({}, "")
"""Prints with no names for compound extents."""


def plain_text(poly: Poly) -> str:
    """An integer expression with no names for compound extents."""
    return PLAIN.poly(poly)


@dataclass(frozen=True, slots=True)
class LocalSizes:
    """Names for compound extents.

    Attributes:
        sizes: the extents by name.
        quotients: the quotient in ``(H - R) // s + 1`` is ``I - 1`` from here on.
        long: those extents that are long sums, to be found again in larger ones; a forward checks that they are not
            negative.
    """

    sizes: dict[str, Poly]
    quotients: dict[Atom, Poly]
    long: dict[str, Poly]


LONG = 4
"""A sum of this many terms or more gets a name."""


def local_extents(plan: ModulePlan) -> LocalSizes:
    """Names for the compound extents of left sides: the index in capitals."""
    program = plan.adjoint.program
    declared = {i.extent for e in plan.program.equations for i in e.indices}
    taken = program.names()
    found = LocalSizes({}, {}, {})
    for equation in program.equations:
        for index in equation.indices:
            quotient = _own_quotient(index.extent)
            known = quotient in found.quotients if quotient is not None else index.extent in found.sizes.values()
            if known or (quotient is None and (len(index.extent.terms) < LONG or index.extent not in declared)):
                continue
            name = index.name.upper()
            if name in taken:
                name = f"{index.name}_extent"
            if name in taken:
                continue
            taken.add(name)
            found.sizes[name] = index.extent
            if quotient is not None:
                found.quotients[quotient] = as_poly(Size(name)) - (index.extent - as_poly(quotient))
            else:
                found.long[name] = index.extent
    return found


def _own_quotient(extent: Poly) -> Atom | None:
    """The one quotient that an extent consists of, but for a number."""
    loose = [(m, c) for m, c in extent.terms if any(isinstance(a, Quotient | Extreme) for a in m)]
    if len(loose) != 1 or loose[0][1] != 1 or len(loose[0][0]) != 1:
        return None
    atom = loose[0][0][0]
    return atom if (extent - as_poly(atom)).constant is not None else None


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
