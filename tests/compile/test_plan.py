"""The plan of a build: each input is named in the stages that depend on it, and in no other."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engineroom.compile import plan as module
from engineroom.compile.cache.inputs import libraries
from engineroom.compile.options import BuildOptions
from engineroom.compile.plan import EXPORT, PRECISION, PROOF, REFERENCE, ROUNDING, Plan, plan_of
from engineroom.compile.recipes import recipe_from_name
from engineroom.compile.targets import target_from_name
from engineroom.errors import RecipeError
from engineroom.project import Project

RECIPE = Path(__file__).parents[1] / "recipes" / "tiny.py"
TARGETS = ("openvino", "tensorrt-rtx:sm89")
ALL = {
    REFERENCE, EXPORT, PROOF, PRECISION, ROUNDING,
    "compile openvino", "verify openvino", "compile tensorrt-rtx:sm89", "verify tensorrt-rtx:sm89",
}  # fmt: skip
VERIFY = {PROOF, ROUNDING, "verify openvino", "verify tensorrt-rtx:sm89"}
TASK = {REFERENCE, *VERIFY}
"""What the task's data and score count for."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.recipes.mkdir()
    (project.recipes / "tiny.py").write_text(RECIPE.read_text())
    return project


def planned(project: Project, **changes: Any) -> Plan:
    recipe = replace(recipe_from_name(project, "tiny"), **changes)
    return plan_of(recipe, project, [target_from_name(name) for name in TARGETS], BuildOptions(TARGETS))


def changed(before: Plan, after: Plan) -> set[str]:
    """Stages of which an input differs that is no earlier stage's result."""
    return {step.name for step in before.steps if dict(step.inputs) != dict(after.step(step.name).inputs)}


def edit(project: Project, old: str, new: str) -> None:
    path = project.recipes / "tiny.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_nothing_changed_nothing_differs(project: Project) -> None:
    before, after = planned(project), planned(project)
    assert changed(before, after) == set()
    assert {step.name for step in before.steps} == ALL
    assert before.fingerprint("openvino") == after.fingerprint("openvino") != after.fingerprint("tensorrt-rtx:sm89")


EDITS = {
    "comment": ("RECIPE = ", "# the one\nRECIPE = ", set()),
    "tolerance": ("Tolerance(top1=1.0)", "Tolerance(top1=0.9)", set()),
    "precision": ('packages=("numpy",)', 'packages=("numpy",), precision="int8"', {
        REFERENCE, PRECISION, *(name for name in ALL if "openvino" in name or "rtx" in name),
    }),
    "labels": ('"north", "east"', '"up", "right"', set()),
    "weights": ("manual_seed(0)", "manual_seed(1)", {EXPORT, *TASK}),
    "score": ("truth: 1.0", "truth: 0.9", TASK),
    "batch": ("max=8", "max=16", {EXPORT, *TASK, "compile openvino", "compile tensorrt-rtx:sm89"}),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "stages"), EDITS.values(), ids=EDITS.keys())
def test_edit_counts_where_something_depends_on_it(project: Project, old: str, new: str, stages: set[str]) -> None:
    before = planned(project)
    edit(project, old, new)
    assert changed(before, planned(project)) == stages


@pytest.mark.parametrize(
    ("package", "stages"),
    [
        ("torch", {REFERENCE, EXPORT}),
        ("onnxscript", {EXPORT}),
        ("onnxruntime", {PRECISION, *VERIFY}),
        ("openvino", {"compile openvino", "verify openvino"}),
        ("tensorrt-rtx-cu13", {"compile tensorrt-rtx:sm89", "verify tensorrt-rtx:sm89"}),
        ("onnx", {EXPORT, PRECISION}),
    ],
)
def test_version_counts_where_the_package_is_used(
    project: Project, monkeypatch: pytest.MonkeyPatch, package: str, stages: set[str]
) -> None:
    from engineroom.compile.cache import inputs

    before, real = planned(project), inputs.metadata.version
    monkeypatch.setattr(inputs.metadata, "version", lambda name: "99.0" if name == package else real(name))
    after = planned(project)
    assert changed(before, after) == stages
    assert {after.step(name).inputs[f"package {package}"] for name in stages} == {"99.0"}


