import csv
import io

import pytest

from engineroom.load.locust.counts import Counts, csv_from_counts, lines_from_counts, rows_from_counts


@pytest.fixture
def counts():
    """97 + 1 in time, 2 too late, 1 failed, in 10 s."""
    counts = Counts()
    counts.clear(100.0)
    counts.add("grpc", "digits", "in_time", 101.0, 97)
    counts.add("grpc", "digits", "too_late", 102.0, 2)
    counts.add("http", "a,b", "failed", 105.0)
    counts.add("http", "a,b", "in_time", 110.0)
    return counts


def test_every_name_has_a_row_and_all_together_the_last(counts):
    first, second, total = rows_from_counts(counts, 50)
    assert (first["name"], first["in_time"], first["too_late"], first["failed"]) == ("digits", 97, 2, 0)
    assert (first["goodput_per_s"], first["goodput_percent"]) == (9.7, 97.98)
    assert second["goodput_percent"] == 50
    assert (total["name"], total["in_time"], total["goodput_per_s"], total["goodput_percent"]) == (
        "Aggregated",
        98,
        9.8,
        97.03,
    )


def test_the_file_survives_any_name(counts):
    rows = list(csv.DictReader(io.StringIO(csv_from_counts(counts, 50))))
    assert [row["Name"] for row in rows] == ["digits", "a,b", "Aggregated"]
    assert rows[0]["Goodput (%)"] == "97.98"


def test_lines_are_as_long_as_their_heading(counts):
    _, heading, rule, *rows = lines_from_counts(counts, 50)
    assert "within 50 ms" in heading
    assert {len(line) for line in (heading, rule, *rows)} == {len(heading)}


def test_without_a_promise_there_is_nothing_to_tell(counts):
    assert rows_from_counts(counts, None) == lines_from_counts(counts, None) == []


def test_processes_are_added_up(counts):
    master = Counts()
    master.clear(100.0)
    master.take(counts.handed_over(), 110.0)
    assert (master.total.in_time, master.total.too_late, master.total.failed) == (98, 2, 1)
    assert counts.total.in_time == 0
    master.take(counts.handed_over(), 111.0)
    assert master.total.in_time == 98


def test_nothing_yet():
    (total,) = rows_from_counts(Counts(), 50)
    assert total["goodput_percent"] == 0
