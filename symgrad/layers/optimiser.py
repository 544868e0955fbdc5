"""Steps of optimisers, over parameters laid out as one row of values."""

from sympy import Idx, Symbol, sqrt, symbols

from symgrad import Layer
from symgrad.layers.equation import Eq
from symgrad.layers.symbols import N, tensors, w

i = Idx("i", N)
gradient, m, v, new_w, new_m, new_v = tensors("gradient m v new_w new_m new_v")
learning_rate, beta1, beta2, epsilon = symbols("learning_rate beta1 beta2 epsilon", real=True, nonnegative=True)
step = Symbol("step", integer=True, positive=True)

sgd_step = Layer(
    "sgd_step",
    inputs=[w[N], gradient[N]],
    equations=[Eq(new_w[i], w[i] - learning_rate * gradient[i])],
    attributes={learning_rate: 0.1},
    typical={N: 1_000_000},
    doc="""
    One step of (stochastic) gradient descent.

    w (N,) parameters, gradient (N,) of the loss; new_w (N,). Parameters of any shape go in as w.reshape(-1).
    learning_rate: length of the step over the gradient.
    Source: Goodfellow, Bengio and Courville, Deep Learning, section 8.3.1.
    """,
)

adam_step = Layer(
    "adam_step",
    inputs=[w[N], gradient[N], m[N], v[N]],
    equations=[
        Eq(new_m[i], beta1 * m[i] + (1 - beta1) * gradient[i]),
        Eq(new_v[i], beta2 * v[i] + (1 - beta2) * gradient[i] ** 2),
        Eq(
            new_w[i],
            w[i] - learning_rate * (new_m[i] / (1 - beta1**step)) / (sqrt(new_v[i] / (1 - beta2**step)) + epsilon),
        ),
    ],
    attributes={step: 1, learning_rate: 0.001, beta1: 0.9, beta2: 0.999, epsilon: 1e-8},
    outputs=[new_w, new_m, new_v],
    typical={N: 1_000_000},
    doc="""
    One step of Adam: gradient descent with a step of its own for every parameter.

    w (N,) parameters, gradient (N,) of the loss, m (N,) and v (N,) moments, zeros at first; new_w, new_m and new_v
    (N,). Parameters of any shape go in as w.reshape(-1).
    step: number of the step, from 1; learning_rate: length of a step; beta1, beta2: decay of the moments, less
    than 1; epsilon: added to the deviation.
    Source: Kingma and Ba, Adam: a method for stochastic optimization, algorithm 1.
    """,
)
