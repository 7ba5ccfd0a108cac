"""`engineroom models`: what people and programs are told of a repository."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engineroom.hardware import has_gpu
from engineroom.repository.files import sha256
from engineroom.repository.layout import MANIFEST, ModelFolder
from engineroom.repository.passport import Artefact, passport_from_file

RTX = ("--target", "tensorrt-rtx:sm89")


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "engineroom", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def read_json(*words: object) -> Any:
    done = run(*words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def repository(tmp_path: Path, publish_tiny: Any) -> Path:
    """`done` has two versions, `foreign` one without a manifest, `planned` a configuration alone."""
    publish_tiny(tmp_path, "done")
    publish_tiny(tmp_path, "done")
    (publish_tiny(tmp_path, "foreign").version(1) / MANIFEST).unlink()
    ModelFolder(tmp_path / "planned").path.mkdir()
    ModelFolder(tmp_path / "planned").config.write_text('name: "planned"')
    return tmp_path


def test_list_tells_programs_everything(repository: Path) -> None:
    done, foreign, planned = read_json("models", "list", "--repository", repository)
    assert [version["version"] for version in done["versions"]] == [1, 2]
    assert done["versions"][1]["built_at"] == "2026-01-01T00:00:00+00:00"
    (artefact,) = done["versions"][1]["artefacts"]
    assert (artefact["target"], artefact["file"], artefact["size_bytes"]) == ("openvino", "model.xml", 0)
    assert artefact["parity"][0]["runner"] == "openvino f32"
    assert foreign["versions"] == [{"version": 1, "problem": "not built by engineroom: it has no manifest.json"}]
    assert (planned["versions"], planned["advice"]) == ([], "no version yet: engineroom build planned")


def test_list_tells_people_the_latest_in_full_and_the_rest_in_a_line(repository: Path) -> None:
    read_json("models", "engines", "done", "--repository", repository, *RTX)
    lines = run("models", "list", "--repository", repository).stdout.splitlines()
    assert lines[:2] == ["done", "  version 2: built 2026-01-01T00:00:00+00:00, served"]
    assert lines[2].split()[:2] == ["openvino", "model.xml"]
    assert lines[3].strip() == "openvino f32: 0 times fp16 rounding, max 0, cosine 1.00000"
    assert lines[4].split()[:2] == ["tensorrt-rtx:sm89", "model.rtx-sm89.plan"]
    assert lines[5].strip() == "added where it is served, not compared with PyTorch"
    assert lines[6] == "  version 1: built 2026-01-01T00:00:00+00:00, openvino"
    assert lines[-1] == "planned: no version yet: engineroom build planned"


def test_list_shows_a_damaged_manifest_and_goes_on(repository: Path) -> None:
    (repository / "done" / "2" / MANIFEST).write_text("{")
    done, _, _ = read_json("models", "list", "--repository", repository)
    assert "manifest.json: is not JSON" in done["versions"][1]["problem"]
    assert done["versions"][0]["problem"] == ""


def test_list_of_an_empty_repository_says_how_to_fill_it(tmp_path: Path) -> None:
    assert (
        run("models", "list", "--repository", tmp_path).stdout
        == f"no models in {tmp_path}. Run: engineroom build NAME\n"
    )
    assert read_json("models", "list", "--repository", tmp_path / "none") == []


def test_engines_are_added_to_the_latest_versions(repository: Path) -> None:
    done, foreign = read_json("models", "engines", "--repository", repository, *RTX)
    assert (done["version"], done["compiled"], done["reason"]) == (2, True, "missing")
    assert (repository / "done" / "2" / "model.rtx-sm89.plan").stat().st_size == done["artefact"]["size_bytes"]
    assert not (repository / "done" / "1" / "model.rtx-sm89.plan").exists()
    assert (foreign["compiled"], foreign["artefact"]) == (False, None)
    again = run("models", "engines", "done", "--repository", repository, *RTX)
    assert again.stdout.startswith("done: version 2: up to date (model.rtx-sm89.plan, ")
    forced = run("models", "engines", "done", "--repository", repository, *RTX, "--force")
    assert forced.stdout.startswith("done: version 2: compiled model.rtx-sm89.plan, ")
    assert forced.stderr.splitlines()[0] == "done: compile model.rtx-sm89.plan (--force)"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nobody", *RTX), "error: nobody: no such model in "),
        (("planned", *RTX), "error: planned: no version is published in "),
        (("--target", "openvino"), "error: target 'openvino' has no engines. "),
    ],
    ids=["unknown model", "no version", "target without engines"],
)
def test_engines_that_cannot_be_compiled_end_with_one_message(
    repository: Path, words: tuple[str, ...], message: str
) -> None:
    done = run("models", "engines", *words, "--repository", repository)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


def test_preflight_says_in_a_line_each_what_will_load(repository: Path) -> None:
    read_json("models", "engines", "done", "--repository", repository, *RTX)
    told = run("models", "preflight", "done", "--gpu", "sm90", "--triton", "26.08", "--repository", repository)
    assert (told.returncode, told.stderr) == (1, "")
    assert told.stdout.splitlines() == [
        "done: version 2 does not load on Triton 26.08 with sm90: its manifest has no model.plan, only model.xml, "
        "model.rtx-sm89.plan. Compile it there from model.graph.onnx: engineroom models engines done, or engineroom "
        "serve --engines",
        "  model.xml does not load on Triton 26.08 with sm90: it is OpenVINO's, which the configuration for the CPU "
        "names.",
        "  model.rtx-sm89.plan does not load on Triton 26.08 with sm90: it is a plan of TensorRT for RTX, another "
        "format, which none of Triton's backends reads.",
    ]


def test_preflight_for_a_gpu_alone_says_that_tensorrt_is_not_known(repository: Path) -> None:
    add_plan(ModelFolder(repository / "done"))
    there = ("models", "preflight", "done", "--repository", repository, "--gpu", "SM89")
    assert run(*there).stdout.startswith("done: version 2 loads on sm89 (TensorRT's version there is not known; ")
    found = read_json(*there, "--triton", "26.08")
    assert (found["model"], found["version"], found["loads"]) == ("done", 2, True)
    assert [(one["file"], one["reason"] == "") for one in found["artefacts"]] == [
        ("model.xml", False),
        ("model.plan", True),
    ]


@pytest.mark.skipif(has_gpu(), reason="this machine has a GPU, so that is what is judged")
def test_preflight_judges_this_machine(tmp_path: Path, publish_tiny: Any) -> None:
    publish_tiny(tmp_path, on_cpu=True)
    told = run("models", "preflight", "tiny", "--repository", tmp_path)
    assert (told.returncode, told.stdout.splitlines()) == (
        0,
        [
            "tiny: version 1 loads on a machine without a GPU.",
            "  model.xml loads on a machine without a GPU.",
        ],
    )
    told = run("models", "preflight", "tiny", "--repository", tmp_path, "--triton", "26.08")
    assert told.returncode == 2
    assert "this machine has no GPU to judge for. Say which one is there, such as --gpu sm90." in told.stderr


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("nobody",), 1, "error: nobody: no such model in "),
        (("planned",), 1, "error: planned: no version is published in "),
        (("done", "--gpu", "sm89", "--triton", "27.01"), 1, "error: Triton '27.01' is unknown. Known are: 25.01, "),
        (("done", "--gpu", "L4"), 2, "--gpu 'L4' is no compute capability. Say it as smNN, such as --gpu sm90."),
    ],
    ids=["unknown model", "no version", "unknown Triton", "no capability"],
)
def test_preflight_of_what_cannot_be_judged_ends_with_a_message(
    repository: Path, words: tuple[str, ...], status: int, message: str
) -> None:
    told = run("models", "preflight", *words, "--repository", repository)
    assert (told.returncode, told.stdout) == (status, "")
    assert message in told.stderr
    assert "Traceback" not in told.stderr


def add_plan(model: ModelFolder) -> None:
    """A plan as if compiled on an L4 in the container; its content is not looked at."""
    version = model.version(2)
    for name in ("model.plan", "model.bin"):
        (version / name).write_bytes(b"")
    digest = sha256(version / "model.plan")
    device = "NVIDIA L4, compute capability 8.9"
    plan = Artefact("model.plan", "tensorrt", 0, digest, "tensorrt 11.2.1.2", 0.1, device=device)
    passport = passport_from_file(version / MANIFEST)
    (version / MANIFEST).write_text(replace(passport, artefacts=(*passport.artefacts, plan)).to_json())


@pytest.mark.skipif(has_gpu(), reason="this machine has a GPU to compile on")
@pytest.mark.parametrize("words", [("models", "engines"), ("serve", "--engines")], ids=" ".join)
def test_machine_without_a_gpu_is_told_once(repository: Path, words: tuple[str, ...]) -> None:
    done = run(*words, "--repository", repository)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: an engine is compiled on the GPU that will run it, and no NVIDIA GPU is ")
    assert done.stderr.count("\n") == 1


def test_server_that_still_compiles_ends_at_once(repository: Path, tmp_path: Path) -> None:
    """TensorRT answers no signal while it compiles: the process that it runs in is ended instead."""
    slow = tmp_path / "slow"
    slow.write_text(
        f"#!{sys.executable}\nimport os, time\nprint(os.getpid(), *os.sys.argv[1:], flush=True)\ntime.sleep(300)\n"
    )
    slow.chmod(0o755)
    code = f"import sys; sys.executable = {str(slow)!r}; from engineroom.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", "done", "--engines", "--repository", str(repository)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        child, *words = server.stderr.readline().split()
        server.send_signal(signal.SIGTERM)
        out, err = server.communicate(timeout=20)
    assert words == ["-m", "engineroom", "models", "engines", "done", "--repository", str(repository)]
    assert (server.returncode, out, err) == (0, "stopped before it was ready\n", "")
    with pytest.raises(ProcessLookupError):
        os.kill(int(child), 0)
