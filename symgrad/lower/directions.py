"""Windows run forwards: what a window meets is read backwards instead, since it is smaller than all windows."""

from __future__ import annotations

from symgrad.declare.bounds import positive
from symgrad.declare.integers import Index, Poly, affine_in, as_poly, indices_of
from symgrad.declare.scalars import TRUE, Read, Scalar, free_indices, reads_of
from symgrad.derive.terms import Term, rename
from symgrad.lower.placement import factors_of


def forwards(term: Term) -> Term:
    """The term with each summed index reversed that runs backwards inside a window and alone along what it meets."""
    if term.condition != TRUE:
        return term
    factors = factors_of(term.body)
    turned: dict[Index, Poly] = {
        i: i.extent - 1 - as_poly(i) for i in term.bound if any(_runs_backwards(f, i, factors) for f in factors)
    }
    return Term(term.scale, term.bound, term.condition, rename(term.body, turned)) if turned else term


def _runs_backwards(factor: Scalar, index: Index, factors: tuple[Scalar, ...]) -> bool:
    others = [f for f in factors if f is not factor and index in free_indices(f)]
    met = len(others) == 1 and isinstance(others[0], Read) and as_poly(index) in others[0].indices
    polys = [p for r in reads_of(factor) for p in r.indices if index in indices_of(p)]
    return met and bool(polys) and all(_falls(p, index) and len(indices_of(p)) > 1 for p in polys)


def _falls(poly: Poly, index: Index) -> bool:
    split = affine_in(poly, index)
    return split is not None and positive(-split[0])
