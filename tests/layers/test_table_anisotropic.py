"""Settings that differ from axis to axis against torch: one row a layer and kind. Source: what a row calls."""

from __future__ import annotations

from itertools import product
from math import prod

import pytest

from .rows import Row, every, normal

torch = pytest.importorskip("torch")
f = torch.nn.functional

SHAPES = {1: (2, 4, 11), 2: (2, 4, 9, 11), 3: (1, 2, 7, 6, 8)}
LETTERS = {1: "l", 2: "hw", 3: "dhw"}


def settings(rank, **values):
    """``stride=(2, 3)`` as ``stride_h=2, stride_w=3``."""
    named = {name: value[:rank] for name, value in values.items()}
    return {f"{name}_{letter}": v for name, vs in named.items() for letter, v in zip(LETTERS[rank], vs, strict=True)}


STRIDE, DILATION, BEFORE, AFTER, KERNEL = (2, 1, 3), (1, 2, 1), (1, 0, 2), (0, 2, 1), (3, 2, 3)
SPACED = {"stride": STRIDE, "dilation": DILATION, "before": BEFORE, "after": AFTER}
PLAIN = {"K": KERNEL, "stride": STRIDE, "before": BEFORE, "after": AFTER}


def bordered(x, rank, value=0.0):
    widths = [w for pair in zip(BEFORE[:rank], AFTER[:rank], strict=True) for w in pair]
    ends = [tuple(widths[2 * k : 2 * k + 2]) for k in range(rank)]
    return f.pad(x, [w for pair in reversed(ends) for w in pair], value=value)


def convolution(rank, groups):
    function = getattr(f, f"conv{rank}d")
    return lambda x, w, b: function(bordered(x, rank), w, b, STRIDE[:rank], 0, DILATION[:rank], groups)


def transposed(rank, groups, more):
    function = getattr(f, f"conv_transpose{rank}d")

    def oracle(x, w, b):
        y = function(x, w, b, STRIDE[:rank], 0, more[:rank], groups, DILATION[:rank])
        for axis in range(rank):
            y = y.narrow(2 + axis, BEFORE[axis], y.shape[2 + axis] - BEFORE[axis] - AFTER[axis])
        return y

    return oracle


def windows(x, rank, kernel, stride, dilation):
    """What every window reads of an input with its border, offsets last."""
    counts = [(n - (k - 1) * d - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], kernel, stride, dilation, strict=True)]
    read = []
    for offset in product(*map(range, kernel)):
        part = x
        for axis, (o, c, s, d) in enumerate(zip(offset, counts, stride, dilation, strict=True)):
            part = part.narrow(2 + axis, o * d, (c - 1) * s + 1)[(slice(None),) * (2 + axis) + (slice(None, None, s),)]
        read.append(part)
    return torch.stack(read, -1)


def pooled(rank, reduce, border=0.0):
    def oracle(x):
        parts = (KERNEL[:rank], STRIDE[:rank], DILATION[:rank])
        return reduce(
            windows(bordered(x, rank, border), rank, *parts), windows(bordered(x * 0 + 1, rank), rank, *parts)
        )

    return oracle


def largest(rank):
    function = getattr(f, f"max_pool{rank}d")
    return lambda x: function(bordered(x, rank, -torch.inf), KERNEL[:rank], STRIDE[:rank], 0, DILATION[:rank])


def images(rank):
    return [normal(*SHAPES[rank])]


