"""INT8 from a recipe to a version: through every stage and gate, for OpenVINO and a GPU that is not here."""

import shutil
from contextlib import nullcontext
from pathlib import Path

import onnx
import pytest

from engineroom.compile.int8 import products_in_int8
from engineroom.compile.options import BuildOptions
from engineroom.compile.pipeline import build
from engineroom.compile.recipes import recipe_from_name
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


@pytest.mark.parametrize(("name", "products"), [("tiny", 2), ("digits", 4)])
def test_int8_is_built_proven_and_published(tmp_path: Path, name: str, products: int) -> None:
    version = built(tmp_path, name, ("    packages=(", '    precision="int8",\n    packages=('))
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
