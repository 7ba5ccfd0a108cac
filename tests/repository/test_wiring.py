"""Edits of `config.pbtxt`: what Triton's protobuf reads afterwards, and that the operator's text survives."""

from pathlib import Path

import pytest

from engineroom.errors import RepositoryError
from engineroom.repository.config import config_from_text
from engineroom.repository.layout import GRAPH, ModelFolder
from engineroom.repository.passport import Artefact
from engineroom.repository.wiring import (
    ON_ONNX_RUNTIME,
    ON_TENSORRT,
    engine_name,
    entry,
    for_onnx_runtime,
    for_tensorrt,
    key_from_capability,
    rewire,
    wire,
    with_engine,
)

HERE = Path("config.pbtxt")
TEXT = """\
# three, measured on the L4
name: "tiny"
max_batch_size: 4  # platform: "tensorrt_plan" came with its limit
platform: "tensorrt_plan"  # since May
default_model_filename: "model.plan"
instance_group { count: 3 kind: KIND_GPU }
"""
H200 = 'cc_model_filenames { key: "9.0" value: "model.sm90.plan" }\n'


@pytest.mark.parametrize(
    ("capability", "key", "file"),
    [("sm75", "7.5", "model.sm75.plan"), ("sm90", "9.0", "model.sm90.plan"), ("sm120", "12.0", "model.sm120.plan")],
)
def test_engine_is_named_and_looked_up_by_compute_capability(capability: str, key: str, file: str) -> None:
    assert (key_from_capability(capability), engine_name(capability)) == (key, file)


def test_engine_of_an_unknown_gpu_is_the_default_one() -> None:
    assert engine_name("") == "model.plan"


def test_entry_is_appended_and_everything_else_stays() -> None:
    edited, note = with_engine(TEXT, HERE, "model.sm90.plan", "sm90")
    assert edited == TEXT + H200
    assert note == f"config.pbtxt: + {H200.strip()}"
    assert dict(config_from_text(edited, HERE).cc_model_filenames) == {"9.0": "model.sm90.plan"}


def test_engines_for_several_gpus_stand_side_by_side() -> None:
    text = TEXT
    for capability in ("sm90", "sm89", "sm120", "sm90"):
        text, _ = with_engine(text, HERE, engine_name(capability), capability)
    assert dict(config_from_text(text, HERE).cc_model_filenames) == {
        "9.0": "model.sm90.plan", "8.9": "model.sm89.plan", "12.0": "model.sm120.plan",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        TEXT.rstrip("\n"),
        TEXT + "# the end",
        TEXT + 'cc_model_filenames [{ key: "8.9" value: "x.plan" }]\n',
        "future: 1",
    ],
    ids=["no last line break", "comment at the end", "a list", "field of a newer Triton"],
)
def test_every_form_of_text_can_be_added_to(text: str) -> None:
    text = text if "name" in text else f'platform: "tensorrt_plan"\n{text}'
    edited, _ = with_engine(text, HERE, "model.sm90.plan", "sm90")
    assert edited.startswith(text)
    assert config_from_text(edited, HERE, unknown=True).cc_model_filenames["9.0"] == "model.sm90.plan"


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda text: text + H200, ""),
        (lambda text: text.replace("model.plan", "model.sm90.plan"), ""),
        (
            lambda text: text + H200.replace("model.sm90", "mine"),
            "config.pbtxt names mine.plan for compute capability 9.0, so model.sm90.plan is not served",
        ),
        (
            lambda text: text.replace("model.plan", "mine.plan"),
            "config.pbtxt names mine.plan for every GPU, so model.sm90.plan is not served. To serve it, add: "
            + H200.strip(),
        ),
        (
            lambda text: text.replace('platform: "tensorrt_plan"  ', 'backend: "python"  '),
            "config.pbtxt gives the model to 'python', so model.sm90.plan is not served",
        ),
    ],
    ids=["named", "the default", "own entry", "own default", "own backend"],
)
def test_what_the_operator_has_decided_is_left_and_reported(change: object, note: str) -> None:
    assert callable(change)
    text = change(TEXT)
    assert with_engine(text, HERE, "model.sm90.plan", "sm90") == (text, note)


