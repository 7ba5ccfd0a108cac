"""Versions of a served model: promoted, taken back, retired; one in use is never touched."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engineroom.errors import RepositoryError
from engineroom.operate.apply import Options
from engineroom.operate.plan import Request
from engineroom.operate.rollback import taking_back
from engineroom.operate.versions import in_use, promote, retire, rollback, superfluous
from engineroom.repository.history import history
from engineroom.repository.layout import GOLDEN, ModelFolder
from engineroom.repository.policy import current_version, served_by

ASKED = Request("promote", by="first@host", why="a test")
OFFLINE = Options(observe_s=0)


@pytest.fixture
def model(tmp_path: Path, publish_served) -> ModelFolder:
    """Four versions that nothing serves yet."""
    for _ in range(4):
        published = publish_served(tmp_path, "tiny")
    return published


def test_a_promoted_version_is_the_one_served_and_stays_so(floor, ask) -> None:
    done = promote(floor.model, 1, ASKED, floor.options)
    assert floor.control.versions("tiny") == (1,)
    assert served_by(floor.model) == {"config.pbtxt": (1,), "configs/cpu.pbtxt": (1,)}
    assert done.versions == {"config.pbtxt": ((3,), (1,)), "configs/cpu.pbtxt": ((3,), (1,))}
    assert (done.action, done.outcome) == ("promote 1", "applied")
    assert ask() == 2


def test_a_new_build_waits_until_it_is_promoted(floor, publish_served) -> None:
    promote(floor.model, 3, ASKED, floor.options)
    text = floor.model.cpu_config.read_text()
    publish_served(floor.model.path.parent, "tiny")
    floor.model.cpu_config.write_text(text)
    try:
        floor.control.load("tiny")
        assert floor.model.latest == 4
        assert current_version(floor.model) == 4  # config.pbtxt was written anew
        assert floor.control.versions("tiny") == (3,)
        promote(floor.model, 4, ASKED, floor.options)
        assert floor.control.versions("tiny") == (4,)
        rollback(floor.model, ASKED, floor.options)
        assert floor.control.versions("tiny") == (3,)
    finally:
        (floor.model.version(4)).rename(floor.model.path / ".gone")
        _remove(floor.model.path / ".gone")


def _remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def test_a_version_with_other_files_is_not_promoted(floor, ask) -> None:
    network = floor.model.version(2) / "model.bin"
    kept = network.read_bytes()
    network.write_bytes(bytes(len(kept)))
    try:
        with pytest.raises(RepositoryError, match=r"version 2 cannot be served: model\.xml is beside a model\.bin"):
            promote(floor.model, 2, ASKED, floor.options)
    finally:
        network.write_bytes(kept)
    assert floor.control.versions("tiny") == (3,)
    assert ask() == 2


def test_a_version_without_golden_answers_is_promoted_and_named(floor) -> None:
    manifest = floor.model.version(2) / "manifest.json"
    manifest.rename(floor.model.path / "away.json")
    try:
        assert promote(floor.model, 2, ASKED, floor.options).unproven == (2,)
        assert promote(floor.model, 1, ASKED, floor.options).unproven == ()
    finally:
        (floor.model.path / "away.json").rename(manifest)


def test_rollbacks_go_back_one_promotion_each(model: ModelFolder) -> None:
    for version in (1, 2, 3):
        promote(model, version, ASKED, OFFLINE)
    served = []
    for _ in range(3):
        rollback(model, ASKED, OFFLINE)
        served.append(current_version(model))
    assert served == [2, 1, 4]
    with pytest.raises(RepositoryError, match="tells of no version that was served before"):
        rollback(model, ASKED, OFFLINE)


def test_a_promotion_after_a_rollback_goes_back_to_it(model: ModelFolder) -> None:
    for version in (1, 2):
        promote(model, version, ASKED, OFFLINE)
    rollback(model, ASKED, OFFLINE)
    promote(model, 3, ASKED, OFFLINE)
    rollback(model, ASKED, OFFLINE)
    assert current_version(model) == 1


def test_only_the_policy_is_edited(model: ModelFolder) -> None:
    before = model.cpu_config.read_text()
    promote(model, 2, ASKED, OFFLINE)
    assert model.cpu_config.read_text() == before + "\nversion_policy {\n  specific {\n    versions: [2]\n  }\n}\n"


@pytest.mark.parametrize(("version", "message"), [(9, "there is no version 9"), (2, "golden.npz is not the file")])
def test_a_version_that_is_not_there_or_damaged_is_refused(model: ModelFolder, version: int, message: str) -> None:
    (model.version(2) / GOLDEN).write_bytes(b"x")
    with pytest.raises(RepositoryError, match=message):
        promote(model, version, ASKED, OFFLINE)
    assert history(model) == ()


def test_a_version_in_use_is_never_touched(floor) -> None:
    promote(floor.model, 1, ASKED, floor.options)
    promote(floor.model, 2, ASKED, floor.options)
    used = in_use(floor.model, (floor.control,))
    assert used == {
        1: ["a rollback would serve it"],
        2: [f"{floor.control} has loaded it", "config.pbtxt serves it", "configs/cpu.pbtxt serves it"],
        3: ["it is the newest: the next build would take its number"],
    }
    for version, reasons in used.items():
        with pytest.raises(RepositoryError, match=rf"version {version} is in use: .*Nothing was removed") as refused:
            retire(floor.model, (version,), ASKED, (floor.control,))
        assert reasons[0] in str(refused.value)
    assert floor.model.versions == (1, 2, 3)


def test_the_newest_are_kept_and_those_in_use(model: ModelFolder) -> None:
    promote(model, 1, ASKED, OFFLINE)
    (model.path / ".retired-1-1").mkdir()
    assert superfluous(model, 2, ()) == (2,)
    assert retire(model, superfluous(model, 2, ()), ASKED) == (2,)
    assert model.versions == (1, 3, 4)
    assert sorted(path.name for path in model.path.glob(".retired*")) == []
    assert history(model)[-1].action == "retire 2"


def test_a_version_that_an_ensemble_names_is_in_use(model: ModelFolder) -> None:
    other = model.path.parent / "both"
    other.mkdir()
    (other / "config.pbtxt").write_text(
        'platform: "ensemble"\nensemble_scheduling { step { model_name: "tiny" model_version: 2 } }\n'
    )
    with pytest.raises(RepositoryError, match="version 2 is in use: the ensemble both names it"):
        retire(model, (2,), ASKED)


@pytest.fixture
def changed(model: ModelFolder) -> Iterator[ModelFolder]:
    """A model with three changes in its history."""
    for version in (1, 2, 3):
        promote(model, version, ASKED, OFFLINE)
    return model


@pytest.mark.parametrize(("to", "undoes", "served"), [(None, (3,), 2), (1, (2, 3), 1), (0, (1, 2, 3), 4)])
def test_configurations_as_they_were_after_a_change(changed: ModelFolder, to, undoes, served) -> None:
    texts, taken = taking_back(changed, to)
    assert taken == undoes
    for path, text in texts({}).items():
        path.write_text(text)
    assert current_version(changed) == served


def test_there_must_be_something_to_take_back(model: ModelFolder) -> None:
    with pytest.raises(RepositoryError, match="there is no change to take back"):
        taking_back(model)
    with pytest.raises(RepositoryError, match="its history has 0 changes, there is no 4"):
        taking_back(model, 4)
