"""What is pushed comes back byte for byte, from every kind of store, and only what is new is sent."""

import json
import shutil
from pathlib import Path

import pytest

from engineroom.repository.layout import GOLDEN, Repository
from engineroom.store.check import check, log
from engineroom.store.local import Selection
from engineroom.store.pull import PullOptions, pull
from engineroom.store.push import PushOptions, push


def contents(repository: Repository) -> dict[str, bytes]:
    """Every file of a repository that is not hidden; the histories differ by who pulled."""
    paths = [path for path in repository.path.rglob("*") if path.is_file() and path.name != "history.jsonl"]
    relative = {str(path.relative_to(repository.path)): path for path in paths}
    return {name: path.read_bytes() for name, path in relative.items() if "/." not in name}


def test_round_trip(place, publish_tiny, here: Repository, there: Repository) -> None:
    publish_tiny(here.path, "first", on_cpu=True)
    model = publish_tiny(here.path, "second")
    (model.path / "y_labels.txt").write_text("one\ntwo\n")
    (model.version(1) / "vocabulary" / "deep").mkdir(parents=True)
    (model.version(1) / "vocabulary" / "deep" / "empty.txt").touch()

    first = push(here, place.open(), PushOptions(why="the first"))
    assert first.head is not None
    assert (first.head.number, first.head.models, first.head.why) == (1, ("first", "second"), "the first")
    pulled = pull(there, place.open(), PullOptions())
    assert [one.added for one in pulled.models] == [(1,), (1,)]
    assert contents(there) == contents(here)
    assert check(place.open()).problems == ()

    again = push(here, place.open(), PushOptions())
    assert (again.head, again.models, again.sent) == (None, (), 0)
    publish_tiny(here.path, "second", precision="fp32")
    (model.version(2) / GOLDEN).write_bytes((model.version(1) / GOLDEN).read_bytes())
    manifest = model.version(2) / "manifest.json"
    golden = json.loads((model.version(1) / "manifest.json").read_text())["files"][GOLDEN]
    document = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**document, "files": {**document["files"], GOLDEN: golden}}))
    second = push(here, place.open(), PushOptions(why="FP32"))
    new = {(model.version(2) / name).stat().st_size for name in ("manifest.json", "model.graph.onnx")}
    assert (second.sent, second.sent_bytes) == (2, sum(new)), "only the graph and the manifest are new"
    assert pull(there, place.open(), PullOptions()).models[0].added == (2,)
    assert contents(there) == contents(here)
    assert [head.number for head in log(place.open(), 5)] == [2, 1]
    assert check(place.open()).problems == ()


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
def test_large_file_arrives_in_parts(place, publish_tiny, here: Repository, there: Repository) -> None:
    """20 MB: more than one read brings, and than some stores take in one part."""
    model = publish_tiny(here.path, "large")
    (model.version(1) / "weights.bin").write_bytes(b"0123456789abcdef" * (20 << 16))
    push(here, place.open(), PushOptions(verify=True))
    pull(there, place.open(), PullOptions())
    assert contents(there) == contents(here)


@pytest.mark.parametrize(
    ("selection", "numbers"),
    [(Selection(last=1), {3}), (Selection(numbers=frozenset({1, 3})), {1, 3}), (Selection(), {1, 2, 3})],
    ids=["latest", "named", "all"],
)
def test_versions_are_chosen(folder_store, publish_tiny, here, there, selection: Selection, numbers: set[int]) -> None:
    for _ in range(3):
        publish_tiny(here.path, "tiny")
    push(here, folder_store.open(), PushOptions(selection=selection))
    pull(there, folder_store.open(), PullOptions())
    assert set(there.model("tiny").versions) == numbers


def test_version_that_a_configuration_serves_comes_along(folder_store, publish_tiny, here, there) -> None:
    for _ in range(3):
        model = publish_tiny(here.path, "tiny")
    with model.config.open("a") as file:
        file.write("version_policy { specific { versions: [1] } }\n")
    push(here, folder_store.open(), PushOptions())
    pull(there, folder_store.open(), PullOptions(selection=Selection(last=1)))
    assert set(there.model("tiny").versions) == {1, 3}


def test_an_older_head_can_be_pulled(folder_store, publish_tiny, here, there) -> None:
    model = publish_tiny(here.path, "tiny")
    push(here, folder_store.open(), PushOptions())
    old = model.config.read_text()
    model.config.write_text(old + "# newer\n")
    push(here, folder_store.open(), PushOptions())
    pull(there, folder_store.open(), PullOptions())
    pulled = pull(there, folder_store.open(), PullOptions(head=1))
    assert pulled.models[0].diff.splitlines()[-1] == "-# newer"
    assert there.model("tiny").config.read_text() == old


def test_engines_added_where_they_run_travel(folder_store, publish_tiny, here, there) -> None:
    model = publish_tiny(here.path, "tiny")
    push(here, folder_store.open(), PushOptions())
    pull(there, folder_store.open(), PullOptions())
    (model.version(1) / "model.sm90.plan").write_bytes(b"engine")
    manifest = model.version(1) / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "islands": ["added"]}))
    assert push(here, folder_store.open(), PushOptions()).models[0].changed == (1,)
    assert pull(there, folder_store.open(), PullOptions()).models[0].changed == (1,)
    assert contents(there) == contents(here)


def test_version_retired_here_leaves_the_store_too(folder_store, publish_tiny, here, there) -> None:
    for _ in range(2):
        model = publish_tiny(here.path, "tiny")
    push(here, folder_store.open(), PushOptions())
    shutil.rmtree(model.version(1))
    assert push(here, folder_store.open(), PushOptions()).models[0].removed == (1,)
    pull(there, folder_store.open(), PullOptions())
    assert there.model("tiny").versions == (2,)
    assert pull(there, folder_store.open(), PullOptions(head=1)).models[0].added == (1,), "an older head has it still"


def test_relative_folder_and_variable_name_the_same_store(
    engineroom, publish_tiny, here: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_tiny(here.path, "tiny")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENGINEROOM_STORE", f"file://{tmp_path}/store")
    assert engineroom("push", "--repository", "here", "--json")[0] == 0
    status, out, _ = engineroom("push", "--repository", "here", "--to", "store")
    assert (status, out) == (0, f"nothing is new for {tmp_path}/store\n")
    assert json.loads(engineroom("store", "log", "--json")[1])[0]["number"] == 1
