"""Pictures of one measurement over its time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engineroom.load.report.chart import Chart, Words, legend
from engineroom.load.report.markup import table
from engineroom.load.report.scale import Floats, Scale, linear_scale, log_scale, time_scale
from engineroom.load.report.shown import Figure, Shown, shortened
from engineroom.load.samples import Samples

SINGLE = 1500
"""Requests that are drawn one by one; more are summed up in columns."""
COLUMNS, SLICES, ROWS = 300, 64, 8
"""Columns of the latencies, of the goodput, and rows of a table."""
OF_A_SLICE = 40
"""Requests that a column of the goodput has at least: of fewer, chance would make the pattern."""
FAILURES = 400
"""Failures that are drawn one by one."""


@dataclass(frozen=True)
class Course:
    """One measurement, from its first request on.

    Attributes:
        one: The measurement.
        samples: Its requests.
        begin_s: When each began, seconds from the first.
        span_s: Time from the first request to the end of the last column.
        slo_ms: The promise; None where there is none.
    """

    one: Shown
    samples: Samples
    begin_s: Floats
    span_s: float
    slo_ms: float | None

    def edges(self, count: int) -> Floats:
        """Bounds of as many equal parts of the time."""
        return np.linspace(0, self.span_s, count + 1)


def course_of(one: Shown) -> Course | None:
    """A measurement's course; None where no requests were kept."""
    if one.samples is None:
        return None
    begin_s = one.samples.begin_s - one.samples.begin_s.min()
    span_s = max(float(begin_s.max()) * (1 + 1e-9), 1e-3)
    goodput = one.result.goodput
    return Course(one, one.samples, begin_s, span_s, goodput.slo_ms if goodput else None)


def latency_figure(course: Course) -> Figure:
    """Latency over time, with the promise and the failures."""
    took, failed = course.samples.latency_ms, course.samples.failed
    words = Words(
        f"latency-{course.one.letter}",
        f"Latency over time, {course.one.letter}",
        "When a request began, and how long it took.",
        "seconds since the first request",
        "latency [ms]",
    )
    chart = Chart(time_scale(course.span_s), _latency_scale(course), words)
    few = len(took) <= SINGLE
    keys, how = (_single if few else _summed)(chart, course)
    if failed.any():
        keys[f"failed ({int(failed.sum()):,})"] = (3, "cross")
        how += _failures(chart, course)
    if course.slo_ms is not None:
        chart.level(course.slo_ms, f"SLO {course.slo_ms:g} ms")
    rows = [
        (f"{begin_s:.3g} s", f"{len(part):,}", *_figures(part), f"{int(part.failed.sum()):,}")
        for begin_s, part in _slices(course, ROWS)
    ]
    cells = table(("from", "requests", "p50 ms", "p99 ms", "max ms", "failed"), rows, words.title)
    return Figure(words.title, chart.svg, legend(keys), cells, how, (course.one.letter,))


def _latency_scale(course: Course) -> Scale:
    took = course.samples.latency_ms
    most = max(float(took.max()), course.slo_ms or 0.0)
    # A stall beside quick answers: on an even axis, one of the two would not be seen.
    return log_scale(float(took.min()), most) if most > 10 * float(np.median(took)) else linear_scale(most)


Keys = dict[str, tuple[int, str]]


def _single(chart: Chart, course: Course) -> tuple[Keys, str]:
    right = ~course.samples.failed
    chart.dots(course.begin_s[right], course.samples.latency_ms[right], 0)
    return {"a request": (0, "dots")}, "Every dot is a request."


