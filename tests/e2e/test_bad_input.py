"""Bad input, through the command line: one message that says what, where and how to mend it; exit status 1; no
traceback; and the published version stays as it was, byte for byte."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engineroom.project import Project
from engineroom.repository.files import sha256
from engineroom.repository.layout import GOLDEN, GRAPH, MANIFEST
from engineroom.repository.passport import SCHEMA, Artefact, passport_from_file

RTX = "model.rtx-sm89.plan"
PLAN = "model.sm90.plan"

Run = Callable[..., tuple[int, str, str]]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file in a folder and what is in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def cut(version: Path, name: str) -> None:
    """Half of a file, as a full disk or a broken copy leaves it."""
    path = version / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def newer(version: Path, name: str) -> None:
    """A manifest of an engineroom to come."""
    path = version / name
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": SCHEMA + 1}))


def no_json(version: Path, name: str) -> None:
    (version / name).write_text("artefacts: [model.plan]\n")


def add_plan(project: Project) -> Path:
    """An engine for an H200, as that machine would have added it; gives the version's folder."""
    model = project.repository / "tiny"
    plan = model / "1" / PLAN
    plan.write_bytes(b"an engine" * 100)
    artefact = Artefact(
        PLAN, "tensorrt", plan.stat().st_size, sha256(plan), "tensorrt 11.2.1.2", 0.1,
        device="NVIDIA H200, compute capability 9.0",
    )  # fmt: skip
    known = passport_from_file(model / "1" / MANIFEST)
    (model / "1" / MANIFEST).write_text(replace(known, artefacts=(*known.artefacts, artefact)).to_json())
    config = model / "config.pbtxt"
    config.write_text(f'{config.read_text()}cc_model_filenames {{ key: "9.0" value: "{PLAN}" }}\n')
    return model / "1"


NOT_ITS = "is not the file that the manifest describes"
NEWER = rf"1/manifest\.json: has schema {SCHEMA + 1}, this engineroom reads up to {SCHEMA}\. Update engineroom\."
NO_JSON = r"1/manifest\.json: is not JSON \(.*\)\. Build the model again\."
NO_GOLDEN = rf"its golden answers cannot be asked for: golden\.npz {NOT_ITS}\. Run: engineroom build tiny --force"
OTHER_BIN = r"model\.xml is beside a model\.bin that the manifest does not describe\. Run: .* --target openvino --force"

VERSIONS = {
    "graph, engines": (
        cut,
        GRAPH,
        "models engines --target tensorrt-rtx:sm80",
        rf"model\.graph\.onnx {NOT_ITS}, so no",
    ),
    "graph, preflight": (
        cut,
        GRAPH,
        "models preflight tiny --gpu sm80",
        "no model.plan.* Run: engineroom build tiny --f",
    ),
    "plan, preflight": (
        cut,
        PLAN,
        "models preflight tiny --gpu sm90 --triton 26.08",
        r"450 bytes long, not the 900 that",
    ),
    "weights, preflight": (cut, "model.bin", "models preflight tiny", OTHER_BIN),
    "weights, serve": (cut, "model.bin", "serve", OTHER_BIN),
    "golden, preflight": (cut, GOLDEN, "models preflight tiny", NO_GOLDEN),
    "golden, serve": (cut, GOLDEN, "serve", NO_GOLDEN),
    "newer manifest, engines": (newer, MANIFEST, "models engines --target tensorrt-rtx:sm80", NEWER),
    "newer manifest, preflight": (newer, MANIFEST, "models preflight tiny", NEWER),
    "newer manifest, serve": (newer, MANIFEST, "serve", NEWER),
    "newer manifest, build": (newer, MANIFEST, "build tiny --target openvino", f"{NEWER} Or replace it: --force"),
    "no manifest, engines": (no_json, MANIFEST, "models engines --target tensorrt-rtx:sm80", NO_JSON),
    "no manifest, preflight": (no_json, MANIFEST, "models preflight tiny", NO_JSON),
    "no manifest, serve": (no_json, MANIFEST, "serve", NO_JSON),
}


