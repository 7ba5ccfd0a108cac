"""`engineroom build`, and recipes as programs: what is printed, and how every mistake ends."""

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engineroom.compile.targets.tensorrt import has_gpu
from engineroom.project import Project
from engineroom.repository.files import sha256
from engineroom.repository.layout import MANIFEST
from engineroom.repository.passport import passport_from_file

RTX = tuple(f"tensorrt-rtx:sm{number}" for number in (80, 89, 120))

Run = Callable[..., tuple[int, str, str]]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file in a folder and what is in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def edit(project: Project, old: str, new: str) -> None:
    path = project.recipes / "tiny.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_first_build_shows_stages_and_a_table(engineroom: Run, tiny_project: Project) -> None:
    for folder in (tiny_project.repository, tiny_project.work):
        shutil.rmtree(folder)
    code, out, err = engineroom("build", "tiny", "--target", "openvino")
    assert (code, err.splitlines()) == (
        0,
        [
            f"tiny: {stage}"
            for stage in (
                *("reference", "export", "verify export", "precision", "verify rounding"),
                *("compile openvino", "verify openvino", "publish"),
            )
        ],
    )
    assert "tiny: version 1 published" in out
    assert "openvino f32: " in out
    assert "share 1.0000" in out


def test_second_build_says_that_there_is_nothing_to_do(engineroom: Run, tiny_project: Project) -> None:
    before = contents(tiny_project.repository)
    assert engineroom("build", "--target", "openvino") == (
        0,
        "tiny: version 1 is up to date. --force builds it again.\n",
        "",
    )
    assert contents(tiny_project.repository) == before


def test_build_from_the_cache_says_so(engineroom: Run, tiny_project: Project) -> None:
    shutil.rmtree(tiny_project.repository)
    code, out, err = engineroom("build", "tiny", "--target", "openvino")
    assert (code, err) == (0, "tiny: publish\n")
    assert len(re.findall(r"│ +cached │", out)) == 7
    assert "openvino f32: " in out


def test_build_beside_a_pinned_version_says_how_it_goes_live(engineroom: Run, tiny_project: Project) -> None:
    assert engineroom("models", "promote", "tiny", "1", "--offline")[0] == 0
    status, out, _ = engineroom("build", "tiny", "--target", "openvino", "--force")
    assert status == 0
    assert "tiny: the configurations serve version 1. To serve version 2: engineroom models promote tiny 2" in out


def test_explanation_names_what_changed(engineroom: Run, tiny_project: Project) -> None:
    edit(tiny_project, "manual_seed(0)", "manual_seed(1)")
    code, out, err = engineroom("build", "tiny", "--explain", "--target", "openvino")
    assert (code, err) == (0, "")
    assert out.splitlines()[:3] == [
        "tiny: version 1 was made from other inputs",
        "  reference         will run: recipe changed",
        "  export            will run: recipe changed",
    ]
    code, out, _ = engineroom("build", "--explain", "--json", "--target", "openvino")
    (told,) = json.loads(out)
    assert (code, told["model"]) == (0, "tiny")
    assert told["stages"][1] == {"stage": "export", "verdict": "will run", "why": "recipe changed"}
    assert contents(tiny_project.repository / "tiny" / "1")


def test_json_is_the_report(engineroom: Run, tiny_project: Project) -> None:
    code, out, _ = engineroom("build", "tiny", "--force", "--json", "--target", "openvino")
    (report,) = json.loads(out)
    assert (code, report["model"], report["version"], report["up_to_date"]) == (0, "tiny", 2, False)
    assert [stage["name"] for stage in report["stages"]][-1] == "publish"
    (proof,) = next(stage["parity"] for stage in report["stages"] if stage["name"] == "verify tensorrt-rtx:sm89")
    assert proof["runner"] == "fp16 rounding"


