"""What the suite found, as a table, as Markdown and as a plot."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from profiles import told
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from workloads import LAST

EAGER = ("torch", "torch channels_last")
OTHERS = ("torch.compile", "jax", "autograd", "naive")


@dataclass(frozen=True)
class Floor:
    """What a workload cannot do without, and how long that takes on this machine at best."""

    operations: float
    traffic: float
    operations_formula: str
    traffic_formula: str
    seconds: float


@dataclass(frozen=True)
class Row:
    """A workload, measured.

    Attributes:
        comparisons: what ``compare`` found, by rival.
        goal: the largest ratio of fast to the faster eager torch that is aimed at.
        small: whether it is one of the small networks, which have a goal of their own.
        steps: of an epoch, for a network.
    """

    name: str
    size: str
    floor: Floor
    comparisons: Mapping[str, Mapping[str, Any]]
    goal: float | None = None
    small: bool = False
    steps: int | None = None

    @property
    def error(self) -> float | None:
        """The largest of all comparisons."""
        return max((e for c in self.comparisons.values() for e in c.get("errors", {}).values()), default=None)

    @property
    def wrong(self) -> bool:
        """Whether a result differs from a rival's, so that nothing was timed."""
        return any("errors" in found and not found["timings"] for found in self.comparisons.values())

    @property
    def profile(self) -> Mapping[str, Any] | None:
        """What the fast module does on one thread, where that was traced."""
        return next((found["profile"] for found in self.comparisons.values() if "profile" in found), None)

    def times(self, candidate: str) -> Mapping[str, Any] | None:
        """The timing of a candidate in the first comparison that has it."""
        return next((t[candidate] for t in self._timings() if candidate in t), None)

    def ratio(self, candidate: str, to: Sequence[str], of: str = "median") -> float | None:
        """Time of a candidate over that of the fastest of others, in the comparison that has them."""
        for timings in self._timings():
            found = [timings[name][of] for name in to if name in timings]
            if candidate in timings and found:
                return timings[candidate][of] / min(found)
        return None

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none or the rival did not run."""
        ratio = self.ratio("fast", EAGER)
        return None if self.goal is None or ratio is None else ratio <= self.goal

    def _timings(self) -> Iterator[Mapping[str, Any]]:
        return (found["timings"] for found in self.comparisons.values() if found.get("timings"))

    def record(self) -> dict[str, Any]:
        """For programs."""
        rivals = {"torch eager": EAGER} | {name: (name,) for name in OTHERS}
        ratios = {name: self.ratio("fast", to) for name, to in rivals.items()}
        seconds = None if self.steps is None else {
            name: found["median"] * self.steps
            for name in ("fast", "readable", *EAGER, *OTHERS)
            if (found := self.times(name))
        }  # fmt: skip
        return {
            "name": self.name,
            "size": self.size,
            "floor": vars(self.floor),
            "error": self.error,
            "goal": self.goal,
            "met": self.met,
            "ratios": {name: ratio for name, ratio in ratios.items() if ratio is not None},
            "readable_over_fast": self.ratio("readable", ("fast",)),
            "seconds_per_epoch": seconds,
            "comparisons": self.comparisons,
        }


@dataclass(frozen=True)
class Goal:
    """A goal over many workloads: a geometric mean of ratios that should be at most so large."""

    name: str
    most: float
    found: float | None
    over: int

    @property
    def verdict(self) -> str:
        """Met, missed, or not measured."""
        return "not measured" if self.found is None else "met" if self.found <= self.most else "MISSED"

    def __str__(self) -> str:
        found = "" if self.found is None else f"{self.found:.2f} over {self.over} workloads: "
        return f"{self.name}, at most {self.most:g}: {found}{self.verdict}"


def goals(rows: Sequence[Row]) -> list[Goal]:
    """The goals over all workloads; networks as a whole are measured beside them."""
    layers = [row for row in rows if row.steps is None]
    wanted = [
        ("fast over the faster eager torch, geometric mean", 1.0, layers, "fast", EAGER),
        ("the same with images in the better of both orders", 1.0, better(layers), "fast", EAGER),
        ("the same for small networks", 0.4, [row for row in layers if row.small], "fast", EAGER),
        ("fast over jax, geometric mean", 0.6, layers, "fast", ("jax",)),
        ("fast over naive NumPy, geometric mean", 0.2, layers, "fast", ("naive",)),
        ("readable over fast, geometric mean", 1.6, layers, "readable", ("fast",)),
    ]
    found = []
    for name, most, over, candidate, to in wanted:
        ratios = [ratio for row in over if (ratio := row.ratio(candidate, to)) is not None]
        found.append(Goal(name, most, statistics.geometric_mean(ratios) if ratios else None, len(ratios)))
    return found


def better(rows: Sequence[Row]) -> list[Row]:
    """The rows, of images in two orders of axes the one in which fast comes closer to the faster torch."""
    found: dict[str, Row] = {}
    for row in rows:
        name = row.name.removesuffix(LAST)
        first, second = (r.ratio("fast", EAGER) if r else None for r in (found.get(name), row))
        if first is None or (second is not None and second < first):
            found[name] = row
    return list(found.values())


HEADINGS = (
    "workload", "size", "floor", "fast", "readable", "torch", "channels_last", "compile", "jax", "autograd", "naive",
    "ratio", "of min", "of cpu", "goal", "busy", "error",
)  # fmt: skip


def cells(row: Row) -> list[str]:
    """One line: milliseconds, medians; ratios of fast to the faster eager torch."""
    times = [row.times(name) for name in ("fast", "readable", *EAGER, *OTHERS)]
    fast = times[0]
    ratios = [row.ratio("fast", EAGER, of) for of in ("median", "minimum", "processor")]
    error = "" if row.error is None else f"{row.error:.0e}"
    return [
        row.name,
        row.size,
        _milliseconds(row.floor.seconds),
        *("" if found is None else _milliseconds(found["median"]) for found in times),
        *("" if ratio is None else f"{ratio:.2f}" for ratio in ratios),
        "" if row.goal is None else f"{row.goal:g} {MARKS[row.met]}",
        "" if fast is None else f"{fast['processor'] / fast['median']:.1f}",
        f"WRONG {error}" if row.wrong else error,
    ]


MARKS = {True: "met", False: "missed", None: ""}


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.3g}" if seconds < 0.1 else f"{1e3 * seconds:.0f}"


def skipped(rows: Sequence[Row]) -> list[str]:
    """Why rivals did not run, each reason once."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        for rival, found in row.comparisons.items():
            if "skipped" in found:
                reasons.setdefault(f"{rival}: {found['skipped']}", []).append(row.name)
    return [f"without {reason} ({', '.join(names)})" for reason, names in reasons.items()]


