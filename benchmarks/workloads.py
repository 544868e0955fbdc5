"""The workloads of the suite: layers at sizes that people use, with the work that none of them can do without.

Images are declared in both index orders: batch, channel, row, column as in the catalogue; and batch, row, column,
channel here, in the notation of any user. ``operations`` and ``traffic`` are formulas in the layer's sizes: arithmetic
of products and sums, and bytes that have to come from memory or go there, forward and backward, in float32.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, ClassVar

import images_last
import sympy
from problems import Problem, Training
from sympy import IndexedBase, floor, symbols

import symgrad
from symgrad import Layer
from symgrad.demo.networks import FULL_SIDE, build
from symgrad.layers.symbols import C, D, H, K, M, N, R, S, T, W, padding, stride

E, V = symbols("E V", integer=True, positive=True)
I = floor((H + 2 * padding - R) / stride) + 1  # noqa: E741
J = floor((W + 2 * padding - S) / stride) + 1
Shape = tuple[int, ...]
Shapes = dict[str, Shape]


@dataclass(frozen=True)
class Workload:
    """A layer at a size.

    Attributes:
        kind: what other libraries call for it; see the rivals.
        declare: gives the layer.
        shapes: of every input.
        tiny: the same for a smoke test.
        operations: multiplications and additions, a formula.
        traffic: bytes from and to memory, a formula.
        goal: the largest ratio to the faster torch that is aimed at.
        attributes: of the layer.
        integers: inputs that hold integers, with the input and axis that they number.
        last: whether channels are the last axis of images; rivals get them as the second.
        small: whether calls, not work, decide.
        weights: inputs that are scaled down, so that states keep their size.
    """

    kind: str
    declare: Callable[[], Layer]
    shapes: Shapes
    tiny: Shapes
    operations: Any
    traffic: Any
    goal: float | None = None
    attributes: dict[str, int] = field(default_factory=dict)
    integers: dict[str, tuple[str, int]] = field(default_factory=dict)
    last: bool = False
    small: bool = False
    weights: tuple[str, ...] = ()

    def problem(self, tiny: bool) -> Problem:
        """What to compute."""
        shapes = self.tiny if tiny else self.shapes
        integers = {name: shapes[other][axis] for name, (other, axis) in self.integers.items()}
        return Problem(self.kind, shapes, integers, self.attributes, self.last, self.weights)

    def modules(self, schedule: str) -> str:
        """The emitted module."""
        return source(self.declare(), schedule)

    def amounts(self, tiny: bool) -> tuple[float, float]:
        """Operations and bytes at these sizes."""
        sizes = self.declare().solve_sizes(self.tiny if tiny else self.shapes, self.attributes) | self.attributes
        return value(self.operations, sizes), value(self.traffic, sizes)


@dataclass(frozen=True)
class Step:
    """One step of training the convolutional network of ``symgrad demo`` on images as large as MNIST's."""

    batch: int
    goal: float = 1.0
    small: bool = False

    KERNELS: ClassVar = 2 * (32 * 26**2 * 9 * 2 + 64 * 11**2 * 32 * 9 * 3)
    UNITS: ClassVar = 6 * (1600 * 1024 + 1024 * 10)
    operations: ClassVar = N * (KERNELS + UNITS)
    # Parameters are read forward and backward, their gradients written and read, new ones written.
    traffic: ClassVar = 24 * N * (32 * 26**2 + 64 * 11**2) + 4 * 5 * K

    @property
    def shapes(self) -> Shapes:
        """Of the images."""
        return {"images": (self.batch, 1, FULL_SIDE, FULL_SIDE)}

    def problem(self, tiny: bool) -> Training:
        """What to compute."""
        batch = 2 if tiny else self.batch
        return Training("network", {"images": (batch, 1, FULL_SIDE, FULL_SIDE)}, attributes={"rate": 0.01})

    def modules(self, schedule: str) -> dict[str, str]:
        """The emitted modules of all layers, and of the step."""
        names = (*build("conv", FULL_SIDE, seed=0).modules(), "sgd_step")
        return {name: source(symgrad.layers.get(name), schedule) for name in names}

    def amounts(self, tiny: bool) -> tuple[float, float]:
        """Operations and bytes at this batch."""
        sizes = {"N": 2 if tiny else self.batch, "K": build("conv", FULL_SIDE, seed=0).count()}
        return value(self.operations, sizes), value(self.traffic, sizes)


@cache
def source(layer: Layer, schedule: str) -> str:
    """The text of a layer's module."""
    return symgrad.compile_layer(layer, schedule=schedule).source


def value(formula: Any, sizes: dict[str, Any]) -> float:
    """A formula at these sizes."""
    formula = sympy.sympify(formula)
    return float(formula.subs({symbol: sizes[symbol.name] for symbol in formula.free_symbols}))


