"""The page, from files on the disk to what a browser would be given."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from engineroom.load.outcome import Outcome
from engineroom.load.result import Goodput, Offered, OpenLoop, results_from_file, results_to_file
from engineroom.load.samples import Samples, latency_from_samples, samples_beside, samples_to_file

OPEN = ("svg", "table", "section", "article", "figure", "title", "desc", "ul", "dl")


class Reader(HTMLParser):
    """Keeps what a page is made of."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.extend(attrs)
        if tag in OPEN:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in OPEN:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(path):
    """A page's elements, once it is known to be whole and to ask for nothing from elsewhere."""
    text = path.read_text(encoding="utf-8")
    page = Reader()
    page.feed(text)
    page.close()
    assert page.open == []
    assert not {"script", "link", "img", "iframe", "image", "use"} & set(page.tags)
    named = dict(page.attributes)
    assert not {"src", "style"} & named.keys()
    assert all(value.startswith("#") for name, value in page.attributes if name == "href")
    assert not re.search(r"url\(|@import|@font-face", text)
    # Every picture says what it shows, and has its figures beside it.
    pictures = [value for name, value in page.attributes if name == "aria-labelledby"]
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert set(" ".join(pictures).split()) <= set(ids)
    assert page.tags.count("table") == len(pictures) + 1
    assert "nan" not in text
    page.words = " ".join(" ".join(page.text).split())
    return page


@pytest.fixture
def measured(result, tmp_path):
    """Writes a run with these latencies, ten a second: `measured(name, latency_ms, outcome, **fields)`."""

    def write(name, latency_ms, outcome=None, **fields):
        latency_ms = np.asarray(latency_ms, np.float64)
        due_s = 100 + np.arange(len(latency_ms)) / 10
        outcome = np.zeros(len(due_s), np.uint8) if outcome is None else np.asarray(outcome, np.uint8)
        samples = Samples(due_s + 0.0002, latency_ms, outcome != Outcome.RIGHT, due_s, outcome)
        path = tmp_path / f"{name}.json"
        samples_to_file(samples, samples_beside(path))
        told = {
            "offered": Offered("rate", 10),
            "requests": len(samples),
            "failures": int(samples.failed.sum()),
            "latency": latency_from_samples(latency_ms),
            "samples": samples_beside(path).name,
            "goodput": Goodput(20.0, len(samples), 10.0),
            "open_loop": OpenLoop("constant 10/s", 1, 0.1, 0.2, 0.3, 1, 0.1, "none"),
        }
        results_to_file((replace(result, **{**told, **fields}),), path)
        return path

    return write


@pytest.fixture
def report(engineroom, tmp_path):
    """Runs `engineroom load report`: exit status, the page, what was said."""

    def run(*paths):
        page = tmp_path / "out" / "report.html"
        status, text, errors = engineroom("load", "report", *map(str, paths), "--output", str(page))
        return status, read(page) if status == 0 else None, text + errors

    return run


def latencies(count, seed=0):
    return np.random.default_rng(seed).lognormal(1.5, 0.5, count)


def test_one_measurement_is_shown_from_all_sides(report, measured):
    outcome = np.zeros(600, np.uint8)
    outcome[100:120] = Outcome.REJECTED
    status, page, words = report(measured("run", latencies(600), outcome))
    assert status == 0, words
    for text in (
        "Load report: digits",
        "Latency by percentile",
        "How late requests were sent",
        "Where the time goes",
        "Latency over time, A",
        "Goodput over time, A",
        "SLO 20 ms",
        "failed (20)",
        "Every dot is a request.",
        "perf_analyzer 2.60.0",
        "engineroom load …",
        "a remark",
        "the limit",
    ):
        assert text in page.words
    assert "Throughput against latency" not in page.words


def test_several_files_make_a_curve_of_throughput(report, measured, tmp_path):
    runs = [
        result
        for rate in (10, 20)
        for result in results_from_file(measured(f"run{rate}", latencies(300), offered=Offered("rate", rate)))
    ]
    results_to_file(tuple(runs), tmp_path / "sweep.json")
    status, page, words = report(tmp_path / "sweep.json", measured("other", latencies(300), model="other"))
    assert status == 0, words
    assert "Load report: digits, other" in page.words
    assert "Throughput against latency" in page.words
    assert "A–B, p99" in page.words  # noqa: RUF001 - a range
    assert "C: rate 10/s" in page.words


