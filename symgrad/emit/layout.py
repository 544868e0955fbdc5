"""Emitted modules laid out as ``ruff format`` would: statements folded, docstrings and comments wrapped."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator
from functools import cache, lru_cache

from symgrad.emit.layout_document import render
from symgrad.emit.layout_source import quoted
from symgrad.emit.layout_statements import document
from symgrad.emit.printer import WIDTH, wrap_comment

QUOTES = '"""'
HELPER = "def _"
OPENING = ("(", "[", "{")
_STRING = re.compile(r"""( *)(f?)(["'])((?:\\.|(?!\3)[^\\])*)\3(,?)""")
_WORD = re.compile(r"(?:\{\{|\}\}|\{[^{}]*\}|\S)+\s*|\s+")
_TEXT = re.compile(r'f?"[^"\\]*"')
# A tuple of names, numbers and what is made of two of them, as an argument or an item: it is set as it is.
_ITEM = r"\w+(?: [-+*] \w+)?"
_TUPLE = re.compile(rf"(?:(?<=[(=])|(?<=, ))\((?:(?:{_ITEM}, )+{_ITEM}|{_ITEM},)\)")
# What may change in a line that is short enough: parentheses that enclose a whole value or start another pair, colons
# but those of whole axes, powers, escapes, unusual spaces, commas before a bracket or an equals sign.
_LOOSE = re.compile(
    r"""[^-+*/@%,]\s\(|[^\w\s]\(|:(?![,\]]|$)|[^\s\[]:[,\]]|\*\*|['"\\#;]|\s\s|, ?[=)\]]"""
    r"""|[\w)\]][-+*/@%<>]|[+*/@%<>][\w(\[]|,\S|\w =\S"""
)
# A field with its type, perhaps with a note: it stands as written.
_FIELD = re.compile(r"\w+: [\w.]+(?:  # .*)?")
_SHAPE = re.compile(r"\[[^\[\]]*\]")


def fold(line: str, width: int = WIDTH) -> list[str]:
    """The lines that stand for one logical line of Python, which may be indented.

    Comments and lines of unknown kinds stay as they are; a line that is short enough changes in its spacing and its
    redundant parentheses alone.
    """
    return list(_fold(line, width))


@cache
def _fold(line: str, width: int) -> tuple[str, ...]:
    text = line.strip()
    if not text or text.startswith(("#", QUOTES)):
        return (line,)
    if len(line) <= width and (_FIELD.fullmatch(text) or not _LOOSE.search(_TUPLE.sub("t", _TEXT.sub("s", text)))):
        return (line,)
    doc = document(text)
    if doc is None:
        return tuple(_note_above(line, width)) if len(line) > width else (line,)
    lines = render(doc, _indent(line), width)
    return tuple(piece for found in lines for piece in (_string(found, width) if len(found) > width else [found]))


def lay_out(text: str, width: int = WIDTH) -> str:
    """A module with every line folded, that ends with one newline.

    A docstring that is too long is split into its summary and its details, a comment wrapped anew.
    """
    lines, found = text.rstrip().splitlines(), list[str]()
    start = 0
    while start < len(lines):
        if lines[start].startswith(HELPER):
            end = _end(lines, start + 1, lambda line: line[:1].strip() != "")
            helper = _helper("\n".join(lines[start:end]), width)
            if helper is not None:
                found += helper
                start = end
                continue
        end = _block_end(lines, start)
        found += _laid_out(lines[start:end], width)
        start = end
    return "\n".join(found) + "\n"


@lru_cache(maxsize=1 << 10)
def _helper(text: str, width: int) -> tuple[str, ...] | None:
    """A function that many modules carry, with every line folded; None if it goes on behind its last line."""
    lines, found = text.split("\n"), list[str]()
    start = 0
    while start < len(lines):
        end = _block_end(lines, start)
        if end > len(lines):
            return None
        found += _laid_out(lines[start:end], width)
        start = end
    return tuple(found)


def _laid_out(block: list[str], width: int) -> list[str]:
    """A block of ``_blocks`` within the width."""
    fits = all(len(line) <= width for line in block)
    match block[0].lstrip()[:1]:
        case '"':
            return block if fits else _docstring(block, width)
        case "#":
            return block if fits else _comment(block, width)
    return block if len(block) > 1 else fold(block[0], width)


def _block_end(lines: list[str], start: int) -> int:
    """Where a docstring, a comment or a statement that is folded already ends, with all its lines; else the next line.

    It is behind the last line if there is no end.
    """
    text, margin = lines[start].lstrip(), " " * _indent(lines[start])
    if text.startswith(QUOTES) and not (text.endswith(QUOTES) and len(text) >= 2 * len(QUOTES)):
        return _end(lines, start + 1, lambda line: line.endswith(QUOTES)) + 1
    if text.startswith("# "):
        return _end(lines, start + 1, lambda line: not line.startswith(f"{margin}#     "))
    if text.endswith(OPENING):
        closing = tuple(margin + bracket for bracket in ")]}")
        return _end(lines, start + 1, lambda line: line.startswith(closing) and not line.endswith(OPENING)) + 1
    return start + 1