def kernels(rank, groups, transpose=False):
    channels = SHAPES[rank][1]
    heads = (channels, 3) if transpose else (3 * groups, channels // groups)
    return [*images(rank), normal(*heads, *KERNEL[:rank]), normal(3 * groups)]


CEIL = {"K": (3, 2, 3), "stride": (2, 3, 2), "before": (1, 0, 1), "after": (1, 0, 1)}
MORE = (1, 0, 2)


def rounded(rank, pool, **more):
    return lambda x: getattr(f, f"{pool}_pool{rank}d")(
        x, CEIL["K"][:rank], CEIL["stride"][:rank], CEIL["before"][:rank], ceil_mode=True, **more
    )


MODES = {"constant": "constant", "reflect": "reflect", "replicate": "replicate", "wrap": "circular"}


def torch_pad(x, rank, mode):
    widths = [w for pair in zip(reversed(BEFORE[:rank]), reversed(AFTER[:rank]), strict=True) for w in pair]
    return f.pad(x, widths, mode, 0.5 if mode == "constant" else None)


def rows(rank):
    """The rows of one number of axes."""
    name = f"{rank}d_anisotropic"
    apart, all_apart = settings(rank, **SPACED), settings(rank, K=KERNEL, **SPACED)
    ceil = settings(rank, **CEIL) | {"round_up": 1}
    return [
        *(Row(f"conv{name}", kernels(rank, g), convolution(rank, g), apart | {"groups": g}) for g in (1, 2)),
        *(
            Row(
                f"transposed_conv{name}",
                kernels(rank, g, transpose=True),
                transposed(rank, g, MORE if g == 1 else (0, 0, 0)),
                apart | {"groups": g} | (settings(rank, output_padding=MORE) if g == 1 else {}),
            )
            for g in (1, 2)
        ),
        Row(f"max_pool{name}", images(rank), largest(rank), all_apart),
        Row(f"max_pool{name}", images(rank), rounded(rank, "max"), ceil),
        Row(f"average_pool{name}", images(rank), pooled(rank, lambda read, _: read.mean(-1)), all_apart),
        Row(f"average_pool{name}", images(rank), rounded(rank, "avg", count_include_pad=True), ceil),
        Row(
            f"average_pool{name}_exclude_padding",
            images(rank),
            pooled(rank, lambda read, inside: read.sum(-1) / inside.sum(-1)),
            all_apart,
        ),
        Row(
            f"average_pool{name}_exclude_padding",
            images(rank),
            rounded(rank, "avg", count_include_pad=False),
            ceil,
        ),
        *(
            Row(
                f"pad_{kind}{name}",
                images(rank),
                lambda x, mode=mode: torch_pad(x, rank, mode),
                settings(rank, before=BEFORE, after=AFTER) | ({"value": 0.5} if kind == "constant" else {}),
            )
            for kind, mode in MODES.items()
        ),
        Row(
            f"lp_pool{name}",
            images(rank),
            pooled(rank, lambda read, _: (read.abs() ** 3).sum(-1) ** (1 / 3)),
            all_apart | {"power": 3.0},
        ),
    ]


ROWS = [row for rank in (1, 2, 3) for row in rows(rank)]


@every(ROWS)
def test_values_and_gradients_are_torchs(agree, rng, row):
    agree(row.name, row.arrays(rng), row.oracle, **row.attributes)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_with_equal_settings_they_are_the_layers_without(compiled, rng, rank):
    """Source: the layers whose settings are shared by all axes, which torch confirms elsewhere."""
    x, w, b = (draw(rng) for draw in kernels(rank, 1))
    equal = settings(rank, stride=(2,) * 3, before=(1,) * 3, after=(1,) * 3)
    wide = equal | settings(rank, K=(3,) * 3)
    shared = {"stride": 2, "padding": 1}
    pairs = [
        ("conv{}d_anisotropic", "conv{}d", [x, w, b], equal, shared),
        ("max_pool{}d_anisotropic", "max_pool{}d", [x], wide, shared | {"K": 3}),
        ("average_pool{}d_anisotropic", "average_pool{}d", [x], wide, shared | {"K": 3}),
        ("lp_pool{}d_anisotropic", "lp_pool{}d", [x], wide, shared | {"K": 3}),
    ]
    for general, plain, arrays, own, options in pairs:
        got, kept = compiled(general.format(rank)).forward(*arrays, **own)
        want, plainly = compiled(plain.format(rank)).forward(*arrays, **options)
        assert got.shape == want.shape and prod(got.shape)
        torch.testing.assert_close(torch.tensor(got), torch.tensor(want), rtol=1e-12, atol=1e-13)
        delta = rng.normal(size=want.shape)
        first = compiled(general.format(rank)).backward(kept, delta)
        for a, c in zip(first, compiled(plain.format(rank)).backward(plainly, delta), strict=True):
            torch.testing.assert_close(torch.tensor(a), torch.tensor(c), rtol=1e-11, atol=1e-12)


def test_a_border_wider_than_a_window_is_refused(compiled, rng):
    with pytest.raises(ValueError, match="before_h"):
        compiled("max_pool2d_anisotropic").forward(rng.normal(size=(1, 1, 5, 5)), K_h=2, before_h=2)
