"""Steps of optimisers with a memory, over parameters laid out as one row of values; and what goes with them."""

from sympy import Equality, Expr, Idx, Sum, Symbol, sign, sqrt, symbols

from symgrad import Layer
from symgrad.layers.equation import Abs, Eq, Max, Min
from symgrad.layers.symbols import N, tensors, w

i, j = Idx("i", N), Idx("j", N)
gradient, velocity, square, m, v, largest = tensors("gradient velocity square m v largest")
new_w, new_velocity, new_square, new_m, new_v, new_largest = tensors(
    "new_w new_velocity new_square new_m new_v new_largest"
)
average, new_average, clipped, change, new_change = tensors("average new_average clipped change new_change")
learning_rate, decay, beta1, beta2, epsilon = symbols(
    "learning_rate decay beta1 beta2 epsilon", real=True, nonnegative=True
)
momentum, largest_norm = symbols("momentum largest_norm", real=True, nonnegative=True)
step = Symbol("step", integer=True, positive=True)
norm = Symbol("norm")
MANY = {N: 1_000_000}
ABOUT_SHAPE = "Parameters of any shape go in as w.reshape(-1)."
ABOUT_RATE = "learning_rate: length of a step"

momentum_step = Layer(
    "momentum_step",
    inputs=[w[N], gradient[N], velocity[N]],
    equations=[
        Eq(new_velocity[i], momentum * velocity[i] + gradient[i]),
        Eq(new_w[i], w[i] - learning_rate * new_velocity[i]),
    ],
    attributes={learning_rate: 0.01, momentum: 0.9},
    outputs=[new_w, new_velocity],
    typical=MANY,
    doc=f"""
    One step of gradient descent with momentum.

    w (N,) parameters, gradient (N,) of the loss, velocity (N,), zeros at first; new_w (N,), new_velocity (N,).
    {ABOUT_SHAPE}
    {ABOUT_RATE}; momentum: what stays of the velocity.
    Source: Goodfellow, Bengio and Courville, Deep Learning, section 8.3.2, with the velocity before the rate.
    """,
)

nesterov_step = Layer(
    "nesterov_step",
    inputs=[w[N], gradient[N], velocity[N]],
    equations=[
        Eq(new_velocity[i], momentum * velocity[i] + gradient[i]),
        Eq(new_w[i], w[i] - learning_rate * (gradient[i] + momentum * new_velocity[i])),
    ],
    attributes={learning_rate: 0.01, momentum: 0.9},
    outputs=[new_w, new_velocity],
    typical=MANY,
    doc=f"""
    One step of gradient descent with Nesterov's momentum.

    w (N,) parameters, gradient (N,) of the loss, velocity (N,), zeros at first; new_w (N,), new_velocity (N,).
    {ABOUT_SHAPE}
    {ABOUT_RATE}; momentum: what stays of the velocity.
    Source: Sutskever, Martens, Dahl and Hinton, On the importance of initialization and momentum in deep learning,
    section 2, in the form of torch.optim.SGD, nesterov.
    """,
)

adagrad_step = Layer(
    "adagrad_step",
    inputs=[w[N], gradient[N], square[N]],
    equations=[
        Eq(new_square[i], square[i] + gradient[i] ** 2),
        Eq(new_w[i], w[i] - learning_rate * gradient[i] / (sqrt(new_square[i]) + epsilon)),
    ],
    attributes={learning_rate: 0.01, epsilon: 1e-10},
    outputs=[new_w, new_square],
    typical=MANY,
    doc=f"""
    One step of Adagrad: the rate of every parameter falls with the gradients it has seen.

    w (N,) parameters, gradient (N,) of the loss, square (N,), zeros at first; new_w (N,), new_square (N,).
    {ABOUT_SHAPE}
    {ABOUT_RATE}; epsilon: added to the deviation.
    Source: Duchi, Hazan and Singer, Adaptive subgradient methods for online learning and stochastic optimization.
    """,
)

rmsprop_step = Layer(
    "rmsprop_step",
    inputs=[w[N], gradient[N], square[N]],
    equations=[
        Eq(new_square[i], decay * square[i] + (1 - decay) * gradient[i] ** 2),
        Eq(new_w[i], w[i] - learning_rate * gradient[i] / (sqrt(new_square[i]) + epsilon)),
    ],
    attributes={learning_rate: 0.01, decay: 0.99, epsilon: 1e-8},
    outputs=[new_w, new_square],
    typical=MANY,
    doc=f"""
    One step of RMSProp: gradients over the root of their running mean square.

    w (N,) parameters, gradient (N,) of the loss, square (N,), zeros at first; new_w (N,), new_square (N,).
    {ABOUT_SHAPE}
    {ABOUT_RATE}; decay: what stays of the mean square; epsilon: added to its root.
    Source: Goodfellow, Bengio and Courville, Deep Learning, algorithm 8.5, with epsilon outside the root.
    """,
)

adadelta_step = Layer(
    "adadelta_step",
    inputs=[w[N], gradient[N], square[N], change[N]],
    equations=[
        Eq(new_square[i], decay * square[i] + (1 - decay) * gradient[i] ** 2),
        Eq(velocity[i], sqrt(change[i] + epsilon) / sqrt(new_square[i] + epsilon) * gradient[i]),
        Eq(new_change[i], decay * change[i] + (1 - decay) * velocity[i] ** 2),
        Eq(new_w[i], w[i] - learning_rate * velocity[i]),
    ],
    attributes={learning_rate: 1.0, decay: 0.9, epsilon: 1e-6},
    outputs=[new_w, new_square, new_change],
    typical=MANY,
    doc=f"""
    One step of Adadelta: the running size of the steps over that of the gradients.

    w (N,) parameters, gradient (N,) of the loss, square (N,) and change (N,), zeros at first; new_w (N,),
    new_square (N,), new_change (N,).
    {ABOUT_SHAPE}
    {ABOUT_RATE}; decay: what stays of the mean squares; epsilon: added to them.
    Source: Zeiler, ADADELTA: an adaptive learning rate method, algorithm 1.
    """,
)


