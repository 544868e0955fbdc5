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

from ..points import stages

TABLE = Path(__file__).with_name("constructs.json")
COUNTED = ("where", "clip", "arange index", "_add_at", "einsum", "for")
KERNEL = {"R", "S", "T"}
"""Extents of kernels: with those of windows and blocks, all that a Python loop may run over."""
WINDOWS = {"K", "size", "scale"}
"""Attributes that are the extent of a window or a block."""
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
GATHERED, ADDED = ("arange index",), ("_add_at",)
DATA = ("clip", "_add_at", "arange index")
REASONS: dict[str, dict[str, tuple[str, ...]]] = {
    "one entry of each row, at the column that the row's label names": {
        "log_likelihood": GATHERED,
        "masked_cross_entropy": ("clip", "arange index"),
        "multiclass_hinge": ("clip", "arange index"),
        "nll": GATHERED,
        "smoothed_cross_entropy": GATHERED,
        "softmax_cross_entropy": GATHERED,
        "weighted_cross_entropy": GATHERED,
    },
    "rows or places whose numbers are data": {
        "embedding": ADDED,
        "embedding_bag": ("clip", "_add_at"),
        "embedding_bag_mean": ("clip", "_add_at"),
        "graph_convolution": ("clip", "_add_at"),
        "max_unpool2d": DATA,
        "segment_mean": ("clip", "_add_at"),
        "segment_sum": ("clip", "_add_at"),
        "stochastic_pool2d": DATA,
        "switch_experts": ("_add_at", "arange index"),
        "take_along": ("_add_at", "arange index"),
        "weighted_embedding_bag": ADDED,
    },
    "pixels around positions that are data": {
        "deformable_conv2d": DATA,
        "grid_sample2d": DATA,
        "grid_sample2d_border": ("_add_at", "arange index"),
    },
    "the place of the maximum, found in forward": {
        "global_max_pool2d": ("clip", "arange index"),
        "maxout": GATHERED,
        "spatial_pyramid_pool2d": ("clip", "_add_at"),
    },
    "pixels around positions that are fractions of an index": {
        "resize_bilinear2d_corners": ("_add_at", "arange index"),
        "upsample_bilinear2d": ("_add_at", "arange index"),
    },
    "to do better: affine reads that are gathered, a diagonal and digits or remainders of an index": {
        "clip_loss": GATHERED,
        "fold2d": DATA,
        "info_nce": GATHERED,
        "roll": ("_add_at", "arange index"),
        "tiled_conv2d": ("_add_at", "arange index"),
        "unfold2d": DATA,
    },
}
EXCEPTIONS = {
    (name, what): reason
    for reason, layers in REASONS.items()
    for name, constructs_of in layers.items()
    for what in constructs_of
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


def measured() -> dict[str, Counts]:
    """Layers that use any of the constructs, with those that they use."""
    found = {}
    for name in symgrad.catalogue():
        used = {what: count for what, count in constructs(stages(name).source).items() if count}
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
    """Never over samples, channels, features or space, save in chunks of many rows where memory has to be bounded."""
    attributes = {a.name for a in stages(name).layer.program.attributes}
    allowed = KERNEL | {f"2 * {extent} + 1" for extent in KERNEL} | (WINDOWS & attributes) | {"2"}
    for function in functions(stages(name).source):
        for node in ast.walk(function):
            if isinstance(node, ast.For):
                assert called(node.iter) == "range"
                extent = ", ".join(map(ast.unparse, node.iter.args))  # type: ignore[attr-defined]
                chunks = extent.startswith("0, ") and extent.endswith(", rows")
                assert extent in allowed or chunks, f"{function.name} loops over {extent}"


def test_what_is_banned_stands_in_no_module_of_the_catalogue() -> None:
    """Save where a reason is given; an exception that nothing needs any more has to go."""
    counts = {name: everything(stages(name).source) for name in symgrad.catalogue()}
    found = {(name, what) for name in counts for what in BANNED if counts[name][what]}
    wrong = {f"{name}: {what}, {BANNED[what]}" for name, what in found - set(EXCEPTIONS)}
    assert wrong == set()
    assert set(EXCEPTIONS) - found == set(), "exceptions that are not needed"


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
