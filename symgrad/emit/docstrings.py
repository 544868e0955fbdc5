"""Docstrings of an emitted module: the declaration, what was derived from it, and what the functions do."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from symgrad.declare.formula import equation_text
from symgrad.declare.program import Equation, Program, Tensor
from symgrad.emit.printer import WIDTH, escape


def module_docstring(program: Program, derived: Iterable[Equation], kept: Iterable[str]) -> str:
    """What the layer is, its declared equations and those of its backward pass, the table of what is kept for that."""
    lines = [f"{program.name}: forward and backward pass in NumPy.", ""]
    if program.doc:
        first, *others = program.doc.strip().splitlines()
        lines = [f"{program.name}: {first.rstrip('.')}.", ""]
        rest = textwrap.dedent("\n".join(others)).strip("\n")
        lines += [*(line.rstrip() for line in rest.splitlines()), ""] if rest else []
    lines += ["Declaration:", *_formulas(program.equations), ""]
    lines += ["Derived:", *_formulas(derived), "", *kept]
    return escape("\n".join(lines))


def _formulas(equations: Iterable[Equation]) -> list[str]:
    wrapper = textwrap.TextWrapper(
        WIDTH - 8,
        initial_indent="    ",
        subsequent_indent="        ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line for equation in equations for line in wrapper.wrap(equation_text(equation))]


def forward_docstring(inputs: Iterable[Tensor], outputs: Iterable[str], threads: str = "") -> str:
    """``outputs`` are texts such as ``y[B, I]``, ``threads`` an argument that says how many there may be."""
    given = ", ".join(shape_text(t) for t in inputs)
    line = f"Compute {', '.join(outputs)} from {given}; the second result is for backward."
    if not threads:
        return line
    note = (
        f"``{threads}`` share the work, in parts that stay in cache; None: one for each core, 1: the caller alone. "
        "Products take one thread each meanwhile where NumPy has OpenBLAS; with another library None is 1: for more, "
        "give a number and set that library to one thread."
    )
    return "\n".join([line, "", *(f"    {part}" for part in textwrap.wrap(note, WIDTH - 8)), "    "])


def backward_docstring(cotangents: Iterable[str], wanted: Iterable[Tensor]) -> str:
    """``wanted`` are the inputs that have a gradient."""
    names = ", ".join(t.name for t in wanted) or "nothing"
    seeds = ", ".join(cotangents)
    return f"Pull {seeds} back to {names}; ``wrt`` names the inputs whose gradient is wanted (default: all)."


def shape_text(t: Tensor) -> str:
    """A tensor with its extents, as in ``x[B, J]``."""
    return f"{t.name}[{', '.join(map(str, t.extents))}]" if t.extents else t.name


def residuals_docstring(again: Iterable[str]) -> str:
    """The docstring of ``Residuals``: which values backward computes again instead."""
    names = ", ".join(again)
    if not names:
        return "What forward keeps for backward; inputs and outputs are not copied."
    text = f"What forward keeps for backward; inputs and outputs are not copied. Computed again there: {names}."
    lines = textwrap.wrap(text, WIDTH - 8)
    return lines[0] if len(lines) == 1 else "\n    ".join([*lines, ""])
