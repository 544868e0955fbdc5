"""How often emitted modules of the catalogue use what is slow or hard to read, against a committed table.

``python -m pytest -n 0 -s tests/lower/test_constructs.py`` prints the table, ``--update`` writes it anew. A count that
went up is to be looked at, one that went down to be kept.
"""

from __future__ import annotations

import ast
import json
from collections import Counter
from pathlib import Path

import pytest

import symgrad
from symgrad.compiler import run
from symgrad.declare.graph import groups, is_recurrent
from symgrad.declare.integers import Entry, RealFloor, atoms
from symgrad.declare.scalars import polynomials

from ..points import NAMES, point, stages

TABLE = Path(__file__).with_name("constructs.json")
COUNTED = ("where", "clip", "arange index", "_add_at", "einsum", "for")
KERNEL = {"R", "S", "T"}
"""Extents of kernels: with the windows of pooling, an attribute K, all that a Python loop may run over."""
BANNED = {
    "clip": "an index pulled back into its axis: a slice or a border belongs there",
    "_add_at": "one addition after another: a slice, a window or a product belongs there",
    "add.at": "one addition after another: a slice, a window or a product belongs there",
    "arange index": "a gather: a slice, a window or a reshape belongs there",
    "take": "a gather: a slice, a window or a reshape belongs there",
    "take_along_axis": "a gather: a slice, a window or a reshape belongs there",
    "put_along_axis": "a scatter: a slice belongs there",
    "bincount": "a scatter: a slice, a window or a product belongs there",
    "meshgrid": "index arrays over the joint index space: views belong there",
    "indices": "index arrays over the joint index space: views belong there",
    "ix_": "index arrays over the joint index space: views belong there",
    "vectorize": "a Python loop in disguise",
    "frompyfunc": "a Python loop in disguise",
    "apply_along_axis": "a Python loop in disguise",
    "nditer": "a Python loop in disguise",
    "ndindex": "a Python loop in disguise",
    "fromiter": "a Python loop in disguise",
    "item": "one number at a time",
    "map": "a Python loop in disguise",
    "while": "a Python loop without a range",
    "comprehension": "a Python loop in disguise",
}
LOOKUPS = {"clip", "_add_at", "arange index"}
"""What layers may use whose positions are data: labels, ids, sampled points."""

DIAGONAL = "the entry of each row that belongs to it"
WINNER = "one entry of each row, at the position of its maximum"
OVERLAPPING = "one entry of each window, at the position of its maximum: other windows may have it too"
ROUNDED = "positions that are rounded or wrap by an amount that only an attribute knows"
EXCEPTIONS = {
    ("clip_loss", "arange index"): DIAGONAL,
    ("info_nce", "arange index"): DIAGONAL,
    **{
        (n, "arange index"): WINNER
        for n in ("global_max_pool1d", "global_max_pool2d", "global_max_pool3d", "max_axis", "maxout", "min_axis")
    },
    **{("spatial_pyramid_pool2d", w): WINNER for w in ("clip", "_add_at")},
    **{(f"adaptive_max_pool{d}d", "_add_at"): OVERLAPPING for d in (1, 2, 3)},
    **{
        (n, w): ROUNDED
        for n in (
            *("resize_bilinear2d_corners", "roll", "tiled_conv2d", "upsample_bilinear2d"),
            *("upsample_bicubic2d", "upsample_linear1d", "upsample_trilinear3d"),
        )
        for w in ("_add_at", "arange index")
    },
}

Counts = dict[str, int]


def functions(source: str) -> list[ast.FunctionDef]:
    """forward and backward; helpers are not counted."""
    tree = ast.parse(source)
    return [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in ("forward", "backward")]


