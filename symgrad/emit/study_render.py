"""Documents in four forms: plain text, LaTeX, Markdown and HTML."""

from __future__ import annotations

import re
import textwrap
from abc import ABC, abstractmethod
from html import escape

from symgrad.emit.study_mathml import displayed, inline
from symgrad.emit.study_model import Block, Figure, Formula, Inline, Listing, Section, Sentence
from symgrad.emit.study_tex import LINE, width
from symgrad.emit.study_words import ENGLISH

WIDTH = 100


class Renderer(ABC):
    """Walks a document; subclasses say what each kind of block looks like."""

    variant = ""

    def sentence(self, sentence: Sentence) -> str:
        """Return a sentence with its places filled."""
        words = ENGLISH.get(f"{sentence.key}|{self.variant}") or ENGLISH[sentence.key]
        places = dict(sentence.places)
        parts = re.split(r"\{(\w+)\}", words)
        return "".join(self._cell(places[p]) if n % 2 else self.plain(p) for n, p in enumerate(parts))

    def _cell(self, cell: Sentence | Inline | str) -> str:
        match cell:
            case Sentence():
                return self.sentence(cell)
            case Inline():
                return self.inline(cell)
        return self.plain(cell)

    def cells(self, listing: Listing) -> list[list[str]]:
        """Return the cells of a table, heads first."""
        heads = [self.sentence(Sentence(h)) for h in listing.heads]
        return [heads, *([self._cell(c) for c in row] for row in listing.rows)]

    def blocks(self, blocks: tuple[Block, ...], number: tuple[int, ...] = ()) -> str:
        """Return blocks below one another; ``number`` is that of the section they stand in."""
        texts, count = [], 0
        for block in blocks:
            match block:
                case Section(title, inner):
                    count += 1
                    here = (*number, count)
                    texts.append(self.heading(self.sentence(title), here) + self.blocks(inner, here))
                case Formula():
                    texts.append(self.formula(block))
                case Listing():
                    texts.append(self.listing(block))
                case Figure():
                    texts.append(self.figure(block))
                case Sentence():
                    texts.append(self.paragraph(self.sentence(block)))
        return "".join(texts)

    @abstractmethod
    def plain(self, text: str) -> str:
        """Return words."""

    @abstractmethod
    def inline(self, formula: Inline) -> str:
        """Return a formula inside a sentence."""

    @abstractmethod
    def heading(self, title: str, number: tuple[int, ...]) -> str:
        """Return the heading of a section."""

    @abstractmethod
    def paragraph(self, text: str) -> str:
        """Return a sentence on its own."""

    @abstractmethod
    def formula(self, formula: Formula) -> str:
        """Return a displayed formula."""

    @abstractmethod
    def listing(self, listing: Listing) -> str:
        """Return a table."""

    def figure(self, figure: Figure) -> str:
        """Return a drawing; nothing where there is nobody to draw it."""
        return ""


