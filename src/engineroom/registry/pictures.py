"""Pictures of a version: how far its answers are from what is allowed, and where the time of its build went."""

from pathlib import Path
from typing import Any

from engineroom.registry.record import Record, short_runner

NO_MATPLOTLIB = 'without pictures: matplotlib is not installed. Run: pip install "engineroom[perf]"'

INK, PAPER, GRID, BARS, LIMIT = "#1f2933", "#ffffff", "#d9dee4", "#7fb3d5", "#c0392b"

SMALLEST = 1e-9
"""Shown where an error is nothing at all: a logarithmic axis has no zero."""


def draw_pictures(record: Record, folder: Path) -> tuple[Path, ...]:
    """Draw the pictures of a version.

    Args:
        record: What to tell of it.
        folder: Where the PNG files go.

    Returns:
        The files; none where matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401 - only asked whether it is there
    except ImportError:
        return ()
    drawn = []
    if any(artefact.parity for artefact in record.passport.artefacts):
        drawn.append(_errors(record, folder / "errors.png"))
    if record.passport.seconds:
        drawn.append(_stages(record, folder / "stages.png"))
    return tuple(drawn)


def _errors(record: Record, path: Path) -> Path:
    """The largest error of every artefact, beside the largest that is allowed in each output."""
    proofs = [
        (f"{artefact.target}\n{short_runner(artefact, parity)}", parity)
        for artefact in record.passport.artefacts
        for parity in artefact.parity
    ]
    figure, axes = _paper(rows=len(proofs))
    axes.set_xscale("log")
    _bars(axes, [name for name, _ in proofs], [max(parity.max_abs, SMALLEST) for _, parity in proofs])
    allowed = {name: limits.max_abs for name, limits in record.passport.limits.items() if limits.max_abs}
    for name, limit in allowed.items():
        axes.axvline(limit, color=LIMIT, linewidth=1.8)
        axes.annotate(
            f"{name}: {limit:.2g} allowed", (limit, 1), xycoords=("data", "axes fraction"), xytext=(-4, 4),
            textcoords="offset points", ha="right", color=LIMIT, fontsize=9,
        )  # fmt: skip
    errors = [parity.max_abs for _, parity in proofs]
    axes.set_xlim(max(min(errors), SMALLEST) / 3, max([*errors, *allowed.values(), SMALLEST]) * 3)
    axes.set_xlabel("largest error of an answer, beside the PyTorch module", color=INK)
    return _save(figure, f"{record.model}, version {record.version}: errors and what is allowed", path)


def _stages(record: Record, path: Path) -> Path:
    seconds = dict(sorted(record.passport.seconds.items(), key=lambda item: -item[1]))
    figure, axes = _paper(rows=len(seconds))
    _bars(axes, list(seconds), list(seconds.values()))
    axes.set_xlim(0, max(*seconds.values(), 0.1) * 1.12)
    axes.set_xlabel("seconds", color=INK)
    return _save(figure, f"{record.model}, version {record.version}: where the build's time went", path)


def _bars(axes: Any, names: list[str], values: list[float]) -> None:
    bars = axes.barh(range(len(names)), values, color=BARS, height=0.62)
    axes.bar_label(bars, [f"{value:.2g}" for value in values], padding=4, color=INK, fontsize=9)
    axes.set_yticks(range(len(names)), names, color=INK)
    axes.invert_yaxis()


def _paper(rows: int) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Without pyplot there is no global state and no backend to choose.
    figure = Figure(figsize=(9, 1.6 + 0.45 * rows), dpi=120, facecolor=PAPER, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.grid(axis="x", color=GRID)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _save(figure: Any, title: str, path: Path) -> Path:
    figure.suptitle(title, color=INK, fontsize=12, fontweight="bold")
    figure.savefig(path, format="png")
    return path
