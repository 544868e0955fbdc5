"""Borders of one, two and three axes: of a value, mirrored, repeated, continued periodically."""

from sympy import Idx, Symbol, symbols

from symgrad import Layer, Padded
from symgrad.layers.anisotropic import IMAGE, SEQUENCE, VOLUME, Space
from symgrad.layers.equation import Eq
from symgrad.layers.symbols import C, D, H, L, N, W, c, n, padding, x, y

value = symbols("value", real=True)
SPACES: dict[str, tuple[Symbol, ...]] = {"1d": (L,), "2d": (H, W), "3d": (D, H, W)}
TYPICAL = {"1d": {N: 16, C: 64, L: 1024}, "2d": {N: 16, C: 64, H: 32, W: 32}, "3d": {N: 4, C: 8, D: 16, H: 16, W: 16}}
WORDS = {
    "constant": "a value",
    "zero": "zeros",
    "reflect": "what is inside, mirrored at the border, which is not repeated",
    "replicate": "the border, repeated",
    "wrap": "what is at the other end",
}


def bordered(mode: str, suffix: str) -> Layer:
    """Declare a border as wide on every side of every axis of space."""
    extents = SPACES[suffix]
    places = [Idx(name, extent + 2 * padding) for name, extent in zip("ijh", extents, strict=False)]
    filled = {"constant": Padded(x, value), "zero": Padded(x)}
    nonempty = [Symbol(str(extent), integer=True) for extent in extents]
    around = filled[mode] if mode in filled else Padded(x, mode=mode)
    return Layer(
        f"pad_{mode}{suffix}",
        inputs=[x[(N, C, *extents)]],
        equations=[Eq(y[(n, c, *places)], around[(n, c, *(place - padding for place in places))])],
        attributes={padding: 1, value: 0.0} if mode == "constant" else {padding: 1},
        requires=[] if mode in filled else [extent > 0 for extent in nonempty],
        typical=TYPICAL[suffix],
        doc=f"""
    A border of {WORDS[mode]}.

    x (N, C, {", ".join(map(str, extents))}); y longer by 2 padding along every axis but the first two.
    padding: how wide the border is on every side{"; value: what it holds" if mode == "constant" else ""}.
    Source: torch.nn.functional.pad.
    """,
    )


pad_zero1d, pad_zero3d = bordered("zero", "1d"), bordered("zero", "3d")
pad_constant1d, pad_constant2d, pad_constant3d = (bordered("constant", suffix) for suffix in SPACES)
pad_reflect1d, pad_reflect3d = bordered("reflect", "1d"), bordered("reflect", "3d")
pad_replicate1d, pad_replicate3d = bordered("replicate", "1d"), bordered("replicate", "3d")
pad_wrap1d, pad_wrap3d = bordered("wrap", "1d"), bordered("wrap", "3d")


def apart(mode: str, space: Space) -> Layer:
    """Declare a border with a width of its own at each end of each axis."""
    extents = [axis.extent + axis.before + axis.after for axis in space.axes]
    places = [Idx(axis.place, extent) for axis, extent in zip(space.axes, extents, strict=True)]
    around = Padded(x, value) if mode == "constant" else Padded(x, mode=mode)
    read = [place - axis.before for place, axis in zip(places, space.axes, strict=True)]
    widths = space.settings("before", "after")
    nonempty = [Symbol(str(extent), integer=True) > 0 for extent in space.extents]
    return Layer(
        f"pad_{mode}{space.suffix}_anisotropic",
        inputs=[x[(N, C, *space.extents)]],
        equations=[Eq(y[(n, c, *places)], around[(n, c, *read)])],
        attributes={**widths, value: 0.0} if mode == "constant" else widths,
        requires=[] if mode == "constant" else nonempty,
        typical={**space.typical, C: 16},
        doc=f"""
    Border, each end of each axis with a width of its own: {WORDS[mode].split(",")[0]}.

    x (N, C, {", ".join(map(str, space.extents))}); y longer by both widths along every axis of space.
    The border holds {WORDS[mode]}.
    {", ".join(map(str, widths))}: widths at the near and the far end of each axis,
    by its letter{"; value: what the border holds" if mode == "constant" else ""}.
    Source: numpy.pad; the operator Pad of ONNX.
    """,
    )


pad_constant1d_anisotropic, pad_constant2d_anisotropic, pad_constant3d_anisotropic = (
    apart("constant", space) for space in (SEQUENCE, IMAGE, VOLUME)
)
pad_reflect1d_anisotropic, pad_reflect2d_anisotropic, pad_reflect3d_anisotropic = (
    apart("reflect", space) for space in (SEQUENCE, IMAGE, VOLUME)
)
pad_replicate1d_anisotropic, pad_replicate2d_anisotropic, pad_replicate3d_anisotropic = (
    apart("replicate", space) for space in (SEQUENCE, IMAGE, VOLUME)
)
pad_wrap1d_anisotropic, pad_wrap2d_anisotropic, pad_wrap3d_anisotropic = (
    apart("wrap", space) for space in (SEQUENCE, IMAGE, VOLUME)
)
