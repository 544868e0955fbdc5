"""``symgrad new``: a file with a layer in it, to start from."""

from __future__ import annotations

from pathlib import Path
from string import Template

import click

from symgrad.errors import EmissionError
from symgrad.naming import check_name

STARTER = Template('''\
"""The layer $name, declared as index equations.

    symgrad check $file      the gradients, compared with numbers
    symgrad derive $file     how they come about, step by step
    symgrad generate $file   writes the NumPy module with forward and backward
"""

from sympy import Eq, Idx, IndexedBase, Max, Sum, symbols

from symgrad import Layer

# Extents: what the shapes of the arrays say when the layer is called.
N, J, K = symbols("N J K", integer=True, positive=True)

# Attributes: keyword arguments with a default.
slope = symbols("slope", real=True)

# Tensors, and the indices that run over their axes: n counts 0 .. N-1.
x, w, b, z, y = (IndexedBase(letter) for letter in "xwbzy")
n, j, k = Idx("n", N), Idx("j", J), Idx("k", K)

$name = Layer(
    "$name",
    # The inputs with their shapes, in the order in which forward takes them.
    inputs=[x[N, J], w[K, J], b[K]],
    # One equation for each tensor; the last one is the output. No derivative is written anywhere.
    equations=[
        Eq(z[n, k], Sum(x[n, j] * w[k, j], j) + b[k]),
        Eq(y[n, k], Max(z[n, k], slope * z[n, k])),
    ],
    attributes={slope: 0.01},
    doc="Leaky fully connected layer: x (N, J), w (K, J), b (K,); y (N, K).",
)
''')


def new(name: str) -> None:
    """Write ``NAME.py`` into the current folder; a file that exists is left alone.

    Raises:
        DeclarationError: the name cannot stand in a module.
        EmissionError: the file exists or cannot be written.
    """
    path = Path(f"{check_name(name, 'layer name')}.py")
    try:
        with open(path, "x", encoding="utf-8", newline="\n") as file:
            file.write(STARTER.substitute(name=name, file=path))
    except FileExistsError:
        raise EmissionError(f"{path} exists already; choose another name or remove it") from None
    except OSError as error:
        raise EmissionError(f"cannot write {path}: {error.strerror}") from None
    click.echo(f"wrote {path}; try: symgrad derive {path}:{name}")