def called(node: ast.AST) -> str:
    """The last name of what a call calls."""
    if not isinstance(node, ast.Call):
        return ""
    match node.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def assigned_aranges(function: ast.FunctionDef) -> set[str]:
    """Names that hold an expression with np.arange."""
    return {
        target.id
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and any(called(part) == "arange" for part in ast.walk(node.value))
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def indexed_by_arange(node: ast.AST, names: set[str]) -> bool:
    """Whether a subscript's index holds np.arange, or a name made of it."""
    if not isinstance(node, ast.Subscript):
        return False
    inside = list(ast.walk(node.slice))
    return any(called(part) == "arange" or (isinstance(part, ast.Name) and part.id in names) for part in inside)


def everything(source: str) -> Counter[str]:
    """How often each construct, counted or banned, stands in forward and backward."""
    counts: Counter[str] = Counter()
    for function in functions(source):
        names = assigned_aranges(function)
        for node in ast.walk(function):
            counts[construct(node)] += 1
            counts["arange index"] += indexed_by_arange(node, names)
    return counts


def construct(node: ast.AST) -> str:
    """What a node is called in the table."""
    match node:
        case ast.Call(func=ast.Attribute(attr="at", value=ast.Attribute(attr=function))):
            return f"{function}.at"
        case ast.Call():
            return called(node)
        case ast.For():
            return "for"
        case ast.While():
            return "while"
        case ast.ListComp() | ast.GeneratorExp() | ast.DictComp() | ast.SetComp():
            return "comprehension"
    return ""


def constructs(source: str) -> Counts:
    """How often each counted construct stands in forward and backward."""
    found = everything(source)
    return {what: found[what] for what in COUNTED}


def module_of(name: str) -> str:
    """The module of the catalogue as committed; another test compares it with what is generated now."""
    return (Path(symgrad.__file__).parents[1] / "generated" / "numpy" / f"{name}.py").read_text()


def measured() -> dict[str, Counts]:
    """Layers that use any of the constructs, with those that they use."""
    found = {}
    for name in symgrad.catalogue():
        used = {what: count for what, count in constructs(module_of(name)).items() if count}
        if used:
            found[name] = used
    return found


def report(table: dict[str, Counts]) -> str:
    """The table as text, one line a layer, and a line of totals."""
    lines = [f"{'layer':34s}" + "".join(f"{what:>14s}" for what in COUNTED)]
    for name, counts in table.items():
        lines.append(f"{name:34s}" + "".join(f"{counts.get(what, 0) or '':>14}" for what in COUNTED))
    totals = [sum(counts.get(what, 0) for counts in table.values()) for what in COUNTED]
    return "\n".join([*lines, f"{'total':34s}" + "".join(f"{t:>14}" for t in totals)])


def test_constructs_are_those_of_the_table(update: bool) -> None:
    found = measured()
    print("\n" + report(found))
    if update:
        TABLE.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")
    expected = json.loads(TABLE.read_text())
    changed = {
        name: (expected.get(name, {}), found.get(name, {}))
        for name in sorted({*expected, *found})
        if expected.get(name, {}) != found.get(name, {})
    }
    assert changed == {}, "committed and found; --update writes what was found"


@pytest.mark.parametrize("name", symgrad.catalogue())
def test_loops_run_over_window_offsets_only(name: str) -> None:
    """Never over samples, channels, features or space."""
    program = symgrad.layers.get(name).program
    allowed = KERNEL | {a.name for a in program.attributes if a.integer and 1 < a.default <= 16} | {"K", "2"}
    allowed |= {"2 * R + 1", "2 * S + 1"}
    if any(is_recurrent(group) for group in groups(program.equations)):
        pytest.skip("a recurrence loops over its steps; tests/lower/test_scan.py looks at those loops")
    for function in functions(module_of(name)):
        for node in ast.walk(function):
            if isinstance(node, ast.For):
                assert called(node.iter) == "range"
                arguments = [ast.unparse(a) for a in node.iter.args]  # type: ignore[attr-defined]
                if len(arguments) == 3 and arguments[0] == "0" and arguments[2] == "rows":
                    continue  # a chunk
                if arguments[0] == "1":
                    arguments = arguments[1:]  # what comes after the first offset
                assert arguments[0] in allowed and len(arguments) == 1, f"{function.name} loops over {arguments}"


def looks_up(name: str) -> bool:
    """Whether positions in a layer are data."""
    program = symgrad.layers.get(name).program
    inside = (a for e in program.equations for poly in polynomials(e.body) for a in atoms(poly))
    return any(t.integer for t in program.inputs) or any(isinstance(a, Entry | RealFloor) for a in inside)


def test_what_is_banned_stands_in_no_module_of_the_catalogue() -> None:
    """Save where a reason is given; an exception that nothing needs any more has to go."""
    counts = {name: everything(module_of(name)) for name in symgrad.catalogue()}
    found = {(name, what) for name in counts for what in BANNED if counts[name][what]}
    found -= {(name, what) for name in counts if looks_up(name) for what in LOOKUPS}
    wrong = {f"{name}: {what}, {BANNED[what]}" for name, what in found - set(EXCEPTIONS)}
    assert wrong == set()
    assert set(EXCEPTIONS) - found == set(), "exceptions that are not needed"


@pytest.mark.parametrize("name", NAMES)
def test_fast_modules_do_without_what_readable_ones_do_without(name: str) -> None:
    readable, fast = (everything(found.source) for found in (stages(name), run(point(name).layer, schedule="fast")))
    worse = {what: reason for what, reason in BANNED.items() if fast[what] and not readable[what]}
    assert worse == {}


def test_the_counter_counts() -> None:
    source = """
def forward(x, ids):
    for u in range(R):
        x = np.where(x > 0, x, 0)[np.arange(3)]
    position = np.arange(4)[:, None] + 1
    return x[position, :].clip(0, 1), np.einsum("i,i", x, x)


def backward(residuals, grad_y):
    _add_at(grad_x, np.clip(ids, 0, 3), grad_y)


def _add_at(a, b, c):
    for i in range(3):
        np.where(a, b, c)
"""
    assert constructs(source) == {"where": 1, "clip": 2, "arange index": 2, "_add_at": 1, "einsum": 1, "for": 1}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("np.add.at(y, ids, x)", "add.at"),
        ("y = np.take(x, ids)", "take"),
        ("y = x.take(ids)", "take"),
        ("y = [a for a in x]", "comprehension"),
        ("y = np.sum(a for a in x)", "comprehension"),
        ("y = x[np.clip(ids, 0, 3)]", "clip"),
        ("y = np.vectorize(f)(x)", "vectorize"),
    ],
)
def test_what_is_banned_is_found(line: str, what: str) -> None:
    assert what in BANNED
    assert everything(f"def forward(x, ids):\n    {line}\n    return y\n")[what] == 1
