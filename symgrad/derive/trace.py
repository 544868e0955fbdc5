"""The trace: every rewrite with its rule, the equation before and the equation after."""

from __future__ import annotations

from dataclasses import dataclass, field

from symgrad.declare.program import Equation


@dataclass(frozen=True, slots=True)
class Step:
    """One rewrite: ``before`` (None when a definition is introduced) and ``after`` say the same."""

    rule: str
    before: Equation | None
    after: Equation
    note: str = ""


@dataclass(slots=True)
class Trace:
    """Steps in the order in which they were taken."""

    steps: list[Step] = field(default_factory=list)

    def record(self, rule: str, before: Equation | None, after: Equation, note: str = "") -> None:
        """Append a step unless nothing changed."""
        if before is None or before.body != after.body:
            self.steps.append(Step(rule, before, after, note))
