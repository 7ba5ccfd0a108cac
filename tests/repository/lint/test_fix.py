"""Safe edits: what is meant stays, comments and order too, and what comes out has fewer findings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engineroom.repository.layout import ModelFolder
from engineroom.repository.lint.case import World
from engineroom.repository.lint.fix import fixed_text, fixed_texts
from engineroom.repository.lint.lint import lint_world

BROKEN = """\
# ours
name: digitz  # since May
backend: "openvno"
max_batchsize: "4"
input { name: "x" data_type: FP32 dims: [-1, 8] }
output { name: "Y" data_type: TYPE_FP16 dims: [8] }
dynamic_batching { max_queue_delay_ms: 5 preferred_batch_size: [8] }
backend: "openvno"
metric_tags { key: "my-team" value: "a" }
"""

MENDED = """\
# ours
name: "tiny"  # since May
backend: "openvino"
max_batch_size: 4
input { name: "x" data_type: TYPE_FP32 dims: [8] }
output { name: "y" data_type: TYPE_FP32 dims: [8] }
dynamic_batching { max_queue_delay_microseconds: 5000 preferred_batch_size: [8] }

metric_tags { key: "my_team" value: "a" }
"""


@pytest.fixture
def model(lay_out: Callable[..., ModelFolder], tmp_path: Path) -> ModelFolder:
    return lay_out(tmp_path, "tiny", BROKEN)


def test_slips_are_mended_and_decisions_are_left(model: ModelFolder) -> None:
    assert fixed_texts(World(model)) == {model.cpu_config: (BROKEN, MENDED)}


def test_what_is_left_needs_its_author(model: ModelFolder) -> None:
    found = lint_world(World(model, texts={model.cpu_config: MENDED}))
    assert {one.code for one in found if one.severity == "error"} == {"ER404"}
    assert [one.code for one in found if one.edits] == []


def test_mended_text_stays_as_it_is(model: ModelFolder) -> None:
    model.cpu_config.write_text(MENDED)
    assert fixed_texts(World(model)) == {}


def test_every_case_has_no_more_errors_after(
    rule_case: Any, lay_out: Callable[..., ModelFolder], tmp_path: Path
) -> None:
    model = lay_out(tmp_path, "tiny", rule_case.broken, rule_case.files)
    world = World(model)
    (path, *_) = model.configs
    before = [one for one in lint_world(world) if one.severity == "error"]
    text = fixed_text(path.read_text(), path, world)
    after = [one for one in lint_world(World(model, texts={path: text})) if one.severity == "error"]
    assert len(after) <= len(before)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_file_in_another_encoding_is_written_anew(model: ModelFolder, encoding: str) -> None:
    model.cpu_config.write_bytes(MENDED.encode(encoding))
    assert fixed_texts(World(model)) == {model.cpu_config: (MENDED, MENDED)}


def test_file_in_an_unknown_encoding_is_left(model: ModelFolder) -> None:
    model.cpu_config.write_bytes(f"# caf\xe9\n{BROKEN}".encode("latin-1"))
    assert fixed_texts(World(model)) == {}


def test_windows_line_endings_stay(model: ModelFolder) -> None:
    model.cpu_config.write_bytes(BROKEN.replace("\n", "\r\n").encode())
    ((_, after),) = fixed_texts(World(model)).values()
    assert after.count("\r\n") == after.count("\n") == MENDED.count("\n")