@pytest.mark.usefixtures("server_installation")
@pytest.mark.parametrize(("damage", "name", "words", "message"), VERSIONS.values(), ids=VERSIONS.keys())
def test_damaged_version_ends_in_one_message_and_stays_as_it_is(
    engineroom: Run, tiny_project: Project, damage: Callable[[Path, str], None], name: str, words: str, message: str
) -> None:
    damage(add_plan(tiny_project), name)
    before = contents(tiny_project.repository)
    code, out, err = engineroom(*words.split())
    # A verdict is an answer, and so stands on standard output.
    (told, *_) = [line for line in err.splitlines() if line.startswith("error: ")] or out.splitlines()
    assert code == 1
    assert re.search(message, told)
    assert err.count("error: ") <= 1
    assert "Traceback" not in out + err
    assert contents(tiny_project.repository) == before


FORWARD = "return self.last(torch.relu(self.first(x)))"
REFUSED = "y = torch.relu(self.first(x)); return self.last(y + (x.to(torch.int32) & 3))"
SCORE = "score=lambda outputs, truth: 1.0"
SAMPLES = 'lambda: [{"x": ROWS}]'

RECIPES = {
    "samples of NaN": (SAMPLES, 'lambda: [{"x": ROWS * np.nan}]', "samples of 'x' hold NaN or infinity"),
    "no samples": (SAMPLES, "list", r"samples\(\) returned nothing\. Parity needs at least one real input"),
    "no rows": (SAMPLES, 'lambda: [{"x": ROWS[:0]}]', "must have the same number of rows, at least one"),
    "metric that raises": (
        SCORE,
        "score=lambda outputs, truth: truth[99]",
        r"its task metric 'share' cannot be computed with .*: IndexError: .*Mend data\(\) or score\(\) of the recipe's",
    ),
    "metric of no number": (SCORE, "score=lambda outputs, truth: None", "its task metric 'share' cannot be computed"),
    "operator that TensorRT lacks": (
        FORWARD,
        REFUSED,
        r"tensorrt_rtx 1\.7\.\S+ does not take this graph: node_bitwise_and \(BitwiseAnd\): UNSUPPORTED_NODE\. Replace "
        r"the operator in the module\. Build for another target, or .*: engineroom build --fallback onnxruntime",
    ),
}


@pytest.mark.parametrize(("old", "new", "message"), RECIPES.values(), ids=RECIPES.keys())
def test_bad_recipe_ends_in_one_message_and_the_last_version_stays(
    engineroom: Run, tiny_project: Project, old: str, new: str, message: str
) -> None:
    recipe = tiny_project.recipes / "tiny.py"
    assert old in recipe.read_text()
    recipe.write_text(recipe.read_text().replace(old, new, 1))
    before = contents(tiny_project.repository)
    code, out, err = engineroom(*["build", "tiny", "--target", "openvino", "--target", "tensorrt-rtx:sm89"])
    assert (code, out) == (1, "")
    (error,) = [line for line in err.splitlines() if not re.fullmatch(r"tiny: [\w:. -]+", line)]
    assert re.match(f"error: .*{message}", error)
    assert contents(tiny_project.repository) == before


@pytest.mark.parametrize("name", [GRAPH, "model.bin", RTX, GOLDEN, MANIFEST])
def test_build_replaces_a_version_that_was_cut_short(engineroom: Run, tiny_project: Project, name: str) -> None:
    """An equal build would have nothing to do; what is broken counts as not there, and stays for whoever looks."""
    cut(tiny_project.repository / "tiny" / "1", name)
    before = contents(tiny_project.repository / "tiny" / "1")
    assert engineroom(*["build", "tiny", "--target", "openvino"])[0] == 0
    assert contents(tiny_project.repository / "tiny" / "1") == before
    code, out, _ = engineroom(*["models", "preflight", "tiny"])
    assert (code, out.partition("\n")[0]) == (0, "tiny: version 2 loads on a machine without a GPU.")
