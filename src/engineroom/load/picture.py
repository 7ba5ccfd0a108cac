"""The picture of a latency distribution: where most requests are, and what the tail does."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engineroom.errors import LoadError, ToolMissing
from engineroom.load.result import LoadResult

INK, PAPER, GRID, BARS = "#1f2933", "#ffffff", "#d9dee4", "#7fb3d5"
MARKS = (("p50", "#2e7d32"), ("p95", "#e08e0b"), ("p99", "#c0392b"))
"""Percentiles drawn as lines, from calm to alarming."""

TICKS = (50, 90, 99, 99.9, 99.99, 99.999)
"""Percentiles on the tail's axis: each step is a tenth of the requests of the step before."""


def picture_from_samples(samples_ms: npt.NDArray[np.float64], result: LoadResult, path: Path) -> None:
    """Draw a histogram and the percentile curve.

    Args:
        samples_ms: Every latency, in milliseconds.
        result: What they were summed up to.
        path: The PNG file to write; its folders are made.

    Raises:
        ToolMissing: matplotlib is not installed.
        LoadError: There is nothing to draw, or the file cannot be written.
    """
    if not len(samples_ms):
        raise LoadError(f"{result.model}: there are no samples to draw. Measure for longer.")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ToolMissing('matplotlib is not installed. Run: pip install "engineroom[perf]"') from error
    # Without pyplot there is no global state and no backend to choose.
    figure = Figure(figsize=(12, 5.4), dpi=130, facecolor=PAPER)
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    _histogram(left, samples_ms, result)
    _tail(right, samples_ms, result)
    _words(figure, result)
    figure.subplots_adjust(left=0.06, right=0.975, top=0.79, bottom=0.2, wspace=0.16)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="png")
    except OSError as error:
        raise LoadError(f"{path}: the picture cannot be written ({error.strerror}). Name another file.") from error


def _histogram(axes: Any, samples_ms: npt.NDArray[np.float64], result: LoadResult) -> None:
    # A handful of stragglers would squeeze everything else into one bar; they are in the other half. On the right of
    # the last line its words need room.
    edge = result.latency.p99_ms * min(max(float(samples_ms.max()) / result.latency.p99_ms, 1.32), 1.6)
    axes.hist(samples_ms[samples_ms <= edge], bins=60, range=(0, edge), color=BARS, edgecolor=PAPER, linewidth=0.4)
    top = axes.get_ylim()[1] * 1.22
    axes.set_ylim(0, top)
    axes.set_xlim(0, edge)
    for step, (name, colour) in enumerate(MARKS):
        value = getattr(result.latency, f"{name}_ms")
        # Each line ends at its words, so that none crosses those of the line before.
        height = 0.965 - 0.075 * step
        axes.axvline(value, ymax=height + 0.022, color=colour, linewidth=1.8)
        axes.annotate(
            f"{name}  {value:.3g} ms",
            (value, top * height),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=10.5,
            fontweight="bold",
        )
    beyond = int((samples_ms > edge).sum())
    _frame(axes, "How many requests took how long", "latency [ms]" + (f"   ({beyond} further right)" if beyond else ""))
    axes.set_ylabel("requests", color=INK)


def _tail(axes: Any, samples_ms: npt.NDArray[np.float64], result: LoadResult) -> None:
    ordered = np.sort(samples_ms)
    # Position of the k-th of n: 1 - k/n of the requests took longer; the last one stands at half a request.
    longer = 1 - np.arange(1, len(ordered) + 1) / len(ordered)
    longer[-1] = 0.5 / len(ordered)
    axes.plot(-np.log10(longer), ordered, color=INK, linewidth=1.8, drawstyle="steps-pre")
    for name, colour in MARKS:
        value = getattr(result.latency, f"{name}_ms")
        axes.plot(-np.log10(1 - float(name[1:]) / 100), value, "o", color=colour, markersize=7, zorder=3)
    shown = [tick for tick in TICKS if (100 - tick) / 100 >= 0.5 / len(ordered)]
    axes.set_xticks([-np.log10(1 - tick / 100) for tick in shown], [f"{tick:g} %" for tick in shown])
    axes.set_xlim(0, -np.log10(longer[-1]))
    axes.set_ylim(0, float(ordered[-1]) * 1.08)
    axes.annotate(
        f"slowest  {ordered[-1]:.3g} ms",
        (-np.log10(longer[-1]), ordered[-1]),
        xytext=(-8, 4),
        textcoords="offset points",
        ha="right",
        color=INK,
        fontsize=9.5,
    )
    _frame(axes, "What the slowest took", "share of requests at least as fast")
    axes.set_ylabel("latency [ms]", color=INK)


def _frame(axes: Any, title: str, below: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=INK, pad=8)
    axes.set_xlabel(below, color=INK)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)


def _words(figure: Any, result: LoadResult) -> None:
    conditions = result.conditions
    versions = ", ".join(f"{name} {version}" for name, version in conditions.versions.items())
    failed = f", {result.failures} failed" if result.failures else ""
    figure.text(
        0.06, 0.925, f"{result.model}: {result.rows_per_s:.4g} rows/s", fontsize=17, fontweight="bold", color=INK
    )
    figure.text(
        0.06,
        0.872,
        f"{result.protocol}, {result.offered}, batch {result.rows_per_request}: {result.requests:,} requests in "
        f"{result.duration_s:.1f} s{failed}",
        fontsize=11,
        color=INK,
    )
    footer = f"{conditions.machine}, {conditions.cores} cores; {conditions.time}\n{result.tool}; {versions}"
    figure.text(0.06, 0.03, footer, fontsize=8, color="#5c6b7a", linespacing=1.5)
