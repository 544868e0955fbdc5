"""Every step of a derivation evaluated at random small sizes: what stands before and after it gives the same numbers.

The steps are replayed from the declaration on. A step that rewrites one equation is judged by itself; one that changes
what a name means (and says so in the equations that read the name) is judged together with the steps that make it good.
Where the replay ends, every equation of the derived program is compared, and the gradients with those that the naive
evaluator takes over dual numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from symgrad.check.replay import Derivable, Replay, Step, StepFailure
from symgrad.check.values import Case, Sampler
from symgrad.declare.layer import Layer
from symgrad.errors import CheckError


def check_steps(
    stages: Derivable, seed: int = 0, steps: Sequence[Step] | None = None, fixed: Mapping[str, int] | None = None
) -> list[StepFailure]:
    """Evaluate every step of a run; the failures, none if all is well.

    Args:
        stages: what the compiler made of a layer.
        seed: of the random sizes and values.
        steps: the steps to check; by default those of the trace, and then what they lead to as well.
        fixed: attributes that have to have these values, where steps hold for them only.

    Raises:
        CheckError: the layer itself cannot be evaluated at any small size.
    """
    replay = Replay(stages, _case(stages.layer, seed, fixed or {}), seed, whole=steps is None)
    for step in stages.trace.steps if steps is None else steps:
        replay.take(step)
    replay.settle_accounts()
    if steps is None and not replay.failures:
        replay.compare()
    return replay.failures


def _case(layer: Layer, seed: int, fixed: Mapping[str, int]) -> Case:
    """Draw sizes at which the fixed attributes fit."""
    sampler = Sampler(layer, seed)
    for _ in range(20):
        case = sampler.case("varied")
        for others in (case.sizes.attributes, {a.name: a.default for a in layer.program.attributes}):
            sizes = replace(case.sizes, attributes={**others, **fixed})
            if sampler.geometry.fits(sizes):
                return replace(case, sizes=sizes)
    raise CheckError(f"{layer.name}: no small sizes were found with {dict(fixed)}")


__all__ = ["StepFailure", "check_steps"]
