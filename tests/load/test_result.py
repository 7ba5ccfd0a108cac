import json
from dataclasses import replace

import pytest

from engineroom.errors import LoadError
from engineroom.load.result import Offered, json_from_results, results_from_file, results_to_file
from engineroom.load.table import COLUMNS, row_from_result, text_from_results


def test_throughput_counts_right_answers_only(result):
    assert result.requests_per_s == pytest.approx(98.0)
    assert result.rows_per_s == pytest.approx(392.0)
    assert result.failure_ratio == pytest.approx(0.02)


def test_a_result_survives_the_disk(result, tmp_path):
    path = tmp_path / "new" / "folder" / "result.json"
    results = (result, replace(result, server=None, samples=None, notes=()))
    results_to_file(results, path)
    assert results_from_file(path) == results


def test_json_holds_the_throughput_for_other_readers(result):
    raw = json.loads(json_from_results((result,)))
    assert raw["schema"] == 2
    assert raw["results"][0]["rows_per_s"] == pytest.approx(392.0)


def test_fields_of_a_later_addition_are_ignored(result, tmp_path):
    path = tmp_path / "result.json"
    raw = json.loads(json_from_results((result,)))
    raw["results"][0]["latency"]["p42_ms"] = 12.0
    path.write_text(json.dumps(raw))
    assert results_from_file(path) == (result,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("no JSON", "is not JSON", id="no JSON"),
        pytest.param("[]", "holds no load results", id="another form"),
        pytest.param('{"schema": 99, "results": []}', "Update engineroom", id="newer schema"),
        pytest.param('{"schema": 1, "results": []}', "written by an older engineroom", id="older schema"),
        pytest.param('{"schema": 2, "results": [{}]}', "lacks or misnames a field", id="missing field"),
    ],
)
def test_what_is_no_result_is_refused(tmp_path, text, expected):
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(LoadError, match=expected):
        results_from_file(path)


def test_a_missing_file_and_an_impossible_one_are_errors_of_ours(result, tmp_path):
    with pytest.raises(LoadError, match="cannot be read"):
        results_from_file(tmp_path / "nothing.json")
    (tmp_path / "file").touch()
    with pytest.raises(LoadError, match="cannot be written"):
        results_to_file((result,), tmp_path / "file" / "result.json")


def test_a_row_fits_its_headings(result):
    cells = dict(zip(COLUMNS, row_from_result(result), strict=True))
    assert cells["offered"] == "users 8"
    assert cells["rows/s"] == "392.0"
    assert cells["p99 ms"] == "9.00"


def test_the_table_says_where_the_time_went_and_what_to_mind(result):
    text = text_from_results((result,))
    assert "inside Triton 100 us queue" in text
    assert "a remark" in text


def test_a_shape_is_told_beside_the_table_and_not_in_it(result):
    shaped = replace(result, offered=Offered("users", 8, "steps:2:10,8:10"))
    assert row_from_result(shaped)[COLUMNS.index("offered")] == "users 8"
    assert "users 8 (steps:2:10,8:10): inside Triton" in text_from_results((shaped,))