class Text(Renderer):
    """Plain text, at most ``WIDTH`` columns wide where names allow it."""

    variant = "text"

    def document(self, blocks: tuple[Block, ...]) -> str:
        """Return the blocks with one blank line where several would meet."""
        return re.sub(r"\n{3,}", "\n\n", self.blocks(blocks)).strip("\n") + "\n"

    def plain(self, text: str) -> str:
        """Return words as they are."""
        return text

    def inline(self, formula: Inline) -> str:
        """Return a formula as it is; its spaces may end a line."""
        return formula.text

    def heading(self, title: str, number: tuple[int, ...]) -> str:
        """Return a numbered line, underlined."""
        line = f"{'.'.join(map(str, number))}  {title}"
        return f"\n{line}\n{('-' if len(number) == 1 else '~') * len(line)}\n\n"

    def paragraph(self, text: str) -> str:
        """Return wrapped text."""
        return _wrapped(text, "", "") + "\n"

    def formula(self, formula: Formula) -> str:
        """Return equations, indented; the number of a numbered one stands before it."""
        lines = []
        for n, text in enumerate(formula.text):
            mark = f"({formula.number})" if formula.number and n == 0 else "|" if formula.boxed else ""
            depth = 6 + 2 * (len(text) - len(text.lstrip()))
            lines += broken(text.lstrip(), f"{mark:<{depth}}", " " * (depth + 4))
        return "\n" + "\n".join(lines) + "\n\n"

    def listing(self, listing: Listing) -> str:
        """Return columns; the last one is wrapped."""
        rows = self.cells(listing)
        widths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]) - 1)]
        rows.insert(1, ["-" * len(head) for head in rows[0]])
        lines = []
        for row in rows:
            start = "".join(f"{cell:<{width}}  " for cell, width in zip(row, widths, strict=False))
            lines.append(_wrapped(row[-1], f"  {start}", " " * (len(start) + 2)))
        return "\n" + "\n".join(lines) + "\n\n"


class Latex(Renderer):
    """LaTeX with amsmath."""

    def plain(self, text: str) -> str:
        """Return words with LaTeX's own signs escaped."""
        return re.sub(r"[\\{}$&#%_~^<>|]", lambda m: _LATEX_SIGNS[m[0]], text)

    def inline(self, formula: Inline) -> str:
        """Return a formula between dollar signs."""
        return f"${formula.latex}$"

    def heading(self, title: str, number: tuple[int, ...]) -> str:
        """Return a sectioning command, which numbers by itself."""
        return f"\n\\{'sub' * (len(number) - 1)}section{{{title}}}\n"

    def paragraph(self, text: str) -> str:
        """Return a paragraph."""
        return f"{text}\n\n"

    def formula(self, formula: Formula) -> str:
        """Return an aligned display; one that is too wide for a page is made smaller."""
        body, tag = boxed(formula), f" {tag_of(formula)}" if formula.number else ""
        if max(width(f"{r.left}{r.relation}{r.right}") for r in formula.rows) > LINE + 2:
            body = rf"\resizebox{{0.92\linewidth}}{{!}}{{$\displaystyle {body}$}}"
        return f"\\[\n{body}{tag}\n\\]\n\n"

    def listing(self, listing: Listing) -> str:
        """Return a table."""
        rows = [" & ".join(row) + r" \\" for row in self.cells(listing)]
        wide = any(len(c) > 90 and "$" not in c for row in listing.rows for c in map(self._cell, row))
        columns = "l" * (len(listing.heads) - 1) + (r"p{0.55\linewidth}" if wide else "l")
        lines = [r"\begin{flushleft}", rf"\begin{{tabular}}{{{columns}}}", rows[0], r"\hline", *rows[1:]]
        return "\n".join([*lines, r"\end{tabular}", r"\end{flushleft}"]) + "\n\n"


_ESCAPED = str.maketrans({sign: f"\\{sign}" for sign in "\\`*_{}<>$|#"})


class Markdown(Renderer):
    """Markdown with formulas between dollar signs, as GitHub and Jupyter show them."""

    def plain(self, text: str) -> str:
        """Return words with Markdown's own signs escaped."""
        return text.translate(_ESCAPED)

    def inline(self, formula: Inline) -> str:
        """Return a formula between dollar signs."""
        return f"${formula.latex}$"

    def heading(self, title: str, number: tuple[int, ...]) -> str:
        """Return a heading, below the document's own."""
        return f"{'#' * (len(number) + 1)} {title}\n\n"

    def paragraph(self, text: str) -> str:
        """Return a paragraph."""
        return f"{text}\n\n"

    def formula(self, formula: Formula) -> str:
        """Return a display."""
        return f"$$\n{boxed(formula)}{f' {tag_of(formula)}' if formula.number else ''}\n$$\n\n"

    def listing(self, listing: Listing) -> str:
        """Return a table."""
        heads, *rows = [f"| {' | '.join(row)} |" for row in self.cells(listing)]
        return "\n".join([heads, "|---" * len(listing.heads) + "|", *rows]) + "\n\n"

    def figure(self, figure: Figure) -> str:
        """Return a fenced block that GitHub and Jupyter draw."""
        return f"```mermaid\n{figure.mermaid}```\n\n"


