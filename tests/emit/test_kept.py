"""The table of residuals in a module's docstring says what forward keeps and what backward computes again."""

from __future__ import annotations

import ast
import re
from typing import Any

import numpy as np
import pytest
from sympy import Eq, Idx, IndexedBase, Sum, Symbol, exp, symbols, tanh

from symgrad import Layer, Padded, ReduceMax, chain, compile_layer, layers
from symgrad.check.values import Sampler
from symgrad.emit.printer import WIDTH

from ..points import NAMES, point, stages

N, M = symbols("N M", integer=True, positive=True)
x, y, h = IndexedBase("x"), IndexedBase("y"), IndexedBase("h")
n, m, k = Idx("n", N), Idx("m", N), Idx("k", M - 1)


def table(source: str) -> list[str]:
    docstring = ast.get_docstring(ast.parse(source)) or ""
    return ("Kept for backward" + docstring.split("Kept for backward")[1]).splitlines()


def of(layer: Layer, **options: Any) -> list[str]:
    return table(compile_layer(layer, **options).source)


def test_one_line_where_nothing_is_copied() -> None:
    assert of(layers.softmax) == ["Kept for backward (auto): y; not copied."]
    assert of(layers.relu, residuals="store") == ["Kept for backward (store): x; not copied."]
    layer = Layer("double", [x[N]], [Eq(y[n], 2 * x[n])])
    assert of(layer) == ["Kept for backward (auto): nothing; not copied."]


def test_bytes_of_what_is_kept() -> None:
    assert of(layers.layer_norm) == [
        "Kept for backward (auto, b bytes a number):",
        "    mean      b * N bytes",
        "    variance  b * N bytes",
        "    beside x, gamma, not copied",
    ]


def test_bytes_of_positions_and_of_scalars() -> None:
    assert "    winner_y  8 * N * L bytes" in of(layers.max_axis)
    narrow = "    winner_y  N * C * I bytes, twice that from K = 256 on, four times from 65536"
    assert narrow in of(layers.max_pool1d)
    total = Symbol("total")
    layer = Layer("energy", [x[N]], [Eq(total, Sum(x[m] ** 2, m)), Eq(y[n], x[n] * tanh(total))])
    assert any(line.endswith("  b bytes") for line in of(layer, residuals="store"))


def test_work_of_what_is_computed_again() -> None:
    assert of(layers.layer_norm, residuals="recompute") == [
        "Kept for backward (recompute):",
        "    mean      computed again: N elements of M terms, 3 operations each",
        "    variance  computed again: N elements of M terms, 6 operations each",
        "    beside x, gamma, not copied",
    ]
    network = chain(layers.dense, layers.relu, layers.dense, layers.softmax_cross_entropy, name="network")
    assert "    relu_y         computed again: N * K elements, 1 operation each" in of(network)


def test_extents_that_are_sums() -> None:
    layer = Layer("steps", [x[N, M]], [Eq(h[n, k], exp(x[n, k + 1] - x[n, k])), Eq(y[n], Sum(h[n, k], k))])
    assert "    h  b * N * (M - 1) bytes" in of(layer, residuals="store")


def test_bytes_of_positions_in_a_window_of_one_extent() -> None:
    v = Idx("v", 3)
    pool = Layer("pool", [x[N, M]], [Eq(y[n, k], ReduceMax(Padded(x)[n, k + v - 1], v))])
    assert "    winner_y  N * (M - 1) bytes" in of(pool)


def stated(line: str, names: dict[str, Any], item: int) -> float:
    """The bytes that a line of the table states, at sizes."""
    text = line.split(None, 1)[1].strip()
    if ", twice that from " in text:
        text, rule = text.split(", twice that from ")
        largest = eval(rule.split(" = 256")[0], names)
        return eval(text.removesuffix(" bytes"), names) * (1 if largest < 256 else 2 if largest < 65536 else 4)
    return eval(text.removesuffix(" bytes"), {**names, "b": item})


POSITIONS = ("max_pool1d", "max_pool2d_anisotropic", "max_pool3d", "max_axis", "switch_experts", "layer_norm", "lstm")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("schedule", ["readable", "fast"])
@pytest.mark.parametrize("name", POSITIONS)
def test_as_many_bytes_are_kept_as_stated(name: str, schedule: str, dtype: Any) -> None:
    compiled = compile_layer(layers.get(name), schedule=schedule)
    case = Sampler(compiled.layer).case("varied")
    arrays = [a.astype(dtype) if a.dtype.kind == "f" else a for a in case.arrays.values()]
    _, residuals = compiled.forward(*arrays, **case.attributes)
    names: dict[str, Any] = {**case.attributes, **case.sizes.dimensions}
    for field, axes in re.findall(r"^    (\w+): np.ndarray  # \w+\[(.*?)\]", compiled.source, re.M):
        if hasattr(residuals, field):
            extents = zip(axes.split(", "), getattr(residuals, field).shape, strict=True)
            names |= {axis: extent for axis, extent in extents if axis.isidentifier()}
    lines = [line.strip() for line in table(compiled.source)[1:] if " bytes" in line]
    assert lines
    for line in lines:
        assert stated(line, names, np.dtype(dtype).itemsize) == getattr(residuals, line.split()[0]).nbytes, line


@pytest.mark.parametrize("extent", [255, 256])
def test_positions_in_long_windows_take_two_bytes(extent: int) -> None:
    compiled = compile_layer(layers.max_pool1d)
    _, residuals = compiled.forward(np.zeros((1, 1, 300)), K=extent, stride=1)
    (line,) = [line for line in table(compiled.source) if "winner_y" in line]
    found = stated(line.strip(), {"N": 1, "C": 1, "I": 301 - extent, "K": extent}, 8)
    assert found == residuals.winner_y.nbytes == (301 - extent) * (1 if extent == 255 else 2)


@pytest.mark.parametrize("name", NAMES)
def test_the_table_is_what_the_module_keeps(name: str) -> None:
    made, here = stages(name), point(name)
    lines = table(made.source)
    assert all(len(line) <= WIDTH for line in lines)
    kept = {line.split()[0] for line in lines[1:] if " bytes" in line}
    again = {line.split()[0] for line in lines[1:] if "computed again" in line}
    given = {t.name for t in here.layer.inputs} | set(here.layer.outputs)
    assert again == set(made.plan.again)
    module: dict[str, Any] = {}
    exec(compile(made.source, name, "exec"), module)
    _, residuals = module["forward"](*here.arrays.values(), **here.attributes)
    arrays = {k for k, v in residuals._asdict().items() if isinstance(v, np.ndarray | np.floating)}
    assert kept <= set(residuals._fields) - given
    assert arrays - given <= kept
