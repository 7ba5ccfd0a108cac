"""The journal: no change half-done, one operator at a time."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from engineroom.errors import RepositoryError
from engineroom.repository.history import Change, Record, history, record
from engineroom.repository.journal import PENDING, begin, finish, held, pending, recover, write_texts
from engineroom.repository.layout import ModelFolder


@pytest.fixture
def model(tmp_path: Path) -> ModelFolder:
    (tmp_path / "m" / "configs").mkdir(parents=True)
    (tmp_path / "m" / "config.pbtxt").write_text("old")
    return ModelFolder(tmp_path / "m")


def unproven() -> Record:
    changes = {"config.pbtxt": Change("old", "new"), "configs/cpu.pbtxt": Change(None, "made")}
    return record("apply", "taken back", "first@host", changes=changes)


def test_a_change_that_ended_before_it_was_proven_is_taken_back(model: ModelFolder) -> None:
    begin(model, unproven())
    write_texts(model, unproven().changes)
    assert (model.config.read_text(), model.cpu_config.read_text()) == ("new", "made")
    found = recover(model)
    assert found is not None
    assert (found.outcome, found.reason) == ("taken back", "the process of first@host ended in the middle of it")
    assert model.config.read_text() == "old"
    assert not model.cpu_config.exists()
    assert history(model) == (found,)
    assert not pending(model)


def test_half_of_the_files_written_is_taken_back_too(model: ModelFolder) -> None:
    begin(model, unproven())
    model.cpu_config.write_text("made")
    recover(model)
    assert model.config.read_text() == "old"
    assert not model.cpu_config.exists()


def test_a_change_that_was_proven_is_entered(model: ModelFolder) -> None:
    begin(model, replace(unproven(), outcome="applied"))
    write_texts(model, unproven().changes)
    found = recover(model)
    assert found is not None
    assert found.outcome == "applied"
    assert model.config.read_text() == "new"
    assert recover(model) is None


def test_a_change_that_was_entered_is_not_entered_twice(model: ModelFolder) -> None:
    begin(model, replace(unproven(), outcome="applied"))
    left = (model.path / PENDING).read_bytes()
    finish(model, replace(unproven(), outcome="applied"))
    (model.path / PENDING).write_bytes(left)
    assert recover(model) is None
    assert len(history(model)) == 1
    assert not pending(model)


def test_a_file_that_was_edited_since_is_left_alone(model: ModelFolder) -> None:
    begin(model, unproven())
    model.config.write_text("by hand")
    recover(model)
    assert model.config.read_text() == "by hand"


def test_a_broken_journal_is_named(model: ModelFolder) -> None:
    (model.path / PENDING).write_text("{")
    with pytest.raises(RepositoryError, match=r"\.pending\.json is no record"):
        recover(model)


SECOND = """
import sys
from pathlib import Path
from engineroom.errors import ModelHeld
from engineroom.repository.journal import held
from engineroom.repository.layout import ModelFolder
try:
    with held(ModelFolder(Path(sys.argv[1])), "set", "second@host"):
        print("held")
except ModelHeld as error:
    print(error)
"""


def test_who_comes_second_is_told_who_was_first(model: ModelFolder) -> None:
    command = [sys.executable, "-c", SECOND, str(model.path)]
    with held(model, "promote 3", "first@host"):
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"m: first@host (promote 3, process {os.getpid()}) is changing it. Nothing was done." in told
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "held\n"


def test_a_model_that_is_not_there_cannot_be_held(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="there is no folder"), held(ModelFolder(tmp_path / "x"), "set", "a"):
        pass
