"""Two operators: one wins, the other is told, nothing is lost."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engineroom.errors import StoreConflict, StoreError
from engineroom.repository.history import add, history, record
from engineroom.repository.layout import Repository
from engineroom.store.check import check, log
from engineroom.store.local import Selection
from engineroom.store.pull import PullOptions, pull
from engineroom.store.push import PushOptions, push


@pytest.fixture
def shared(folder_store, publish_tiny, here: Repository, there: Repository):
    """Two repositories with the same two models, pushed by one operator and pulled by the other."""
    for name in ("first", "second"):
        publish_tiny(here.path, name)
    push(here, folder_store.open(), PushOptions())
    pull(there, folder_store.open(), PullOptions())
    return folder_store


def edit(repository: Repository, name: str, line: str) -> None:
    config = repository.model(name).config
    config.write_text(config.read_text() + f"{line}\n")


def test_pushes_at_once_of_different_models_all_count(place, publish_tiny, tmp_path: Path) -> None:
    """Each starts from the same head: all but the first find theirs taken, and go on top of the winner's."""
    operators = [Repository(tmp_path / f"operator{number}") for number in range(3)]
    for number, operator in enumerate(operators):
        publish_tiny(operator.path, f"model{number}")
    start = threading.Barrier(len(operators))

    def run(operator: Repository) -> int:
        start.wait()
        head = push(operator, place.open(), PushOptions(jobs=2)).head
        assert head is not None
        return head.number

    with ThreadPoolExecutor(len(operators)) as pool:
        assert sorted(pool.map(run, operators)) == [1, 2, 3]
    done = check(place.open())
    assert done.problems == ()
    assert set(place.open().snapshot(done.head).models) == {"model0", "model1", "model2"}


def test_the_later_one_of_the_same_model_is_told_who_won(shared, here: Repository, there: Repository) -> None:
    edit(here, "first", "# mine")
    edit(there, "first", "# theirs")
    push(there, shared.open(), PushOptions(why="faster"))
    with pytest.raises(StoreConflict, match=r"first: head 2 by .+@.+ at 20.+ \(faster\) changed it, and you did, too"):
        push(here, shared.open(), PushOptions())
    assert [head.number for head in log(shared.open(), 9)] == [2, 1]
    assert here.model("first").config.read_text().endswith("# mine\n")


def test_change_of_another_model_is_no_conflict(shared, here: Repository, there: Repository) -> None:
    edit(here, "first", "# mine")
    edit(there, "second", "# theirs")
    push(there, shared.open(), PushOptions())
    done = push(here, shared.open(), PushOptions())
    assert done.head is not None
    assert (done.head.number, done.head.models) == (3, ("first",)), "the second stays as the winner has it"
    assert pull(here, shared.open(), PullOptions()).models[0].files == ("config.pbtxt",)
    assert here.model("second").config.read_text().endswith("# theirs\n")


@pytest.mark.parametrize(("take", "line"), [("theirs", "# theirs"), ("ours", "# mine")])
def test_file_changed_on_both_sides_is_shown_and_chosen(shared, here, there, take: str, line: str) -> None:
    edit(here, "first", "# mine")
    edit(there, "first", "# theirs")
    push(there, shared.open(), PushOptions())
    with pytest.raises(
        StoreConflict, match=r"config\.pbtxt changed both here and in the store.*\n(.*\n)*-# mine\n\+# th"
    ):
        pull(here, shared.open(), PullOptions())
    assert here.model("first").config.read_text().endswith("# mine\n")
    pull(here, shared.open(), PullOptions(take=take))
    assert here.model("first").config.read_text().endswith(f"{line}\n")
    pushed = push(here, shared.open(), PushOptions())
    assert [one.model for one in pushed.models] == ([] if take == "theirs" else ["first"])


def test_file_edited_here_alone_stays(shared, here: Repository, there: Repository, publish_tiny) -> None:
    edit(here, "first", "# mine")
    publish_tiny(there.path, "second")
    push(there, shared.open(), PushOptions())
    done = pull(here, shared.open(), PullOptions())
    assert (done.kept, [one.model for one in done.models]) == (("first/config.pbtxt",), ["second"])
    assert here.model("first").config.read_text().endswith("# mine\n")


def test_same_number_with_other_content_is_refused_both_ways(shared, here, there, publish_tiny) -> None:
    publish_tiny(here.path, "first", precision="fp32")
    publish_tiny(there.path, "first")
    push(there, shared.open(), PushOptions())
    with pytest.raises(StoreConflict, match=r"first: head 2 .* changed it"):
        push(here, shared.open(), PushOptions())
    with pytest.raises(
        StoreConflict, match=r"first: version 2 here is another one than version 2 in .*Rename the folder"
    ):
        pull(here, shared.open(), PullOptions())
    here.model("first").version(2).rename(here.model("first").version(3))
    pull(here, shared.open(), PullOptions())
    assert push(here, shared.open(), PushOptions()).models[0].added == (3,)


def test_version_that_was_never_pulled_is_not_replaced(shared, here, there, publish_tiny) -> None:
    """An operator who holds an old version only builds a number that the store has."""
    publish_tiny(there.path, "first")
    push(there, shared.open(), PushOptions())
    pull(here, shared.open(), PullOptions(selection=Selection(numbers=frozenset({1})), names=("first",)))
    publish_tiny(here.path, "first", precision="fp32")
    with pytest.raises(StoreConflict, match="first: version 2 here is another one than version 2 in"):
        push(here, shared.open(), PushOptions())


def test_repository_that_never_met_the_store_pulls_first(shared, publish_tiny, tmp_path: Path) -> None:
    stranger = Repository(tmp_path / "stranger")
    publish_tiny(stranger.path, "first", precision="fp32")
    with pytest.raises(StoreConflict, match=r"first: the store has another \(head 1 by .*engineroom pull first"):
        push(stranger, shared.open(), PushOptions())


def test_histories_of_both_are_kept(shared, here: Repository, there: Repository) -> None:
    for repository, why in ((here, "mine"), (there, "theirs")):
        model = repository.model("first")
        add(model, record("set", "written", by="somebody@somewhere", why=why))
    edit(there, "first", "# changed")
    push(there, shared.open(), PushOptions())
    pull(here, shared.open(), PullOptions())
    found = history(here.model("first"))
    assert [one.number for one in found] == [1, 2, 3]
    assert [one.why for one in found[:2]] == ["theirs", "mine"]
    assert (found[2].action, found[2].outcome, list(found[2].changes)) == ("pull", "written", ["config.pbtxt"])
    assert push(here, shared.open(), PushOptions()).head is None, "a longer history alone is nothing to push"


def test_store_that_forgets_conditions_is_found_out(monkeypatch, publish_tiny, here: Repository) -> None:
    """gcp-storage-emulator as it comes takes `ifGenerationMatch=0` and replaces the object."""
    from store_places import google_place
    from store_servers import google_server

    publish_tiny(here.path, "tiny")
    with google_server(conditional=False) as address:
        place = google_place(address, monkeypatch)
        with pytest.raises(StoreError, match=r"this store makes an object twice without a word.*--alone"):
            push(here, place.open(), PushOptions())
        assert place.open().head() is None
        assert push(here, place.open(), PushOptions(alone=True)).head is not None
