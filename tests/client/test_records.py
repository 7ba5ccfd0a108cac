import csv
import json

import pytest

RECORDS = [
    {"text": 'a "quoted", [bold]word[/bold]', "rank": 1, "cosine": 0.25},
    {"text": "ein grünes " + "langes " * 40, "rank": 2, "cosine": 0.12345},
]


@pytest.fixture(scope="module")
def records(program):
    return program("records")


def test_json_reads_back(records, capsys):
    records.print_records(RECORDS, "json")
    assert json.loads(capsys.readouterr().out) == RECORDS


def test_csv_reads_back(records, capsys):
    records.print_records(RECORDS, "csv")
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert rows == [{name: str(value) for name, value in record.items()} for record in RECORDS]


def test_a_table_in_a_pipe_has_one_line_a_row_and_no_markup(records, capsys):
    records.print_records(RECORDS, "table")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].startswith('a "quoted", [bold]word[/bold]')
    assert lines[2].rstrip().endswith("2  0.1235") or lines[2].rstrip().endswith("2  0.1234")


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_file_holds_what_is_printed(records, capsys, tmp_path, form):
    records.print_records(RECORDS, form)
    records.write_records(RECORDS, tmp_path / f"out.{form}")
    assert (tmp_path / f"out.{form}").read_text(encoding="utf-8") == capsys.readouterr().out
