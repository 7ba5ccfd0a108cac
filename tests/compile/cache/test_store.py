"""The build cache: what is found again, what counts as missing, and what is dropped."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engineroom.compile.cache import store as module
from engineroom.compile.cache.store import ABOUT, KEPT, KEPT_DAYS, SCHEMA, Cache, Entry, Made

INPUTS = {"recipe": "a" * 64, "package torch": "2.13.0"}


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache" / "tiny")


def keep(cache: Cache, content: str = "weights", **inputs: str) -> Entry:
    """Run a stage that writes two files."""
    place = cache.workplace("export")
    (place / "model.onnx").write_text(content)
    (place / "model.onnx.data").write_text(content * 2)
    return cache.keep(place, "export", {**INPUTS, **inputs}, 1.5, Made("a note", {"samples": "b"}, {"count": 3}))


def test_result_is_found_by_its_inputs(cache: Cache) -> None:
    made = keep(cache)
    found = cache.find("export", dict(reversed(INPUTS.items())))
    assert found == made
    assert found is not None
    assert [path.read_text() for path in found.paths] == ["weights", "weightsweights"]
    assert (found.seconds, found.size_bytes, found.made.note) == (1.5, 21, "a note")
    assert found.digests("samples") == {"samples": "b"}
    assert set(found.digests()) == {"model.onnx", "model.onnx.data", "samples"}


@pytest.mark.parametrize(
    ("stage", "inputs"),
    [
        ("precision", INPUTS),
        ("export", {**INPUTS, "package torch": "2.14.0"}),
        ("export", {"recipe": INPUTS["recipe"]}),
        ("export", {**INPUTS, "more": ""}),
        ("export", {"recipe": INPUTS["package torch"], "package torch": INPUTS["recipe"]}),
    ],
    ids=["stage", "version", "input gone", "input new", "values exchanged"],
)
def test_other_inputs_find_nothing(cache: Cache, stage: str, inputs: dict[str, str]) -> None:
    keep(cache)
    assert cache.find(stage, inputs) is None


def shorten(entry: Entry) -> None:
    entry.path("model.onnx").write_text("weigh")


def edit(entry: Entry) -> None:
    entry.path("model.onnx.data").write_text("WEIGHTSweights")


def newer(entry: Entry) -> None:
    about = json.loads((entry.folder / ABOUT).read_text())
    (entry.folder / ABOUT).write_text(json.dumps({**about, "schema": SCHEMA + 1}))


@pytest.mark.parametrize(
    "damage",
    [
        shorten,
        edit,
        newer,
        lambda entry: entry.path("model.onnx").unlink(),
        lambda entry: (entry.folder / ABOUT).unlink(),
        lambda entry: (entry.folder / ABOUT).write_text("{"),
        lambda entry: (entry.folder / ABOUT).write_text(json.dumps({"schema": SCHEMA})),
    ],
    ids=["cut short", "edited", "newer form", "file gone", "description gone", "description cut", "description empty"],
)
def test_damaged_result_counts_as_missing_and_is_replaced(cache: Cache, damage: object) -> None:
    damage(keep(cache))  # type: ignore[operator]
    assert cache.find("export", INPUTS) is None
    keep(cache, "other")
    found = cache.find("export", INPUTS)
    assert found is not None
    assert found.path("model.onnx").read_text() == "other"


def test_results_used_last_are_kept(cache: Cache) -> None:
    first = keep(cache, number="0")
    for number in range(1, KEPT):
        keep(cache, number=str(number))
    os.utime(first.folder / ABOUT, (time.time() + 10, time.time() + 10))
    keep(cache, number="new")
    left = [number for number in ("0", "1", "2", "new") if cache.find("export", {**INPUTS, "number": number})]
    assert left == ["0", "2", "new"]
    assert len(list(first.folder.parent.iterdir())) == KEPT
    last = cache.last("export")
    assert last is not None
    assert last.inputs["number"] == "0"


def test_result_that_nobody_used_for_long_is_dropped(cache: Cache) -> None:
    old, used = keep(cache, number="old"), keep(cache, number="used")
    long_ago = time.time() - (KEPT_DAYS + 1) * 24 * 3600
    for entry in (old, used):
        os.utime(entry.folder / ABOUT, (long_ago, long_ago))
    cache.use(used)
    keep(cache, number="new")
    assert [cache.find("export", {**INPUTS, "number": name}) is None for name in ("old", "used", "new")] == [
        True, False, False,
    ]  # fmt: skip


def test_what_a_killed_stage_left_is_removed_by_the_next(cache: Cache) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = cache.workplace("export").with_name(f".work-{ended.pid}")
    left.mkdir()
    (left / "model.onnx").write_text("half")
    keep(cache)
    assert [path.name for path in left.parent.iterdir()] == [keep(cache).folder.name]


def test_kill_while_a_result_is_written_leaves_none(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(place: Path, folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "_replace", killed)
        with pytest.raises(KeyboardInterrupt):
            keep(cache)
    assert cache.find("export", INPUTS) is None
    assert cache.last("export") is None


def test_two_that_make_the_same_at_once_leave_one(cache: Cache) -> None:
    code = f"""
from pathlib import Path
from engineroom.compile.cache.store import Cache, Made
cache = Cache(Path({str(cache.folder)!r}))
for number in range(30):
    place = cache.workplace("export")
    (place / "model.onnx").write_text("weights" * 1000)
    cache.keep(place, "export", {INPUTS!r}, 1.0, Made())
"""
    both = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [(process.communicate(timeout=60)[1], process.returncode) for process in both] == [("", 0)] * 2
    found = cache.find("export", INPUTS)
    assert found is not None
    assert [path.name for path in found.folder.parent.iterdir()] == [found.folder.name]
