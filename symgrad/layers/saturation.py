"""Activations that clip, shrink or saturate: elementwise functions of a batch of features (N, M)."""

import sympy
from sympy import Piecewise, exp, log, sin, sqrt, symbols

from symgrad.layers.activation import elementwise
from symgrad.layers.equation import Abs, Max, Min

low, high, threshold_, value, slope, offset = symbols("low high threshold value slope offset", real=True)
alpha, gamma, scale, beta, frequency = symbols("alpha gamma scale beta frequency", real=True, positive=True)
reach = symbols("reach", real=True, nonnegative=True)
softness = symbols("softness", real=True, nonnegative=True)

hard_tanh = elementwise(
    "hard_tanh",
    lambda z: Min(Max(z, low), high),
    """Hard hyperbolic tangent: x, held between low and high.

The derivative at low and high is 0.
Source: Goodfellow, Bengio and Courville, Deep Learning, section 6.3.3.""",
    attributes={low: -1.0, high: 1.0},
)

relu6 = elementwise(
    "relu6",
    lambda z: Min(Max(z, 0), 6),
    """Rectified linear unit that ends at 6.

The derivative at 0 and 6 is 0.
Source: Krizhevsky, Convolutional deep belief networks on CIFAR-10.""",
)

hard_sigmoid = elementwise(
    "hard_sigmoid",
    lambda z: Min(Max(slope * z + offset, 0), 1),
    """Hard sigmoid: a line, held between 0 and 1; by default from 0 at -3 to 1 at 3.

slope, offset: of the line. The derivative where it meets 0 and 1 is 0.
Source: Howard et al., Searching for MobileNetV3, section 5.2; the operator HardSigmoid of ONNX, alpha and beta.""",
    attributes={slope: 1 / 6, offset: 0.5},
)

hard_swish = elementwise(
    "hard_swish",
    lambda z: z * Min(Max(z + 3, 0), 6) / 6,
    """Hard swish: x times its hard sigmoid.

The derivative is 0 at -3 and 1 at 3.
Source: Howard et al., Searching for MobileNetV3, section 5.2.""",
)

threshold = elementwise(
    "threshold",
    lambda z: Piecewise((z, z > threshold_), (value, True)),
    """Threshold: x where it is above a threshold, a constant elsewhere.

threshold: the largest number that is replaced; value: what replaces it. The derivative at the threshold is 0.
Source: Konda, Memisevic and Krueger, Zero-bias autoencoders and the benefits of co-adapting features, section 3.""",
    attributes={threshold_: 0.0, value: 0.0},
)

soft_sign = elementwise(
    "soft_sign",
    lambda z: z / (1 + Abs(z)),
    """Softsign: x / (1 + |x|).

Source: Bergstra, Desjardins, Lamblin and Bengio, Quadratic polynomials learn better image features.""",
)

soft_shrink = elementwise(
    "soft_shrink",
    lambda z: Piecewise((z - reach, z > reach), (z + reach, z < -reach), (0, True)),
    """Soft shrinkage: x moved towards 0 by reach, and 0 where it is nearer than that.

The derivative at -reach and reach is 0.
Source: Donoho, De-noising by soft-thresholding.""",
    attributes={reach: 0.5},
)

hard_shrink = elementwise(
    "hard_shrink",
    lambda z: Piecewise((z, Abs(z) > reach), (0, True)),
    """Hard shrinkage: x, and 0 where it is not farther from 0 than reach.

The derivative at -reach and reach is 0.
Source: Donoho and Johnstone, Ideal spatial adaptation by wavelet shrinkage.""",
    attributes={reach: 0.5},
)

tanh_shrink = elementwise(
    "tanh_shrink",
    lambda z: z - sympy.tanh(z),
    """Tanh shrinkage: x minus its hyperbolic tangent.

Source: torch.nn.functional.tanhshrink.""",
)

selu = elementwise(
    "selu",
    lambda z: gamma * Piecewise((z, z > 0), (alpha * (exp(z) - 1), True)),
    """Scaled exponential linear unit: keeps mean 0 and variance 1 from layer to layer.

gamma: the slope of the positive side; alpha: the bound of the negative side over gamma; both above 0. The defaults are
those of the source. The derivative at 0 is that of the exponential, gamma alpha.
Source: Klambauer, Unterthiner, Mayr and Hochreiter, Self-normalizing neural networks, equation 2.""",
    attributes={alpha: 1.6732632423543772, gamma: 1.0507009873554805},
)

celu = elementwise(
    "celu",
    lambda z: Piecewise((z, z > 0), (alpha * (exp(z / alpha) - 1), True)),
    """Continuously differentiable exponential linear unit.

x where positive, alpha (exp(x / alpha) - 1) elsewhere; the derivative at 0 is 1. alpha: above 0.
Source: Barron, Continuously differentiable exponential linear units.""",
    attributes={alpha: 1.0},
)

mish = elementwise(
    "mish",
    lambda z: z * sympy.tanh(log(1 + exp(z))),
    """Mish: x times the hyperbolic tangent of its softplus.

Source: Misra, Mish: a self regularized non-monotonic activation function.""",
)

log_sigmoid = elementwise(
    "log_sigmoid",
    lambda z: log(1 / (1 + exp(-z))),
    """Logarithm of the logistic sigmoid.

Source: Goodfellow, Bengio and Courville, Deep Learning, section 3.10: minus the softplus of -x.""",
)

swish = elementwise(
    "swish",
    lambda z: z / (1 + exp(-beta * z)),
    """Swish: x times the logistic sigmoid of beta x.

beta: 1 gives `silu`, a large one comes near `relu`; above 0.
Source: Ramachandran, Zoph and Le, Searching for activation functions.""",
    attributes={beta: 1.0},
)

scaled_tanh = elementwise(
    "scaled_tanh",
    lambda z: scale * sympy.tanh(beta * z),
    """Scaled hyperbolic tangent: scale tanh(beta x).

scale: the bound; beta: the slope at 0 over the bound.
Source: LeCun, Bottou, Orr and Mueller, Efficient backprop, section 4.4.""",
    attributes={scale: 1.7159, beta: 0.6666666666666666},
)

squareplus = elementwise(
    "squareplus",
    lambda z: (z + sqrt(z**2 + softness)) / 2,
    """Squareplus: a smooth rectifier without exponentials, (x + sqrt(x^2 + softness)) / 2.

softness: width of the bend; 0 is the rectifier itself.
Source: Barron, Squareplus: a softplus-like algebraic rectifier.""",
    attributes={softness: 4.0},
)

sine = elementwise(
    "sine",
    lambda z: sin(frequency * z),
    """Sine of frequency x.

frequency: 30 in the first layer of a network of sines.
Source: Sitzmann et al., Implicit neural representations with periodic activation functions, section 3.2.""",
    attributes={frequency: 30.0},
)

gaussian = elementwise(
    "gaussian",
    lambda z: exp(-(z**2)),
    """Gaussian bump: exp(-x^2).

Source: Goodfellow, Bengio and Courville, Deep Learning, section 6.3.3 (radial basis functions).""",
)