def _summed(chart: Chart, course: Course) -> tuple[Keys, str]:
    edges = course.edges(COLUMNS)
    width_s = float(edges[1])
    columns = list(_slices(course, COLUMNS))
    at = np.array([begin_s + width_s / 2 for begin_s, _ in columns])
    low, middle, high = (
        np.array([np.percentile(part.latency_ms, share, method="inverted_cdf") for _, part in columns])
        for share in (0, 50, 100)
    )
    chart.band(at, low, high, 0)
    chart.line(at, middle, 0)
    how = (
        f"{len(course.samples):,} requests in columns of {width_s:.3g} s: the band reaches from a column's quickest "
        "to its slowest, none is left out; the line is the median."
    )
    return {"quickest to slowest": (0, "band"), "median": (0, "line")}, how


def _failures(chart: Chart, course: Course) -> str:
    (failed,) = np.nonzero(course.samples.failed)
    shown = failed if len(failed) <= FAILURES else failed[np.linspace(0, len(failed) - 1, FAILURES).astype(int)]
    chart.crosses(course.begin_s[shown], course.samples.latency_ms[shown])
    return "" if len(shown) == len(failed) else f" {len(shown)} of {len(failed):,} failures are drawn."


def goodput_figure(course: Course) -> Figure:
    """Answers over time: in time, right but late, failed."""
    words = Words(
        f"goodput-{course.one.letter}",
        f"Goodput over time, {course.one.letter}",
        "How many requests of each part of the time were rightly answered in time, rightly but late, or failed.",
        "seconds since the first request",
        "requests per second",
    )
    count = min(SLICES, max(len(course.samples) // OF_A_SLICE, 1))
    if count > ROWS:
        count -= count % ROWS
    edges = course.edges(count)
    names = ("right", "failed") if course.slo_ms is None else ("right, within the SLO", "right, too late", "failed")
    stacks = _stacks(course, edges)
    tops = np.cumsum(stacks, axis=0)
    chart = Chart(time_scale(course.span_s), linear_scale(float(tops.max())), words)
    colours = {"failed": 3, "right, too late": 2}
    for name, top, stack in zip(names, tops, stacks, strict=True):
        chart.columns(edges, top - stack, top, colours.get(name, 0))
    shown = min(count, ROWS)
    few = stacks.reshape(len(names), shown, -1).mean(axis=2)
    starts = edges[: -1 : count // shown]
    rows = [(f"{start:.3g} s", *map(shortened, column)) for start, column in zip(starts, few.T.tolist(), strict=True)]
    cells = table(("from", *(f"{name} /s" for name in names)), rows, words.title)
    how = f"Columns of {float(edges[1]):.3g} s, stacked; a request stands where it began."
    keys = {name: (colours.get(name, 0), "fill") for name in names}
    return Figure(words.title, chart.svg, legend(keys), cells, how, (course.one.letter,))


def _stacks(course: Course, edges: Floats) -> Floats:
    """Requests per second of each kind (first axis) in each part of the time (second axis)."""
    right = ~course.samples.failed
    kinds = [right, ~right]
    if course.slo_ms is not None:
        in_time = right & (course.samples.latency_ms <= course.slo_ms)
        kinds = [in_time, right & ~in_time, ~right]
    counts = [np.histogram(course.begin_s[kind], edges)[0] for kind in kinds]
    return np.array(counts, np.float64) / float(edges[1])


def _slices(course: Course, count: int) -> Iterator[tuple[float, Samples]]:
    """Parts of the time in which requests began."""
    edges = course.edges(count)
    number = np.clip(np.searchsorted(edges, course.begin_s, side="right") - 1, 0, count - 1)
    order = np.argsort(number, kind="stable")
    bounds = np.searchsorted(number[order], np.arange(count + 1))
    for begin_s, first, last in zip(edges.tolist(), bounds, bounds[1:]):  # noqa: B905 - one more edge than parts
        if last > first:
            kept = order[first:last]
            yield begin_s, Samples(course.begin_s[kept], course.samples.latency_ms[kept], course.samples.failed[kept])


def _figures(part: Samples) -> list[str]:
    return [shortened(float(np.percentile(part.latency_ms, share, method="inverted_cdf"))) for share in (50, 99, 100)]