@pytest.mark.parametrize(
    "latency_ms",
    [
        pytest.param([3.0], id="a single request"),
        pytest.param([3.0, 3.0], id="two that are alike"),
        pytest.param([0.0, 0.0, 0.0], id="no time at all"),
        pytest.param([0.001] * 50 + [60_000.0], id="a minute after a microsecond"),
        pytest.param(np.full(5000, 1.0), id="many that are alike"),
    ],
)
@pytest.mark.parametrize("outcome", [Outcome.RIGHT, Outcome.LATE], ids=["right", "all failed"])
def test_odd_latencies_are_drawn(report, measured, latency_ms, outcome):
    status, page, words = report(measured("run", latency_ms, np.full(len(latency_ms), outcome)))
    assert status == 0, words
    assert page.tags.count("svg") > 5


def test_without_requests_the_figures_are_left(report, result, tmp_path):
    results_to_file((replace(result, samples=None, server=None),), tmp_path / "run.json")
    status, page, words = report(tmp_path / "run.json")
    assert status == 0, words
    assert "No single requests were kept" in page.words
    assert "svg" not in page.tags


def test_a_generator_that_was_the_limit_is_said_first(report, measured):
    told = OpenLoop("constant 10/s", 1, 5.0, 9.0, 9.0, 1, 0.99, "generator")
    _, page, _ = report(measured("run", latencies(50), open_loop=told))
    assert page.words.count("NOT FIGURES OF THE SERVER: the generator was the limit.") == 2
    assert page.words.index("NOT FIGURES") < page.words.index("Measurements")


def test_what_strangers_wrote_is_text(report, measured, conditions):
    hostile = "</style><script>alert(1)</script>\"'&\ud800"
    spoilt = replace(conditions, command=hostile, machine=hostile, versions={hostile: hostile})
    fields = {"model": hostile, "tool": hostile, "notes": (hostile,), "conditions": spoilt}
    status, page, words = report(measured("run", latencies(50), **fields))
    assert status == 0, words
    assert "<script>alert(1)</script>" in page.words


def test_a_page_stays_small_however_many_requests_there_are(report, measured, tmp_path):
    outcome = np.where(np.arange(200_000) % 100 == 0, Outcome.REJECTED, Outcome.RIGHT)
    status, page, words = report(measured("run", latencies(200_000), outcome))
    assert status == 0, words
    assert (tmp_path / "out" / "report.html").stat().st_size < 120_000
    assert "200,000 requests in columns of 66.7 s" in page.words
    assert "400 of 2,000 failures are drawn" in page.words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("no JSON", "is not JSON", id="no JSON"),
        pytest.param('{"schema": 2, "results": []}', "holds no measurement", id="no measurement"),
        pytest.param('{"schema": 1, "results": []}', "written by an older engineroom", id="an older one"),
    ],
)
def test_what_is_no_result(report, tmp_path, text, expected):
    (tmp_path / "run.json").write_text(text)
    status, _, words = report(tmp_path / "run.json")
    assert status == 1
    assert expected in words


def test_samples_that_are_gone(report, measured):
    path = measured("run", latencies(50))
    samples_beside(path).unlink()
    status, _, words = report(path)
    assert status == 1
    assert "holds no samples" in words


def test_too_many_for_a_page(report, result, tmp_path):
    results_to_file((replace(result, samples=None),) * 27, tmp_path / "run.json")
    status, _, words = report(tmp_path / "run.json")
    assert status == 1
    assert "27 measurements are too many for one page" in words


def test_a_page_that_cannot_be_written(engineroom, measured, tmp_path):
    (tmp_path / "file").touch()
    output = str(tmp_path / "file" / "report.html")
    status, _, errors = engineroom("load", "report", str(measured("run", latencies(9))), "--output", output)
    assert status == 1
    assert "the page cannot be written" in errors
