"""A configuration explained, and two compared."""

import json
import shutil
from pathlib import Path

import pytest

from engineroom.errors import RepositoryError
from engineroom.repository.explain.comparison import Side, comparison
from engineroom.repository.explain.explanation import explain
from engineroom.repository.explain.sides import other_word, side_from_word, text_after
from engineroom.repository.history import Change, add, record
from engineroom.repository.layout import ModelFolder, Repository

EVERYTHING = """# every kind of setting
backend: "openvino"
max_batch_size: 4
dynamic_batching {
  preferred_batch_size: [2, 4]
  max_queue_delay_microseconds: 500
  default_queue_policy { max_queue_size: 16 timeout_action: REJECT }
}
input { name: "x" data_type: TYPE_FP32 dims: [8] }
output [ { name: "y" data_type: TYPE_FP32 dims: [8] } ]
instance_group [ { count: 1 kind: KIND_CPU }, { count: 2 kind: KIND_CPU } ]
parameters { key: "HINT_BF16" value { string_value: "NO" } }
parameters [ { key: "mine" value: { string_value: "1" } } ]
version_policy { specific { versions: [1] } }
response_cache { enable: true }
optimization { cuda { graphs: true } }
metric_tags { key: "team" value: "vision" }
"""


@pytest.fixture(scope="module")
def published(publish_tiny, tmp_path_factory):
    repository = tmp_path_factory.mktemp("explained")
    publish_tiny(repository, on_cpu=True)
    return publish_tiny(repository, on_cpu=True)


@pytest.fixture
def model(published, tmp_path):
    return ModelFolder(Path(shutil.copytree(published.path, tmp_path / "models" / "tiny")))


def test_every_setting_has_its_line_and_a_sentence_of_this_model(model):
    model.cpu_config.write_text(EVERYTHING)
    found = {setting.path: setting for setting in explain(model, model.cpu_config, p99_ms=50.0).set}
    lines = {path: setting.line for path, setting in found.items()}
    assert lines["max_batch_size"] == 3
    assert lines["dynamic_batching.max_queue_delay_microseconds"] == 6
    assert lines["output[y]"] == 10
    assert lines["instance_group[0]"] == lines["instance_group[1]"] == 11
    assert lines["parameters[mine]"] == 13
    assert all(setting.does for setting in found.values())
    assert "32 bytes in and 32 bytes out for each, 256 bytes for 4 rows" in found["max_batch_size"].does
    assert "at most 500 us until 4 rows" in found["dynamic_batching.max_queue_delay_microseconds"].does
    assert "1% of the 50 ms" in found["dynamic_batching.max_queue_delay_microseconds"].does
    assert found["version_policy"].does == "Of the versions 1, 2 Triton serves 1."
    assert "does not read it" in found["parameters[mine]"].does


@pytest.mark.parametrize(("ragged", "said"), [("", "never share"), ("allow_ragged_batch: true", "may share")])
def test_sizes_that_vary_say_who_shares_a_batch(model, ragged, said):
    text = model.cpu_config.read_text().replace("dims: [8] }", f"dims: [-1] {ragged} }}", 1)
    model.cpu_config.write_text(f"{text}dynamic_batching {{ }}\n")
    found = {setting.path: setting.does for setting in explain(model, model.cpu_config).set}
    assert f"Requests of different sizes {said} a batch." in found["input[x]"]
    assert "share" not in found["output[y]"]


RARE = """
sequence_batching { oldest { max_candidate_sequences: 4 } }
model_warmup { name: "warm" batch_size: 2 inputs { key: "x" value { data_type: TYPE_FP32 dims: 8 zero_data: true } } }
ensemble_scheduling { step [ { model_name: "digits" model_version: -1 input_map { key: "x" value: "y" } } ] }
from_the_future { count: 3 }
"""


def test_rare_settings_are_said_once_each_and_unknown_ones_are_told(model):
    lines = [line for line in RARE.splitlines() if line]
    found = []
    for line in lines:
        model.cpu_config.write_text(f'backend: "openvino"\nmax_batch_size: 4\n{line}\n')
        found += [(one.path, one.does) for one in explain(model, model.cpu_config).set if one.line == 3]
    said = dict(found)
    assert list(said) == [
        "sequence_batching",
        "model_warmup[warm]",
        "ensemble_scheduling.step[digits]",
        "from_the_future",
    ]
    assert "answers this 1 time" in said["model_warmup[warm]"]
    assert said["ensemble_scheduling.step[digits]"].startswith(
        "Calls digits, the newest version it serves: takes x = y"
    )
    assert "newer Triton" in said["from_the_future"]


