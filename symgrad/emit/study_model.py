"""What a derivation document consists of: sections of sentences, formulas and lists, before any markup."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from symgrad.declare.program import Equation


@dataclass(frozen=True, slots=True)
class Inline:
    """A formula inside a sentence: as plain text, and in LaTeX without dollar signs."""

    text: str
    latex: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of ``study_words``, by its key, with what stands in its places."""

    key: str
    places: tuple[tuple[str, str | Inline | Sentence], ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a formula in LaTeX: left side (empty where it goes on), relation, right side."""

    left: str
    relation: str
    right: str


@dataclass(frozen=True, slots=True)
class Formula:
    """A displayed formula. ``text`` has one entry for each equation in it; ``number`` is for reference."""

    text: tuple[str, ...]
    rows: tuple[Row, ...]
    number: int | None = None
    boxed: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """A table: what it lists, and for each item its cells."""

    heads: tuple[str, ...]
    rows: tuple[tuple[Sentence | Inline | str, ...], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it."""

    title: Sentence
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """A graph as Mermaid text, for forms that can draw it."""

    mermaid: str


Block = Sentence | Formula | Listing | Section | Figure


@dataclass(frozen=True, slots=True)
class DerivationStep:
    """One step: the rule, the equation before (None where a definition is introduced) and after, and why.

    ``assuming`` names attributes and the values that they have to have for the step to hold.
    """

    rule: str
    before: Equation | None
    after: Equation
    why: str
    assuming: tuple[tuple[str, int], ...] = ()


def formulas(blocks: Iterable[Block | Inline | str]) -> Iterator[Formula | Inline]:
    """Every formula of a document, displayed or inside a sentence or a table."""
    for block in blocks:
        match block:
            case Formula() | Inline():
                yield block
            case Section(title, inner):
                yield from formulas((title, *inner))
            case Sentence(_, places):
                yield from formulas(value for _, value in places)
            case Listing(_, rows):
                yield from formulas(cell for row in rows for cell in row)