def test_machine_counts_where_artefacts_are_proven(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    before = planned(project)
    monkeypatch.setattr(module, "machine", lambda: {"system": "Linux riscv64", "amx": "no", "gpu": "no"})
    after = planned(project)
    assert changed(before, after) == {"verify openvino", "verify tensorrt-rtx:sm89"}
    assert before.fingerprint() != after.fingerprint()


def test_package_that_scores_counts_where_it_does(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from engineroom.compile.cache import inputs

    before, real = planned(project, packages=("scikit-learn",)), inputs.metadata.version
    monkeypatch.setattr(inputs.metadata, "version", lambda name: "99.0" if name == "scikit-learn" else real(name))
    assert changed(before, planned(project, packages=("scikit-learn",))) == {EXPORT, *TASK}


def test_limits_are_part_of_the_version_though_of_no_stage(project: Project) -> None:
    before = planned(project)
    edit(project, "Tolerance(top1=1.0)", "Tolerance(top1=0.9)")
    assert planned(project).fingerprint("openvino") != before.fingerprint("openvino")


def test_files_count_by_their_content(project: Project) -> None:
    folder = project.recipes / "tokenizer"
    folder.mkdir()
    for name, text in (("weights.bin", "a"), ("tokenizer/vocab.txt", "b"), ("tokenizer/rules.json", "c")):
        (project.recipes / name).write_text(text)
    files = {"files": ("weights.bin", "tokenizer")}
    before = planned(project, **files)
    inputs = before.step(REFERENCE).inputs
    assert [name for name in inputs if name.startswith("file ")] == [
        "file weights.bin", "file tokenizer/rules.json", "file tokenizer/vocab.txt",
    ]  # fmt: skip
    (folder / "rules.json").write_text("d")
    assert changed(before, planned(project, **files)) == {EXPORT, *TASK}


def test_missing_file_says_where_it_should_be(project: Project) -> None:
    with pytest.raises(
        RecipeError, match=r"tiny: its file weights\.bin is not at .*/build/weights\.bin\. Put it there"
    ):
        planned(project, files=("weights.bin",))


def test_missing_package_says_how_to_install_it(project: Project) -> None:
    with pytest.raises(RecipeError, match=r"tiny: needs the package weights-of-nobody\. Run: pip install weights-of"):
        planned(project, packages=("weights-of-nobody",))


def test_packages_that_the_model_comes_from_are_recorded(project: Project) -> None:
    known = libraries(replace(recipe_from_name(project, "tiny"), packages=("scikit-learn",)))
    assert {"python", "torch", "onnx", "openvino", "scikit-learn"} <= set(known)


def test_sparsity_counts_from_the_module_on(project: Project) -> None:
    after = planned(project, sparsity="2:4")
    assert changed(planned(project), after) >= {REFERENCE, EXPORT, PRECISION}
    assert "tolerance" in after.step("verify pruning").inputs


def test_recipe_as_a_program_has_the_same_fingerprint(project: Project) -> None:
    """`python build/tiny.py` and `engineroom build tiny` build the same."""
    path = project.recipes / "tiny.py"
    path.write_text(
        path.read_text().partition("if __name__")[0]
        + "if __name__ == '__main__':\n"
        + "    from engineroom.compile.options import BuildOptions\n"
        + "    from engineroom.compile.plan import plan_of\n"
        + "    from engineroom.project import Project\n"
        + "    print(plan_of(RECIPE, Project.find(), (), BuildOptions(())).fingerprint())\n"
    )
    done = subprocess.run(
        [sys.executable, "build/tiny.py"], cwd=project.root, capture_output=True, text=True, check=True, timeout=60
    )
    plan = plan_of(recipe_from_name(project, "tiny"), project, (), BuildOptions(()))
    assert done.stdout.strip() == plan.fingerprint()