@pytest.mark.parametrize(
    ("refused", "takes", "back"),
    [
        ("tensorrt", {"tensorrt"}, True),
        ("tensorrt-rtx", {"tensorrt-rtx"}, True),
        ("tensorrt-rtx", {"tensorrt"}, True),
        ("tensorrt", {"tensorrt-rtx"}, False),
        ("tensorrt", set(), False),
    ],
)
def test_backend_goes_back_when_the_tensorrt_that_refused_takes_the_model(
    refused: str, takes: set[str], back: bool
) -> None:
    edited = for_onnx_runtime(TEXT, HERE, refused)
    assert for_tensorrt(edited, HERE, takes) == (TEXT if back else edited)


@pytest.mark.parametrize("end", ["\n", "", "\n# the end"], ids=["line", "no line break", "comment"])
def test_backend_goes_to_onnx_runtime_and_back(end: str) -> None:
    text = TEXT.rstrip("\n") + end
    edited = for_onnx_runtime(text, HERE, "tensorrt")
    assert edited == text.replace(f"\n{ON_TENSORRT}", f"\n{ON_ONNX_RUNTIME.format(kind='tensorrt')}").replace(
        "model.plan", GRAPH
    )
    config = config_from_text(edited, HERE)
    assert (config.platform, config.backend, config.default_model_filename) == ("", "onnxruntime", GRAPH)
    assert config.instance_group[0].count == 3
    assert for_onnx_runtime(edited, HERE, "tensorrt") == edited
    assert for_tensorrt(edited, HERE, {"tensorrt"}) == text


def test_onnx_runtime_is_given_no_engine() -> None:
    """Triton applies `cc_model_filenames` to every backend, so that one would read a plan as a graph."""
    edited = for_onnx_runtime(TEXT + H200 + H200.replace("90", "89").replace("9.0", "8.9"), HERE, "tensorrt")
    assert edited == for_onnx_runtime(TEXT, HERE, "tensorrt")


def test_missing_file_name_is_added_below_the_backend() -> None:
    text = TEXT.replace('default_model_filename: "model.plan"\n', "")
    edited = for_onnx_runtime(text, HERE, "tensorrt")
    assert config_from_text(edited, HERE).default_model_filename == GRAPH
    assert for_tensorrt(edited, HERE, {"tensorrt"}) == text.replace(
        "since May", 'since May\ndefault_model_filename: "model.plan"'
    )


def test_backend_that_names_tensorrt_is_replaced_too() -> None:
    edited = for_onnx_runtime(TEXT.replace('platform: "tensorrt_plan"  ', 'backend: "tensorrt"  '), HERE, "tensorrt")
    assert config_from_text(edited, HERE).backend == "onnxruntime"


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace('platform: "tensorrt_plan"  ', 'backend: "python"  '),
        TEXT.replace('platform: "tensorrt_plan"  ', 'backend: "onnxruntime"  ').replace("model.plan", GRAPH),
    ],
    ids=["python", "ONNX Runtime, by the operator"],
)
def test_backend_that_no_build_chose_is_left(text: str) -> None:
    assert for_onnx_runtime(text, HERE, "tensorrt") == text
    assert for_tensorrt(text, HERE, {"tensorrt"}) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            TEXT.replace("model.plan", "mine.plan"),
            r"config\.pbtxt: names mine\.plan, which is not a build's to replace",
        ),
        (TEXT + H200.replace("model.sm90", "mine"), r"config\.pbtxt: names mine\.plan, which is not a build's"),
        (
            TEXT.replace('"tensorrt_plan"  # since', '"tensor"\n"rt_plan"  # since'),
            r"is written in a way that engineroom does not edit\. By hand, write backend: \"onnxruntime\"",
        ),
        ("nonsense", "is not a Triton model configuration"),
    ],
    ids=["own file", "own engine", "cut string", "no configuration"],
)
def test_what_cannot_be_edited_safely_says_what_to_write(text: str, message: str) -> None:
    with pytest.raises(RepositoryError, match=message):
        for_onnx_runtime(text, HERE, "tensorrt")


@pytest.fixture
def model(tmp_path: Path) -> ModelFolder:
    folder = ModelFolder(tmp_path / "tiny")
    folder.path.mkdir()
    folder.config.write_text(TEXT)
    return folder


