"""Who kept a promise, by what was asked: counted, handed from process to process, shown."""

import csv
import io
from dataclasses import dataclass
from typing import Any, ClassVar

TOTAL = "Aggregated"
"""Locust's own name for the row of all."""


@dataclass
class Count:
    """Requests of one name.

    Attributes:
        in_time: Answered within the SLO.
        too_late: Answered, and later.
        failed: Not answered.
    """

    in_time: int = 0
    too_late: int = 0
    failed: int = 0

    @property
    def ratio(self) -> float:
        """Share that kept the promise; 0 of none."""
        return self.in_time / max(self.in_time + self.too_late + self.failed, 1)


class Counts:
    """Counts by type and name of the request, from a time on."""

    COLUMNS: ClassVar[dict[str, str]] = {
        "type": "Type",
        "name": "Name",
        "slo_ms": "SLO (ms)",
        "in_time": "In time",
        "too_late": "Too late",
        "failed": "Failed",
        "goodput_per_s": "Goodput/s",
        "goodput_percent": "Goodput (%)",
    }

    def __init__(self) -> None:
        self.of: dict[tuple[str, str], Count] = {}
        self.begin_s = self.end_s = 0.0

    @property
    def total(self) -> Count:
        """All together."""
        counts = self.of.values()
        return Count(*(sum(getattr(one, kind) for one in counts) for kind in ("in_time", "too_late", "failed")))

    @property
    def span_s(self) -> float:
        """Seconds from the beginning to the last request, one at least."""
        return max(self.end_s - self.begin_s, 1.0)

    def clear(self, now_s: float) -> None:
        """Begin anew."""
        self.of.clear()
        self.begin_s = self.end_s = now_s

    def add(self, kind_of_request: str, name: str, kind: str, now_s: float, many: int = 1) -> None:
        """Count requests of a kind: `in_time`, `too_late` or `failed`."""
        one = self.of.setdefault((kind_of_request, name), Count())
        setattr(one, kind, getattr(one, kind) + many)
        self.end_s = now_s

    def handed_over(self) -> list[tuple[str, str, dict[str, int]]]:
        """Everything since the last time, for another process; it is not counted here any more."""
        parts = [(kind, name, vars(one)) for (kind, name), one in self.of.items()]
        self.of = {}
        return parts

    def take(self, parts: list[tuple[str, str, dict[str, int]]], now_s: float) -> None:
        """Add what another process has handed over."""
        for kind_of_request, name, counted in parts:
            for kind, many in counted.items():
                self.add(kind_of_request, name, kind, now_s, many)


def rows_from_counts(counts: Counts, slo_ms: float | None) -> list[dict[str, Any]]:
    """One row for every name, and one for all; none without an SLO. The keys are those of `Counts.COLUMNS`."""
    if slo_ms is None:
        return []
    named = [*sorted(counts.of.items()), (("", TOTAL), counts.total)]
    return [
        {
            "type": kind,
            "name": name,
            "slo_ms": slo_ms,
            **vars(one),
            "goodput_per_s": round(one.in_time / counts.span_s, 2),
            "goodput_percent": round(100 * one.ratio, 2),
        }
        for (kind, name), one in named
    ]


def csv_from_counts(counts: Counts, slo_ms: float | None) -> str:
    """The rows as CSV."""
    text = io.StringIO()
    rows = csv.DictWriter(text, Counts.COLUMNS, lineterminator="\n")
    rows.writerow(Counts.COLUMNS)
    rows.writerows(rows_from_counts(counts, slo_ms))
    return text.getvalue()


def lines_from_counts(counts: Counts, slo_ms: float | None) -> list[str]:
    """The rows as lines of a terminal, as wide as Locust's own table."""
    if slo_ms is None:
        return []
    form = "{:<8} {:<60} {:>9} {:>9} {:>9} {:>11} {:>9}"
    heading = form.format("Goodput", f"within {slo_ms:g} ms", "in time", "too late", "failed", "goodput/s", "share")
    lines = ["", heading, "-" * len(heading)]
    for row in rows_from_counts(counts, slo_ms):
        figures = (row["in_time"], row["too_late"], row["failed"], row["goodput_per_s"], f"{row['goodput_percent']} %")
        lines.append(form.format(row["type"][:8], row["name"][:60], *figures))
    return lines
