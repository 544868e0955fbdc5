"""The forms that a fast module takes, why, and the matrices of its tiles with the identity that they rest on."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from symgrad.emit.study_model import Block, Formula, Inline, Listing, Row, Section
from symgrad.emit.study_page import say
from symgrad.lower.plan import ModulePlan
from symgrad.lower.tile_forms import transforms_in
from symgrad.lower.toom_cook import Matrix, Transforms

_CORRELATION = (
    "y[i] = sum_{u} d[i + u] * g[u]",
    "  = sum_{k} AT[i, k] * (sum_{q} G[k, q] * g[q]) * (sum_{p} BT[k, p] * d[p])",
)
_CORRELATION_ROWS = (
    Row("y_{i}", "=", r"\sum_{u} d_{i + u}\, g_{u}"),
    Row(
        "",
        "=",
        r"\sum_{k} A^{\mathsf{T}}_{ik} \Bigl(\sum_{q} G_{kq}\, g_{q}\Bigr)"
        r" \Bigl(\sum_{p} B^{\mathsf{T}}_{kp}\, d_{p}\Bigr)",
    ),
)
_COEFFICIENT = Inline(
    "sum_{k} AT[i, k] * BT[k, p] * G[k, q]", r"\sum_{k} A^{\mathsf{T}}_{ik} B^{\mathsf{T}}_{kp} G_{kq}"
)
_PAIR = Inline("d[p] * g[q]", r"d_{p}\, g_{q}")
_EQUAL = Inline("p = i + q", "p = i + q")


def module_sections(plan: ModulePlan) -> Iterator[Section]:
    """Yield what is said of a module whose schedule is not the plainest; nothing of others."""
    if plan.schedule == "readable":
        return
    reasons = dict.fromkeys((*plan.forward.reasons, *plan.backward.reasons))
    rows = tuple(tuple(part.strip() for part in _parted(reason)) for reason in reasons)
    blocks: list[Block] = [say("forms"), Listing(("what", "why"), rows)] if rows else [say("no forms")]
    found = transforms_in(plan.program, (*plan.forward.statements, *plan.backward.statements))
    if found:
        blocks.append(Section(say("tiles"), tuple(_tiles(found))))
    yield Section(say("module"), tuple(blocks))


def _parted(reason: str) -> tuple[str, str]:
    """What a reason is about, and why it is so; a reason may be about all of a module."""
    what, colon, why = reason.partition(": ")
    return (what, why) if colon else ("", reason)


def _tiles(found: tuple[Transforms, ...]) -> Iterator[Block]:
    yield say("tiling")
    yield Formula(_CORRELATION, _CORRELATION_ROWS)
    yield say("tiling proved", pair=_PAIR, coefficient=_COEFFICIENT, equal=_EQUAL)
    for f in found:
        yield say("tile", name=str(f), products=str(f.products), direct=str(f.m * f.r))
        yield _matrices(f)


def _matrices(f: Transforms) -> Formula:
    named = (("AT", r"A^{\mathsf{T}}", f.at), ("BT", r"B^{\mathsf{T}}", f.bt), ("G", "G", f.g))
    texts = (f"{name} = [{', '.join(f'[{_row(row)}]' for row in matrix)}]" for name, _, matrix in named)
    return Formula(tuple(texts), tuple(Row(letter, "=", _typeset(matrix)) for _, letter, matrix in named))


def _row(row: tuple[Fraction, ...]) -> str:
    return ", ".join(map(str, row))


def _typeset(matrix: Matrix) -> str:
    rows = r" \\ ".join(" & ".join(map(_number, row)) for row in matrix)
    return rf"\begin{{pmatrix}} {rows} \end{{pmatrix}}"


def _number(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    sign = "-" if value < 0 else ""
    return rf"{sign}\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"