def epochs(rows: Sequence[Row]) -> list[str]:
    """Seconds of an epoch of each network, extrapolated from its step."""
    lines = []
    for row in rows:
        seconds = row.record()["seconds_per_epoch"]
        if seconds:
            told = ", ".join(f"{name} {value:.1f}" for name, value in seconds.items())
            lines.append(f"{row.name}, seconds an epoch of {row.steps} steps: {told}")
    return lines


def missed(rows: Sequence[Row]) -> list[str]:
    """Why goals are missed, for images in both orders of axes: what the fast module does in its time."""
    met = {row.name.removesuffix(LAST) for row in rows if row.met}
    lines = []
    for row in rows:
        profile, ratio = row.profile, row.ratio("fast", EAGER)
        if profile is not None and row.met is False and row.name.removesuffix(LAST) not in met:
            lines.append(f"{row.name}, {ratio:.2f} for {row.goal:g}: {told(profile)}")
    return lines


def means(rows: Sequence[Row]) -> list[str]:
    """What goals over all workloads are made of: kinds of work, and what threads gain."""
    known = [(row, row.profile) for row in rows if row.steps is None and row.profile is not None]
    if not known:
        return []
    shares: dict[str, list[float]] = {}
    for _, profile in known:
        for kind, share in profile["shares"].items():
            shares.setdefault(kind, []).append(share)
    parts = sorted(((sum(found) / len(known), kind) for kind, found in shares.items()), reverse=True)
    lines = [
        f"fast, one thread, the mean of {len(known)} workloads: "
        + ", ".join(f"{share:.0%} {kind}" for share, kind in parts)
    ]
    timed = [
        (profile["seconds"], fast["median"], readable["median"])
        for row, profile in known
        if (fast := row.times("fast")) and (readable := row.times("readable"))
    ]
    for name, ratios in (
        ("fast on one thread, traced, over fast", [one / fast for one, fast, _ in timed]),
        ("readable over fast on one thread, traced", [readable / one for one, _, readable in timed]),
    ):
        if ratios:
            lines.append(
                f"{name}, geometric mean: {statistics.geometric_mean(ratios):.2f} over {len(ratios)} workloads"
            )
    return lines


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the table, what was left out, whole networks, the goals, and why some are missed."""
    table = Table(title="milliseconds, forward + backward, medians; ratio: fast over the faster eager torch")
    for number, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if number > 1 else "left", no_wrap=True)
    for row in rows:
        colour = {True: "green", False: "red", None: "default"}[row.met]
        line = cells(row)
        place = HEADINGS.index("ratio")
        line[place] = f"[{colour}]{line[place]}[/]"
        table.add_row(*line)
    console.print(table)
    for line in (*skipped(rows), *epochs(rows), *missed(rows), *map(str, goals(rows)), *means(rows)):
        console.print(escape(line), soft_wrap=True)


def markdown(rows: Sequence[Row], machine: Sequence[str], about: str) -> str:
    """The same as Markdown, with the formulas of the floors."""
    lines = ["# Emitted modules beside other libraries", "", about, ""]
    lines += [f"- {line}" for line in machine]
    lines += ["", "Milliseconds, forward + backward, medians.", ""]
    lines += _table([list(HEADINGS), *map(cells, rows)])
    lines += ["", *(f"- {line}" for line in (*goals(rows), *means(rows), *epochs(rows), *skipped(rows)))]
    if missed(rows):
        lines += ["", "Where goals are missed, what the fast module does in its time, on one thread:", ""]
        lines += [f"- {line}" for line in missed(rows)]
    formulas = [[r.name, f"`{r.floor.operations_formula}`", f"`{r.floor.traffic_formula}`"] for r in rows]
    lines += ["", "What no implementation can do without:", ""]
    lines += _table([["workload", "operations", "bytes"], *formulas])
    return "\n".join(lines) + "\n"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]]


MARKERS = {"fast": "o", "readable": "|", "torch.compile": "v", "jax": "s", "autograd": "d", "naive": "x"}


def save_plot(path: Path, rows: Sequence[Row]) -> None:
    """Plot time over that of the faster eager torch, a line for each workload, with its goal.

    Raises:
        ImportError: matplotlib is not installed.
    """
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    drawn = [row for row in rows if row.ratio("fast", EAGER) is not None]
    with matplotlib.rc_context({"svg.hashsalt": "symgrad"}):
        figure = Figure(figsize=(9, 1.5 + 0.28 * len(drawn)), layout="constrained")
        axes = figure.subplots()
        axes.axvline(1, color="0.6", linewidth=1)
        for name, marker in MARKERS.items():
            points = [(ratio, place) for place, row in enumerate(drawn) if (ratio := _to_torch(row, name))]
            if points:
                axes.scatter(*zip(*points, strict=True), marker=marker, label=name, zorder=3)
        aims = [(row.goal, place) for place, row in enumerate(drawn) if row.goal is not None]
        if aims:
            axes.scatter(*zip(*aims, strict=True), marker="<", facecolors="none", edgecolors="0.4", label="goal")
        axes.set_yticks(range(len(drawn)), [row.name for row in drawn])
        axes.invert_yaxis()
        axes.set(xscale="log", xlabel="time over that of the faster eager torch (less is better)")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(axis="x", which="major", alpha=0.3)
        figure.legend(loc="outside lower center", ncols=7)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _to_torch(row: Row, name: str) -> float | None:
    """Time over torch's; of a rival of another process by way of the fast module, which ran in both."""
    fast = row.ratio("fast", EAGER)
    if fast is None or name == "fast":
        return fast
    direct = row.ratio(name, EAGER)
    to_fast = row.ratio(name, ("fast",))
    return direct if direct is not None else None if to_fast is None else to_fast * fast
