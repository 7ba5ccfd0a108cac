"""The page: what is measured, pictures of all together, and each measurement by itself."""

from importlib.resources import files
from pathlib import Path
from xml.etree.ElementTree import Element

from engineroom import __version__
from engineroom.errors import LoadError
from engineroom.load.open_loop.verdict import MARK
from engineroom.load.report.course import course_of, goodput_figure, latency_figure
from engineroom.load.report.inside import shares_figure
from engineroom.load.report.markup import html_from_element, table, tag
from engineroom.load.report.overview import lateness_figure, percentile_figure, throughput_figure
from engineroom.load.report.shown import Figure, Shown, shortened
from engineroom.load.result import LoadResult
from engineroom.load.table import COLUMNS, row_from_result, words_of_result
from engineroom.repository.files import write_atomically

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""What a browser may fetch for this page: nothing."""
OF_ALL = (throughput_figure, percentile_figure, lateness_figure, shares_figure)


def page_to_file(shown: tuple[Shown, ...], path: Path) -> None:
    """Write the page.

    Args:
        shown: At least one measurement.
        path: The HTML file to write; its folders are made.

    Raises:
        LoadError: The file cannot be written.
    """
    # Half a surrogate pair, in a name from elsewhere, is no text that could be written.
    text = page_from_measurements(shown).encode("utf-8", errors="replace")
    try:
        write_atomically(path, text)
    except OSError as error:
        raise LoadError(f"{path}: the page cannot be written ({error.strerror}). Name another file.") from error


def page_from_measurements(shown: tuple[Shown, ...]) -> str:
    """The page's text.

    Args:
        shown: At least one measurement.
    """
    models = ", ".join(dict.fromkeys(one.result.model for one in shown))
    title = f"Load report: {models}"
    figures = [figure for draw in OF_ALL if (figure := draw(shown)) is not None]
    body = tag(
        "body",
        tag("header", tag("h1", title), tag("p", _about(shown)), *_warnings(shown)),
        tag("main", _overview(shown), *map(_figure, figures), *map(_measurement, shown)),
        tag("footer", tag("p", f"Written by engineroom {__version__} from {_sources(shown)}. {_HOW}")),
    )
    return html_from_element(tag("html", _head(title), body, lang="en"))


_HOW = (
    "Latency is that of the sender: in an open loop from when a request was due, in a closed one from its send on. "
    "Percentiles are latencies that occurred. Machines drift: only what was measured within minutes compares."
)


def _head(title: str) -> Element:
    style = files("engineroom.load.report").joinpath("style.css").read_text(encoding="utf-8")
    policy = tag("meta", content=POLICY)
    policy.set("http-equiv", "Content-Security-Policy")
    viewport = tag("meta", name="viewport", content="width=device-width, initial-scale=1")
    return tag("head", tag("meta", charset="utf-8"), policy, viewport, tag("title", title), tag("style", style))


def _about(shown: tuple[Shown, ...]) -> str:
    machines = ", ".join(
        dict.fromkeys(f"{one.result.conditions.machine}, {one.result.conditions.cores} cores" for one in shown)
    )
    times = sorted(one.result.conditions.time for one in shown)
    when = times[0] if times[0] == times[-1] else f"{times[0]} to {times[-1]}"
    return f"{len(shown)} measurement{'s' if len(shown) > 1 else ''} on {machines}; {when}."


def _sources(shown: tuple[Shown, ...]) -> str:
    return ", ".join(dict.fromkeys(one.source for one in shown))


def _warnings(shown: tuple[Shown, ...]) -> list[Element]:
    spoilt = ", ".join(one.letter for one in shown if one.result.is_generators)
    return [tag("p", tag("strong", f"{spoilt}: {MARK}."), class_="warning")] if spoilt else []


def _overview(shown: tuple[Shown, ...]) -> Element:
    rows = [(one.letter, *row_from_result(one.result)) for one in shown]
    letters: dict[str, list[str]] = {}
    for one in shown:
        letters.setdefault(one.result.conditions.command, []).append(one.letter)
    commands = [tag("li", tag("strong", ", ".join(of)), " ", tag("code", text)) for text, of in letters.items()]
    return tag(
        "section",
        tag("h2", "Measurements"),
        table(("", *COLUMNS), rows, "Every measurement, one a row"),
        tag("p", "Measured again by:"),
        tag("ul", *commands, class_="commands"),
    )


def _figure(figure: Figure) -> Element:
    drawn = tag("div", figure.picture, class_="scroll")
    measured = tag("p", "Measured by the commands of ", class_="of")
    for number, letter in enumerate(figure.of):
        measured.append(tag("a", letter, href=f"#{letter}"))
        measured[-1].tail = ", " if number < len(figure.of) - 1 else "."
    caption = tag("figcaption", tag("p", figure.words), measured)
    pictured = tag("figure", drawn, figure.legend, caption)
    inner = tag("div", pictured, figure.table, class_="beside")
    return tag("section", tag("h2", figure.title), inner)


def _measurement(one: Shown) -> Element:
    result, course = one.result, course_of(one)
    figures = [latency_figure(course), goodput_figure(course)] if course else []
    drawn = [_figure(figure) for figure in figures]
    for section in drawn:
        section[0].tag = "h3"
    kept = None if course else tag("p", "No single requests were kept, so nothing can be drawn over time.")
    warning = tag("p", tag("strong", f"{MARK}."), class_="warning") if result.is_generators else None
    return tag(
        "article",
        tag("h2", f"{one.letter} · {result.model}: {result.tool} over {result.protocol}, {result.offered}"),
        warning,
        _key_figures(result),
        *drawn,
        kept,
        _remarks(result),
        _conditions(one),
        id=one.letter,
    )


def _key_figures(result: LoadResult) -> Element:
    told = {
        "rightly answered": f"{shortened(result.requests_per_s)} /s",
        "p50": f"{shortened(result.latency.p50_ms)} ms",
        "p99": f"{shortened(result.latency.p99_ms)} ms",
        "requests": f"{result.requests:,}",
        "failed": f"{result.failures:,}",
    }
    if result.rows_per_request > 1:
        told["rows"] = f"{shortened(result.rows_per_s)} /s"
    if result.goodput is not None:
        told["goodput"] = f"{shortened(result.goodput.per_s)} /s"
        told[f"within {result.goodput.slo_ms:g} ms"] = f"{result.goodput_ratio:.2%}"
    if result.open_loop is not None:
        told["the limit"] = result.open_loop.limit
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", text)) for name, text in told.items()), class_="tiles")


def _remarks(result: LoadResult) -> Element | None:
    lines = words_of_result(result)
    return tag("ul", *(tag("li", line) for line in lines), class_="remarks") if lines else None


def _conditions(one: Shown) -> Element:
    conditions = one.result.conditions
    versions = ", ".join(f"{name} {version}" for name, version in conditions.versions.items())
    told = {
        "measured": f"{one.result.duration_s:.1f} s, until {conditions.time}",
        "machine": f"{conditions.machine}, {conditions.cores} cores",
        "versions": versions,
        "file": one.source,
    }
    entries = [part for name, text in told.items() for part in (tag("dt", name), tag("dd", text))]
    again = [tag("dt", "again"), tag("dd", tag("code", conditions.command))]
    return tag("section", tag("h3", "Conditions"), tag("dl", *entries, *again, class_="conditions"))
