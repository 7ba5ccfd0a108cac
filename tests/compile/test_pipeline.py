"""From a recipe to a version, with real parts; what stays when something goes wrong."""

import json
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from engineroom.compile.explain import CACHED, MAY_RUN, NOTHING, RUNS, Explanation, explanation
from engineroom.compile.job import job_of
from engineroom.compile.options import BuildOptions
from engineroom.compile.pipeline import build
from engineroom.compile.recipes import recipe_from_name
from engineroom.compile.report import BuildReport
from engineroom.errors import BuildError, RepositoryError
from engineroom.project import Project
from engineroom.repository.config import config_from_file, gpu_config
from engineroom.repository.files import sha256
from engineroom.repository.layout import GOLDEN, GRAPH, MANIFEST, ModelFolder, Repository
from engineroom.repository.passport import SCHEMA, Passport, passport_from_file
from engineroom.repository.publish import STAGING

OPENVINO, RTX = "openvino", "tensorrt-rtx:sm89"


def again(project: Project, *targets: str, **options: Any) -> BuildReport:
    """Build the project's tiny model, for OpenVINO where no target is named."""
    wanted = BuildOptions(targets or (OPENVINO,), **options)
    return build(recipe_from_name(project, "tiny"), project, wanted, lambda _: nullcontext())


def tiny(project: Project) -> ModelFolder:
    return Repository(project.repository).model("tiny")


def passport(project: Project, version: int = 1) -> Passport:
    return passport_from_file(tiny(project).version(version) / MANIFEST)


def edit(project: Project, old: str, new: str) -> None:
    path = project.recipes / "tiny.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_version_holds_everything_it_needs_and_nothing_else(tiny_built: Project) -> None:
    assert tiny(tiny_built).versions == (1,)
    assert {path.name for path in tiny(tiny_built).version(1).iterdir()} == {
        GRAPH, GOLDEN, MANIFEST, "model.xml", "model.bin", "model.rtx-sm89.plan",
    }  # fmt: skip
    assert {path.name for path in tiny(tiny_built).path.iterdir()} == {
        "1", "config.pbtxt", "configs", "scores_labels.txt",
    }  # fmt: skip


def test_manifest_describes_the_files_beside_it(tiny_built: Project) -> None:
    known = passport(tiny_built)
    assert (known.model, known.schema) == ("tiny", SCHEMA)
    assert [artefact.target for artefact in known.artefacts] == [OPENVINO, RTX]
    assert known.profile.inputs == {"x": ((1, 8), (4, 8), (8, 8))}
    assert known.libraries["torch"].startswith("2.")
    folder = tiny(tiny_built).version(1)
    for artefact in known.artefacts:
        assert artefact.sha256 == sha256(folder / artefact.file)
    openvino, rtx = known.artefacts
    assert openvino.size_bytes == sum((folder / name).stat().st_size for name in ("model.xml", "model.bin"))
    assert rtx.size_bytes == (folder / "model.rtx-sm89.plan").stat().st_size
    assert rtx.precision["HALF"] >= rtx.precision.get("FLOAT", 0)


def test_every_artefact_is_proven_at_all_batch_sizes(tiny_built: Project) -> None:
    for artefact in passport(tiny_built).artefacts:
        proof = artefact.parity[0]
        assert proof.batches == (1, 2, 3, 4, 8)
        assert 0 < proof.max_abs < 0.05
        assert proof.cosine > 0.999
        assert proof.top1 == 1.0
        assert proof.task == {"share of the module": 1.0, "share": 1.0}


def test_graph_has_the_recipes_edges_and_fp16_inside(tiny_built: Project) -> None:
    model = onnx.load(str(tiny(tiny_built).version(1) / GRAPH))
    onnx.checker.check_model(model, full_check=True)
    (x,), (scores,) = model.graph.input, model.graph.output
    for value, name, width in ((x, "x", 8), (scores, "scores", 4)):
        assert (value.name, value.type.tensor_type.elem_type) == (name, onnx.TensorProto.FLOAT)
        batch, columns = value.type.tensor_type.shape.dim
        assert (batch.HasField("dim_value"), columns.dim_value) == (False, width)
    assert {weight.data_type for weight in model.graph.initializer if len(weight.dims) > 1} == {
        onnx.TensorProto.FLOAT16
    }


