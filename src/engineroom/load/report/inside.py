"""Where a request's time goes: Triton's own statistics beside what the sender saw."""

from xml.etree.ElementTree import Element

from engineroom.load.report.chart import LEFT, RIGHT, WIDTH, legend
from engineroom.load.report.markup import table, tag
from engineroom.load.report.shown import Figure, Shown, shortened
from engineroom.load.result import LoadResult, ServerTime

PARTS = {"queue": 2, "input": 5, "infer": 0, "output": 1, "outside Triton": 4}
"""Parts of the time, with their colours."""
BAR, GAP = 26, 14


def shares_figure(shown: tuple[Shown, ...]) -> Figure | None:
    """Queue and compute shares of the mean latency; None where Triton told nothing."""
    told = [(one, _parts_ms(one.result, one.result.server)) for one in shown if one.result.server is not None]
    if not told:
        return None
    height = len(told) * (BAR + GAP) + GAP
    svg = tag("svg", role="img", viewBox=f"0 0 {WIDTH} {height}", aria_labelledby="shares-title shares-description")
    svg.set("class", "chart")
    svg.append(tag("title", "Where the time goes", id="shares-title"))
    about = "For every load: the parts of the mean latency, by Triton's statistics; each bar is one whole."
    svg.append(tag("desc", about, id="shares-description"))
    for row, (one, parts) in enumerate(told):
        top = GAP + row * (BAR + GAP)
        svg.append(tag("text", one.letter, x=LEFT - 12, y=top + BAR / 2 + 5, class_="end label"))
        _bar(svg, parts, top)
    rows = [(one.name, *map(shortened, parts), shortened(sum(parts))) for one, parts in told]
    cells = table(
        ("load", "queue", "input", "infer", "output", "outside", "mean"),
        rows,
        "Mean time of a request in each part, in ms",
    )
    how = (
        "Outside Triton is what the mean latency has beyond Triton's own times: the network, the wires at both ends, "
        "and in an open loop the wait for being sent. Triton counts the requests that it answered."
    )
    keys = {part: (colour, "fill") for part, colour in PARTS.items()}
    return Figure("Where the time goes", svg, legend(keys), cells, how, tuple(one.letter for one, _ in told))


def _parts_ms(result: LoadResult, time: ServerTime) -> tuple[float, ...]:
    inside = [part_us / 1000 for part_us in (time.queue_us, time.input_us, time.infer_us, time.output_us)]
    return (*inside, max(result.latency.mean_ms - sum(inside), 0.0))


def _bar(svg: Element, parts: tuple[float, ...], top: float) -> None:
    whole, left = sum(parts) or 1.0, float(LEFT)
    for (name, colour), part in zip(PARTS.items(), parts, strict=True):
        width = (WIDTH - LEFT - RIGHT) * part / whole
        words = tag("title", f"{name}: {part:.3g} ms, {part / whole:.1%}")
        svg.append(tag("rect", words, x=left, y=top, width=width, height=BAR, class_=f"fill s{colour}"))
        if width > 44:
            middle = {"x": left + width / 2, "y": top + BAR / 2 + 5}
            svg.append(tag("text", f"{part / whole:.0%}", **middle, class_=f"middle inside on{colour}"))
        left += width
