"""Who is faster among those that are close: everybody goes up and down about their own limit, in turns.

A search rests on a few windows, and the speed of a shared machine changes between them. Here a rate is raised by a
step after a window that kept the promise and lowered after one that did not, so that it settles where half of the
windows keep it (the up-and-down method: Dixon and Mood, "A method for obtaining and analyzing sensitivity data", 1948).
Everybody has one window in each round, so that rates of one round have met the same machine, and are compared.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from peers.contest import OURS, Contestant, Field
from peers.search import Window
from peers.table import rate_of

from engineroom.compile.precisions import median_and_interval

FAR, NEAR = 1.15, 1.05
"""Steps before the first turn, and from then on."""
REACH = 0.6
"""Share of the best rate found that takes part."""
BLOCK = 4
"""Rounds whose ratios are averaged before the interval is drawn: a rate depends on the ones before."""


class Stairs:
    """Chooses the next rate, as `Search` does; it is never done.

    Args:
        start_per_s: The first rate.

    Attributes:
        windows: Everything measured.
        rate_per_s: What to offer next.
        turned: How many windows there were when the direction changed for the first time; None before.
    """

    done = False

    def __init__(self, start_per_s: float) -> None:
        self.windows: list[Window] = []
        self.rate_per_s = start_per_s
        self.turned: int | None = None

    @property
    def kept(self) -> Window | None:
        """The last window that kept the promise."""
        return next((window for window in reversed(self.windows) if window.kept), None)

    @property
    def settled(self) -> list[Window]:
        """The windows from the first turn on."""
        return self.windows[self.turned :] if self.turned is not None else []

    def tell(self, window: Window) -> None:
        """Take in the window that was measured at `rate_per_s`, and choose the next rate."""
        if self.turned is None and self.windows and self.windows[-1].kept != window.kept:
            self.turned = len(self.windows)
        self.windows.append(window)
        step = FAR if self.turned is None else NEAR
        self.rate_per_s *= step if window.kept else 1 / step


def nearest(field: Field) -> Field:
    """Those of a field whose search came near the best, at the foot of their stairs."""
    best = max(map(rate_of, field.present), default=0.0)
    near = [one for one in field.present if rate_of(one) >= REACH * best > 0]
    return Field([replace(one, search=Stairs(rate_of(one))) for one in near], {})


def ratio(one: Contestant, other: Contestant) -> tuple[float, float, float] | None:
    """Rate of one for each of the other's, with a 95 % interval; None where too few rounds have both settled."""
    rates = [_rates(each) for each in (one, other)]
    length = min(map(len, rates))
    logs = np.log(rates[0][:length]) - np.log(rates[1][:length])
    logs = logs[~np.isnan(logs)]
    blocks = [logs[start : start + BLOCK].mean() for start in range(0, len(logs) - BLOCK + 1, BLOCK)]
    return median_and_interval(np.exp(blocks)) if len(blocks) > 1 else None


def lines_from_stairs(field: Field) -> list[str]:
    """A table in Markdown, the fastest first: medians over everybody's settled windows."""
    ours = [one for one in field.present if one.title.startswith(OURS)]
    heads = ["server", "runtime", "requests/s", *(f"{one.title} / it" for one in ours), "p50 ms", "CPU us/request"]
    ranked = sorted(field.present, key=_middle, reverse=True)
    return [f"| {' | '.join(heads)} |", "| --- " * len(heads) + "|", *(_line(one, ours) for one in ranked)]


def _line(one: Contestant, ours: list[Contestant]) -> str:
    windows = _stairs(one).settled
    if not windows:
        return f"| {one.title} | {one.runtime} | did not settle |" + " |" * (len(ours) + 2)
    p50_ms, cpu_us = (np.nanmedian([getattr(window, name) for window in windows]) for name in ("p50_ms", "cpu_us"))
    told = ("" if mine is one else _text(ratio(mine, one)) for mine in ours)
    return f"| {one.title} | {one.runtime} | {_middle(one):.0f} | {' | '.join(told)} | {p50_ms:.1f} | {cpu_us:,.0f} |"


def _text(found: tuple[float, float, float] | None) -> str:
    return f"{found[0]:.2f} ({found[1]:.2f} to {found[2]:.2f})" if found else ""


def _middle(one: Contestant) -> float:
    rates = _rates(one)
    return float(np.exp(np.nanmean(np.log(rates)))) if np.isfinite(rates).any() else 0.0


def _rates(one: Contestant) -> npt.NDArray[np.float64]:
    """The rate of every round; NaN before the first turn."""
    stairs = _stairs(one)
    rates = np.array([window.rate_per_s for window in stairs.windows], np.float64)
    rates[: len(rates) - len(stairs.settled)] = np.nan
    return rates


def _stairs(one: Contestant) -> Stairs:
    assert isinstance(one.search, Stairs), "everybody in nearest() has stairs"  # noqa: S101
    return one.search
