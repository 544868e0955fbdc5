"""Reads that no range bounds: at positions that data give, of what is infinite outside; gradients of one's own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .strategies_world import BOUND, Bound, Scope

if TYPE_CHECKING:
    from .strategies_expressions import Expressions

POSITIONS = (
    "floor({x})", "floor({x}) + {c}", "floor({x}*{z}) + {a}", "floor({x} + {y})", "{a} + floor(2*{x})", "floor(-{x}/2)",
    "ArgMax({t}, ({u}, 0, {U}))", "ArgMin({t}, ({u}, 0, {U})) - {c}", "{a} + ArgMax({t}, ({u}, 0, {U}))",
    "Sum({t_i}, ({u}, 0, {U}))", "Sum(Piecewise((1, {t} - {x} > 0), (0, True)), ({u}, 0, {U}))",
    "floor({x}) + floor({y})",
)  # fmt: skip
"""Forms of an index that data give: x, y reads; t a read along an index u up to U of its own."""


def infinite(made: Expressions, scope: Scope) -> str:
    """Return a read that is -oo outside its tensor."""
    table = made.pick([t for t in made.tables if t.kind in ("real", "positive")])
    if not table.extents:
        return str(table.name)
    return f"Padded({table.name}, -oo)[{', '.join(made.index(e, scope) for e in table.extents)}]"


def placed(made: Expressions, scope: Scope) -> str:
    """Return a read at a position that data give on one axis; what lies outside has a value."""
    tables = [t for t in made.tables if t.kind in ("real", "positive") and t.extents]
    form, extent = str(made.pick(POSITIONS)), made.extent()
    name = next(n for n in BOUND if n not in {b.label for b in scope.indices})
    bound = Bound(name, name, "0", f"{extent.text} - 1")
    along = made.read_along(bound, scope.inside(bound)) if "{t" in form else None
    data = [t.name for t in made.tables if t.kind == "integer" and t.extents == (extent,)]
    if not tables or scope.shy or ("{t}" in form and along is None) or ("{t_i}" in form and not data):
        return made.leaf(scope)
    form = form.replace("{t_i}", f"{made.pick(data or ['0'])}[{name}]").replace("{t}", along or "")
    form = form.replace("{U}", bound.last).replace("{u}", name)
    table, filled = made.pick(tables), made.fill(form, scope, 0, 0)
    axis = made.pick(range(len(table.extents)))
    indices = [filled if k == axis else made.index(e, scope) for k, e in enumerate(table.extents)]
    return f"Padded({table.name}{made.mode()})[{', '.join(indices)}]"


def own_gradient(made: Expressions, scope: Scope) -> str:
    """Return an expression with a gradient of its own in one element."""
    read = made.read(scope, plain=True)
    if not re.match(r"\w+(\[|$)", read):
        return f"StopGradient({read})"
    value, slope = made.leaf(scope), made.leaf(scope)
    return f"CustomGradient({read}*{value}, {{{read}: {slope}}}, check=False)"
