"""A change goes live on a real Triton, or is taken back by itself."""

import shutil
import threading
from dataclasses import replace

import numpy as np
import pytest

from engineroom.client import Client, RetryPolicy
from engineroom.errors import ChangeTakenBack, EngineRoomError, ModelHeld, RepositoryError
from engineroom.operate.apply import Options, apply
from engineroom.operate.control import controls
from engineroom.operate.plan import Request
from engineroom.repository.history import history
from engineroom.repository.journal import begin, held, pending
from engineroom.repository.layout import GOLDEN, MANIFEST, ModelFolder
from engineroom.repository.pbtxt.edit import edited
from engineroom.serve.server import ServerOptions, running

ENSEMBLE = """\
name: "both"  # old
platform: "ensemble"
max_batch_size: 4
input { name: "in" data_type: TYPE_FP32 dims: [8] }
output { name: "out" data_type: TYPE_FP32 dims: [8] }
ensemble_scheduling {
  step {
    model_name: "tiny"
    model_version: -1
    input_map { key: "x" value: "in" }
    output_map { key: "y" value: "out" }
  }
}
"""

DELAY = "dynamic_batching.max_queue_delay_microseconds"


def setting(model: ModelFolder, key: str, value: str) -> Request:
    """A request that changes one setting of the configuration that the server reads."""
    path = model.cpu_config
    return Request(
        "apply", lambda texts: {path: edited(texts[path], path, {key: value})}, by="first@host", why="a test"
    )


def test_a_setting_goes_live_and_everything_else_stays(floor) -> None:
    before = floor.model.cpu_config.read_text()
    done = apply(floor.model, setting(floor.model, DELAY, "300"), replace(floor.options, observe_s=0.2))
    assert floor.control.configuration("tiny").dynamic_batching.max_queue_delay_microseconds == 300
    after = floor.model.cpu_config.read_text()
    assert after == before.replace("  }\n}\n\ninput", "  }\n  max_queue_delay_microseconds: 300\n}\n\ninput")
    assert (done.number, done.outcome, done.by, done.why) == (1, "applied", "first@host", "a test")
    assert done.changes["configs/cpu.pbtxt"].before == before
    assert done.effect["after"].golden_p50_ms > 0
    # A request that comes alone waits for all of the delay.
    assert done.effect["after"].queue_us > 200
    assert done.effect["before"].seconds >= 0.2
    assert history(floor.model) == (done,)
    assert not pending(floor.model)


def test_instances_are_started_anew_as_after_a_restart(floor) -> None:
    with floor.control.client() as client:
        for _ in range(20):
            client.infer("tiny", {"x": np.ones((1, 8), np.float32)})
    apply(floor.model, setting(floor.model, "instance_group[0].count", "2"), floor.options)
    # What was changed in place would have kept its counts.
    assert floor.control.statistics("tiny")[3]["inference_count"] == 2


def test_an_error_is_refused_before_anything_happens(floor) -> None:
    before = floor.model.cpu_config.read_text()
    with pytest.raises(RepositoryError, match=r"the new configuration has 1 error, nothing was changed:\n.*cpu.pbtxt:"):
        apply(floor.model, setting(floor.model, "input[x].dims", "9"), floor.options)
    assert floor.model.cpu_config.read_text() == before
    assert history(floor.model) == ()


def test_an_edit_by_hand_that_fails_goes_back_to_what_was_served(floor, ask, spoiled) -> None:
    before = floor.model.cpu_config.read_text()
    by_hand = edited(before, floor.model.cpu_config, {"version_policy.specific.versions": str(spoiled)})
    floor.model.cpu_config.write_text(by_hand)
    with pytest.raises(ChangeTakenBack, match="failed in rehearsal; callers met nothing of it"):
        apply(floor.model, Request("apply"), floor.options)
    assert floor.model.cpu_config.read_text() == before
    (done,) = history(floor.model)
    assert done.outcome == "taken back"
    assert done.changes["configs/cpu.pbtxt"].after == by_hand
    assert ask() == 2


def test_without_a_rehearsal_a_wrong_answer_is_taken_back_after_loading(floor, ask, spoiled) -> None:
    before = floor.model.cpu_config.read_text()
    with pytest.raises(ChangeTakenBack, match=r"taken back, what was before stands again\. .*golden input wrongly"):
        apply(
            floor.model,
            setting(floor.model, "version_policy.specific.versions", str(spoiled)),
            replace(floor.options, rehearse=False),
        )
    assert floor.model.cpu_config.read_text() == before
    assert floor.control.versions("tiny") == (3,)
    assert ask() == 2


def test_what_triton_refuses_is_taken_back_with_its_reason(floor, ask) -> None:
    network = floor.model.version(3) / "model.xml"
    kept = network.read_bytes()
    network.write_bytes(b"<no network>")
    try:
        with pytest.raises(ChangeTakenBack, match=r"does not load it\. .*version 3.*model\.xml"):
            apply(floor.model, setting(floor.model, "instance_group[0].count", "2"), floor.options)
    finally:
        network.write_bytes(kept)
    assert ask() == 2
    assert floor.control.configuration("tiny").instance_group[0].count == 1