def _end(lines: list[str], start: int, is_last: Callable[[str], bool]) -> int:
    """The first line from ``start`` on for which ``is_last`` holds, else where all lines end."""
    return next((i for i in range(start, len(lines)) if is_last(lines[i])), len(lines))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _comment(block: list[str], width: int) -> list[str]:
    indent = _indent(block[0])
    text = " ".join(line.strip()[1:].strip() for line in block)
    return [" " * indent + line for line in wrap_comment(text, width - indent)]


def _note_above(line: str, width: int) -> list[str]:
    """A comment at the end of a line moved to lines of its own above."""
    code, mark, note = line.partition("  # ")
    return [*_comment([" " * _indent(line) + f"# {note}"], width), code] if mark and '"' not in code else [line]


def _string(line: str, width: int) -> list[str]:
    """A line that holds a string alone as several strings side by side, split between words."""
    match = _STRING.fullmatch(line)
    if match is None:
        return [line]
    indent, prefix, quote, inner, comma = match.groups()
    inner = inner if quote == '"' else inner.replace("\\'", "'").replace('"', '\\"')
    room = width - len(indent) - len(prefix) - 2 - len(comma)
    pieces = [""]
    for word in _WORD.findall(inner):
        if pieces[-1] and len(pieces[-1] + word) > room:
            pieces.append("")
        pieces[-1] += word
    starts = [prefix if "{" in piece or "}" in piece or "{" not in inner else "" for piece in pieces]
    found = [indent + start + quoted(f'"{piece}"') for start, piece in zip(starts, pieces, strict=True)]
    return [*found[:-1], found[-1] + comma]


# --- docstrings ---


def _docstring(block: list[str], width: int) -> list[str]:
    """A docstring that is too long: a summary that fits, an empty line, the rest wrapped."""
    indent = _indent(block[0])
    lines = [line[indent:].rstrip() for line in block]
    lines[0] = lines[0].removeprefix(QUOTES)
    lines[-1] = lines[-1].removesuffix(QUOTES)
    quotes = len(QUOTES) * (2 if len(block) == 1 else 1)
    summary, details = _summary(lines[0], width - indent - quotes)
    rest = [*details, *lines[1:]]
    body = [line for paragraph in _paragraphs(rest) for line in _wrapped(paragraph, width - indent)]
    found = "\n".join([*summary, *body]).rstrip().splitlines()
    return [
        " " * indent + QUOTES + found[0],
        *(" " * indent + line if line else "" for line in found[1:]),
        " " * indent + QUOTES,
    ]


def _summary(text: str, room: int) -> tuple[list[str], list[str]]:
    """The first line of a docstring and what has to follow it; cut where a sentence pauses."""
    if len(text) <= room:
        return [text], []
    first, _, second = text.partition("; ")
    cuts = [m.start() for m in re.finditer(": ", text) if text[: m.start()].count("(") == text[: m.start()].count(")")]
    fitting = [cut for cut in (len(first), *reversed(cuts)) if cut < room and cut < len(text)]
    if fitting:
        return [text[: fitting[0]] + "."], ["", _sentence(text[fitting[0] + 2 :])]
    bare = _SHAPE.sub("", first).removesuffix(".") + "."
    if bare != first and len(bare) <= room:
        shapes = ", ".join(re.findall(r"\w+" + _SHAPE.pattern, first))
        return [bare], ["", f"Shapes: {shapes}.", *([_sentence(second)] if second else [])]
    return textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False), []


def _sentence(text: str) -> str:
    """Text that starts a sentence; a name or a formula keeps its first letter."""
    word = text.split(" ")[0].rstrip(",.")
    return text[0].upper() + text[1:] if word.isalpha() and len(word) > 1 else text


def _paragraphs(lines: list[str]) -> Iterator[list[str]]:
    """Lines of text that run on; empty and indented lines by themselves."""
    paragraph: list[str] = []
    for line in lines:
        if line and not line.startswith(" "):
            paragraph.append(line)
            continue
        yield from ([paragraph, [line]] if paragraph else [[line]])
        paragraph = []
    if paragraph:
        yield paragraph


def _wrapped(paragraph: list[str], width: int) -> list[str]:
    if all(len(line) <= width for line in paragraph):
        return paragraph
    margin = " " * _indent(paragraph[0])
    text = " ".join(line.strip() for line in paragraph)
    return textwrap.wrap(
        text,
        width,
        initial_indent=margin,
        subsequent_indent=margin + (" " * 4 if margin else ""),
        break_long_words=False,
        break_on_hyphens=False,
    )
