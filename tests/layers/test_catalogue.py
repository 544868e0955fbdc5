"""The catalogue by name: complete, lazy, sorted, and helpful about a name that is not there."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from inspect import cleandoc
from pathlib import Path

import pytest

import symgrad.layers
from symgrad import Layer
from symgrad.errors import UnknownLayerError

NOTATION_ONLY = {"__init__", "symbols"}
SUBMODULES = sorted(p.stem for p in Path(symgrad.layers.__file__).parent.glob("*.py") if p.stem not in NOTATION_ONLY)


def test_the_names_are_sorted_and_appear_once() -> None:
    names = symgrad.layers.catalogue()
    assert list(names) == sorted(set(names))
    assert set(names) <= set(dir(symgrad.layers))


def test_every_layer_that_a_submodule_declares_is_in_the_catalogue_under_its_own_name() -> None:
    declared = {}
    for submodule in SUBMODULES:
        for attribute, value in vars(import_module(f"symgrad.layers.{submodule}")).items():
            if isinstance(value, Layer):
                assert value.name == attribute
                assert attribute not in declared, f"{attribute} is declared twice"
                declared[attribute] = value
    assert sorted(declared) == list(symgrad.layers.catalogue())
    assert all(symgrad.layers.get(name) is layer for name, layer in declared.items())


def test_no_layer_has_the_name_of_a_submodule() -> None:
    assert not set(symgrad.layers.catalogue()) & {*SUBMODULES, *NOTATION_ONLY}


@pytest.mark.parametrize("name", symgrad.layers.catalogue())
def test_a_layer_says_what_it_is_its_shapes_and_its_source(name: str) -> None:
    layer = getattr(symgrad.layers, name)
    summary, _, details = cleandoc(layer.doc).partition("\n\n")
    assert summary.endswith(".") and len(summary) < 100 and "\n" not in summary
    assert max(map(len, details.splitlines())) <= 120
    assert "Source: " in details
    for tensor in layer.inputs:
        assert f"{tensor.name} (" in details, f"the shape of {tensor.name}"
    for symbol in layer.attributes:
        assert re.search(rf"\b{symbol}\b", layer.doc), f"the meaning of {symbol}"


def test_an_unknown_name_is_answered_with_those_that_look_like_it() -> None:
    with pytest.raises(UnknownLayerError, match=r"no layer 'conv2' in the catalogue; did you mean conv2d"):
        symgrad.layers.get("conv2")
    with pytest.raises(UnknownLayerError, match=r"no layer 'xyzzy' in the catalogue; `symgrad list` names them all"):
        symgrad.layers.get("xyzzy")
    with pytest.raises(AttributeError, match="did you mean softmax"):
        _ = symgrad.layers.sofmax
    assert not hasattr(symgrad.layers, "xyzzy")


def test_the_names_are_known_without_sympy() -> None:
    script = (
        "import sys, symgrad.layers as layers\n"
        "assert layers.catalogue() and 'conv2d' in dir(layers)\n"
        "assert 'sympy' not in sys.modules, 'SymPy was imported for a list of names'\n"
        "assert layers.dense.name == 'dense' and 'sympy' in sys.modules\n"
        "assert 'symgrad.layers.pooling' not in sys.modules, 'dense needs no pooling'\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
