"""Positions and coordinates as features: rotations, waves, tables."""

from sympy import Expr, Idx, Mod, Piecewise, Sum, cos, pi, sin, symbols

from symgrad import Layer
from symgrad.layers.equation import Eq, floor
from symgrad.layers.symbols import D, H, K, M, N, T, m, n, tensors, w, x, y

base = symbols("base", real=True, positive=True)
projected, cosines, sines, table = tensors("projected cosines sines table")

t, d, i, k = Idx("t", T), Idx("d", D), Idx("i", 2 * D), Idx("k", K)


def angle(pair: Expr) -> Expr:
    """Return how far position t turns the pair of features number ``pair`` of D."""
    return t * base ** (-pair / D)


ABOUT_ROTATION = """Position t turns pair d of the features by the angle t base^(-d / D), so that the product of two
    rotated vectors depends on their positions only by the distance. base: of the wave lengths."""

rotary_embedding = Layer(
    "rotary_embedding",
    inputs=[x[N, T, 2 * D]],
    equations=[
        Eq(
            y[n, t, i],
            Piecewise(
                (
                    x[n, t, 2 * floor(i / 2)] * cos(angle(floor(i / 2)))
                    - x[n, t, 2 * floor(i / 2) + 1] * sin(angle(floor(i / 2))),
                    Eq(Mod(i, 2), 0),
                ),
                (
                    x[n, t, 2 * floor(i / 2)] * sin(angle(floor(i / 2)))
                    + x[n, t, 2 * floor(i / 2) + 1] * cos(angle(floor(i / 2))),
                    True,
                ),
            ),
        )
    ],
    attributes={base: 10000.0},
    typical={N: 64, T: 256, D: 32},
    doc=f"""
    Rotary position embedding of pairs of neighbouring features.

    x (N, T, 2 D), pair d at 2 d and 2 d + 1; y (N, T, 2 D).
    {ABOUT_ROTATION}
    Source: Su et al., RoFormer: enhanced transformer with rotary position embedding, equation 34.
    """,
)

rotary_embedding_halves = Layer(
    "rotary_embedding_halves",
    inputs=[x[N, T, 2 * D]],
    equations=[
        Eq(
            y[n, t, i],
            Piecewise(
                (x[n, t, i] * cos(angle(i)) - x[n, t, i + D] * sin(angle(i)), i < D),
                (x[n, t, i] * cos(angle(i - D)) + x[n, t, i - D] * sin(angle(i - D)), True),
            ),
        )
    ],
    attributes={base: 10000.0},
    typical={N: 64, T: 256, D: 32},
    doc=f"""
    Rotary position embedding of the two halves of the features.

    x (N, T, 2 D), pair d at d and D + d; y (N, T, 2 D).
    {ABOUT_ROTATION}
    Source: Su et al., RoFormer: enhanced transformer with rotary position embedding, with the order of features of
    Black et al., GPT-NeoX-20B.
    """,
)

positions, cosine, sine = tensors("positions cosine sine")
h, e = Idx("h", H), Idx("e", 2 * D)

ABOUT_TABLES = """cosine (M, D) and sine (M, D) of the angles by which position m turns pair d, no gradient;
    positions (N, T) whole numbers from 0 to M - 1, of every element of the sequence"""


def cosine_of(pair: Expr) -> Expr:
    """Return the cosine for a pair of the element at t."""
    return cosine[positions[n, t], pair]


def sine_of(pair: Expr) -> Expr:
    """Return the sine for a pair of the element at t."""
    return sine[positions[n, t], pair]


def turned(name: str, pairs: tuple[Expr, Expr, Expr, Expr], number: tuple[Expr, Expr], about: str) -> Layer:
    """Declare a rotation by tables; ``pairs``: the members of a pair, of an index of either kind; ``number`` of it."""
    first, second, own_first, own_second = pairs
    return Layer(
        name,
        inputs=[x[N, H, T, 2 * D], cosine[M, D], sine[M, D], positions[N, T]],
        equations=[
            Eq(
                y[n, h, t, e],
                Piecewise(
                    (
                        x[n, h, t, first] * cosine_of(number[0]) - x[n, h, t, second] * sine_of(number[0]),
                        e < D if name.endswith("halves_by_table") else Eq(Mod(e, 2), 0),
                    ),
                    (x[n, h, t, own_second] * cosine_of(number[1]) + x[n, h, t, own_first] * sine_of(number[1]), True),
                ),
            )
        ],
        constants=[cosine, sine],
        typical={N: 8, H: 8, T: 256, D: 32, M: 512},
        doc=f"""
    Rotary position embedding by given angles, of {about}.

    x (N, H, T, 2 D) of H heads; {ABOUT_TABLES};
    y (N, H, T, 2 D).
    Source: Su et al., RoFormer: enhanced transformer with rotary position embedding, equation 34; the operator
    RotaryEmbedding of ONNX.
    """,
    )


half = floor(e / 2)
rotary_embedding_by_table = turned(
    "rotary_embedding_by_table",
    (2 * half, 2 * half + 1, 2 * half, 2 * half + 1),
    (half, half),
    "pairs of neighbouring features",
)
rotary_embedding_halves_by_table = turned(
    "rotary_embedding_halves_by_table",
    (e, e + D, e - D, e),
    (e, e - D),
    "the two halves of the features",
)

sinusoidal_positions = Layer(
    "sinusoidal_positions",
    inputs=[x[N, T, 2 * D]],
    equations=[
        Eq(
            y[n, t, i],
            x[n, t, i] + Piecewise((sin(angle(floor(i / 2))), Eq(Mod(i, 2), 0)), (cos(angle(floor(i / 2))), True)),
        )
    ],
    attributes={base: 10000.0},
    typical={N: 64, T: 256, D: 256},
    doc="""
    Waves added to the features of a sequence, so that every position differs.

    x (N, T, 2 D); y (N, T, 2 D). Features 2 d and 2 d + 1 of position t grow by the sine and the cosine of
    t base^(-d / D). base: of the wave lengths.
    Source: Vaswani et al., Attention is all you need, section 3.5.
    """,
)

learned_positions = Layer(
    "learned_positions",
    inputs=[x[N, T, D], table[M, D]],
    equations=[Eq(y[n, t, d], x[n, t, d] + table[t, d])],
    requires=[T <= M],
    typical={N: 64, T: 256, M: 512, D: 256},
    doc="""
    A learnt vector for every position, added to the features of a sequence.

    x (N, T, D), table (M, D) for M positions, at least T; y (N, T, D).
    Source: Gehring et al., Convolutional sequence to sequence learning, section 3.1.
    """,
)

fourier_features = Layer(
    "fourier_features",
    inputs=[x[N, M], w[K, M]],
    equations=[
        Eq(projected[n, k], 2 * pi * Sum(w[k, m] * x[n, m], m)),
        Eq(cosines[n, k], cos(projected[n, k])),
        Eq(sines[n, k], sin(projected[n, k])),
    ],
    outputs=[cosines, sines],
    typical={N: 4096, M: 3, K: 128},
    doc="""
    Fourier features: cosines and sines of coordinates projected onto K frequencies.

    x (N, M) coordinates, w (K, M) frequencies; cosines (N, K), sines (N, K).
    Source: Tancik et al., Fourier features let networks learn high frequency functions in low dimensional domains,
    equation 5 with all amplitudes 1.
    """,
)
