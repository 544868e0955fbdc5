"""All unseen layers, by kind; importing them registers them."""

from . import (
    alignments,
    attention,
    beginnings,
    contractions,
    extrema,
    factorisations,
    gathers,
    interpolation,
    layouts,
    pointwise,
    reads,
    recurrences,
    residues,
    running,
    segments,
    stencils,
    sums,
)
from .registry import CASES, LOGITS

__all__ = ["CASES", "LOGITS"]
KINDS = (
    alignments,
    attention,
    beginnings,
    contractions,
    extrema,
    factorisations,
    gathers,
    interpolation,
    layouts,
    pointwise,
    reads,
    recurrences,
    residues,
    running,
    segments,
    stencils,
    sums,
)