def test_file_is_written_once(model: ModelFolder) -> None:
    assert wire(model, "model.sm90.plan", "sm90") == f"config.pbtxt: + {entry('model.sm90.plan', 'sm90')}"
    assert model.config.read_text() == TEXT + H200
    before = model.config.stat().st_mtime_ns
    assert wire(model, "model.sm90.plan", "sm90") == ""
    assert model.config.stat().st_mtime_ns == before


def test_engine_of_an_unknown_gpu_needs_no_entry(model: ModelFolder) -> None:
    assert wire(model, "model.plan", "") == ""
    assert model.config.read_text() == TEXT


def test_link_stays_a_link(model: ModelFolder) -> None:
    model.config.rename(model.path / "real.pbtxt")
    model.config.symlink_to("real.pbtxt")
    wire(model, "model.sm90.plan", "sm90")
    assert model.config.is_symlink()
    assert (model.path / "real.pbtxt").read_text() == TEXT + H200


def test_model_without_a_configuration_says_what_to_do(model: ModelFolder) -> None:
    model.config.unlink()
    assert wire(model, "model.sm90.plan", "sm90").endswith("to name model.sm90.plan in. Run: engineroom build tiny")


def test_configuration_that_cannot_be_read_is_an_error(model: ModelFolder) -> None:
    model.config.write_bytes(b"\xff")
    with pytest.raises(RepositoryError, match=r"config\.pbtxt: cannot be read"):
        wire(model, "model.sm90.plan", "sm90")


ENGINES = tuple(
    Artefact(engine_name(sm), "tensorrt", 4, "", "tensorrt 11.4", 0.1, device=f"X, compute capability {key}")
    for sm, key in (("sm90", "9.0"), ("sm89", "8.9"))
)
RTX = Artefact("model.rtx-sm89.plan", "tensorrt-rtx:sm89", 4, "", "tensorrt_rtx 1.7", 0.1)
IR = Artefact("model.xml", "openvino", 4, "", "openvino 2026.4.1", 0.1)


def graph_instead_of(*targets: str) -> Artefact:
    return Artefact(GRAPH, "onnxruntime", 4, "", "onnxruntime 1.27", 0.1, instead_of=dict.fromkeys(targets, "no DFT"))


def test_every_engine_of_a_version_is_named_and_the_change_is_shown(model: ModelFolder) -> None:
    assert rewire(model, (IR, *ENGINES, RTX)).splitlines() == [
        "--- config.pbtxt",
        "+++ config.pbtxt",
        '+cc_model_filenames { key: "9.0" value: "model.sm90.plan" }',
        '+cc_model_filenames { key: "8.9" value: "model.sm89.plan" }',
    ]
    assert rewire(model, (IR, *ENGINES, RTX)) == ""


def test_refused_model_is_given_to_onnx_runtime_and_back(model: ModelFolder) -> None:
    shown = rewire(model, (IR, graph_instead_of("tensorrt-rtx:sm89", "tensorrt-rtx:sm80")))
    assert shown.splitlines() == [
        "--- config.pbtxt",
        "+++ config.pbtxt",
        '-platform: "tensorrt_plan"  # since May',
        '-default_model_filename: "model.plan"',
        '+backend: "onnxruntime"  # tensorrt-rtx refuses the model: --fallback onnxruntime  # since May',
        '+default_model_filename: "model.graph.onnx"',
    ]
    assert rewire(model, (IR,)) == ""
    assert rewire(model, (IR, RTX)).splitlines()[2].startswith('-backend: "onnxruntime"')
    assert model.config.read_text() == TEXT


def test_one_engine_is_enough_to_stay_with_tensorrt(model: ModelFolder) -> None:
    assert rewire(model, (RTX, graph_instead_of("tensorrt-rtx:sm75"))) == ""
    assert model.config.read_text() == TEXT


def test_engine_that_the_operator_does_not_serve_is_told(model: ModelFolder) -> None:
    model.config.write_text(TEXT.replace('platform: "tensorrt_plan"  ', 'backend: "python"  '))
    assert rewire(model, ENGINES[:1]) == "config.pbtxt gives the model to 'python', so model.sm90.plan is not served"