def of_catalogue(name: str) -> Callable[[], Layer]:
    return partial(symgrad.layers.get, name)


@cache
def lstm() -> Layer:
    """The catalogue's with one output: the states, as other libraries have it."""
    whole = symgrad.layers.lstm
    inputs = [IndexedBase(t.name)[t.shape] for t in whole.inputs]
    return Layer("lstm", inputs=inputs, equations=whole.equations, outputs=["h"])


@cache
def mlp() -> Layer:
    layers = symgrad.layers
    return symgrad.chain(layers.dense, layers.relu, layers.dense, layers.softmax_cross_entropy, name="mlp")


def dense(n: int, m: int, k: int) -> Workload:
    shapes, tiny = ({"x": (a, b), "w": (c, b), "b": (c,)} for a, b, c in ((n, m, k), (3, 5, 4)))
    traffic = 4 * (3 * N * M + 3 * K * M + 2 * N * K)
    return Workload("dense", of_catalogue("dense"), shapes, tiny, 6 * N * M * K, traffic, 1.0)


def images(first: Shape, last: bool) -> Shape:
    """An image's shape with channels as the last axis, if so wanted."""
    return (*first[:1], *first[2:], first[1]) if last else first


def convolution(x: Shape, k: int, r: int, goal: float, last: bool = False, **attributes: int) -> Workload:
    def shapes(x: Shape, k: int) -> Shapes:
        w = (r, r, x[1], k) if last else (k, x[1], r, r)
        return {"x": images(x, last), "w": w, "b": (k,)}

    operations, traffic = 6 * N * K * I * J * C * R * S, 4 * (3 * N * C * H * W + 3 * K * C * R * S + 2 * N * K * I * J)
    declare = images_last.conv2d if last else of_catalogue("conv2d")
    given = {"stride": 1, "padding": 0} | attributes
    return Workload(
        "conv2d", declare, shapes(x, k), shapes((2, 3, 7, 7), 4), operations, traffic, goal, given, last=last
    )


def depthwise(x: Shape, goal: float, last: bool = False) -> Workload:
    def shapes(x: Shape) -> Shapes:
        return {"x": images(x, last), "w": (3, 3, x[1]) if last else (x[1], 3, 3), "b": (x[1],)}

    operations, traffic = 6 * N * C * I * J * R * S, 4 * (3 * N * C * H * W + 2 * N * C * I * J)
    declare = images_last.depthwise_conv2d if last else of_catalogue("depthwise_conv2d")
    given = {"stride": 1, "padding": 1}
    return Workload(
        "depthwise_conv2d", declare, shapes(x), shapes((2, 3, 7, 7)), operations, traffic, goal, given, last=last
    )


LARGE = (16, 64, 64, 64)


def pooling(kind: str, k: int, goal: float, last: bool = False, x: Shape = LARGE) -> Workload:
    shapes, tiny = ({"x": images(a, last)} for a in (x, (2, 3, 7, 7)))
    windows = (floor((H - K) / 2) + 1) * (floor((W - K) / 2) + 1)
    operations, traffic = 2 * N * C * windows * K**2, 8 * N * C * (H * W + windows)
    declare = getattr(images_last, kind) if last else of_catalogue(kind)
    return Workload(kind, declare, shapes, tiny, operations, traffic, goal, {"K": k, "stride": 2}, last=last)


def batch_norm(goal: float, last: bool = False, x: Shape = LARGE) -> Workload:
    shapes, tiny = ({"x": images(a, last), "gamma": a[1:2], "beta": a[1:2]} for a in (x, (2, 3, 4, 4)))
    declare = images_last.batch_norm2d if last else of_catalogue("batch_norm2d")
    # The statistics need a pass of their own, forward and backward, and an image batch does not stay in cache.
    return Workload("batch_norm2d", declare, shapes, tiny, 16 * N * C * H * W, 32 * N * C * H * W, goal, last=last)


def rows(kind: str, goal: float, n: int = 4096, m: int = 1024, vectors: tuple[str, ...] = ()) -> Workload:
    """A layer of rows of features: read and written once in each direction, and read again backward."""
    shapes, tiny = ({"x": (a, b)} | dict.fromkeys(vectors, (b,)) for a, b in ((n, m), (3, 5)))
    return Workload(kind, of_catalogue(kind), shapes, tiny, 8 * N * M, 20 * N * M, goal)


def cross_entropy(n: int, m: int, goal: float) -> Workload:
    shapes, tiny = ({"logits": (a, b), "labels": (a,)} for a, b in ((n, m), (3, 5)))
    return Workload(
        "softmax_cross_entropy",
        of_catalogue("softmax_cross_entropy"),
        shapes,
        tiny,
        6 * N * M,
        8 * N * M,
        goal,
        integers={"labels": ("logits", 1)},
    )


