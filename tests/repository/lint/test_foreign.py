"""Models that engineroom did not build: an ONNX file tells what a manifest would; and sizes that vary."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engineroom.repository.layout import GOLDEN, MANIFEST, ModelFolder
from engineroom.repository.lint.case import World
from engineroom.repository.lint.lint import lint_world
from engineroom.repository.passport import Passport, Profile

TEXT = """\
backend: "onnxruntime"
max_batch_size: 8
input { name: "ids" data_type: TYPE_INT64 dims: [-1] }
output { name: "y" data_type: TYPE_INT64 dims: [-1] }
dynamic_batching { }
"""


@pytest.fixture
def model(tmp_path: Path) -> ModelFolder:
    model = ModelFolder(tmp_path / "foreign")
    model.version(1).mkdir(parents=True)
    model.config.write_text(TEXT)
    return model


def write_graph(model: ModelFolder, batch: Any) -> None:
    import onnx
    from onnx import TensorProto, helper

    ids, y = (helper.make_tensor_value_info(name, TensorProto.INT64, [batch, "length"]) for name in ("ids", "y"))
    graph = helper.make_graph([helper.make_node("Identity", ["ids"], ["y"])], "foreign", [ids], [y])
    onnx.save(helper.make_model(graph), model.version(1) / "model.onnx")


def codes(model: ModelFolder, text: str = TEXT) -> set[str]:
    found = lint_world(World(model, texts={model.config: text}))
    return {one.code for one in found if one.severity != "note"}


def test_graph_that_fits(model: ModelFolder) -> None:
    write_graph(model, "batch")
    assert codes(model) == set()


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('"ids"', '"input_ids"', "ER321"),
        ("INT64", "FP32", "ER323"),
        ("[-1]", "[-1, -1]", "ER324"),
        ("[-1]", "[3, 3, 3]", "ER325"),
    ],
)
def test_graph_that_does_not(model: ModelFolder, old: str, new: str, code: str) -> None:
    write_graph(model, "batch")
    assert code in codes(model, TEXT.replace(old, new))


def test_graph_with_one_batch_size(model: ModelFolder) -> None:
    write_graph(model, 1)
    assert codes(model) == {"ER327"}
    assert "ER327" not in codes(model, TEXT.replace("max_batch_size: 8\n", "").replace("[-1]", "[1, -1]"))


def test_file_that_is_no_graph(model: ModelFolder) -> None:
    (model.version(1) / "model.onnx").write_bytes(b"no graph")
    assert codes(model) == set()


def test_without_the_package_it_is_said(model: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    write_graph(model, "batch")
    monkeypatch.setattr("engineroom.repository.lint.case.find_spec", lambda name: None)
    found = lint_world(World(model, texts={model.config: TEXT.replace("INT64", "FP32")}))
    assert [(one.code, one.severity) for one in found if one.code in ("ER323", "ER330")] == [("ER330", "note")]
    assert importlib.util.find_spec("onnx")


@pytest.mark.parametrize(("size", "said"), [("64", False), ("-1", False), ("500", True)])
def test_size_outside_the_profile(model: ModelFolder, size: str, said: bool) -> None:
    version = model.version(1)
    (version / "model.onnx").write_bytes(b"")
    np.savez(version / GOLDEN, **{"input.ids": np.zeros((2, 9), np.int64), "output.y": np.zeros((2, 9), np.int64)})
    profile = Profile("fp32", {"ids": ((1, 1), (4, 32), (8, 128))})
    (version / MANIFEST).write_text(Passport("foreign", "", "", "", profile, {}, {}, {}, ()).to_json())
    assert ("ER326" in codes(model, TEXT.replace("[-1]", f"[{size}]", 1))) == said
