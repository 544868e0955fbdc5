"""What lowering one function needs at hand: the program, the statements so far, names, typical sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from symgrad.declare.checked import Checked, checked_entries
from symgrad.declare.facts import facts
from symgrad.declare.integers import Atom, Entry, Index, Poly
from symgrad.declare.program import Program
from symgrad.declare.rewriting import map_polynomials
from symgrad.declare.scalars import Compare, Condition, Reduce
from symgrad.declare.substitution import substitute
from symgrad.declare.typical import typical, typical_sizes, volume
from symgrad.lower.arrays import Array, Assign, For, Name, Statement
from symgrad.lower.invariant import assigned, invariants_out, varies
from symgrad.lower.reached import Edge
from symgrad.lower.share import defines, views_of
from symgrad.lower.traverse import names_in
from symgrad.naming import fresh

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOP_LIMIT = 16


@dataclass(frozen=True, slots=True)
class Level:
    """A block of statements, the variables of the loop it is the body of, and whether that is a recurrence."""

    block: list[Statement]
    loops: frozenset[Index]
    stepwise: bool


@dataclass
class Builder:
    """State of lowering one function; the only mutable thing in this stage.

    With ``general`` every read is a gather, every sum runs over the joint index space and every accumulation adds
    at computed positions: the form that is right for any declaration, and what the other forms are tested against.
    With ``fast`` forms are taken that cost less than they are long. ``direct`` and ``at_steps``: one of two forms is
    lowered, chosen by whether tiles pay or by steps.
    ``outside`` are statements for before all parts of an axis, ``tiled`` names choices made there, by left side;
    ``edges`` is where in a block conditions may fail.
    """

    program: Program
    taken: set[str]
    block: list[Statement] = field(default_factory=list)
    levels: list[Level] = field(default_factory=list)
    turning: frozenset[Index] = frozenset()
    stepwise: bool = False
    known: dict[Array, str] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    general: bool = False
    fast: bool = False
    direct: bool = False
    at_steps: bool = False
    outside: list[Statement] = field(default_factory=list)
    tiled: dict[str, str] = field(default_factory=dict)
    chunked: bool = False
    chunk: tuple[str, str, str] | None = None
    current: str = ""
    borders: dict[tuple[str, float | Name, int], tuple[tuple[Poly, Poly], ...]] = field(default_factory=dict)
    declared: tuple[Program, ...] = ()
    checked: tuple[Checked, ...] = ()
    facts: tuple[Poly, ...] = ()
    changing: frozenset[str] = frozenset()
    bordered: dict[str, tuple[str, tuple[tuple[Poly, Poly], ...], float | Name]] = field(default_factory=dict)
    winners: dict[Reduce, Array] = field(default_factory=dict)
    whole: Mapping[Atom, Poly] = field(default_factory=dict)
    edges: Mapping[Compare, Edge] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Guess the sizes that nobody gave."""
        self.sizes = typical_sizes(self.program) | self.sizes
        found = (c for program in self.declared or (self.program,) for c in checked_entries(program))
        self.facts = facts((self.declared or (self.program,))[0])
        self.checked = tuple(dict.fromkeys(found))

    def inside(self, poly: Poly, extent: Poly, condition: Condition) -> bool:
        """Whether forward has checked that the integers lie inside an axis of ``extent`` where ``condition`` holds."""
        if self.whole:  # forward checked the whole axis, not a part of it
            poly = substitute(poly, self.whole)
            condition = map_polynomials(condition, partial(substitute, table=self.whole))
        match poly.atom:
            case Entry() as entry:
                return any(c.holds(entry, extent, condition) for c in self.checked)
        return False

    def undoing(self) -> Callable[[], None]:
        """What takes back everything that has been emitted and noted from now on."""
        blocks = [(block, list(block)) for block in (self.block, self.outside, *(level.block for level in self.levels))]
        program, changing = self.program, self.changing
        noted = dict(self.known), dict(self.bordered), dict(self.winners)
        taken, reasons, tiled = set(self.taken), list(self.reasons), set(self.tiled)

        def undo() -> None:
            for block, statements in blocks:
                block[:] = statements
            self.program, self.changing = program, changing
            self.known, self.bordered, self.winners = noted
            for target in self.tiled.keys() - tiled:
                del self.tiled[target]
            self.reasons[:] = reasons
            self.taken.intersection_update(taken)

        return undo

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

        It goes outside every loop in whose turns it stays the same.
        """
        if array in self.known:
            return Name(self.known[array])
        block = self._home(array)
        again = next((s for s in block if isinstance(s, Assign) and s.array == array), None) if self.loops else None
        if again is not None:
            return Name(again.name)
        name = self.name(base)
        block.append(Assign(name, array, comment))
        if block is self.levels[0].block if self.levels else True:
            self.known[array] = name
        return Name(name)

    def _home(self, array: Array) -> list[Statement]:
        """The block of the innermost loop that an expression changes in."""
        levels = [*self.levels, Level(self.block, self.turning, self.stepwise)]
        for level in reversed(levels[1:]):
            changing = self.changing if level.stepwise else frozenset()
            if varies(array, level.loops, changing | assigned(level.block)):
                return level.block
        return levels[0].block

    @contextmanager
    def _inside(self, loops: frozenset[Index], stepwise: bool) -> Iterator[list[Statement]]:
        """Statements emitted inside go to a block of their own, the body of a loop."""
        saved = self.block, self.turning, self.stepwise
        self.levels.append(Level(*saved))
        inner: list[Statement] = []
        self.block, self.turning, self.stepwise = inner, loops, stepwise
        try:
            yield inner
        finally:
            self.levels.pop()
            self.block, self.turning, self.stepwise = saved

    @property
    def loops(self) -> frozenset[Index]:
        """The variables of the loops around."""
        return self.turning.union(*(level.loops for level in self.levels))

    @property
    def in_step(self) -> bool:
        """Whether we are in a step of a recurrence."""
        return self.stepwise or any(level.stepwise for level in self.levels)

    @contextmanager
    def looping(self, indices: Iterable[Index], comment: str = "") -> Iterator[None]:
        """Statements emitted inside run in Python loops over these indices."""
        order = tuple(indices)
        with self._inside(frozenset(order), False) as inner:
            yield
        body = tuple(inner if self.general else self._once(inner, frozenset(order)))
        for index in reversed(order):
            body = (For(index, body),)
        if body and isinstance(body[0], For):
            self.block.append(For(body[0].index, body[0].body, comment))
        else:
            self.block.extend(body)

    def _once(self, inner: list[Statement], loops: frozenset[Index]) -> list[Statement]:
        """The body of loops with what is the same in every turn computed before them."""
        views = views_of((*self.block, *inner))
        changed = {v for s in inner for n in defines(s) for v in views.get(n, {n})}
        numbers = {a.name for a in self.program.attributes}

        def keep(array: Array, base: str) -> Array:
            """A name for what reads an array; a number is computed where it stands."""
            return self.keep(array, base) if any(n not in numbers for n in names_in(array) if "." not in n) else array

        return invariants_out(inner, loops, self.changing | changed, keep)

    @contextmanager
    def stepping(
        self, step: Index, start: Poly, stop: Poly, reverse: bool, also: frozenset[Index] = frozenset(), note: str = ""
    ) -> Iterator[None]:
        """Statements emitted inside run in a loop over the steps of a recurrence; ``also`` are known in each step."""
        with self._inside(frozenset({step}) | also, True) as inner:
            yield
        if inner:
            changing = self.changing | assigned(inner)
            body = invariants_out(inner, frozenset({step}) | also, changing, self.keep)
            self.block.append(For(step, tuple(body), note, start, stop, reverse))

    @contextmanager
    def recurring(self, names: frozenset[str]) -> Iterator[None]:
        """Inside, these arrays are filled in step by step."""
        saved, self.changing = self.changing, self.changing | names
        try:
            yield
        finally:
            self.changing = saved

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


def comment(b: Builder, start: int, text: str) -> None:
    """The formula stands above the first statement that belongs to it."""
    for p in range(start, len(b.block)):
        if not b.block[p].comment:
            b.block[p] = replace(b.block[p], comment=text)
            return