def test_what_is_not_set_is_said_with_what_triton_does(model):
    found = {setting.path: setting.does for setting in explain(model, model.cpu_config).unset}
    assert found["dynamic_batching"] == "Every request runs alone, however many wait."
    assert found["version_policy"] == "The latest one. Of the versions 1, 2 Triton serves 2."
    assert "instance_group" in found


def test_prospects_leave_the_configuration_alone_and_are_foreseen(model):
    explanation = explain(model, model.cpu_config)
    assert {"dynamic_batching", "max_batch_size"} <= {change.path for change in explanation.changes}
    assert json.loads(json.dumps(explanation.to_dict()))["memory"]["total_bytes"] > 0


def test_a_model_without_versions_or_passport_is_explained_with_less(tmp_path, model):
    (model.version(2) / "manifest.json").unlink()
    assert explain(model, model.cpu_config).set
    assert explain(type(model)(tmp_path / "elsewhere"), model.cpu_config).memory.total_bytes is None


def test_a_broken_configuration_is_told_with_its_line(model):
    model.cpu_config.write_text("max_batch_size: 4\ninstance_group { count: }\n")
    with pytest.raises(RepositoryError, match="2:"):
        explain(model, model.cpu_config)


def test_two_texts_are_compared(base):
    found = comparison(Side("old", base), Side("new", base.replace("count: 1", "count: 2")))
    assert "-instance_group { count: 1 kind: KIND_CPU }" in found.diff
    assert (found.needs, found.memory_bytes) == ("update", None)
    assert found.summary == "1 change, together they need an update in place, callers notice nothing"


@pytest.mark.parametrize(
    ("edit", "summary"),
    [("", "the same text: nothing to do"), ("# why\n", "comments and layout alone differ: nothing to do")],
    ids=["same", "comment"],
)
def test_nothing_to_do_is_said(base, edit, summary):
    found = comparison(Side("old", base), Side("new", edit + base))
    assert (found.summary, found.needs, found.memory_bytes) == (summary, "nothing", 0)


def test_words_name_files_models_variants_and_moments(model, tmp_path):
    repository = Repository(model.path.parent)
    add(model, record("apply", "applied", changes={"configs/cpu.pbtxt": Change("first", "second")}))
    add(model, record("apply", "taken back", changes={"configs/cpu.pbtxt": Change("second", "never")}))
    (tmp_path / "other.pbtxt").write_text("elsewhere")
    words = {
        "tiny@0": "first",
        "tiny@1": "second",
        "tiny@2:cpu": "second",
        "tiny:gpu": model.config.read_text(),
        str(tmp_path / "other.pbtxt"): "elsewhere",
        str(model.cpu_config): model.cpu_config.read_text(),
    }
    assert {word: side_from_word(word, repository, "cpu")[0].text for word in words} == words
    assert side_from_word(str(model.cpu_config), repository, "cpu")[1].name == "tiny"


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("nobody", "neither a file nor a model"),
        ("tiny:tpu", "It has: gpu, cpu"),
        ("tiny@7", "has 0 changes, there is no 7"),
        ("a/b", "neither a file nor a model"),
    ],
)
def test_wrong_words_are_told_what_there_is(model, word, told):
    with pytest.raises(RepositoryError, match=told):
        side_from_word(word, Repository(model.path.parent), "cpu")


def test_a_file_that_came_later_was_not_there(model):
    add(model, record("apply", "applied", changes={"configs/cpu.pbtxt": Change(None, "first")}))
    with pytest.raises(RepositoryError, match="was not there after change 0"):
        text_after(model, model.cpu_config, 0)


def test_one_word_is_compared_with_what_belongs_to_it():
    assert other_word("tiny", "cpu") == ("tiny:gpu", "tiny:cpu")
    assert other_word("tiny@3", "cpu") == ("tiny@3", "tiny:cpu")
    with pytest.raises(RepositoryError, match="say what to compare it with"):
        other_word("tiny:gpu", "cpu")