def test_engines_for_several_gpus_live_in_one_version(engineroom: Run, tiny_project: Project) -> None:
    code, _, err = engineroom("build", "tiny", "--target", "tensorrt-rtx:sm80,sm89,sm120")
    # Those that were there come from the cache.
    assert (code, [line for line in err.splitlines() if "compile" in line]) == (
        0,
        [f"tiny: compile {name}" for name in (RTX[0], RTX[2])],
    )
    version = tiny_project.repository / "tiny" / "2"
    passport = passport_from_file(version / MANIFEST)
    assert passport.command == "engineroom build tiny " + " ".join(f"--target {name}" for name in RTX)
    assert [one.target for one in passport.artefacts] == [*RTX, "openvino"]
    for plan in passport.artefacts[:3]:
        assert sha256(version / plan.file) == plan.sha256
        assert plan.precision["HALF"] > plan.precision.get("FLOAT", 0)
    assert len({plan.sha256 for plan in passport.artefacts}) == 4
    _, out, _ = engineroom("build", "tiny", "--target", "tensorrt-rtx:sm120,sm80")
    assert out.startswith("tiny: version 2 is up to date.")


def test_recipe_is_a_program_that_builds_itself(tiny_project: Project) -> None:
    program = [sys.executable, "build/tiny.py", "--target", "openvino"]
    done = subprocess.run(program, cwd=tiny_project.root, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "tiny: version 1 is up to date. --force builds it again.\n"


def test_recipe_as_a_program_ends_in_a_message_too(tiny_project: Project) -> None:
    program = [sys.executable, "build/tiny.py", "--target", "cuda"]
    done = subprocess.run(program, cwd=tiny_project.root, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: target 'cuda' is unknown.")


def test_project_without_recipes_is_a_usage_error(
    engineroom: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENGINEROOM_PROJECT", str(tmp_path))
    code, _, err = engineroom("build")
    assert code == 2
    assert f"there are no recipes in {tmp_path}/build." in err


def test_unknown_option_is_a_usage_error(engineroom: Run) -> None:
    code, _, err = engineroom("build", "--fast")
    assert code == 2
    assert "No such option '--fast'" in err


IMPORTS = "import numpy as np\n"
FORWARD = "return self.last(torch.relu(self.first(x)))"
SAMPLES = 'lambda: [{"x": ROWS}]'
TOLERANCE = "Tolerance(top1=1.0)"

MISTAKES = {
    "syntax error": (IMPORTS, "def broken(:\n", r"build/tiny\.py: does not import at line 5: SyntaxError: .*Mend it"),
    "import of nothing": (
        IMPORTS,
        "import nothing_at_all\n",
        r"build/tiny\.py: does not import at line 5: ModuleNotFoundError: No module named 'nothing_at_all'",
    ),
    "raises at import": (
        "ROWS = ",
        "ROWS = 1 / 0 or ",
        r"build/tiny\.py: does not import at line 9: ZeroDivisionError: division by zero\. Mend it, then build again",
    ),
    "exits at import": (IMPORTS, "raise SystemExit(0)\n", r"build/tiny\.py: does not import at line 5: SystemExit: 0"),
    "contradicts itself": ("min=1, opt=4", "min=1, opt=9", "axis 'batch': sizes need 1 <= min <= opt <= max, got 1, 9"),
    "no RECIPE": ("RECIPE = Recipe", "MODEL = Recipe", r"build/tiny\.py: has no RECIPE\. Write RECIPE = Recipe\(name="),
    "another name": ('name="tiny"', 'name="huge"', r"build/tiny\.py: its recipe is named 'huge'\. Give file and"),
    "missing package": (
        '"numpy",)',
        '"weights-of-nobody",)',
        "tiny: needs the package weights-of-nobody. Run: pip install weights-of-nobody",
    ),
    "module raises": ("return Tiny()", 'raise OSError("no weights")', "tiny: its module cannot be loaded: OSError: no"),
    "no module": ("return Tiny()", "return 7", r"tiny: module\(\) returned int, a torch\.nn\.Module was expected"),
    "no samples": (SAMPLES, "list", r"tiny: samples\(\) returned nothing\. Parity needs at least one real input"),
    "samples of NaN": (SAMPLES, 'lambda: [{"x": ROWS * np.nan}]', "tiny: samples of 'x' hold NaN or infinity. Parity"),
    "samples of another type": (
        SAMPLES,
        'lambda: [{"x": ROWS.astype("float64")}]',
        r"tiny: samples of 'x' are float64 \(6, 8\), the recipe says float32 \('rows', 8\)\. Change the recipe or its",
    ),
    "samples of another shape": (
        SAMPLES,
        'lambda: [{"x": ROWS[:, :7]}]',
        r"tiny: samples of 'x' are float32 \(6, 7\), the recipe says float32 \('rows', 8\)\. Change the recipe or its",
    ),
    "output of another shape": (
        FORWARD,
        "return torch.relu(self.first(x))",
        r"tiny: output 'scores' of the module is float32 \(4, 8\), the recipe says float32 \(4, 4\)\. Change",
    ),
    "too few labels": ('"south", ', "", r"tiny: output 'scores' has 4 classes, labels\(\) gave 3 names\. Give"),
    "labels of nowhere": (
        'lambda: ["north", "east", "south", "west"]',
        'lambda: open("/no/such/labels")',
        "tiny: the labels of output 'scores' cannot be loaded: FileNotFoundError",
    ),
    "task of nowhere": (
        'lambda: ({"x": ROWS}, ROWS)',
        'lambda: np.load("/no/such/digits.npy")',
        "tiny: the data of its task metric 'share' cannot be loaded: FileNotFoundError",
    ),
    "control flow on data": (
        FORWARD,
        "y = self.last(x); return y if torch.isfinite(y).all() else -y",
        "tiny: PyTorch cannot export the module to ONNX. GuardOnDataDependentSymNode: Could not guard on data",
    ),
    "batch in a view": (
        FORWARD,
        "return self.last(x).view(2, -1)",
        r"tiny: output 'scores' of the module is float32 \(2, 8\), the recipe says float32 \(4, 4\)",
    ),
    "batch baked in": (
        FORWARD,
        "return self.last(x) * (torch.tensor(float(len(x))) / len(x))",
        r"tiny: 'x' was exported as float32 \(4, 8\), the recipe says float32 \(-1, 8\) .*module fixes this size",
    ),
    "rows that depend on each other": (
        FORWARD,
        "return self.last(x) * (2 if x.shape[0] < 3 else 1)",
        r"tiny: the module answers row 0 alone otherwise than beside other rows, output 'scores': max_abs .*"
        r"no row may depend on another",
    ),
    "tolerance below FP16": (
        TOLERANCE,
        "Tolerance(max_abs=1e-5)",
        r"tiny: fp16 rounding at batch 1, output 'scores' differs from the PyTorch module: max_abs \S+ is above 1e-05 "
        r"\(\S+ times what fp16 rounding alone does; cosine \S+\)\. Nothing was published\. .*--find-islands",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistake_in_a_recipe_ends_in_a_message_and_changes_nothing(
    engineroom: Run, tiny_project: Project, old: str, new: str, message: str
) -> None:
    edit(tiny_project, old, new)
    before = contents(tiny_project.repository)
    code, out, err = engineroom("build", "tiny", "--target", "openvino")
    assert (code, out) == (1, "")
    assert re.search(f"^error: .*{message}", err, re.MULTILINE)
    assert "Traceback" not in err
    assert contents(tiny_project.repository) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("tinny",), r"tinny: there is no recipe .*/build/tinny\.py\. Did you mean 'tiny'\?"),
        (("resnet",), r"resnet: there is no recipe .*/build/resnet\.py\. There are: tiny\."),
        (
            ("tiny", "--target", "cuda"),
            "target 'cuda' is unknown. Use openvino, tensorrt, or tensorrt-rtx:smNN",
        ),
        (
            ("tiny", "--target", "tensorrt-rtx:sm90"),
            r"target 'tensorrt-rtx:sm90' is unknown: .*compiles for sm75",
        ),
        (
            ("tiny", "--target", "tensorrt-rtx:sm80,sm90"),
            r"target 'tensorrt-rtx:sm90' is unknown: .*compiles for sm75",
        ),
        (
            ("tiny", "--target", "tensorrt-rtx:sm80,"),
            r"target 'tensorrt-rtx' is unknown: .*compiles for sm75",
        ),
        (
            ("tiny", "--target", "openvino:gpu"),
            "target 'openvino:gpu' is unknown: openvino takes nothing",
        ),
    ],
    ids=["near name", "far name", "unknown target", "unknown GPU", "unknown second GPU", "comma at the end", "detail"],
)
def test_mistake_in_the_command_ends_in_a_message_and_changes_nothing(
    engineroom: Run, tiny_project: Project, words: tuple[str, ...], message: str
) -> None:
    before = contents(tiny_project.repository)
    code, out, err = engineroom("build", *words)
    assert (code, out) == (1, "")
    assert re.fullmatch(f"error: {message}.*\n", err)
    assert contents(tiny_project.repository) == before


@pytest.mark.skipif(has_gpu(), reason="there is a GPU, so TensorRT may be usable")
def test_tensorrt_where_it_cannot_compile_ends_in_a_message(engineroom: Run, tiny_project: Project) -> None:
    code, _, err = engineroom("build", "tiny", "--target", "tensorrt")
    assert code == 1
    assert re.match(r"error: target 'tensorrt' needs (the package tensorrt\. Run: pip|an NVIDIA GPU)", err)


def test_failed_build_of_a_new_model_leaves_no_trace(engineroom: Run, tiny_project: Project) -> None:
    shutil.rmtree(tiny_project.repository)
    edit(tiny_project, TOLERANCE, "Tolerance(max_abs=1e-5)")
    assert engineroom("build", "tiny", "--target", "openvino")[0] == 1
    assert not tiny_project.repository.exists()


def test_failed_build_does_not_replace_the_configurations(engineroom: Run, tiny_project: Project) -> None:
    edit(tiny_project, "max=8", "max=16")
    edit(tiny_project, TOLERANCE, "Tolerance(max_abs=1e-5)")
    before = contents(tiny_project.repository)
    assert engineroom("build", "tiny", "--target", "openvino", "--write-config")[0] == 1
    assert contents(tiny_project.repository) == before


def test_mistake_in_one_recipe_keeps_the_others_from_being_half_built(engineroom: Run, tiny_project: Project) -> None:
    """Recipes are all read before the first is built."""
    (tiny_project.recipes / "zebra.py").write_text("raise RuntimeError('not today')\n")
    edit(tiny_project, "manual_seed(0)", "manual_seed(1)")
    before = contents(tiny_project.repository)
    code, _, err = engineroom("build", "--target", "openvino")
    assert (code, "zebra.py: does not import at line 1: RuntimeError: not today" in err) == (1, True)
    assert contents(tiny_project.repository) == before


DROWNED = "y = torch.relu(self.first(x)) + 8000.0; return self.last(y - 8000.0)"


def test_islands_are_found_applied_and_told_as_a_line_for_the_recipe(engineroom: Run, tiny_project: Project) -> None:
    edit(tiny_project, FORWARD, DROWNED)
    before = contents(tiny_project.repository)
    code, _, err = engineroom("build", "tiny", "--target", "openvino")
    assert code == 1
    assert re.search(r"error: tiny: fp16 rounding at .* Otherwise --find-islands searches for the nodes", err)
    assert contents(tiny_project.repository) == before
    code, out, _ = engineroom("build", "tiny", "--target", "openvino", "--find-islands", "--json")
    (report,) = json.loads(out)
    (note,) = [stage["note"] for stage in report["stages"] if stage["name"] == "find islands"]
    islands = re.search(r"islands=(\(.*\))$", note)
    assert (code, bool(islands)) == (0, True)
    assert islands is not None
    found = ast.literal_eval(islands[1])
    passport = passport_from_file(tiny_project.repository / "tiny" / str(report["version"]) / "manifest.json")
    assert passport.islands == found
    edit(tiny_project, "batch=Axis(", f"islands={found!r},\n    batch=Axis(")
    assert engineroom("build", "tiny", "--target", "openvino")[0] == 0
