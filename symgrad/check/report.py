"""What a check found: one entry per comparison, worst difference first to be seen."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Entry:
    """One comparison.

    Attributes:
        check: what was compared with what.
        subject: the tensor it is about, "" where it is about the whole.
        sizes: sizes and attributes.
        ok: whether they agree.
        error: worst relative error; infinite where they cannot be compared.
        compared: how many numbers were.
        skipped: how many could not be: at a kink, or not finite.
        coordinate: where the worst error is.
        analytic: what the layer's module gives there.
        expected: what it is compared with.
        note: what went wrong, or why nothing was compared.
    """

    check: str
    subject: str
    sizes: str
    ok: bool
    error: float = 0.0
    compared: int = 0
    skipped: int = 0
    coordinate: tuple[int, ...] | None = None
    analytic: float | None = None
    expected: float | None = None
    note: str = ""

    def __str__(self) -> str:
        """One paragraph: check, where, and both numbers where they differ."""
        at = "" if self.coordinate is None else f"[{', '.join(map(str, self.coordinate))}]"
        lines = [f"{self.check}: {self.subject}{at}" if self.subject else self.check, f"  at {self.sizes}"]
        if self.analytic is not None and self.expected is not None:
            lines.append(f"  module   {self.analytic: .12g}")
            lines.append(f"  expected {self.expected: .12g}    relative error {self.error:.2e}")
        return "\n".join(lines + ([f"  {self.note}"] if self.note else []))


@dataclass(frozen=True, slots=True)
class CheckReport:
    """Every comparison made for one layer."""

    layer: str
    entries: tuple[Entry, ...]

    @property
    def ok(self) -> bool:
        """Whether something was compared and everything agreed."""
        return not self.failures and any(e.compared for e in self.entries)

    @property
    def failures(self) -> tuple[Entry, ...]:
        """The entries that do not agree."""
        return tuple(e for e in self.entries if not e.ok)

    def to_json(self) -> str:
        """Return the report as JSON text: layer, ok, entries; infinities and nan as strings."""
        entries = [{k: _for_json(v) for k, v in asdict(e).items()} for e in self.entries]
        return json.dumps({"layer": self.layer, "ok": self.ok, "entries": entries}, indent=2)

    def __str__(self) -> str:
        """A table with one row per kind of comparison, then the first failure of each tensor in full."""
        rows = [_row(check, group) for check, group in _grouped(self.entries, lambda e: e.check)]
        verdict = f"{len(self.failures)} of {len(self.entries)} comparisons FAILED"
        if not self.failures:
            verdict = "ok" if self.ok else "nothing was compared"
        firsts = [group[0] for _, group in _grouped(self.failures, lambda e: (e.check, e.subject))]
        return "\n".join(
            [f"check of {self.layer}: {verdict}", "", *_aligned([HEADER, *rows]), *map(_paragraph, firsts)]
        )


HEADER = ("compared", "cases", "numbers", "skipped", "worst error", "")


def compare(
    check: str,
    subject: str,
    sizes: str,
    analytic: npt.ArrayLike,
    expected: npt.ArrayLike,
    tolerance: float,
    scale: float | None = None,
) -> Entry:
    """Compare numbers, coordinate by coordinate.

    The relative error is ``|a - e| / max(|a|, |e|, scale / 1000)``: rounding leaves errors in proportion to the largest
    numbers around, so those much smaller are measured against these. ``scale`` is by default the largest expected
    number, at least 1. Where nan is expected, nothing is compared.
    """
    got, want = np.asarray(analytic), np.asarray(expected)
    if got.shape != want.shape:
        return Entry(
            check, subject, sizes, False, math.inf, note=f"the shape is {got.shape}, it should be {want.shape}"
        )
    got, want = got.astype(np.float64), want.astype(np.float64)
    known = ~np.isnan(want)
    if not known.any():
        note = "" if want.size == 0 else "no number is expected"
        return Entry(check, subject, sizes, True, skipped=want.size, note=note)
    largest = max([1.0, float(np.abs(want[np.isfinite(want)]).max(initial=0.0))]) if scale is None else scale
    with np.errstate(all="ignore"):
        errors = np.abs(got - want) / np.maximum(np.maximum(np.abs(got), np.abs(want)), largest / 1000)
    errors = np.where(known & (got != want), np.where(np.isfinite(errors), errors, np.inf), 0.0)
    place = np.unravel_index(int(np.argmax(errors)), errors.shape)
    worst = float(errors[place])
    return Entry(
        check,
        subject,
        sizes,
        worst <= tolerance,
        worst,
        int(known.sum()),
        int(want.size - known.sum()),
        tuple(int(k) for k in place),
        float(got[place]),
        float(want[place]),
    )


def _grouped(entries: Iterable[Entry], key: Callable[[Entry], Any]) -> list[tuple[Any, list[Entry]]]:
    groups: dict[Any, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(key(entry), []).append(entry)
    return list(groups.items())


def _row(check: str, group: list[Entry]) -> tuple[str, ...]:
    numbers, skipped = sum(e.compared for e in group), sum(e.skipped for e in group)
    cases = len({e.sizes for e in group})
    failed = len({e.sizes for e in group if not e.ok})
    verdict = f"FAILED in {failed}" if failed else "skipped" if skipped and not numbers else "ok"
    return check, str(cases), str(numbers), str(skipped), f"{max(e.error for e in group):.1e}", verdict


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[k]) for row in rows) for k in range(len(HEADER))]
    lines = []
    for first, *numbers, last in rows:
        cells = [cell.rjust(width) for cell, width in zip(numbers, widths[1:-1], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells, last]).rstrip())
    return lines


def _paragraph(entry: Entry) -> str:
    return f"\n{entry}"


def _for_json(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
