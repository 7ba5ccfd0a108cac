"""From the samples of an open loop to its figures, and to whether they may be published."""

import numpy as np

from engineroom.errors import GeneratorLimited
from engineroom.load.conditions import conditions_of_now
from engineroom.load.open_loop.engine import OpenRun, OpenRunDone
from engineroom.load.outcome import Outcome
from engineroom.load.result import Conditions, Limit, LoadResult, Offered, OpenLoop
from engineroom.load.samples import goodput_from_samples, latency_from_samples

LATEST_MS = 1.0
"""Largest 99th percentile of the lateness at which the figures are the server's."""
BUSIEST = 0.9
"""Largest share of the time that an event loop may be at work: beyond, answers wait for being read."""
KEPT_UP = 0.95
"""Least share of the requests that a server must have answered rightly one second after the schedule's end."""


MARK = "NOT FIGURES OF THE SERVER: the generator was the limit"


def result_from_run(run: OpenRun, done: OpenRunDone, slo_ms: float, conditions: Conditions) -> LoadResult:
    """Sum a run up.

    Args:
        run: What was measured.
        done: What came out.
        slo_ms: The promise that goodput is counted against.
        conditions: What the figures hold for.
    """
    samples, span_s = done.samples, run.schedule.span_s
    right = ~samples.failed
    open_loop = _open_loop(run, done)
    marks = (MARK,) if open_loop.limit == "generator" else ()
    last_s = float(samples.end_s[right].max(initial=0.0)) - done.begin_s
    return LoadResult(
        tool="open loop",
        model=run.served.name,
        protocol=run.served.address.scheme,
        offered=Offered("rate", run.schedule.rate_per_s),
        # Where the server fell behind, its answers took longer than the schedule.
        duration_s=max(span_s, last_s),
        requests=len(samples),
        failures=int(samples.failed.sum()),
        rows_per_request=run.requests[0].rows,
        latency=latency_from_samples(samples.latency_ms),
        conditions=conditions,
        server=done.server,
        notes=(*marks, *(f"{word}: {text}" for word, text in done.reasons.items())),
        goodput=goodput_from_samples(samples, slo_ms, span_s),
        failed=samples.failed_by_kind,
        open_loop=open_loop,
    )


def result_of_now(run: OpenRun, done: OpenRunDone, slo_ms: float, command: str) -> LoadResult:
    """`result_from_run` for a run that has just ended, with the conditions of this machine.

    Args:
        run: What was measured.
        done: What came out.
        slo_ms: The promise that goodput is counted against.
        command: The command that measures it again.
    """
    versions = {"server": run.served.server, run.served.name: run.served.version}
    return result_from_run(run, done, slo_ms, conditions_of_now(command, versions))


def _open_loop(run: OpenRun, done: OpenRunDone) -> OpenLoop:
    samples = done.samples
    assert samples.outcome is not None, "an open loop's samples have one"  # noqa: S101
    sent = samples.outcome != Outcome.UNSENT
    lateness_ms = (samples.sent_s - samples.begin_s) * 1000
    p50, p99, most = np.percentile(lateness_ms, (50, 99, 100), method="inverted_cdf")
    end_s = done.begin_s + run.schedule.span_s + 1
    behind = bool((~samples.failed & (samples.end_s <= end_s)).mean() < KEPT_UP)
    own = p99 > LATEST_MS or done.busiest > BUSIEST or not sent.all()
    limit: Limit = "generator" if own else "server" if behind else "none"
    return OpenLoop(
        arrivals=run.schedule.words,
        span_s=run.schedule.span_s,
        lateness_p50_ms=float(p50),
        lateness_p99_ms=float(p99),
        lateness_max_ms=float(most),
        workers=done.workers,
        busiest=done.busiest,
        limit=limit,
    )


def refuse_own_figures(result: LoadResult) -> None:
    """Pass where the figures are the server's.

    Raises:
        GeneratorLimited: They are the generator's own.
    """
    told = result.open_loop
    if told is None or told.limit != "generator":
        return
    raise GeneratorLimited(
        f"{result.model} at {result.offered}: the generator was the limit, so its figures would not be the server's: "
        f"lateness p99 {told.lateness_p99_ms:.2f} ms ({LATEST_MS:g} ms is allowed), busiest event loop at work "
        f"{told.busiest:.0%} of the time ({BUSIEST:.0%}), {result.failed.get(Outcome.UNSENT.word, 0)} requests never "
        "sent. Give it more --workers or idle cores, or offer less; --publish-anyway prints the figures, marked."
    )
