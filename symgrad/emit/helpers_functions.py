"""Helper functions that compute what NumPy has no function for, element by element, as text."""

from __future__ import annotations

FUNCTIONS: dict[str, str] = {
    "_sigmoid": '''
def _sigmoid(x, out=None):
    """1 / (1 + exp(-x)); where exp overflows the quotient is 0, as it should be."""
    value = np.asarray(np.multiply(x, -1.0, out=out))  # a float also where x is an integer
    with np.errstate(over="ignore"):
        np.exp(value, out=value)
    value += 1
    return np.divide(1, value, out=value)
''',
    "_softplus": '''
def _softplus(x):
    """log(1 + exp(x)) without overflow."""
    value = np.asarray(np.abs(x) * -1.0)  # a float also where x is an integer
    np.log1p(np.exp(value, out=value), out=value)
    value += np.maximum(x, 0)
    return value
''',
    "_logcosh": '''
def _logcosh(x):
    """log(cosh(x)) without overflow; near 0 by log1p, beyond 1 what that has to grow by."""
    size = np.abs(x)
    near = np.minimum(size, 1)
    value = np.log1p(2 * np.square(np.sinh(near / 2)))
    return value + (size - near) + (np.log1p(np.exp(-2 * size)) - np.log1p(np.exp(-2 * near)))
''',
    "_log1mexp": '''
def _log1mexp(x):
    """log(1 - exp(x)) for x < 0 by expm1 near 0 and by log1p elsewhere, as Maechler does."""
    near = x > -0.6931472
    value = np.where(near, -np.expm1(x), 1)
    return np.where(near, np.log(value), np.log1p(-np.exp(np.where(near, -1, x).astype(x.dtype))))
''',
    "_erf": '''
# erf(x) = tanh(x P(x^2) / Q(x^2)) to rounding: coefficients of P and Q by dtype, highest power first. P alone grows
# with x, so that erf becomes 1; the quotient does not, and counts up to 6 only, where erf is 1.
_ERF = {
    "f": (
        (
            5.421634446e-09,
            2.757538087e-08,
            -4.794599786e-06,
            8.459656646e-05,
            -0.0006148382203,
            -0.0001952881699,
            0.1027699024,
            1.128379247,
        ),
        (),
    ),
    "d": (
        (
            2.6988986301191233e-09,
            4.3413480746991514e-07,
            1.4566546415172292e-05,
            0.00025654193725072754,
            0.003018125931474377,
            0.023977909889541453,
            0.13725471498089145,
            0.48745939484491335,
            1.1283791670955123,
        ),
        (
            1.4359203472380257e-10,
            8.831337872950386e-08,
            5.417623601243983e-06,
            0.00011113591482590357,
            0.001576879287815484,
            0.01356843882190564,
            0.09077329501720388,
            0.34091979253139554,
            1.0,
        ),
    ),
}


def _erf(x, out=None):
    """The error function, within a few units in the last place."""
    p, q = _ERF[x.dtype.char]
    with np.errstate(under="ignore", over="ignore"):  # the square of a tiny x, of a huge one
        if q:
            x = np.clip(x, -6, 6)
        square = x * x
        value = _polynomial(p, square)
        value *= x
        if q:
            value /= _polynomial(q, square)
        return np.tanh(value, out=out)
''',
    "_erfc": '''
def _erfc(x):
    """1 - erf(x), element by element so that small values keep their digits."""
    return np.vectorize(math.erfc, otypes=[x.dtype])(x)
''',
    "_polynomial": '''
def _polynomial(coefficients, t):
    """Horner's rule, highest power first."""
    value = coefficients[0] * t
    for c in coefficients[1:-1]:
        value += c
        value *= t
    value += coefficients[-1]
    return value
''',
}
