"""What explain foretells of a change is what the embedded Triton does with it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
import pytest

from engineroom.client import Client
from engineroom.errors import EngineRoomError
from engineroom.repository.config import config_from_text
from engineroom.repository.explain.effects import changes
from engineroom.repository.explain.facts import cores, facts_from_folder
from engineroom.repository.explain.outlook import Change, most
from engineroom.repository.files import write_atomically
from engineroom.repository.layout import ModelFolder
from engineroom.serve.server import Server, ServerOptions, running

BASE = """
name: "tiny"
backend: "openvino"
max_batch_size: 4
dynamic_batching { }
input { name: "x" data_type: TYPE_FP32 dims: [8] }
output { name: "y" data_type: TYPE_FP32 dims: [8] }
instance_group { count: 1 kind: KIND_CPU }
"""

WARM_ROWS = 4
"""Triton warms up with one request a row, and counts them."""

WARM = f"""
model_warmup {{
  name: "warm" batch_size: {WARM_ROWS}
  inputs {{ key: "x" value {{ data_type: TYPE_FP32 dims: 8 zero_data: true }} }}
}}
"""
QUEUE = "default_queue_policy { timeout_action: REJECT default_timeout_microseconds: 60000 max_queue_size: 16 }"

X = np.ones((2, 8), np.float32)


@dataclass(frozen=True)
class Tiny:
    """A served model, and what its server does when its configuration changes."""

    server: Server
    model: ModelFolder

    def load(self, text: str) -> bool:
        """Write a configuration and load it; whether Triton took it."""
        write_atomically(self.model.cpu_config, text)
        return self.ask("/v2/repository/models/tiny/load")[0] == HTTPStatus.OK

    def is_right(self) -> bool:
        """Whether two rows are answered as they should be."""
        with Client(f"http://{self.server.http}") as client:
            try:
                return np.array_equal(client.infer("tiny", {"x": X}, timeout_s=20)["y"], 2 * X)
            except EngineRoomError:
                return False

    def answered(self) -> int:
        """Requests that version 2 counts; a load that makes the model anew counts from 0."""
        stats = json.loads(self.ask("/v2/models/tiny/versions/2/stats", "GET")[1])
        return int(stats["model_stats"][0]["inference_stats"]["success"]["count"])

    def ask(self, path: str, method: str = "POST") -> tuple[int, bytes]:
        connection = HTTPConnection(self.server.http, timeout=30)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def foretold(self, text: str) -> tuple[Change, ...]:
        """What explain says of the way from what is served to a text."""
        path = self.model.cpu_config
        before, after = (config_from_text(one, path) for one in (path.read_text(encoding="utf-8"), text))
        return changes(before, after, facts=facts_from_folder(self.model))


@pytest.fixture(scope="module")
def tiny(server_installation: object, publish_tiny, tmp_path_factory) -> Iterator[Tiny]:
    repository: Path = tmp_path_factory.mktemp("explained")
    publish_tiny(repository, on_cpu=True)
    model = publish_tiny(repository, on_cpu=True)
    model.cpu_config.write_text(BASE)
    with running(ServerOptions(repository, ("tiny",), drain_s=0)) as server:
        yield Tiny(server, model)


IN_PLACE = {
    "more instances": ("count: 1", "count: 2"),
    "two groups instead of one": ("", "instance_group { count: 1 kind: KIND_CPU }"),
    "an instance's name": ("count: 1", 'name: "one" count: 1'),
    "a group that says nothing": ("count: 1 kind: KIND_CPU", ""),
    "all versions": ("", "version_policy { all { } }"),
}

RELOADED = {
    "queue delay": ("dynamic_batching { }", "dynamic_batching { max_queue_delay_microseconds: 100 }"),
    "limits of the queue": ("dynamic_batching { }", f"dynamic_batching {{ {QUEUE} }}"),
    "no batching, more instances": ("dynamic_batching { }", "", "count: 1", "count: 2"),
    "a smaller largest batch": ("max_batch_size: 4", "max_batch_size: 2"),
    "a largest batch that nothing proves": ("max_batch_size: 4", "max_batch_size: 16"),
    "a parameter": ("", 'parameters { key: "HINT_BF16" value { string_value: "NO" } }'),
    "warm-up": ("", WARM),
    "response cache": ("", "response_cache { enable: true }"),
    "a file that is not there": ("", 'default_model_filename: "other.xml"'),
    "no batch axis": ("max_batch_size: 4", ""),
    "sizes that the model lacks": ('"x" data_type: TYPE_FP32 dims: [8]', '"x" data_type: TYPE_FP32 dims: [4]'),
    "sequences": ("dynamic_batching { }", "sequence_batching { }"),
    "streams of answers": ("", "model_transaction_policy { decoupled: true }"),
}

REFUSED = {
    "preferred size above the largest": ("dynamic_batching { }", "dynamic_batching { preferred_batch_size: 8 }"),
    "preferred size above a smaller largest": (
        "size: 4",
        "size: 1",
        "batching { }",
        "batching { preferred_batch_size: 2 }",
    ),
    "levels without a default": ("dynamic_batching { }", "dynamic_batching { priority_levels: 2 }"),
    "another name": ('name: "tiny"', 'name: "other"'),
    "a name that the model lacks": ('name: "y"', 'name: "z"'),
    "another element type": ('"y" data_type: TYPE_FP32', '"y" data_type: TYPE_FP16'),
    "an input that the model lacks": ("", 'input { name: "k" data_type: TYPE_FP32 dims: 1 }'),
    "a version that is not there": ("", "version_policy { specific { versions: 9 } }"),
    "a GPU where there is none": ("KIND_CPU", "KIND_GPU"),
    "labels that are not there": ('name: "y"', 'name: "y" label_filename: "none.txt"'),
    "threads that are no number": ("", 'parameters { key: "INFERENCE_NUM_THREADS" value { string_value: "many" } }'),
}


def edited(edits: tuple[str, ...]) -> str:
    text = BASE
    for old, new in zip(edits[::2], edits[1::2], strict=True):
        assert old in text
        text = text.replace(old, new) if old else f"{text}{new}\n"
    return text


@pytest.mark.parametrize("edits", REFUSED.values(), ids=REFUSED)
def test_what_is_foretold_to_be_refused_is_refused(tiny: Tiny, edits: tuple[str, ...]) -> None:
    foretold = tiny.foretold(edited(edits))
    assert [change for change in foretold if not change.loads]
    assert not tiny.load(edited(edits))
    assert tiny.is_right(), "what was served before no longer is"
    assert tiny.load(BASE)


@pytest.mark.parametrize("edits", IN_PLACE.values(), ids=IN_PLACE)
def test_what_is_foretold_to_happen_in_place_keeps_the_model(tiny: Tiny, edits: tuple[str, ...]) -> None:
    assert tiny.load(BASE)
    assert tiny.is_right()
    answered = tiny.answered()
    foretold = tiny.foretold(edited(edits))
    assert most(tuple(change.needs for change in foretold)) == "update"
    assert tiny.load(edited(edits))
    assert tiny.answered() == answered > 0
    assert tiny.is_right()


def test_instances_added_in_place_have_the_threads_of_the_last_full_load(tiny: Tiny) -> None:
    assert tiny.load(BASE)
    assert tiny.load(BASE.replace("count: 1", "count: 2"))
    said = re.findall(r"tiny_0_1: {'INFERENCE_NUM_THREADS': '(\d+)'", tiny.server.log.read_text(encoding="utf-8"))
    assert int(said[-1]) == cores()


@pytest.mark.parametrize("edits", RELOADED.values(), ids=RELOADED)
def test_what_is_foretold_to_load_anew_loads_anew(tiny: Tiny, edits: tuple[str, ...]) -> None:
    assert tiny.is_right() or tiny.load(BASE)
    assert all(tiny.is_right() for _ in range(WARM_ROWS + 1))
    answered = tiny.answered()
    foretold = tiny.foretold(edited(edits))
    assert most(tuple(change.needs for change in foretold)) in {"reload", "rebuild"}
    assert all(change.loads for change in foretold)
    assert tiny.load(edited(edits))
    assert tiny.answered() < answered
    assert tiny.is_right() or [change for change in foretold if change.callers], "callers were not warned"


def test_a_comment_is_no_change_and_loads_nothing(tiny: Tiny) -> None:
    assert tiny.load(BASE)
    assert tiny.is_right()
    answered = tiny.answered()
    assert tiny.foretold(f"# a comment\n{BASE}") == ()
    assert tiny.load(f"# a comment\n{BASE}")
    assert tiny.answered() == answered > 0
