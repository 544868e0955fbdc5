"""Which inputs of a graph no gradient comes back to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set


def without_gradient(
    inputs: Iterable[str], outputs: Iterable[str], flows: Mapping[str, Set[str]], held: Set[str]
) -> frozenset[str]:
    """The inputs from which every way on ends at one that is constant for differentiation.

    Args:
        inputs: the inputs of the graph.
        outputs: the left sides that it returns.
        flows: for each left side, what a gradient goes back to from it.
        held: what inputs that get no gradient are wired to.

    An input that nothing uses, or only what is not returned, keeps its gradient, which is 0.
    """
    used = {source for target, sources in flows.items() for source in sources - {target}} | held
    reached = {*outputs, *(target for target in flows if target not in used)}
    pending = list(reached)
    while pending:
        new = flows.get(pending.pop(), frozenset()) - reached
        reached |= new
        pending += new
    return frozenset(name for name in inputs if name in used and name not in reached)
