"""The symbols that the catalogue's declarations share: extents, options, indices and tensors."""

from sympy import Idx, IndexedBase, symbols

# Extents. N samples, C channels in, K channels or units out, M features; L, or H and W, or D, H and W in space;
# R, or R and S, or T, R and S of the kernel.
N, C, K, M, L, D, H, W, T, R, S = symbols("N C K M L D H W T R S", integer=True, positive=True)

# Options that are whole numbers; symgrad checks that the first three are at least 1 and the others at least 0.
stride, dilation, groups = symbols("stride dilation groups", integer=True, positive=True)
padding, output_padding = symbols("padding output_padding", integer=True, nonnegative=True)

n, c, k, m = Idx("n", N), Idx("c", C), Idx("k", K), Idx("m", M)
t, u, v = Idx("t", T), Idx("u", R), Idx("v", S)


def tensors(names: str) -> tuple[IndexedBase, ...]:
    """Return a tensor for each of ``names``, as ``symbols`` does for symbols."""
    return tuple(map(IndexedBase, names.split()))


x, y, w, b = tensors("x y w b")
