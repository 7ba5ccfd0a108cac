"""What was found, as a table for people and as JSON for machines."""

from dataclasses import asdict
from typing import Any

from peers.contest import OURS, Contestant, Field

HEAD = (
    "| server | runtime | requests/s | of ours | p50 ms | p99 ms | CPU us/request | memory MB | late p99 ms |",
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
)


def lines_from_field(field: Field) -> list[str]:
    """A table in Markdown, the fastest first. Every figure is of the window at the highest rate that was kept."""
    ours = next((one for one in field.present if one.title == OURS), None)
    base = rate_of(ours) if ours else 0.0
    ranked = sorted(field.present, key=rate_of, reverse=True)
    return [*HEAD, *(_line(one, base) for one in ranked)]


def rate_of(one: Contestant) -> float:
    """The highest rate that was kept, requests per second; 0 where none was."""
    return one.search.kept.rate_per_s if one.search.kept else 0.0


def json_from_field(field: Field) -> dict[str, Any]:
    """Every window of every search, and what came out of them."""
    rows = [
        {
            "server": one.title,
            "runtime": one.runtime,
            "protocol": one.served.address.scheme,
            "rate_per_s": rate_of(one),
            "windows": [asdict(window) for window in one.search.windows],
        }
        for one in field.present
    ]
    return {"servers": rows, "left_out": field.absent}


def _line(one: Contestant, base: float) -> str:
    kept = one.search.kept
    if kept is None:
        return f"| {one.title} | {one.runtime} | none | | | | | | |"
    share = f"{kept.rate_per_s / base:.2f}" if base else ""
    return (
        f"| {one.title} | {one.runtime} | {kept.rate_per_s:.0f} | {share} | {kept.p50_ms:.1f} | {kept.p99_ms:.1f} "
        f"| {kept.cpu_us:,.0f} | {kept.memory_bytes / 2**20:.0f} | {kept.lateness_p99_ms:.1f} |"
    )