class Html(Renderer):
    """HTML with MathML."""

    def plain(self, text: str) -> str:
        """Return words with HTML's own signs escaped."""
        return escape(text)

    def inline(self, formula: Inline) -> str:
        """Return a formula in MathML."""
        return inline(formula.latex)

    def heading(self, title: str, number: tuple[int, ...]) -> str:
        """Return a heading, below the document's own."""
        level = len(number) + 1
        return f'<h{level}><span class="number">{".".join(map(str, number))}</span> {title}</h{level}>\n'

    def paragraph(self, text: str) -> str:
        """Return a paragraph."""
        return f"<p>{text}</p>\n"

    def formula(self, formula: Formula) -> str:
        """Return a display, its number to the right."""
        number = f'<span class="tag">({formula.number})</span>' if formula.number else ""
        kind = "formula boxed" if formula.boxed else "formula"
        return f'<div class="{kind}">{displayed(formula.rows)}{number}</div>\n'

    def listing(self, listing: Listing) -> str:
        """Return a table."""
        heads, *rows = self.cells(listing)
        head = "".join(f"<th>{cell}</th>" for cell in heads)
        body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>\n" for row in rows)
        return f"<table>\n<tr>{head}</tr>\n{body}</table>\n"


_LATEX_SIGNS = {sign: f"\\{sign}" for sign in "{}$&#%_"} | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}"}
_LATEX_SIGNS |= {"^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}


def tag_of(formula: Formula) -> str:
    """Return the number of a formula in LaTeX."""
    return rf"\tag{{{formula.number}}}"


def boxed(formula: Formula) -> str:
    """Return a formula in LaTeX without what opens a display: aligned rows, in a box if it has one."""
    rows = formula.rows
    if len(rows) == 1:
        body = " ".join(part for part in (rows[0].left, rows[0].relation, rows[0].right) if part)
    else:
        lines = " \\\\\n".join(f"{r.left} &{r.relation} {r.right}" for r in rows)
        body = f"\\begin{{aligned}}\n{lines}\n\\end{{aligned}}"
    return f"\\boxed{{{body}}}" if formula.boxed else body


def broken(text: str, first: str, rest: str) -> list[str]:
    """Return a formula on lines of at most ``WIDTH``: each ends where the fewest brackets are open, near the margin."""
    lines, start = [], first
    while len(start) + len(text) > WIDTH:
        place = _best_break(text, WIDTH - len(start))
        if place is None:
            break
        lines.append((start + text[:place]).rstrip())
        text, start = text[place + 1 :], rest
    return [*lines, start + text]


def _best_break(text: str, room: int) -> int | None:
    """Return the space to break at; an operator begins a line."""
    depth, found = 0, []
    for p, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if character == " " and p > 0:
            found.append((7 * depth + _cost(text[p - 1], text[p + 1 : p + 3]) + 0.3 * (room - p), p))
        if p >= room and found:
            break
    inside = [f for f in found if f[1] <= room]
    return min(inside)[1] if inside else (found[0][1] if found else None)


def _cost(before: str, after: str) -> int:
    """Return how bad it is to end a line between two signs."""
    if before in ",:}":
        return 0
    if before in "+-*/=<>|":
        return 40
    return {"+ ": 3, "- ": 3, "* ": 9, "/ ": 9}.get(after, 12)


def _wrapped(text: str, first: str, rest: str) -> str:
    """Return text wrapped at ``WIDTH``; a longer word stays whole."""
    lines = textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(line.rstrip() for line in lines)
