"""Helper functions for the tail of the normal distribution, as text.

Coefficients: Chebyshev series, 60 digits, of what is left of the function once its asymptotic power of ``1 + 2x`` is
divided out, in ``t = (x - 3.75)/(x + 3.75)``, written out in powers of t. Source: Shepherd and Laframboise, Chebyshev
approximation of (1 + 2x) exp(x^2) erfc(x) in 0 <= x < oo, 1981.
"""

from __future__ import annotations

TAILS: dict[str, str] = {
    "_erfcx": '''
# (1 + 2x) exp(x^2) erfc(x), x >= 0, by powers of (x - 3.75)/(x + 3.75), highest first, by dtype
_ERFCX = {
    "f": (
        2.204671891e-05,
        -0.0002241167467,
        0.0003301674563,
        0.001675912218,
        -0.009770087183,
        0.02840925236,
        -0.05868544049,
        0.09229076959,
        -0.1088052275,
        0.08227841998,
        0.003585495314,
        -0.1402406583,
        1.23751263,
    ),
    "d": (
        3.1114333809799254e-10,
        -2.6231073471334759e-09,
        -3.7442100809620183e-09,
        3.1979266716668042e-08,
        2.3263508708859124e-08,
        -2.4857126248016745e-07,
        -5.7218230603224086e-08,
        1.7419821586224816e-06,
        -9.7355989673677497e-07,
        -1.1438048033346894e-05,
        2.2384239155082231e-05,
        5.1646529741774162e-05,
        -0.00029015408054084172,
        0.00029371437804495801,
        0.0017556258528952954,
        -0.0097465796832652621,
        0.028362277418956406,
        -0.05869339857664934,
        0.092304321160377484,
        -0.10880393014244462,
        0.082276738490145204,
        0.0035854154854790257,
        -0.14024059858554697,
        1.2375126308378275,
    ),
}


def _erfcx(x):
    """exp(x^2) erfc(x) for x >= 0, to 3 eps (float32 and float64)."""
    with np.errstate(over="ignore"):
        return _polynomial(_ERFCX[x.dtype.char], 1 - 7.5 / (x + 3.75)) / (1 + 2 * x)
''',
    "_ierfcx": '''
# (1 + 2x)^2 (1/sqrt(pi) - x exp(x^2) erfc(x)), x >= 0, by powers of (x - 3.75)/(x + 3.75), highest first, by dtype
_IERFCX = {
    "f": (
        -0.001074330059,
        0.001119214509,
        0.008884208718,
        -0.03256591033,
        0.05724318871,
        -0.05304515045,
        -0.0182659187,
        0.1646549068,
        -0.3213841419,
        0.3649351359,
        -0.196100957,
        -0.1630034472,
        1.316982315,
    ),
    "d": (
        4.990232244944033e-09,
        -2.6208446038251613e-08,
        -5.9099412495995499e-08,
        3.0947082777945355e-07,
        3.7953032995925601e-07,
        -2.2528483573620903e-06,
        -1.5539047141048405e-06,
        1.4473150375403749e-05,
        -2.8612784567194578e-07,
        -8.8146348382409543e-05,
        0.00010156510750996895,
        0.00042051059878797848,
        -0.0014136767323463405,
        0.00020584387174863618,
        0.0093408996421091104,
        -0.031590145441103647,
        0.056935618598124432,
        -0.053584605691939964,
        -0.018159122045530239,
        0.16480461153859882,
        -0.32140184280106082,
        0.36491703562892147,
        -0.19609985520539913,
        -0.16300281594715282,
        1.3169823033696375,
    ),
}


def _ierfcx(x):
    """1/sqrt(pi) - x exp(x^2) erfc(x) for x >= 0, to 10 eps (float32 and float64)."""
    with np.errstate(over="ignore", under="ignore"):
        value = _polynomial(_IERFCX[x.dtype.char], 1 - 7.5 / (x + 3.75)) / (1 + 2 * x)
        return value / (1 + 2 * x)
''',
    "_logerfc": '''
def _logerfc(x):
    """log(erfc(x)), for x > 1/2 by the scaled function, elsewhere by what erfc(x) is less than 1."""
    far = x > 0.5
    scaled = _erfcx(np.where(far, x, 1).astype(x.dtype))
    with np.errstate(over="ignore", under="ignore"):
        return np.where(far, np.log(scaled) - np.square(x), np.log1p(-_erf(np.where(far, 0, x).astype(x.dtype))))
''',
    "_loghalferfc": '''
def _loghalferfc(x):
    """log(erfc(x) / 2), for x > 0 by the scaled function, elsewhere by what the other half lacks."""
    size = np.abs(x)
    scaled = _erfcx(size) / 2
    with np.errstate(over="ignore", under="ignore"):
        square = size * size
        return np.where(x > 0, np.log(scaled) - square, np.log1p(-np.exp(-square) * scaled))
''',
}
