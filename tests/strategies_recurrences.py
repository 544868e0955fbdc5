"""A Hypothesis strategy of random valid recurrences, each with values for its inputs.

States of one or two recurrent indices read themselves and each other at earlier steps (or later ones), elementwise, in
sums, maxima and log-sum-exps, from a base case by a condition, by a constant outside or by an initial tensor.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from .strategies import Case

FUNCTIONS = ("tanh({})", "sin({})", "exp(-({})**2)", "1/(1 + exp(-({})))", "({})/2", "({})", "log(1 + exp({}))")


@dataclass
class Drawing:
    """A declaration in the making."""

    draw: st.DrawFn
    inputs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    integers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    equations: list[str] = field(default_factory=list)

    def one_of(self, *options: object) -> object:
        return self.draw(st.sampled_from(options))

    def chance(self, percent: int) -> bool:
        return self.draw(st.integers(0, 99)) < percent

    def number(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def input(self, *extents: str) -> str:
        """An input of this shape, an old one now and then."""
        same = [n for n, e in self.inputs.items() if e == extents]
        if same and self.chance(40):
            return str(self.one_of(*same))
        name = f"x{len(self.inputs)}"
        self.inputs[name] = extents
        return name


SIZES = {"T": (1, 2, 3, 4, 5), "U": (1, 2, 3, 4), "D": (2, 3), "B": (1, 2)}


@st.composite
def recurrences(draw: st.DrawFn) -> Case:
    """Draw a recurrence."""
    d = Drawing(draw)
    two = d.chance(20)
    steps = ["t", "u"] if two else ["t"]
    others = [i for i in ("b", "d") if d.chance(65)]
    axes = draw(st.permutations([*steps, *others]))
    back = {s: 1 if d.chance(25) else -1 for s in steps}
    longer = not two and back["t"] < 0 and d.chance(20)
    count = d.number(1, 3) if not longer else 1
    states = [f"h{k}" for k in range(count)]
    extents = {"t": "T + 1" if longer else "T", "u": "U", "b": "B", "d": "D"}
    for place, state in enumerate(states):
        d.equations.append(_state(d, state, states[:place], states, axes, steps, back, longer))
    outputs = list(states)
    if d.chance(40):
        first = states[-1]
        at = [{"t": "T - 1" if back["t"] < 0 else "0"}.get(a, a) for a in axes]
        left = [a for a in axes if a != "t"]
        d.equations.append(f"Eq({_element('last', left)}, {_element(first, at)}**2)")
        outputs.append("last")
        if d.chance(50):
            outputs = ["last"]
    sizes = {n: d.one_of(*v) for n, v in SIZES.items()}
    return _case(d, outputs, extents, sizes)  # type: ignore[arg-type]


def _element(name: str, at: list[str]) -> str:
    return f"{name}[{', '.join(at)}]" if at else name


def _state(
    d: Drawing,
    state: str,
    earlier: list[str],
    states: list[str],
    axes: list[str],
    steps: list[str],
    back: dict[str, int],
    longer: bool,
) -> str:
    """The equation of one state."""
    base = str(d.one_of("outside", "condition", "initial")) if not longer else "condition"
    free = "t - 1" if longer else "t"
    given = _given(d, axes, free)
    fill = d.one_of("0", "0", "1", "-2", "-1/S(2)")
    lags: list[int] = []

    def reads(name: str, at: list[str]) -> str:
        """A read of a state at an earlier step, its base case with it if that is not around the whole."""
        if base == "outside":
            return f"Padded({name}, value={fill})[{', '.join(at)}]"
        if base == "initial" and len(steps) == 1:
            left = [a for a in at if "t" not in a]
            start = _element(d.input(*(a.upper()[0] for a in axes if a != "t")), left)
            test = f"t < {lags[-1]}" if back["t"] < 0 else f"t >= T - {lags[-1]}"
            return f"Piecewise(({start}, {test}), ({name}[{', '.join(at)}], True))"
        return f"{name}[{', '.join(at)}]"

    def moved(name: str, rename: dict[str, str]) -> str:
        lag = d.number(1, 3) if d.chance(20) else 1
        lags.append(lag)
        shift: dict[str, int] = dict.fromkeys(steps, 0)
        if len(steps) == 1:
            shift["t"] = lag
        else:
            ways = ((1, 0), (0, 1), (1, 1), (1, 0)) if base != "outside" else ((1, 0), (0, 1), (1, 1), (1, -1), (2, 0))
            shift |= dict(zip(steps, d.one_of(*ways), strict=True))  # type: ignore[call-overload]
        at = []
        for a in axes:
            index = rename.get(a, a)
            gap = shift.get(a, 0) * back.get(a, -1)
            at.append(index if not gap else f"{index} {'+' if gap > 0 else '-'} {abs(gap)}")
        return reads(name, at)

    terms = [_term(d, str(d.one_of(*states)), axes, moved) for _ in range(d.number(1, 2))]
    for name in earlier:
        if d.chance(50):
            terms.append(f"{_element(name, list(axes))}*{_given(d, axes, free)}" if not longer else "0")
    inner = " + ".join([given, *terms])
    body = str(d.one_of(*FUNCTIONS)).format(inner)
    if d.chance(30):
        body = f"{_given(d, axes, free)}*({body}) + {moved(str(d.one_of(*states)), {})}/3"
    plain = base == "condition" or (base == "initial" and len(steps) > 1)
    if plain:
        body = _with_base(d, body, axes, steps, back, max(lags))
    elif d.chance(25):
        ends = {"t": "T", "u": "U"}
        first = [f"Eq({s}, {0 if back[s] < 0 else f'{ends[s]} - 1'})" for s in steps]
        how = d.one_of("And", "Or") if len(steps) > 1 else ""
        body = f"Piecewise(({d.one_of('0', '1', '-3')}, {how}({', '.join(first)})), ({body}, True))"
    if d.chance(10) and "b" in axes and not plain:
        d.integers["length"] = ("B",)
        body = f"Piecewise(({body}, t < length[b]), ({given}, True))"
    return f"Eq({_element(state, list(axes))}, {body})"


def _with_base(d: Drawing, body: str, axes: list[str], steps: list[str], back: dict[str, int], lag: int) -> str:
    """The body behind a condition that keeps its reads inside."""
    tests = []
    for s in steps:
        width = lag if len(steps) == 1 else 1
        end = "T" if s == "t" else "U"
        tests.append(f"{s} < {width}" if back[s] < 0 else f"{s} >= {end} - {width}")
    number = str(d.one_of("0", "1", "-3", "Rational(1, 2)"))
    start = _given(d, [a for a in axes if a not in steps], "t") if d.chance(50) else number
    test = tests[0] if len(tests) == 1 else f"Or({', '.join(tests)})"
    if len(tests) == 1 and lag == 1 and d.chance(50):
        test = "Eq(t, 0)" if back["t"] < 0 else "Eq(t, T - 1)"
    return f"Piecewise(({start}, {test}), ({body}, True))"


def _given(d: Drawing, axes: list[str], step: str) -> str:
    """Something that does not depend on the state."""
    letters = [a for a in axes if d.chance(80)]
    if d.chance(25) and letters:
        name = d.input("D", *(a.upper() for a in letters))
        return f"Sum({name}[{', '.join(['k', *(step if a == 't' else a for a in letters)])}], k)"
    name = d.input(*(a.upper() for a in letters))
    return _element(name, [step if a == "t" else a for a in letters])


def _term(d: Drawing, name: str, axes: list[str], moved) -> str:  # type: ignore[no-untyped-def]
    """What the state before contributes."""
    kind = d.one_of("plain", "plain", "matrix", "matrix", "most", "soft")
    if "d" not in axes or kind == "plain":
        return f"{moved(name, {})}*{_element(d.input(*(['D'] if 'd' in axes else [])), ['d'] if 'd' in axes else [])}"
    weight = f"{d.input('D', 'D')}[d, k]"
    read = moved(name, {"d": "k"})
    if kind == "matrix":
        return f"Sum({weight}*{read}, k)"
    return f"{'ReduceMax' if kind == 'most' else 'LogSumExp'}({weight} + {read}, k)"


def _case(d: Drawing, outputs: list[str], extents: dict[str, str], sizes: dict[str, int]) -> Case:
    used = {e for shape in d.inputs.values() for e in shape} | {e for s in d.integers.values() for e in s}
    text = "\n".join(d.equations)
    for index, size in (("t", "T"), ("u", "U"), ("d", "D"), ("b", "B")):
        bare = size in used
        if not bare and f"{index}" in text:
            d.inputs[f"s{size}"] = (size,)
    names = {**d.inputs, **d.integers}
    states = sorted({e.split("(")[1].split("[")[0].split(",")[0] for e in d.equations})
    lines = ["T, U, D, B = symbols('T U D B', integer=True, positive=True)"]
    lines += [f"{n} = IndexedBase('{n}')" if shape else f"{n} = Symbol('{n}')" for n, shape in names.items()]
    lines += [f"{n} = IndexedBase('{n}')" if f"Eq({n}[" in text else f"{n} = Symbol('{n}')" for n in states]
    lines += [f"{i} = Idx('{i}', {e})" for i, e in extents.items()]
    lines += ["k = Idx('k', D)"]
    given = ", ".join(f"{n}[{', '.join(shape)}]" if shape else n for n, shape in names.items())
    whole = f", integers=[{', '.join(d.integers)}]" if d.integers else ""
    lines += [f"layer = Layer('drawn', inputs=[{given}], equations=[", *(f"    {e}," for e in d.equations)]
    lines += [f"], outputs=[{', '.join(outputs)}]{whole})"]
    rng = np.random.default_rng(d.number(0, 99))
    arrays = {n: np.asarray(np.round(rng.normal(size=[sizes[e] for e in s]) * 32) / 32) for n, s in d.inputs.items()}
    arrays |= {n: np.asarray(rng.integers(0, 4, size=[sizes[e] for e in s])) for n, s in d.integers.items()}
    return Case("\n".join(lines) + "\n", arrays, {})