def attention(n: int, t: int, d: int, goal: float) -> Workload:
    shapes, tiny = (dict.fromkeys(("query", "key", "value"), shape) for shape in ((n, t, d), (2, 5, 4)))
    operations, traffic = 3 * N * T * (T + 1) * (D + E), 4 * N * T * (6 * D + 5 * E)
    return Workload("causal_attention", of_catalogue("causal_attention"), shapes, tiny, operations, traffic, goal)


def embedding(v: int, d: int, ids: int, goal: float) -> Workload:
    shapes, tiny = ({"table": (a, b), "ids": c} for a, b, c in ((v, d, (32, ids // 32)), (7, 3, (2, 9))))
    traffic = 4 * (3 * N * T * D + V * D)
    return Workload(
        "embedding", of_catalogue("embedding"), shapes, tiny, N * T * D, traffic, goal, integers={"ids": ("table", 0)}
    )


def recurrent(n: int, t: int, c: int, m: int, goal: float) -> Workload:
    def shapes(n: int, t: int, c: int, m: int) -> Shapes:
        return {"x": (n, t, c), "h0": (n, m), "c0": (n, m), "w": (4, m, c), "r": (4, m, m), "b": (4, m)}

    operations, traffic = 24 * N * T * M * (C + M), 4 * (3 * N * T * C + 12 * N * T * M + 12 * M * (C + M))
    return Workload("lstm", lstm, shapes(n, t, c, m), shapes(2, 4, 3, 5), operations, traffic, goal, weights=("w", "r"))


def perceptron(n: int, m: int, k: int) -> Workload:
    def shapes(n: int, m: int, k: int, classes: int) -> Shapes:
        first = {"x": (n, m), "dense_w": (k, m), "dense_b": (k,)}
        return first | {"dense_2_w": (classes, k), "dense_2_b": (classes,), "labels": (n,)}

    inner, classes = symbols("K K_2", integer=True, positive=True)
    operations = 6 * N * inner * (M + classes)
    traffic = 4 * (3 * N * M + 3 * inner * (M + classes))
    return Workload(
        "mlp", mlp, shapes(n, m, k, 10), shapes(3, 5, 4, 6), operations, traffic, 0.4,
        integers={"labels": ("dense_2_w", 0)}, small=True, weights=("dense_w", "dense_2_w"),
    )  # fmt: skip


IMAGES: dict[str, Callable[[bool], Workload]] = {
    "conv2d": lambda last: convolution((16, 64, 32, 32), 64, 3, 0.85, last, padding=1),
    "conv2d_rgb": lambda last: convolution((16, 3, 32, 32), 64, 3, 1.3, last, padding=1),
    "conv2d_deep": lambda last: convolution((8, 256, 14, 14), 256, 3, 0.9, last, padding=1),
    "conv2d_1x1": lambda last: convolution((16, 256, 14, 14), 256, 1, 1.0, last),
    "conv2d_5x5": lambda last: convolution((16, 64, 32, 32), 64, 5, 0.6, last),
    "conv2d_stride2": lambda last: convolution((16, 64, 32, 32), 64, 3, 1.2, last, padding=1, stride=2),
    "depthwise_conv2d": lambda last: depthwise((16, 64, 32, 32), 5.0, last),
    "max_pool2d": lambda last: pooling("max_pool2d", 2, 1.5, last),
    "max_pool2d_3x3": lambda last: pooling("max_pool2d", 3, 2.5, last),
    "average_pool2d": lambda last: pooling("average_pool2d", 2, 1.2, last),
    "batch_norm2d": lambda last: batch_norm(1.7, last),
}
OTHERS = {
    "dense": dense(256, 1024, 1024),
    "layer_norm": rows("layer_norm", 2.0, 4096, 768, ("gamma", "beta")),
    "rms_norm": rows("rms_norm", 0.5, 4096, 768, ("gamma",)),
    "softmax_cross_entropy": cross_entropy(4096, 1000, 0.9),
    "softmax_cross_entropy_wide": cross_entropy(256, 32000, 0.7),
    "relu": rows("relu", 1.25),
    "silu": rows("silu", 1.7),
    "gelu_tanh": rows("gelu_tanh", 0.95),
    "gelu": rows("gelu", 2.3),
    "causal_attention": attention(4 * 8, 256, 64, 0.8),
    "embedding": embedding(32000, 256, 8192, 1.2),
    "lstm": recurrent(32, 64, 256, 256, 1.35),
    "mlp_small": perceptron(32, 64, 32),
    "mlp": perceptron(32, 784, 128),
}
LAST = "_last"  # ends the names of images whose channels are the last axis
NETWORKS = {"mnist_10": Step(10), "mnist_128": Step(128)}
TRAINING_IMAGES = 60_000
WORKLOADS: dict[str, Workload | Step] = (
    {name: made(False) for name, made in IMAGES.items()}
    | {name + LAST: made(True) for name, made in IMAGES.items()}
    | OTHERS
    | NETWORKS
)
