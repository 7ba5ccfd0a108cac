"""Results as a table for people."""

import io

from engineroom.load.result import LoadResult

COLUMNS = ("model", "tool", "offered", "rows", "requests", "failed", "rows/s", "p50 ms", "p90 ms", "p95 ms", "p99 ms")
"""Headings of `row_from_result`; `rows` is the batch size of one request."""


def row_from_result(result: LoadResult) -> tuple[str, ...]:
    """One result as the cells of a row, under `COLUMNS`."""
    latency = result.latency
    return (
        result.model,
        f"{result.tool} {result.protocol}",
        str(result.offered),
        str(result.rows_per_request),
        str(result.requests),
        str(result.failures),
        f"{result.rows_per_s:.1f}",
        *(f"{value:.2f}" for value in (latency.p50_ms, latency.p90_ms, latency.p95_ms, latency.p99_ms)),
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
    return screen.getvalue().strip("\n") + "\n" + "".join(f"{line}\n" for one in results for line in _remarks(one))


def _remarks(result: LoadResult) -> list[str]:
    lines = []
    if result.server:
        time = result.server
        lines.append(
            f"{result.offered}: inside Triton {time.queue_us:.0f} us queue, {time.input_us:.0f} us input, "
            f"{time.infer_us:.0f} us infer, {time.output_us:.0f} us output"
        )
    return lines + [f"{result.offered}: {note}" for note in result.notes]
