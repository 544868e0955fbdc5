"""A text as it was written and as Python's parser reads it, and messages that point into it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from symgrad.errors import DeclarationError

WINDOW = 200  # characters of a line that a message shows
CLAUSES = ("layer", "inputs", "constants", "integers", "outputs", "requires")
_CLAUSE = re.compile(rf"\s*({'|'.join(CLAUSES)})\s*:")
_OPENING, _CLOSING = "([{", ")]}"


@dataclass(frozen=True, slots=True)
class Clause:
    """The word and colon before what is said about the layer: ``constants: mask, labels``."""

    word: str
    line: int
    column: int
    after: int
    """Where what is said begins."""


@dataclass(frozen=True)
class Source:
    """A text; places in it are lines from 1 and columns from 0, as the syntax tree counts them.

    Attributes:
        text: what was written.
        origin: what a message calls it: ``text equation``, or a file's name.
        numbered: whether messages name the line even if there is only one.
    """

    text: str
    origin: str = "text equation"
    numbered: bool = False

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The lines, however they end."""
        return tuple(self.text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))

    @cached_property
    def code(self) -> str:
        """What Python's parser reads: no comments, no words of clauses, no indentation."""
        return "\n".join(line.strip() for line in self._bare)

    @cached_property
    def clauses(self) -> tuple[Clause, ...]:
        """The clauses in order."""
        return tuple(_clauses([line.partition("#")[0] for line in self.lines]))

    @cached_property
    def _bare(self) -> tuple[str, ...]:
        """The lines without comments and words of clauses; columns are those of the text."""
        bare = [line.partition("#")[0] for line in self.lines]
        for clause in self.clauses:
            line = bare[clause.line - 1]
            blank = " " * (clause.after - clause.column)
            bare[clause.line - 1] = line[: clause.column] + blank + line[clause.after :]
        return tuple(bare)

    def place(self, node: ast.AST) -> tuple[int, int]:
        """Line and column of ``node`` in the text."""
        line = getattr(node, "lineno", 1)
        return line, getattr(node, "col_offset", 0) + self.indent(line)

    def indent(self, line: int) -> int:
        """How many characters of a line Python's parser does not see."""
        if not 0 < line <= len(self._bare):
            return 0
        return len(self._bare[line - 1]) - len(self._bare[line - 1].lstrip())

    def error(self, node: ast.AST, message: str) -> DeclarationError:
        """Make the error that shows the line of ``node`` with carets under it."""
        line, column = self.place(node)
        one_line = getattr(node, "end_lineno", line) == line
        end = getattr(node, "end_col_offset", None)
        return self.error_at(line, column, message, end + self.indent(line) - column if one_line and end else 1)

    def error_at(self, line: int, column: int, message: str, width: int = 1) -> DeclarationError:
        """Make the error that points at ``column`` of ``line``."""
        line = max(1, min(line, len(self.lines)))
        numbered = self.numbered or len(self.lines) > 1
        place = f"line {line}, column {column + 1}" if numbered else f"column {column + 1}"
        start = max(0, column - WINDOW // 2)
        shown, column = self.lines[line - 1][start : start + WINDOW], column - start
        before = "".join("\t" if c == "\t" else " " for c in shown[:column].ljust(column))
        carets = before + "^" * max(1, min(width, len(shown) - column))
        return DeclarationError(f"{self.origin}, {place}: {message}\n  {_printable(shown)}\n  {carets}")


def _printable(line: str) -> str:
    """The line with one sign for each character that would move the rest."""
    return "".join(c if c == "\t" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)


def _clauses(lines: list[str]) -> Iterator[Clause]:
    """The clauses at the beginnings of statements: of lines and after semicolons, outside all brackets."""
    depth = 0
    for number, line in enumerate(lines, start=1):
        starts = [0] if depth == 0 else []
        for column, character in enumerate(line):
            if character in _OPENING:
                depth += 1
            elif character in _CLOSING:
                depth = max(0, depth - 1)
            elif character == ";" and depth == 0:
                starts.append(column + 1)
        for start in starts:
            found = _CLAUSE.match(line, start)
            if found:
                yield Clause(found[1], number, found.start(1), found.end())