def test_golden_answers_are_the_modules(tiny_built: Project) -> None:
    folder = tiny(tiny_built).version(1)
    with np.load(folder / GOLDEN) as golden:
        assert set(golden.files) == {"input.x", "output.scores"}
        question, answer = golden["input.x"], golden["output.scores"]
    assert (question.shape, answer.shape) == ((4, 8), (4, 4))
    session = onnxruntime.InferenceSession(str(folder / GRAPH), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(["scores"], {"x": question})[0], answer, atol=5e-3)
    assert not np.array_equal(session.run(["scores"], {"x": question})[0], answer)


def test_second_build_has_nothing_to_do(tiny_project: Project) -> None:
    assert again(tiny_project, OPENVINO, RTX) == BuildReport("tiny", 1, up_to_date=True)
    assert again(tiny_project, RTX) == BuildReport("tiny", 1, up_to_date=True)
    assert tiny(tiny_project).versions == (1,)


def test_force_builds_again_and_watches_every_stage(tiny_project: Project) -> None:
    seen = []

    @contextmanager
    def watch(stage: str) -> Any:
        seen.append(stage)
        yield

    options = BuildOptions((OPENVINO,), force=True)
    report = build(recipe_from_name(tiny_project, "tiny"), tiny_project, options, watch)
    assert (report.version, report.up_to_date) == (2, False)
    assert [stage.name for stage in report.stages] == seen
    assert not any(stage.cached for stage in report.stages)
    # What the same build made before stays part of the model.
    assert [artefact.target for artefact in passport(tiny_project, 2).artefacts] == [OPENVINO, RTX]


def test_another_target_joins_those_before(tiny_project: Project) -> None:
    assert again(tiny_project, "tensorrt-rtx:sm120").version == 2
    assert {artefact.target for artefact in passport(tiny_project, 2).artefacts} == {
        "tensorrt-rtx:sm120", OPENVINO, RTX,
    }  # fmt: skip
    assert again(tiny_project, OPENVINO, RTX, "tensorrt-rtx:sm120").up_to_date


def test_edited_recipe_is_built_again_for_what_is_asked(tiny_project: Project) -> None:
    edit(tiny_project, "torch.manual_seed(0)", "torch.manual_seed(1)")
    assert again(tiny_project).version == 2
    assert [artefact.target for artefact in passport(tiny_project, 2).artefacts] == [OPENVINO]
    weights = [(tiny(tiny_project).version(number) / "model.bin").read_bytes() for number in (1, 2)]
    assert weights[0] != weights[1]


DAMAGE = {
    "corrupt manifest": (lambda version: (version / MANIFEST).write_text("{"), "is not JSON"),
    "no manifest": (lambda version: (version / MANIFEST).unlink(), "cannot be read"),
    "newer manifest": (
        lambda version: (version / MANIFEST).write_text(
            json.dumps({**json.loads((version / MANIFEST).read_text()), "schema": SCHEMA + 1})
        ),
        "this engineroom reads up to",
    ),
    "no artefact": (lambda version: (version / "model.xml").unlink(), r"version 1 has lost model\.xml"),
    "no companion": (lambda version: (version / "model.bin").unlink(), r"version 1 has lost model\.bin"),
    "no graph": (lambda version: (version / GRAPH).unlink(), "version 1 has lost model.graph.onnx"),
    "no golden answers": (lambda version: (version / GOLDEN).unlink(), "version 1 has lost golden.npz"),
}


