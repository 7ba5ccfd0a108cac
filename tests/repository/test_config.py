"""Configurations: written through Triton's protobuf, then the operator's; a build checks that they still fit."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from engineroom import Axis, Recipe, Tensor
from engineroom.errors import RecipeError, RepositoryError
from engineroom.recipe import DTYPES
from engineroom.repository.config import config_from_file, cpu_config, gpu_config, missing_configs, text_from_config
from engineroom.repository.layout import ModelFolder

RECIPE = Recipe(
    name="tiny",
    module=lambda: None,
    inputs=(Tensor("image", "uint8", (4, 4, 3)), Tensor("ids", "int64", (Axis("tokens", 1, 8, 16),))),
    outputs=(Tensor("scores", "float32", (2,), labels=lambda: ["cat", "cup"]),),
    samples=list,
    batch=Axis("batch", 1, 8, 32),
)


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    return ModelFolder(tmp_path / "tiny")


def write(folder: ModelFolder, recipe: Recipe = RECIPE, *, overwrite: bool = False) -> list[str]:
    """Write what is missing, as a build does; the names of what was written."""
    missing = missing_configs(recipe, folder, overwrite=overwrite)
    for path, text in missing.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return [str(path.relative_to(folder.path)) for path in missing]


def test_nothing_is_written_by_looking_what_is_missing(folder: ModelFolder) -> None:
    assert missing_configs(RECIPE, folder)
    assert not folder.path.exists()


def test_two_configurations_and_a_label_file(folder: ModelFolder) -> None:
    assert write(folder) == ["config.pbtxt", "configs/cpu.pbtxt", "scores_labels.txt"]
    assert (folder.path / "scores_labels.txt").read_text() == "cat\ncup\n"
    assert write(folder) == []


def test_what_is_written_is_what_triton_reads(folder: ModelFolder) -> None:
    write(folder)
    for path, wanted in ((folder.config, gpu_config(RECIPE)), (folder.cpu_config, cpu_config(RECIPE))):
        assert text_format.Parse(path.read_text(), model_config_pb2.ModelConfig()) == wanted


def test_both_configurations_keep_one_contract() -> None:
    gpu, cpu = gpu_config(RECIPE), cpu_config(RECIPE)
    assert (gpu.platform, gpu.default_model_filename) == ("tensorrt_plan", "model.plan")
    assert (cpu.backend, cpu.default_model_filename) == ("openvino", "model.xml")
    assert (cpu.instance_group[0].count, cpu.instance_group[0].kind) == (
        2,
        model_config_pb2.ModelInstanceGroup.KIND_CPU,
    )
    for config in (gpu, cpu):
        assert (config.name, config.max_batch_size) == ("tiny", 32)
        assert config.HasField("dynamic_batching")
        assert [(one.name, list(one.dims)) for one in config.input] == [("image", [4, 4, 3]), ("ids", [-1])]
        assert config.output[0].label_filename == "scores_labels.txt"


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_of_a_recipe_is_one_of_tritons(dtype: str) -> None:
    recipe = replace(RECIPE, inputs=(Tensor("x", dtype, (1,)),))
    name = model_config_pb2.DataType.Name(gpu_config(recipe).input[0].data_type)
    assert name.removeprefix("TYPE_").replace("FP", "FLOAT") == dtype.upper()


def test_fields_of_an_operator_are_kept_in_the_text() -> None:
    config = gpu_config(RECIPE)
    config.parameters["threads"].string_value = "2"
    assert text_format.Parse(text_from_config(config, "# why\n"), model_config_pb2.ModelConfig()) == config


OPERATORS = """\
# Two copies were too many beside the other models.
name: "tiny"   platform: "tensorrt_plan"
max_batch_size: 16
dynamic_batching { max_queue_delay_microseconds: 500 }
input [ { name: "ids" data_type: TYPE_INT64 dims: [-1] }, { name: "image" data_type: TYPE_UINT8 dims: [4, 4, 3] } ]
output { name: "scores" data_type: TYPE_FP32 dims: 2 }
instance_group { count: 5 kind: KIND_GPU }
"""


def test_operators_configuration_stays_as_it_is_byte_by_byte(folder: ModelFolder) -> None:
    folder.path.mkdir()
    folder.config.write_text(OPERATORS)
    assert write(folder) == ["configs/cpu.pbtxt", "scores_labels.txt"]
    assert folder.config.read_text() == OPERATORS


def test_overwriting_replaces_it(folder: ModelFolder) -> None:
    folder.path.mkdir()
    folder.config.write_text(OPERATORS)
    assert "config.pbtxt" in write(folder, overwrite=True)
    assert config_from_file(folder.config) == gpu_config(RECIPE)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("TYPE_UINT8", "TYPE_FP32", r"its inputs are ids TYPE_INT64 \[-1\], image TYPE_FP32 \[4, 4, 3\], the recipe's"),
        ("dims: 2", "dims: 3", r"its outputs are scores TYPE_FP32 \[3\], the recipe's are scores TYPE_FP32 \[2\]"),
        ('"scores"', '"logits"', r"its outputs are logits .* Mend the file, or say --write-config"),
        ('name: "tiny"', 'name: "other"', "says name 'other', the folder and the recipe say 'tiny'. Mend the name"),
        ("max_batch_size: 16", "max_batch_size: 64", r"max_batch_size 64 is outside the 1\.\.32 that the recipe's"),
        ("max_batch_size: 16", "max_batch_size: 0", r"max_batch_size 0 is outside the 1\.\.32"),
        ("max_batch_size: 16", "max_batch_size: many", r"is not a Triton model configuration: 3:17 : .*Mend the line"),
        ("dynamic_batching", "dynamic_bathing", r"is not a Triton model configuration: 4:1 : .*delete the file"),
    ],
    ids=["dtype", "dims", "tensor's name", "model's name", "larger batch", "no batch", "no number", "unknown field"],
)
def test_configuration_that_does_not_fit_is_refused(folder: ModelFolder, old: str, new: str, message: str) -> None:
    folder.path.mkdir()
    folder.config.write_text(OPERATORS.replace(old, new, 1))
    with pytest.raises(RepositoryError, match=rf"tiny/config\.pbtxt: {message}"):
        missing_configs(RECIPE, folder)
    assert [path.name for path in folder.path.iterdir()] == ["config.pbtxt"]


def test_configuration_that_is_no_text_is_refused(folder: ModelFolder) -> None:
    folder.path.mkdir()
    folder.config.write_bytes(b"\xff\xfe")
    with pytest.raises(RepositoryError, match=r"config\.pbtxt: cannot be read: .*codec"):
        missing_configs(RECIPE, folder)


def labelled(labels: Any) -> Recipe:
    return replace(RECIPE, outputs=(Tensor("scores", "float32", (2,), labels=labels),))


def test_labels_that_changed_are_written_again(folder: ModelFolder) -> None:
    write(folder)
    assert write(folder, labelled(lambda: ["dog", "cup"])) == ["scores_labels.txt"]
    assert (folder.path / "scores_labels.txt").read_text() == "dog\ncup\n"


def test_labels_of_the_wrong_count_are_refused(folder: ModelFolder) -> None:
    with pytest.raises(RecipeError, match=r"tiny: output 'scores' has 2 classes, labels\(\) gave 3 names\. Give one"):
        missing_configs(labelled(lambda: ["a", "b", "c"]), folder)


def test_labels_that_cannot_be_loaded_are_refused(folder: ModelFolder) -> None:
    def labels() -> list[str]:
        return Path("/no/such/labels.txt").read_text().splitlines()

    with pytest.raises(RecipeError, match="tiny: the labels of output 'scores' cannot be loaded: FileNotFoundError"):
        missing_configs(labelled(labels), folder)