def moments(grown: Expr) -> list[Equality]:
    """Return the equations of Adam's moments of a gradient."""
    return [
        Eq(new_m[i], beta1 * m[i] + (1 - beta1) * grown),
        Eq(new_v[i], beta2 * v[i] + (1 - beta2) * grown**2),
    ]


ABOUT_MOMENTS = """w (N,) parameters, gradient (N,) of the loss, m (N,) and v (N,) moments, zeros at first;
    new_w, new_m and new_v (N,)."""

adamw_step = Layer(
    "adamw_step",
    inputs=[w[N], gradient[N], m[N], v[N]],
    equations=[
        *moments(gradient[i]),
        Eq(
            new_w[i],
            w[i] * (1 - learning_rate * decay)
            - learning_rate * (new_m[i] / (1 - beta1**step)) / (sqrt(new_v[i] / (1 - beta2**step)) + epsilon),
        ),
    ],
    attributes={step: 1, learning_rate: 0.001, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, decay: 0.01},
    outputs=[new_w, new_m, new_v],
    typical=MANY,
    doc=f"""
    One step of AdamW: Adam with weight decay apart from the gradient.

    {ABOUT_MOMENTS}
    {ABOUT_SHAPE}
    step: number of the step, from 1;
    {ABOUT_RATE}; beta1, beta2: decay of the moments, less than 1; epsilon: added to
    the deviation; decay: share of the parameters that goes at a rate of 1.
    Source: Loshchilov and Hutter, Decoupled weight decay regularization, algorithm 2.
    """,
)

adamax_step = Layer(
    "adamax_step",
    inputs=[w[N], gradient[N], m[N], largest[N]],
    equations=[
        Eq(new_m[i], beta1 * m[i] + (1 - beta1) * gradient[i]),
        Eq(new_largest[i], Max(beta2 * largest[i], Abs(gradient[i]) + epsilon)),
        Eq(new_w[i], w[i] - learning_rate / (1 - beta1**step) * new_m[i] / new_largest[i]),
    ],
    attributes={step: 1, learning_rate: 0.002, beta1: 0.9, beta2: 0.999, epsilon: 1e-8},
    outputs=[new_w, new_m, new_largest],
    typical=MANY,
    doc=f"""
    One step of AdaMax: Adam with the largest gradient, fading, in place of the deviation.

    w (N,) parameters, gradient (N,) of the loss, m (N,) and largest (N,), zeros at first; new_w (N,), new_m (N,),
    new_largest (N,).
    {ABOUT_SHAPE}
    step: number of the step, from 1;
    {ABOUT_RATE}; beta1, beta2: decay of both, less than 1; epsilon: added to every
    gradient's size, above 0.
    Source: Kingma and Ba, Adam: a method for stochastic optimization, algorithm 2.
    """,
)

lion_step = Layer(
    "lion_step",
    inputs=[w[N], gradient[N], m[N]],
    equations=[
        Eq(
            new_w[i],
            w[i] * (1 - learning_rate * decay) - learning_rate * sign(beta1 * m[i] + (1 - beta1) * gradient[i]),
        ),
        Eq(new_m[i], beta2 * m[i] + (1 - beta2) * gradient[i]),
    ],
    attributes={learning_rate: 1e-4, beta1: 0.9, beta2: 0.99, decay: 0.0},
    outputs=[new_w, new_m],
    typical=MANY,
    doc=f"""
    One step of Lion: the sign of a blend of gradient and momentum.

    w (N,) parameters, gradient (N,) of the loss, m (N,), zeros at first; new_w (N,), new_m (N,).
    {ABOUT_SHAPE}
    {ABOUT_RATE}; beta1: weight of the momentum in the blend; beta2: what stays of it;
    decay: share of the parameters
    that goes at a rate of 1.
    Source: Chen et al., Symbolic discovery of optimization algorithms, program 1.
    """,
)

clip_by_norm = Layer(
    "clip_by_norm",
    inputs=[gradient[N]],
    equations=[
        Eq(norm, sqrt(Sum(gradient[j] ** 2, j))),
        Eq(clipped[i], gradient[i] * Min(largest_norm / (norm + epsilon), 1)),
    ],
    attributes={largest_norm: 1.0, epsilon: 1e-6},
    outputs=[clipped],
    typical=MANY,
    doc="""
    A gradient made shorter where its norm is too large.

    gradient (N,); clipped (N,). largest_norm: the norm it may have; epsilon: added to the norm.
    Source: Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, algorithm 1; epsilon
    as in torch.nn.utils.clip_grad_norm_.
    """,
)

moving_average_step = Layer(
    "moving_average_step",
    inputs=[average[N], w[N]],
    equations=[Eq(new_average[i], decay * average[i] + (1 - decay) * w[i])],
    attributes={decay: 0.999},
    typical=MANY,
    doc=f"""
    One step of a moving average of parameters.

    average (N,), w (N,) parameters; new_average (N,).
    {ABOUT_SHAPE}
    decay: what stays of the average.
    Source: Polyak and Juditsky, Acceleration of stochastic approximation by averaging, with fading weights.
    """,
)
