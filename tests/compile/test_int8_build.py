"""INT8 from a recipe to a version: through every stage and gate, for OpenVINO and a GPU that is not here."""

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import onnx
import pytest

from engineroom.compile.graph.int8 import products_in_int8
from engineroom.compile.options import BuildOptions
from engineroom.compile.pipeline import build
from engineroom.compile.recipes import recipe_from_name
from engineroom.compile.stages import EVIDENCE
from engineroom.compile.targets.rounding import rounding_runner
from engineroom.compile.truth.evidence import evidence_from_file
from engineroom.compile.verify import parity
from engineroom.errors import ParityError
from engineroom.project import Project
from engineroom.repository.layout import GRAPH, MANIFEST, Repository
from engineroom.repository.passport import Passport, passport_from_file

ROOT = Path(__file__).parents[2]
OPENVINO, RTX = "openvino", "tensorrt-rtx:sm89"
SOURCES = {"tiny": ROOT / "tests" / "recipes", "digits": ROOT / "build"}


def built(folder: Path, name: str, *changes: tuple[str, str]) -> Path:
    """Build a copy of a recipe, changed; gives the version's folder."""
    project = Project(folder)
    project.recipes.mkdir()
    shutil.copy(SOURCES[name] / f"{name}.py", project.recipes)
    path = project.recipes / f"{name}.py"
    for old, new in changes:
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
    build(recipe_from_name(project, name), project, BuildOptions((OPENVINO, RTX)), lambda _: nullcontext())
    return Repository(project.repository).model(name).version(1)


def passport(version: Path) -> Passport:
    return passport_from_file(version / MANIFEST)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(
        tmp_path_factory.mktemp("digits"), "digits", ("    packages=(", '    precision="int8",\n    packages=(')
    )


def check(version: Path, products: int) -> None:
    assert len(set(products_in_int8(onnx.load(version / GRAPH).graph))) == products
    known = passport(version)
    assert known.profile.precision == "int8"
    openvino, rtx = (known.artefact(target) for target in (OPENVINO, RTX))
    assert openvino is not None
    assert rtx is not None
    assert rtx.precision["INT8"] >= 2 * products
    for proof in (*openvino.parity, *rtx.parity):
        assert proof.kind == "int8"
        # The module's own INT8 rounding is the scale, and honest builds stand near it.
        assert 0.1 < proof.noise < 3


def test_tiny_is_built_proven_and_published(tmp_path: Path) -> None:
    check(built(tmp_path, "tiny", ("    packages=(", '    precision="int8",\n    packages=(')), products=2)


def test_digits_are_built_proven_and_published(digits: Path) -> None:
    check(digits, products=4)
    artefact = passport(digits).artefact(OPENVINO)
    assert artefact is not None
    scores = artefact.parity[0].task
    assert scores["accuracy of the module"] - scores["accuracy"] <= 1 / 360


def swap_channels(model: onnx.ModelProto) -> None:
    """Two channels of the first convolution change places, their biases do not."""
    edit(model, "layers.0.weight_quantized", lambda array: array[[1, 0, *range(2, len(array))]])


def shift_bias(model: onnx.ModelProto) -> None:
    """One class has a little more of a bias: no digit is read otherwise."""
    edit(model, "layers.8.bias", lambda array: array + np.eye(1, 10, 3, dtype=np.float16)[0])


def halve_range(model: onnx.ModelProto) -> None:
    """Activations before the second convolution are cut at half of what the samples reach."""
    scale = next(node for node in model.graph.node if node.op_type == "Conv" and "layers.2" in node.input[1])
    made = {node.output[0]: node for node in model.graph.node}
    edit(model, made[scale.input[0]].input[1], lambda array: np.asarray(array * np.float16(0.5)))


def edit(model: onnx.ModelProto, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    (item,) = [one for one in model.graph.initializer if one.name == name]
    item.CopyFrom(onnx.numpy_helper.from_array(change(onnx.numpy_helper.to_array(item)), name))


@pytest.mark.parametrize("plant", [swap_channels, shift_bias, halve_range], ids=lambda plant: plant.__name__)
def test_planted_fault_is_refused(digits: Path, tmp_path: Path, plant: Callable[[onnx.ModelProto], None]) -> None:
    """INT8 has a wide scale of its own, and faults stand out against it."""
    project = Project(digits.parents[2])
    recipe, (stored,) = recipe_from_name(project, "digits"), project.work.rglob(EVIDENCE)
    model, graph = onnx.load(digits / GRAPH), tmp_path / GRAPH
    plant(model)
    onnx.save(model, graph)
    with pytest.raises(ParityError, match=r"digits: int8 rounding at .* times what int8 rounding alone does"):
        parity(recipe, evidence_from_file(stored), rounding_runner(graph, "int8"))


def test_sparse_int8_is_built_where_the_recipe_allows_what_pruning_costs(tmp_path: Path) -> None:
    version = built(tmp_path, "tiny", ("    packages=(", '    precision="int8",\n    sparsity="2:4",\n    packages=('))
    assert passport(version).profile.sparsity == "2:4"


def test_sparse_build_that_costs_too_much_is_refused_with_the_figures(tmp_path: Path) -> None:
    """The task's score is the share of rows that keep their first place."""
    with pytest.raises(
        ParityError, match=r"tiny: 2:4 pruning costs too much: output 'scores' differs .* cosine 0\.\d+"
    ):
        built(
            tmp_path, "tiny",
            ("    task=TaskMetric(", "    task=None and TaskMetric("),
            ("Tolerance(top1=1.0)", "Tolerance(top1=0.0, cosine=0.999)"),
            ("    packages=(", '    sparsity="2:4",\n    packages=('),
        )  # fmt: skip
    assert not (tmp_path / "model_repository" / "tiny").exists()
