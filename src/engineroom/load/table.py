"""Results as a table for people."""

import io

from engineroom.load.result import LoadResult

FIGURES = {"p50_ms": "p50 ms", "p90_ms": "p90 ms", "p95_ms": "p95 ms", "p99_ms": "p99 ms", "p999_ms": "p99.9 ms"}
COLUMNS = ("model", "tool", "offered", "rows", "requests", "failed", "rows/s", "goodput/s", *FIGURES.values())
"""Headings of `row_from_result`; `rows` is the batch size of one request."""


def row_from_result(result: LoadResult) -> tuple[str, ...]:
    """One result as the cells of a row, under `COLUMNS`."""
    percentiles = (getattr(result.latency, name) for name in FIGURES)
    return (
        result.model,
        f"{result.tool} {result.protocol}",
        result.offered.amount,
        str(result.rows_per_request),
        str(result.requests),
        str(result.failures),
        f"{result.rows_per_s:.1f}",
        f"{result.goodput.per_s:.1f}" if result.goodput else "-",
        *("-" if value is None else f"{value:.2f}" for value in percentiles),
    )


def text_from_results(results: tuple[LoadResult, ...], width: int = 140) -> str:
    """The table, with the server's share of the time and the notes under it.

    Args:
        results: At least one result.
        width: Characters a line may have.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in {"model", "tool", "offered"} else "right", no_wrap=True)
    for result in results:
        table.add_row(*row_from_result(result))
    screen = io.StringIO()
    Console(file=screen, width=width, highlight=False).print(table)
    return (
        screen.getvalue().strip("\n")
        + "\n"
        + "".join(f"{one.offered}: {line}\n" for one in results for line in words_of_result(one))
    )


def words_of_result(result: LoadResult) -> list[str]:
    """What stands under the table: goodput, lateness, Triton's own times, the notes."""
    lines = [*_promise(result), *_open_loop(result)]
    if result.server:
        time = result.server
        lines.append(
            f"inside Triton {time.queue_us:.0f} us queue, {time.input_us:.0f} us input, "
            f"{time.infer_us:.0f} us infer, {time.output_us:.0f} us output"
        )
    return [*lines, *result.notes]


def _promise(result: LoadResult) -> list[str]:
    failed = ", ".join(f"{count} {word}" for word, count in result.failed.items()) or "none"
    if result.goodput is None:
        return [f"failed: {failed}"] if result.failures else []
    slo_ms = result.goodput.slo_ms
    return [f"goodput {result.goodput_ratio:.2%} of the requests within {slo_ms:g} ms; failed: {failed}"]


def _open_loop(result: LoadResult) -> list[str]:
    told = result.open_loop
    if told is None:
        return []
    lateness = (
        f"p50 {told.lateness_p50_ms:.3f} ms, p99 {told.lateness_p99_ms:.3f} ms, max {told.lateness_max_ms:.3f} ms"
    )
    return [
        f"{told.arrivals}; latency from when a request was due",
        f"lateness {lateness}; {told.workers} workers, the busiest at work {told.busiest:.0%} of the time",
        f"the limit: {told.limit}",
    ]
