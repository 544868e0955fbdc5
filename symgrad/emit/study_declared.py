"""The declaration as a document begins with it: tensors, ranges, sizes and equations."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from dataclasses import replace

from symgrad.declare.integers import Index, Poly, show
from symgrad.declare.program import Attribute, Equation, Program
from symgrad.derive.terms import all_indices
from symgrad.emit.study_conventions import conventions
from symgrad.emit.study_model import Block, Inline, Listing, Section, Sentence
from symgrad.emit.study_page import Page, say
from symgrad.emit.study_tex import number

Cells = tuple[Sentence | Inline | str, ...]


def declaration(page: Page, program: Program, everything: tuple[Equation, ...]) -> Section:
    """Return the first section.

    Args:
        page: what it is written on.
        program: the layer as declared.
        everything: every equation of the document, for the indices and functions that stand in it.
    """
    blocks: list[Block] = [say("plain", text=p) for p in _paragraphs(program.doc)]
    blocks.append(_tensors(page, program))
    ranges = _ranges(page, everything)
    if ranges.rows:
        blocks.append(ranges)
    symbols = _symbols(page, program)
    if symbols.rows:
        blocks.append(symbols)
    blocks += [say("requirement", condition=page.condition(r.condition)) for r in program.requirements]
    blocks.append(say("declared" if len(program.equations) == 1 else "declared, several"))
    blocks += [page.equation(e, numbered=True) for e in program.equations]
    blocks += conventions(page, everything)
    return Section(say("declaration"), tuple(blocks))


def _paragraphs(doc: str) -> list[str]:
    """Return the layer's own words: paragraphs, each on one line."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(doc).strip())
    return [" ".join(p.split()) for p in paragraphs if p.strip()]


def _tensors(page: Page, program: Program) -> Listing:
    rows: list[Cells] = []
    for t in program.inputs:
        role = "input, integers" if t.integer else "input, constant" if t.constant else "input"
        rows.append((page.tensor(t.name), _shape(page, t.extents), say(role)))
    for e in program.equations:
        role = "output" if e.target in program.outputs else "intermediate"
        rows.append((page.tensor(e.target), _shape(page, tuple(i.extent for i in e.indices)), say(role)))
    return Listing(("tensor", "shape", "role"), tuple(rows))


def _shape(page: Page, extents: tuple[Poly, ...]) -> Inline | Sentence:
    if not extents:
        return say("scalar")
    cells = page.together(map(page.extent, extents))
    return Inline(f"({cells.text})", f"({cells.latex})")


def _ranges(page: Page, equations: Iterable[Equation]) -> Listing:
    """List the range of every index in the document; indices of one range share a row."""
    ranges: dict[Poly, dict[Index, None]] = {}
    for equation in equations:
        inner = sorted(all_indices(equation.body), key=lambda i: (i.name, str(i.extent)))
        for index in (*equation.indices, *inner):
            ranges.setdefault(index.extent, {})[index] = None
    rows = [(page.indices(sorted(row, key=lambda i: i.name)), _range(page, extent)) for extent, row in ranges.items()]
    return Listing(("index", "values"), tuple(rows))


def _range(page: Page, extent: Poly) -> Inline:
    if extent.constant is not None and extent.constant <= 2:
        both = "0" if extent.constant == 1 else "0, 1"
        return Inline(both, both)
    last = page.poly(extent - 1)
    if page.notation.extent(extent):
        letter = page.extent(extent)
        last = Inline(f"{letter.text} - 1", f"{letter.latex}-1")
    return Inline(f"0, ..., {last.text}", rf"0,\, \dots,\, {last.latex}")


def _symbols(page: Page, program: Program) -> Listing:
    """List the letters of extents, and the attributes."""
    rows: list[Cells] = []
    for poly, _ in page.notation.extents:
        others = tuple(pair for pair in page.notation.extents if pair[0] != poly)
        written = Page(replace(page.notation, extents=others)).tex.poly(poly)
        rows.append((page.extent(poly), Inline(show(poly), written)))
    for attribute in program.attributes:
        symbol = Inline(attribute.name, page.notation.scalar(attribute.name))
        rows.append((symbol, _attribute(page, attribute)))
    return Listing(("symbol", "meaning"), tuple(rows))


def _attribute(page: Page, attribute: Attribute) -> Sentence:
    places: dict[str, str | Inline] = {"default": Inline(f"{attribute.default:g}", number(attribute.default)[0])}
    key = "attribute"
    if page.notation.letters.get(attribute.name):
        key, places["name"] = "attribute letter", attribute.name
    if attribute.minimum is not None:
        key, places["least"] = f"{key} from", str(attribute.minimum)
    return say(key, **places)