@pytest.mark.parametrize(("damage", "told"), DAMAGE.values(), ids=DAMAGE.keys())
def test_version_that_is_not_whole_is_not_up_to_date(tiny_project: Project, damage: Any, told: str) -> None:
    recipe, options = recipe_from_name(tiny_project, "tiny"), BuildOptions((OPENVINO, RTX))
    assert job_of(recipe, tiny_project, options).missing == ""
    damage(tiny(tiny_project).version(1))
    assert re.search(told, job_of(recipe, tiny_project, options).missing)


def test_build_replaces_a_damaged_version(tiny_project: Project) -> None:
    (tiny(tiny_project).version(1) / MANIFEST).write_text("{")
    shutil.rmtree(tiny_project.work)
    assert again(tiny_project).version == 2
    assert again(tiny_project).up_to_date
    assert tiny(tiny_project).versions == (1, 2)


def ran(report: BuildReport) -> list[str]:
    """The stages that ran, those of the second target left out."""
    return [stage.name for stage in report.stages if not stage.cached and "rtx" not in stage.name]


def told(project: Project, *targets: str, **options: Any) -> dict[str, str]:
    """What `--explain` says of each stage, `rtx` left out."""
    found = explain(project, *targets, **options)
    return {one.stage: f"{one.verdict} {one.why}".strip() for one in found.stages if "rtx" not in one.stage}


def explain(project: Project, *targets: str, **options: Any) -> Explanation:
    return explanation(recipe_from_name(project, "tiny"), project, BuildOptions(targets or (OPENVINO, RTX), **options))


def test_lost_version_is_made_again_from_the_cache(tiny_project: Project) -> None:
    before = {path.name: path.read_bytes() for path in tiny(tiny_project).version(1).iterdir()}
    shutil.rmtree(tiny(tiny_project).version(1))
    report = again(tiny_project, OPENVINO, RTX)
    assert (report.version, ran(report)) == (1, ["publish"])
    after = {path.name: path.read_bytes() for path in tiny(tiny_project).version(1).iterdir()}
    assert {name for name in before if before[name] != after[name]} <= {MANIFEST}
    known, old = passport(tiny_project), json.loads(before[MANIFEST])
    assert [one.parity for one in known.artefacts] == [one.parity for one in passport(tiny_project).artefacts]
    assert [one["seconds"] for one in old["artefacts"]] == [one.seconds for one in known.artefacts]


TASK = ["verify export", "verify rounding", "verify openvino"]

