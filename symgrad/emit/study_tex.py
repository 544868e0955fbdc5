"""Pieces of LaTeX as text: parentheses, numbers, and about how wide a formula is."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cache

from symgrad.declare.frozen import remember

SUM, PRODUCT, POWER, ATOM = 1, 2, 3, 4
"""How tightly an expression binds."""

NARROW = r",\, "
"""A comma between things that are longer than a letter."""

LINE = 76
"""About how many letters fit on a line."""

_TALL = re.compile(r"\\(frac|sum|prod|begin|left|max_|min_|sqrt)")
_SILENT = re.compile(
    r"\\(left|right|!|displaystyle|mathrm|overline|bar|operatorname\*?|(?:begin|end)\{cases\}|text)(?![a-zA-Z])"
)


_COMMANDS = {"sum": 3.6, "prod": 3.6, "bmod": 4.0, "le": 2.2, "ne": 2.2, "substack": 0.0, "lfloor": 0.6, "rfloor": 0.6}
_COMMANDS |= {"max": 3.2, "min": 3.2, "exp": 3.0, "log": 2.6, "tanh": 3.8, "Bigl": 0.3, "Bigr": 0.3, "qquad": 3.6}
_COMMANDS |= {",": 0.3, ";": 0.5}
_COMMAND = re.compile(r"\\([a-zA-Z]+|.)")
_LETTERS = {"{": 0.0, "}": 0.0, "+": 2.0, "-": 1.8, "=": 2.2, "<": 2.2, ",": 0.6, "[": 0.6, "]": 0.6}


def is_tall(text: str) -> bool:
    """Return whether LaTeX takes more than a line's height."""
    return bool(_TALL.search(text))


def parenthesised(text: str) -> str:
    """Return LaTeX in parentheses as high as it is."""
    return rf"\left( {text} \right)" if is_tall(text) else f"({text})"


def bracketed(text: str) -> str:
    """Return LaTeX in square brackets as high as it is."""
    return rf"\left[ {text} \right]" if is_tall(text) else f"[{text}]"


def bare(text: str) -> str:
    """Return LaTeX without the parentheses around the whole of it."""
    for opening, closing in ((r"\left( ", r" \right)"), ("(", ")")):
        if text.startswith(opening) and text.endswith(closing):
            inner = text[len(opening) : -len(closing)]
            return inner if _balanced(inner) else text
    return text


def _balanced(text: str) -> bool:
    depth = 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 0:
            return False
    return depth == 0


@remember
def width(text: str) -> int:
    """Return about how wide LaTeX is, in letters; scripts are small, of a fraction the wider half counts."""
    return round(_width(_SILENT.sub("", text).replace(" ", "")))


@cache
def _width(text: str) -> float:
    total, p = 0.0, 0
    while p < len(text):
        command = _COMMAND.match(text, p) if text[p] == "\\" else None
        if command and command[1] == "frac":
            top, p = argument(text, p + 5)
            bottom, p = argument(text, p)
            total += max(_width(top), _width(bottom))
        elif command:
            total += _COMMANDS.get(command[1], 1.0)
            p += len(command[0])
            if command[1] in ("sum", "prod"):  # limits stand above and below
                p = _past_scripts(text, p)
        elif text[p] in "_^":
            inner, p = argument(text, p + 1)
            total += 0.75 * _width(inner)
        else:
            total += _LETTERS.get(text[p], 1.0)
            p += 1
    return total


def _past_scripts(text: str, p: int) -> int:
    while p < len(text) and text[p] in "_^":
        _, p = argument(text, p + 1)
    return p


def argument(text: str, start: int) -> tuple[str, int]:
    """Return the argument that begins at ``start``, without braces, and where it ends."""
    if start >= len(text) or text[start] != "{":
        return text[start : start + 1], start + 1
    depth = 0
    for p in range(start, len(text)):
        depth += (text[p] == "{" and text[p - 1] != "\\") - (text[p] == "}" and text[p - 1] != "\\")
        if depth == 0:
            return text[start + 1 : p], p + 1
    return text[start + 1 :], len(text)


def number(value: Fraction | float) -> tuple[str, int]:
    """Return a number, and how tightly it binds."""
    if value < 0:
        return "-" + number(-value)[0], SUM
    if isinstance(value, Fraction):
        if value.denominator == 1:
            return str(value.numerator), ATOM
        return rf"\frac{{{value.numerator}}}{{{value.denominator}}}", PRODUCT
    if value == float("inf"):
        return r"\infty", ATOM
    digits, _, exponent = repr(value).partition("e")
    if not exponent:
        return digits, ATOM
    ten = rf"10^{{{int(exponent)}}}"
    return (ten, POWER) if float(digits) == 1 else (rf"{digits} \cdot {ten}", PRODUCT)
