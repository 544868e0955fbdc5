"""No string of a user's is executed, wherever an expression is taken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sympy import Eq, Idx, IndexedBase, Symbol, symbols

from symgrad import ArgMax, CustomGradient, Graph, Layer, LogSumExp, Padded, ReduceMax, StopGradient
from symgrad.errors import SymgradError

N = symbols("N", integer=True, positive=True)
x, y = IndexedBase("x"), IndexedBase("y")
i = Idx("i", N)


def declared(**given: Any) -> Layer:
    return Layer("named", **({"inputs": [x[N]], "equations": [Eq(y[i], x[i])]} | given))


TAKERS: dict[str, Callable[[Any], Any]] = {
    "extent of a graph's input": lambda given: Graph("g").input("x", (N, given)),
    "shape of a graph's input": lambda given: Graph("g").input("x", given),
    "attribute of a use": lambda given: (g := Graph("g"))(declared(), g.input("x", (N,)), x=given),
    "value of a padding": lambda given: Padded(x, value=given),
    "index of a padding": lambda given: Padded(x)[given],
    "second index of a padding": lambda given: Padded(x)[i, given],
    "list of indices of a padding": lambda given: Padded(x)[[given]],
    "stopped": lambda given: StopGradient(given),
    "stopped dict": lambda given: StopGradient({1: given}),
    "value of a custom gradient": lambda given: CustomGradient(given, {x[i]: 1}),
    "derivative": lambda given: CustomGradient(x[i], {x[i]: given}),
    "element": lambda given: CustomGradient(x[i], {given: 1}),
    "derivatives": lambda given: CustomGradient(x[i], given),
    "pairs of derivatives": lambda given: CustomGradient(x[i], [(x[i], given)]),
    "reduced": lambda given: ReduceMax(given, i),
    "searched": lambda given: ArgMax(given, i),
    "summed": lambda given: LogSumExp(given, i),
    "limit": lambda given: ReduceMax(x[i], given),
    "index of a limit": lambda given: ReduceMax(x[i], (given, 0, 1)),
    "end of a limit": lambda given: ReduceMax(x[i], (i, 0, given)),
    "extent of a limit": lambda given: ReduceMax(x[i], (i, given)),
    "input": lambda given: declared(inputs=[given]),
    "equation": lambda given: declared(equations=[given]),
    "attribute": lambda given: declared(attributes={given: 1}),
    "default": lambda given: declared(attributes={Symbol("a"): given}),
    "requirement": lambda given: declared(requires=[given]),
    "typical size": lambda given: declared(typical={N: given}),
    "size": lambda given: declared(typical={given: 2}),
    "constant": lambda given: declared(constants=[given]),
    "output": lambda given: declared(outputs=[given]),
    "name": lambda given: Layer(given, [x[N]], [Eq(y[i], x[i])]),
}


@pytest.mark.parametrize("take", TAKERS.values(), ids=TAKERS)
def test_a_string_is_refused_and_not_executed(take: Callable[[Any], Any], tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    with pytest.raises(SymgradError):
        take(f"__import__('pathlib').Path({str(mark)!r}).touch()")
    assert not mark.exists()


def test_the_message_says_what_to_write() -> None:
    with pytest.raises(SymgradError, match=r"its argument is 'alpha', a string.*Symbol\('alpha'\)"):
        StopGradient("alpha")
    with pytest.raises(SymgradError, match=r"the value is None, which is no SymPy expression; write a number"):
        Padded(x, value=None)


def test_numbers_are_expressions() -> None:
    assert Padded(x, value=0.5)[i].value == 0.5
    assert StopGradient(2) == 2
    assert ReduceMax(1, (i, 0, 3)).limits[0][2] == 3
