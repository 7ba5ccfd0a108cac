"""Pictures of all measurements together."""

import itertools

import numpy as np

from engineroom.load.open_loop.verdict import LATEST_MS
from engineroom.load.report.chart import SERIES, Chart, Words, legend
from engineroom.load.report.markup import table
from engineroom.load.report.scale import Floats, linear_scale, log_scale, percentile_scale, position
from engineroom.load.report.shown import Figure, Shown, shortened

POINTS = 240
"""Places along a curve of percentiles; between them nothing would be seen."""
SHARES = (0.5, 0.9, 0.99, 0.999)


def throughput_figure(shown: tuple[Shown, ...]) -> Figure | None:
    """Throughput against latency; None of a single measurement, which makes no curve."""
    if len(shown) < 2:
        return None
    latencies = np.array([(one.result.latency.p50_ms, one.result.latency.p99_ms) for one in shown])
    y = log_scale(float(latencies.min()), float(latencies.max()))
    words = Words(
        "throughput",
        "Throughput against latency",
        "For every load: the right answers per second, and the median and 99th percentile of their latency.",
        "rightly answered requests per second",
        "latency [ms]",
    )
    chart = Chart(linear_scale(max(one.result.requests_per_s for one in shown)), y, words)
    _promise(chart, shown)
    keys = {}
    for series, (_, group) in enumerate(itertools.groupby(shown, key=lambda one: one.load)):
        members = tuple(group)
        _curve(chart, members, series)
        name = f"{members[0].letter}–{members[-1].letter}" if len(members) > 1 else members[0].letter  # noqa: RUF001
        keys[f"{name}, p99"], keys[f"{name}, p50"] = (series, "marked"), (series, "thin")
    rows = [
        (one.name, *map(shortened, (one.result.requests_per_s, one.result.latency.p50_ms, one.result.latency.p99_ms)))
        for one in shown
    ]
    cells = table(("load", "answers/s", "p50 ms", "p99 ms"), rows, "Throughput and latency of every load")
    how = "Where a line turns upward, or back, the server has no more to give. The axis of latency is logarithmic."
    return Figure(words.title, chart.svg, legend(keys), cells, how, tuple(one.letter for one in shown))


def _curve(chart: Chart, members: tuple[Shown, ...], series: int) -> None:
    members = tuple(sorted(members, key=lambda one: one.result.offered.value))
    speed = np.array([one.result.requests_per_s for one in members])
    for name, kind in (("p50_ms", "thin"), ("p99_ms", "line")):
        latency = np.array([getattr(one.result.latency, name) for one in members])
        chart.line(speed, latency, series, kind)
        for one, x, y in zip(members, speed.tolist(), latency.tolist(), strict=True):
            chart.mark(x, y, series, f"{one.name}: {x:,.1f} answers/s, {name[:3]} {y:.3g} ms")


def _promise(chart: Chart, shown: tuple[Shown, ...]) -> None:
    """The SLO, where all have the same and it is in sight."""
    promises = {one.result.goodput.slo_ms if one.result.goodput else 0.0 for one in shown}
    slo_ms = promises.pop()
    if not promises and chart.y.low <= slo_ms <= chart.y.high:
        chart.level(slo_ms, f"SLO {slo_ms:g} ms")


def percentile_figure(shown: tuple[Shown, ...]) -> Figure | None:
    """How long the slowest took; None where no requests were kept."""
    curves = [(one, one.samples.latency_ms) for one in shown if one.samples is not None]
    words = Words(
        "percentiles",
        "Latency by percentile",
        "For every share of the requests: the latency within which so many were answered.",
        "share of the requests that were at least as quick",
        "latency [ms]",
    )
    how = (
        "Each step to the right is a tenth of the requests of the step before. Failed requests count until they failed."
    )
    return _curves(curves, words, how)


def lateness_figure(shown: tuple[Shown, ...]) -> Figure | None:
    """How late the generator was; None where nothing was scheduled."""
    curves = [
        (one, np.maximum((one.samples.sent_s - one.samples.scheduled_s) * 1000, 0))
        for one in shown
        if one.samples is not None and one.samples.scheduled_s is not None
    ]
    words = Words(
        "lateness",
        "How late requests were sent",
        "For every share of the requests: the lateness (sent - scheduled) within which so many were sent.",
        "share of the requests that were at least as punctual",
        "lateness [ms]",
    )
    how = (
        f"The generator's doing. Where its 99th percentile is over {LATEST_MS:g} ms, the figures are not the server's."
    )
    return _curves(curves, words, how, LATEST_MS)


def _curves(curves: list[tuple[Shown, Floats]], words: Words, how: str, level_ms: float | None = None) -> Figure | None:
    if not curves:
        return None
    most = max(float(values.max()) for _, values in curves)
    least = min(float(values.min()) for _, values in curves)
    x = percentile_scale(max(len(values) for _, values in curves))
    if level_ms is not None:
        most, least = max(most, level_ms), min(least, level_ms)
        # Who is punctual to the microsecond need not be told from who is to the tenth of one.
        least = max(least, most / 1000)
    chart = Chart(x, log_scale(least, most), words)
    drawn = curves if len(curves) <= SERIES else [curves[n * (len(curves) - 1) // (SERIES - 1)] for n in range(SERIES)]
    for series, (_, values) in enumerate(drawn):
        _percentiles(chart, np.sort(values), series)
    if level_ms is None:
        _promise(chart, tuple(one for one, _ in curves))
    else:
        chart.level(level_ms, f"{level_ms:g} ms")
    keys = {one.name: (series, "line") for series, (one, _) in enumerate(drawn)}
    rows = [(one.name, *_at_shares(np.sort(values)), shortened(float(values.max()))) for one, values in curves]
    cells = table(("load", *(f"{share * 100:g} %" for share in SHARES), "max"), rows, f"{words.title}, in ms")
    few = "" if drawn is curves else f" {len(drawn)} of {len(curves)} loads are drawn; the table has all."
    return Figure(words.title, chart.svg, legend(keys), cells, how + few, tuple(one.letter for one, _ in curves))


def _percentiles(chart: Chart, ordered: Floats, series: int) -> None:
    places = np.linspace(0, position(1 - 1 / max(len(ordered), 10)), POINTS)
    ranks = np.ceil((1 - 10.0**-places) * len(ordered) - 1e-9).astype(int) - 1
    # The slowest stands where the last one in so many does.
    chart.line(places, ordered[np.clip(ranks, 0, len(ordered) - 1)], series)


def _at_shares(ordered: Floats) -> list[str]:
    """A share that would be the maximum under another name is left out."""
    count = len(ordered)
    at = [float(ordered[max(int(np.ceil(share * count - 1e-9)) - 1, 0)]) for share in SHARES]
    known = [share <= 0.5 or count * (1 - share) >= 1 - 1e-9 for share in SHARES]
    return [shortened(value if is_known else None) for value, is_known in zip(at, known, strict=True)]