CHANGES = {
    "comment": ("RECIPE = ", "# the one\nRECIPE = ", None),
    "instances": ('packages=("numpy",)', 'packages=("numpy",), instances=3', None),
    "tolerance": ("Tolerance(top1=1.0)", "Tolerance(top1=0.9)", ["publish"]),
    "loss allowed": ("truth: 1.0", "truth: 1.0, max_loss=0.5", ["publish"]),
    "precision": (
        'packages=("numpy",)', 'packages=("numpy",), precision="fp32"',
        ["precision", "compile openvino", "verify openvino", "publish"],
    ),
    "score": ("truth: 1.0", "truth: 0.9", ["reference", *TASK, "publish"]),
    "weights": (
        "manual_seed(0)", "manual_seed(1)",
        ["reference", "export", "verify export", "precision", "verify rounding", "compile openvino", "verify openvino",
         "publish"],
    ),
    "code that gives the same": (
        "self.last(torch.relu(self.first(x)))", "self.last(self.first(x).relu())",
        ["reference", "export", *TASK, "publish"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "stages"), CHANGES.values(), ids=CHANGES.keys())
def test_change_runs_exactly_what_depends_on_it(tiny_project: Project, old: str, new: str, stages: Any) -> None:
    edit(tiny_project, old, new)
    report = again(tiny_project, OPENVINO, RTX)
    assert (report.up_to_date, ran(report)) == (stages is None, stages or [])
    assert again(tiny_project, OPENVINO, RTX).up_to_date


def test_back_and_forth_between_two_settings_runs_nothing(tiny_project: Project) -> None:
    edit(tiny_project, 'packages=("numpy",)', 'packages=("numpy",), precision="fp32"')
    again(tiny_project, OPENVINO)
    edit(tiny_project, ', precision="fp32"', "")
    assert ran(again(tiny_project, OPENVINO)) == ["publish"]


def test_damaged_result_is_made_again_and_no_other(tiny_project: Project) -> None:
    shutil.rmtree(tiny(tiny_project).version(1))
    (exported,) = (tiny_project.work / "cache" / "tiny" / "export").glob("*/model.onnx")
    exported.write_bytes(exported.read_bytes()[:-1])
    assert told(tiny_project)["export"] == f"{RUNS} its result is damaged"
    assert ran(again(tiny_project, OPENVINO, RTX)) == ["export", "publish"]


def test_file_of_the_recipe_counts(tiny_project: Project) -> None:
    (tiny_project.recipes / "rows.txt").write_text("0")
    edit(tiny_project, 'packages=("numpy",)', 'files=("rows.txt",)')
    assert told(tiny_project)["export"] == f"{RUNS} file rows.txt is new"
    again(tiny_project, OPENVINO)
    (tiny_project.recipes / "rows.txt").write_text("1")
    assert told(tiny_project, OPENVINO)["export"] == f"{RUNS} file rows.txt changed"
    assert ran(again(tiny_project, OPENVINO)) == ["reference", "export", *TASK, "publish"]


def test_refused_build_keeps_what_it_measured(tiny_project: Project) -> None:
    edit(tiny_project, "Tolerance(top1=1.0)", "Tolerance(max_abs=1e-9)")
    edit(tiny_project, "manual_seed(0)", "manual_seed(1)")
    with pytest.raises(BuildError, match="max_abs"):
        again(tiny_project)
    assert told(tiny_project, OPENVINO)["verify export"] == CACHED
    edit(tiny_project, "Tolerance(max_abs=1e-9)", "Tolerance(top1=1.0)")
    assert "export" not in ran(again(tiny_project))


def test_explanation_of_nothing_to_do(tiny_project: Project) -> None:
    found = explain(tiny_project)
    assert found.summary == "version 1 is up to date"
    assert {one.verdict for one in found.stages} == {NOTHING}


def test_explanation_follows_a_change_through_the_stages(tiny_project: Project) -> None:
    edit(tiny_project, "manual_seed(0)", "manual_seed(1)")
    assert explain(tiny_project).summary == "version 1 was made from other inputs"
    found = told(tiny_project)
    assert found["reference"] == found["export"] == f"{RUNS} recipe changed"
    assert found["precision"] == f"{MAY_RUN} depends on what export and reference will give"
    assert found["compile openvino"] == f"{MAY_RUN} depends on what precision will give"
    assert found["publish"].startswith(RUNS)


def test_explanation_names_values_where_they_are_short(tiny_project: Project) -> None:
    edit(tiny_project, 'packages=("numpy",)', 'packages=("numpy",), precision="fp32"')
    found = told(tiny_project)
    assert (found["reference"], found["export"]) == (CACHED, CACHED)
    assert found["precision"] == f"{RUNS} precision fp16 → fp32"


def test_explanation_of_what_never_ran_and_of_force(tiny_project: Project) -> None:
    found = {one.stage: one for one in explain(tiny_project, OPENVINO, "tensorrt-rtx:sm120").stages}
    assert found["compile tensorrt-rtx:sm120"].why == "it never ran here"
    assert found["compile openvino"].verdict == CACHED
    assert set(told(tiny_project, force=True).values()) == {f"{RUNS} --force"}


def test_explanation_changes_nothing(tiny_project: Project) -> None:
    edit(tiny_project, "manual_seed(0)", "manual_seed(1)")
    shutil.rmtree(tiny(tiny_project).version(1))

    def state() -> list[tuple[str, int]]:
        return sorted((str(path), path.stat().st_mtime_ns) for path in tiny_project.root.rglob("*"))

    before = state()
    explain(tiny_project)
    assert state() == before


@pytest.mark.parametrize("lost", [False, True], ids=["unchanged", "warm"])
def test_build_that_runs_no_stage_imports_nothing_heavy(tiny_project: Project, lost: bool) -> None:
    if lost:
        shutil.rmtree(tiny(tiny_project).version(1))
    code = (
        "import sys\nfrom engineroom.cli import main\n"
        f"sys.argv = ['engineroom', 'build', 'tiny', '--target', '{OPENVINO}', '--target', '{RTX}']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'onnx', 'onnxruntime', 'openvino', 'transformers', 'sklearn', 'scipy'}\n"
        "assert not heavy.intersection(sys.modules), heavy.intersection(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "tiny: publish\n" if lost else "")


def test_operators_configuration_is_left_alone(tiny_project: Project) -> None:
    config = tiny(tiny_project).config
    config.write_text("# three, measured on the L4\n" + config.read_text().replace("count: 2", "count: 3"))
    before = config.read_bytes()
    assert again(tiny_project, force=True).version == 2
    assert config.read_bytes() == before
    assert again(tiny_project, write_config=True).up_to_date
    assert config_from_file(config) == gpu_config(recipe_from_name(tiny_project, "tiny"))


def test_configuration_that_does_not_fit_stops_the_build_before_the_work(tiny_project: Project) -> None:
    config = tiny(tiny_project).cpu_config
    config.write_text(config.read_text().replace("TYPE_FP32", "TYPE_FP16", 1))
    with pytest.raises(
        RepositoryError, match=r"configs/cpu\.pbtxt: its inputs are x TYPE_FP16 \[8\], the recipe's are"
    ):
        again(tiny_project, force=True)
    assert tiny(tiny_project).versions == (1,)


def program(code: str) -> list[str]:
    """A program that changes something and then builds, as `engineroom build tiny` does."""
    head = (
        "import os, resource, signal, sys\nfrom engineroom.compile import pipeline\nfrom engineroom.cli import main\n"
    )
    tail = "\nsys.argv = ['engineroom', 'build', 'tiny', '--force', '--target', 'openvino']\nmain()\n"
    return [sys.executable, "-c", head + code + tail]


def test_disk_that_fills_up_while_publishing_leaves_the_version_before(tiny_project: Project) -> None:
    limited = """
publish = pipeline.publish
def limited(folder, files):
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    return publish(folder, files)
pipeline.publish = limited
"""
    done = subprocess.run(program(limited), capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "error: tiny: cannot write " in done.stderr
    assert "File too large. Version 1 stays published. Free space" in done.stderr
    assert {path.name for path in tiny(tiny_project).path.iterdir()} == {
        "1", "config.pbtxt", "configs", "scores_labels.txt",
    }  # fmt: skip


def test_what_a_killed_build_left_is_swept_by_the_next(tiny_project: Project) -> None:
    killed = "pipeline.publish.__globals__['_rename'] = lambda *_: os.kill(os.getpid(), signal.SIGKILL)"
    done = subprocess.run(program(killed), capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert tiny(tiny_project).versions == (1,)
    assert list(tiny(tiny_project).path.glob(f"{STAGING}*"))
    assert again(tiny_project).up_to_date
    assert again(tiny_project, force=True).version == 2
    assert not list(tiny(tiny_project).path.glob(f"{STAGING}*"))


def test_builds_of_one_model_take_turns(tiny_project: Project) -> None:
    """They share the work folder; the second finds what the first has made."""
    shutil.rmtree(tiny(tiny_project).path)
    command = [sys.executable, "-m", "engineroom", "build", "tiny", "--target", "openvino", "--json"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert sorted(json.loads(out)[0]["up_to_date"] for out, _ in told) == [False, True]
    assert tiny(tiny_project).versions == (1,)