def test_callers_are_answered_throughout(floor) -> None:
    failures, answers, stop = [], [], threading.Event()

    def call() -> None:
        # A retry would hide what this looks for.
        with Client(str(floor.control), retry=RetryPolicy(attempts=1)) as client:
            while not stop.is_set():
                try:
                    answers.append(client.infer("tiny", {"x": np.ones((1, 8), np.float32)})["y"][0, 0])
                except EngineRoomError as error:
                    failures.append(error)

    callers = [threading.Thread(target=call) for _ in range(2)]
    [one.start() for one in callers]
    try:
        apply(floor.model, setting(floor.model, "instance_group[0].count", "2"), floor.options)
        apply(floor.model, setting(floor.model, "version_policy.specific.versions", "1"), floor.options)
    finally:
        stop.set()
        [one.join() for one in callers]
    assert failures == []
    assert len(answers) > 50
    assert set(map(float, answers)) == {2.0}


def test_of_two_operators_one_is_told(floor) -> None:
    with held(floor.model, "promote 2", "second@host"), pytest.raises(ModelHeld, match="second@host \\(promote 2"):
        apply(floor.model, setting(floor.model, DELAY, "300"), floor.options)
    assert history(floor.model) == ()


def test_a_change_that_was_left_in_the_middle_is_put_in_order_first(floor) -> None:
    before = floor.model.cpu_config.read_text()
    left = edited(before, floor.model.cpu_config, {DELAY: "777"})
    made = apply(floor.model, setting(floor.model, DELAY, "300"), floor.options)
    change = replace(made.changes["configs/cpu.pbtxt"], before=before, after=left)
    begin(floor.model, replace(made, outcome="taken back", changes={"configs/cpu.pbtxt": change}))
    floor.model.cpu_config.write_text(left)
    done = apply(floor.model, Request("apply", by="first@host"), floor.options)
    assert [one.outcome for one in history(floor.model)] == ["applied", "taken back", "applied"]
    assert "ended in the middle" in history(floor.model)[1].reason
    assert done.changes["configs/cpu.pbtxt"].after == before
    assert floor.control.configuration("tiny").dynamic_batching.max_queue_delay_microseconds == 0


def test_without_a_server_the_files_alone_are_changed(floor) -> None:
    done = apply(floor.model, setting(floor.model, DELAY, "300"), replace(floor.options, servers=()))
    assert done.outcome == "written"
    assert floor.control.configuration("tiny").dynamic_batching.max_queue_delay_microseconds == 0


def test_every_server_of_a_repository_is_changed_and_one_that_refuses_takes_all_back(floor) -> None:
    key = "--http-restricted-api=model-repository:admin-key=secret"
    with running(ServerOptions(floor.model.path.parent, arguments=(key,))) as second:
        first, other = controls(floor.model.path.parent, (), {})
        assert (first.http, other.http) == (floor.server.http, second.http)
        other = replace(other, headers={"admin-key": "secret"})
        done = apply(floor.model, setting(floor.model, DELAY, "200"), Options((first, other), observe_s=0))
        assert done.servers == (str(first), str(other))
        for one in (first, other):
            assert one.configuration("tiny").dynamic_batching.max_queue_delay_microseconds == 200
        locked_out = Options((first, replace(other, headers={})), observe_s=0, rehearse=False)
        with pytest.raises(ChangeTakenBack, match="taken back, what was before stands again"):
            apply(floor.model, setting(floor.model, DELAY, "900"), locked_out)
        for one in (first, other):
            assert one.configuration("tiny").dynamic_batching.max_queue_delay_microseconds == 200
        assert "200" in floor.model.cpu_config.read_text()


def test_an_ensemble_is_rehearsed_and_changed(floor) -> None:
    ensemble = ModelFolder(floor.model.path.parent / "both")
    ensemble.version(1).mkdir(parents=True)
    ensemble.config.write_text(ENSEMBLE)
    try:
        floor.control.load("both")
        change = Request("apply", lambda texts: {path: text.replace("# old", "# new") for path, text in texts.items()})
        done = apply(ensemble, change, floor.options)
        assert (done.outcome, done.unproven) == ("applied", (1,))
        assert "# new" in ensemble.config.read_text()
        broken = Request(
            "apply", lambda texts: {path: text.replace('"tiny"', '"nobody"') for path, text in texts.items()}
        )
        with pytest.raises(RepositoryError, match="nobody"):
            apply(ensemble, broken, floor.options)
    finally:
        floor.control.unload("both")
        shutil.rmtree(ensemble.path)


@pytest.fixture
def spoiled(floor) -> int:
    """A version whose golden answer is not what it answers."""
    folder = floor.model.version(2)
    kept = (folder / GOLDEN).read_bytes(), (folder / MANIFEST).read_bytes()
    with np.load(folder / GOLDEN) as arrays:
        wrong = {name: array + (name == "output.y") for name, array in arrays.items()}
    np.savez(folder / GOLDEN, **wrong)
    yield 2
    (folder / GOLDEN).write_bytes(kept[0])
    (folder / MANIFEST).write_bytes(kept[1])


def test_the_rehearsal_leaves_nothing_behind(floor) -> None:
    apply(floor.model, setting(floor.model, DELAY, "100"), floor.options)
    assert [path.name for path in floor.model.path.parent.iterdir()] == ["tiny"]
    assert floor.control.rehearsed(".rehearsal-") == ()
