"""Recurrences that read a fixed place, or one that is earlier by more than a fixed distance."""

from __future__ import annotations

import numpy as np
from sympy import Eq, Idx, Max, Piecewise, Sum, floor, sin, symbols, tanh

from symgrad import Layer, LogSumExp

from .registry import Case, case, normals, tensors

D, T = symbols("D T", integer=True, positive=True)
h, w, x = tensors("h w x")
t, i, j = Idx("t", T), Idx("i", D), Idx("j", D)


def mixed(place):
    """What ``h`` at a place contributes to every element."""
    return Sum(w[i, j] * h[place, j], j)


def layer_of(name, *arms) -> Layer:
    return Layer(name, inputs=[x[T, D], w[D, D]], equations=[Eq(h[t, i], Piecewise(*arms, (x[t, i], True)))])


def loop(x, w, *steps, order=range):
    """Steps ``(holds(t), value(t, h, x[t], w))`` tried in order at each index; x itself where none holds."""
    found = np.zeros(x.shape)
    for t in order(len(x)):
        value = next((value for holds, value in steps if holds(t)), None)
        found[t] = x[t] if value is None else value(t, found, x[t], w)
    return found


def arrays(*lengths: int) -> tuple:
    made = [normals(x=(length, 3), w=(3, 3)) for length in lengths]
    return made[0], tuple((each, {}) for each in made[1:])


@case
def from_the_first() -> Case:
    layer = layer_of("from_the_first", (tanh(x[t, i] + mixed(0)), t > 0))

    def reference(x, w):
        return loop(x, w, (lambda t: t > 0, lambda t, h, x, w: np.tanh(x + w @ h[0])))

    given, also = arrays(5, 1, 2)
    return Case(layer, given, reference, also=also)


@case
def from_the_last() -> Case:
    layer = layer_of("from_the_last", (tanh(x[t, i] + mixed(T - 1)), t < T - 1))

    def reference(x, w):
        last = len(x) - 1
        step = (lambda t: t < last, lambda t, h, x, w: np.tanh(x + w @ h[last]))
        return loop(x, w, step, order=lambda n: reversed(range(n)))

    given, also = arrays(5, 1, 2)
    return Case(layer, given, reference, also=also)


@case
def first_and_previous() -> Case:
    """The first element in a logarithm of a sum of exponentials beside the previous one in a product."""
    layer = layer_of(
        "first_and_previous", (tanh(x[t, i] + mixed(t - 1)) + LogSumExp(h[0, j], j), t > 0), (sin(x[t, i]), t >= 0)
    )

    def reference(x, w):
        later = (lambda t: t > 0, lambda t, h, x, w: np.tanh(x + w @ h[t - 1]) + np.logaddexp.reduce(h[0]))
        return loop(x, w, later, (lambda t: True, lambda t, h, x, w: np.sin(x)))

    given, also = arrays(5, 1, 2)
    return Case(layer, given, reference, also=also)


@case
def from_the_third_which_needs_steps() -> Case:
    later = tanh(h[t - 1, i] + x[t, i] + mixed(2))
    layer = layer_of("from_the_third_which_needs_steps", (later, t > 2), (h[t - 1, i] * x[t, i], t > 0))

    def reference(x, w):
        late = (lambda t: t > 2, lambda t, h, x, w: np.tanh(h[t - 1] + x + w @ h[2]))
        return loop(x, w, late, (lambda t: t > 0, lambda t, h, x, w: h[t - 1] * x))

    given, also = arrays(6, 1, 2, 3, 4)
    return Case(layer, given, reference, also=also)


@case
def from_the_middle() -> Case:
    layer = layer_of("from_the_middle", (tanh(x[t, i] + mixed(floor(t / 2))), t > 1))

    def reference(x, w):
        return loop(x, w, (lambda t: t > 1, lambda t, h, x, w: np.tanh(x + w @ h[t // 2])))

    given, also = arrays(7, 1, 2, 3)
    return Case(layer, given, reference, also=also)


@case
def from_three_before_or_the_first() -> Case:
    layer = layer_of("from_three_before_or_the_first", (tanh(x[t, i] + mixed(Max(t - 3, 0))), t > 0))

    def reference(x, w):
        return loop(x, w, (lambda t: t > 0, lambda t, h, x, w: np.tanh(x + w @ h[max(t - 3, 0)])))

    given, also = arrays(7, 1, 2)
    return Case(layer, given, reference, also=also)
