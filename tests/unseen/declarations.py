"""All unseen layers, by kind; importing them registers them."""

from . import (
    attention,
    contractions,
    extrema,
    gathers,
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
    attention,
    contractions,
    extrema,
    gathers,
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
