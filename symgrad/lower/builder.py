"""What lowering one function needs at hand: the program, the statements so far, names, typical sizes."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from symgrad.declare.integers import Atom, Entry, Index, Poly, atoms
from symgrad.declare.program import Program
from symgrad.declare.reads import places
from symgrad.declare.scalars import Reduce
from symgrad.declare.typical import typical, typical_sizes, volume
from symgrad.lower.arrays import Array, Assign, For, Name, Statement, names_in, polynomials_in
from symgrad.naming import fresh

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOP_LIMIT = 16


@dataclass
class Builder:
    """State of lowering one function; the only mutable thing in this stage.

    With ``general`` every read is a gather, every sum runs over the joint index space and every accumulation adds
    at computed positions: the form that is right for any declaration, and what the other forms are tested against.
    """

    program: Program
    taken: set[str]
    block: list[Statement] = field(default_factory=list)
    outer: list[Statement] | None = None
    inner: list[list[Statement]] = field(default_factory=list)
    loops: frozenset[Index] = frozenset()
    known: dict[Array, str] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    general: bool = False
    chunked: bool = False
    chunk: tuple[str, str, str] | None = None
    current: str = ""
    borders: dict[tuple[str, float], tuple[tuple[Poly, Poly], ...]] = field(default_factory=dict)
    validated: frozenset[tuple[str, Poly]] = frozenset()

    def __post_init__(self) -> None:
        """Guess the sizes that nobody gave."""
        self.sizes = typical_sizes(self.program) | self.sizes
        self.validated = frozenset(
            (e.tensor, self.program.extents(tensor)[axis])
            for equation in self.program.equations
            for tensor, indices, behind in places(equation.body)
            for axis, poly in enumerate(indices)
            if not behind and isinstance(e := poly.atom, Entry) and self._is_whole(e)
        ) | {
            (equation.target, equation.body.indices[0].extent)
            for equation in self.program.equations
            if isinstance(equation.body, Reduce)
            and equation.body.kind.startswith("arg")
            and len(equation.body.indices) == 1
        }

    def _is_whole(self, entry: Entry) -> bool:
        """Whether the entry runs over all that its tensor holds."""
        extents = self.program.extents(entry.tensor)
        plain = [p.atom for p in entry.indices if isinstance(p.atom, Index)]
        return len(set(plain)) == len(extents) and all(i.extent == e for i, e in zip(plain, extents, strict=True))

    def name(self, base: str) -> str:
        """A variable name that is free in the function."""
        made = fresh(base, self.taken)
        self.taken.add(made)
        return made

    def emit(self, statement: Statement) -> None:
        """Append a statement where we are."""
        self.block.append(statement)

    def keep(self, array: Array, base: str, comment: str = "") -> Name:
        """Give an array expression a name; the same expression gets the same one.

        What no loop variable touches goes outside the loops; the rest is known until its loop ends.
        """
        if array in self.known:
            return Name(self.known[array])
        name = self.name(base)
        block = self.block if self.outer is None or self._belongs_inside(array) else self.outer
        block.append(Assign(name, array, comment))
        self.known[array] = name
        return Name(name)

    def _belongs_inside(self, array: Array) -> bool:
        """Whether the value depends on a loop variable, or on a name that a loop assigns."""
        if any(a in self.loops for poly in polynomials_in(array) for a in atoms(poly)):
            return True
        return bool(names_in(array) & {s.name for block in self.inner for s in block if isinstance(s, Assign)})

    @contextmanager
    def looping(self, indices: Iterable[Index], comment: str = "") -> Iterator[None]:
        """Statements emitted inside run in Python loops over these indices."""
        order = tuple(indices)
        saved_block, saved_outer, saved_loops = self.block, self.outer, self.loops
        inner: list[Statement] = []
        self.inner.append(inner)
        self.outer = saved_block if saved_outer is None else saved_outer
        self.block, self.loops = inner, saved_loops | frozenset(order)
        yield
        body: tuple[Statement, ...] = tuple(inner)
        for index in reversed(order):
            body = (For(index, body),)
        gone = {s.name for s in self.inner.pop() if isinstance(s, Assign)}
        self.known = {array: name for array, name in self.known.items() if name not in gone}
        self.block, self.outer, self.loops = saved_block, saved_outer, saved_loops
        if body and isinstance(body[0], For):
            self.block.append(For(body[0].index, body[0].body, comment))
        else:
            self.block.extend(body)

    def because(self, text: str) -> None:
        """Note why a form was chosen."""
        if text not in self.reasons:
            self.reasons.append(text)

    # --- sizes ---------------------------------------------------------------------------------------------------

    def typical(self, poly: Poly) -> int:
        """A typical value of an extent."""
        return typical(poly, self.sizes)

    def volume(self, axes: Iterable[Index]) -> int:
        """Typical number of elements over these axes."""
        return volume(axes, self.sizes)

    def small(self, index: Index) -> bool:
        """Whether a Python loop over this index is short."""
        return self.typical(index.extent) <= LOOP_LIMIT


def loop_variables(poly: Poly, loops: frozenset[Index]) -> frozenset[Atom]:
    """The loop variables in an integer expression."""
    return frozenset(a for a in atoms(poly) if a in loops)
