"""The history: one line a change, only ever added to, and whole."""

from pathlib import Path

import pytest

from engineroom.errors import RepositoryError
from engineroom.repository.history import HISTORY, Change, Effect, add, history, last_applied, record, undone
from engineroom.repository.layout import ModelFolder

EFFECT = Effect(1.0, 10.0, 0, 1.5, 2.5, 1.0, 3.0, 4.0)


@pytest.fixture
def model(tmp_path: Path) -> ModelFolder:
    (tmp_path / "m").mkdir()
    return ModelFolder(tmp_path / "m")


def test_what_is_added_is_read_again(model: ModelFolder) -> None:
    change = {"config.pbtxt": Change("ä: 1\n", None)}
    first = add(model, record("set", "written", "first@host", "because", changes=change, undoes=(3, 4)))
    second = add(
        model,
        record(
            "promote 2", "applied", versions={"config.pbtxt": ((1,), (2,))}, effect={"after": EFFECT}, servers=("u",)
        ),
    )
    assert history(model) == (first, second)
    assert (first.number, second.number) == (1, 2)
    assert (first.by, first.why, second.effect["after"]) == ("first@host", "because", EFFECT)


def test_a_line_that_was_cut_off_is_not_counted_and_is_written_over(model: ModelFolder) -> None:
    add(model, record("set", "written"))
    with (model.path / HISTORY).open("ab") as file:
        file.write(b'{"number": 2, "at": "20')
    assert len(history(model)) == 1
    assert add(model, record("apply", "applied")).number == 2
    assert [one.action for one in history(model)] == ["set", "apply"]


def test_a_line_that_is_no_record_is_named(model: ModelFolder) -> None:
    (model.path / HISTORY).write_text('{"number": 1}\n')
    with pytest.raises(RepositoryError, match=r"history.jsonl: line 1 is no record of a change"):
        history(model)


def test_fields_of_a_newer_form_are_passed_over(model: ModelFolder) -> None:
    add(model, record("set", "written"))
    path = model.path / HISTORY
    path.write_text(path.read_text().replace("{", '{"mood": "good", ', 1))
    assert history(model)[0].action == "set"


def test_what_was_last_proven_is_not_what_was_last_written(model: ModelFolder) -> None:
    for outcome, text in (("applied", "a"), ("applied", "b"), ("taken back", "c"), ("written", "d")):
        add(model, record("apply", outcome, changes={"config.pbtxt": Change(None, text)}))
    assert last_applied(history(model), "config.pbtxt") == "b"
    assert last_applied(history(model), "configs/cpu.pbtxt") is None


def test_a_rollback_that_failed_takes_nothing_back(model: ModelFolder) -> None:
    change = {"config.pbtxt": Change("a", "b")}
    add(model, record("rollback", "taken back", changes=change, undoes=(1,)))
    add(model, record("rollback", "applied", changes=change, undoes=(2,)))
    assert undone(history(model)) == {2}
