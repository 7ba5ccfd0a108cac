"""The container without a container engine: its Dockerfile is linted and read, its steps are run where they can be."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from engineroom.hardware import has_gpu
from engineroom.project import Project
from engineroom.serve.install import install

ROOT = Path(__file__).parents[1]
DOCKERFILE = ROOT / "Dockerfile.triton"
ENVIRONMENT = "/opt/engineroom/environment"


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions: the word, and the rest with continuation lines joined."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in joined.splitlines() if line.strip()]


def all_of(word: str) -> list[str]:
    return [rest for found, rest in instructions() if found == word]


def only(word: str) -> str:
    (rest,) = all_of(word)
    return rest


def default(argument: str) -> str:
    (value,) = (rest.partition("=")[2] for rest in all_of("ARG") if rest.startswith(f"{argument}="))
    return value


def copied() -> list[str]:
    """What is copied from the checkout, as written."""
    return [source for rest in all_of("COPY") for source in shlex.split(rest)[:-1]]


def reaches_builder(path: str) -> bool:
    """Docker's rule for .dockerignore: the last pattern decides that matches the path or a folder it is in."""
    reached = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        names = [path, *(str(folder) for folder in PurePosixPath(path).parents if str(folder) != ".")]
        if any(_matches(name, pattern) for name in names):
            reached = line.startswith("!")
    return reached


def _matches(name: str, pattern: str) -> bool:
    parts, wanted = name.split("/"), pattern.split("/")
    if wanted[0] == "**":
        parts, wanted = parts[-len(wanted) + 1 :], wanted[1:]
    return len(parts) == len(wanted) and all(fnmatchcase(*pair) for pair in zip(parts, wanted, strict=True))


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_copied_is_in_the_repository_and_reaches_the_builder() -> None:
    assert copied()
    for source in copied():
        tracked = subprocess.run(
            ["git", "ls-files", "--", source], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.splitlines()
        assert tracked, f"{source} is not in the repository"
        assert all((ROOT / path).is_file() for path in tracked)
        assert [path for path in tracked if not reaches_builder(path)] == []


@pytest.mark.parametrize(
    "path",
    [
        ".venv/bin/python",
        ".git/config",
        ".engineroom/digits/model.onnx",
        "model_repository/digits/1/model.plan",
        "src/engineroom/__pycache__/errors.cpython-311.pyc",
        ".env",
    ],
)
def test_what_is_not_copied_stays_here(path: str) -> None:
    assert not reaches_builder(path)


def test_image_and_tensorrt_are_the_pair_that_is_documented() -> None:
    rows = (ROOT / "docs" / "container.md").read_text().splitlines()
    assert [row for row in rows if row.startswith(f"| {default('TRITON')} ") and f"| {default('TENSORRT')} " in row]
    assert only("FROM") == "nvcr.io/nvidia/tritonserver:${TRITON}-py3"


def test_it_runs_as_another_user_than_root_in_a_project_of_its_own() -> None:
    assert only("USER") == "1000:1000"
    (project,) = (rest.partition("=")[2] for rest in all_of("ENV") if rest.startswith("ENGINEROOM_PROJECT="))
    made = next(rest for rest in all_of("RUN") if "install --directory --owner=1000 --group=1000" in rest)
    assert str(Project(Path(project)).repository) in made.split()
    assert all_of("WORKDIR")[-1] == project


def test_ports_of_the_server_are_exposed() -> None:
    """The ports that `engineroom serve` listens on by default."""
    from engineroom.cli.serve import serve

    ports = [str(option.default) for option in serve.params if (option.name or "").endswith("_port")]
    assert only("EXPOSE").split() == ports


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment of the image, made by the Dockerfile's own commands from the files it copies."""
    folder = tmp_path_factory.mktemp("image")
    source = folder / "source"
    source.mkdir()
    for name in copied():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source)
    made = shell(_here(all_of("RUN")[0], folder / "environment"), source)
    assert made.returncode == 0, made.stdout + made.stderr
    return folder / "environment"


def _here(command: str, environment: Path) -> str:
    told = command.replace(ENVIRONMENT, str(environment)).replace("${TENSORRT}", default("TENSORRT"))
    return re.sub(r"\bpython3 -m", f"{sys.executable} -m", told)


def entry_point(environment: Path) -> list[str]:
    program, *words = json.loads(only("ENTRYPOINT"))
    linked = re.search(rf"ln -s {ENVIRONMENT}/bin/(\S+) /usr/local/bin/{program} ", " ".join(all_of("RUN")) + " ")
    assert linked
    return [str(environment / "bin" / linked[1]), *words]


def test_environment_has_the_pinned_base_dependencies_alone(environment: Path) -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "--python", environment / "bin" / "python", "list", "--format=json"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = {one["name"].lower().replace("_", "-"): one["version"] for one in json.loads(listed.stdout)}
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    pinned = {name.lower().replace("_", "-"): version for name, version in pins.items()}
    assert {"engineroom", "numpy", "tritonclient", "protobuf", "click", "rich"} <= found.keys()
    assert not {"torch", "onnx", "openvino", "pip"} & found.keys()
    assert {name: version for name, version in found.items() if name != "engineroom"} == {
        name: pinned.get(name, "not in constraints.txt") for name in found if name != "engineroom"
    }


def test_bindings_install_and_their_check_tells_what_is_missing_here(environment: Path) -> None:
    """The image has the libraries that the bindings load, this machine has not: the step fails at its last command."""
    step = shell(_here(all_of("RUN")[1], environment), environment)
    assert f"Successfully installed tensorrt-cu13-bindings-{default('TENSORRT')}" in step.stdout.replace("_", "-")
    assert step.returncode == 1
    assert "tensorrt_bindings is installed but cannot be loaded: libnvonnxparser.so.11" in step.stderr


def test_entry_point_exists_and_knows_its_options(environment: Path) -> None:
    done = subprocess.run([*entry_point(environment), "--help"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(has_gpu(), reason="this machine has a GPU, which the entry point would compile on")
def test_entry_point_without_a_gpu_says_how_to_give_it_one(
    environment: Path, tmp_path: Path, publish_tiny: Any
) -> None:
    publish_tiny(tmp_path / "model_repository")
    done = subprocess.run(
        entry_point(environment),
        env={**os.environ, "ENGINEROOM_PROJECT": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: an engine is compiled on the GPU that will run it, and no NVIDIA GPU is ")
    assert "docker run --gpus all" in done.stderr


def test_entry_point_with_nothing_mounted_says_so(environment: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        entry_point(environment),
        env={**os.environ, "ENGINEROOM_PROJECT": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: nothing is published in {tmp_path}/model_repository")


@pytest.fixture(scope="module")
def serving(
    environment: Path, tmp_path_factory: pytest.TempPathFactory, publish_tiny: Any
) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The entry point's environment serving a CPU configuration, on this machine's embedded Triton."""
    install(print)
    project = tmp_path_factory.mktemp("project")
    publish_tiny(project / "model_repository", on_cpu=True)
    words = [word for word in entry_point(environment) if word != "--engines" and not word.startswith("--log")]
    words += ["--host=127.0.0.1", "--http-port=0", "--grpc-port=0", "--metrics-port=0", "--json"]
    with subprocess.Popen(
        words, env={**os.environ, "ENGINEROOM_PROJECT": str(project)}, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        yield server, json.loads(server.stdout.readline())
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=60)


def test_same_environment_serves_a_cpu_configuration(serving: Any) -> None:
    """Ready means proven: the golden input was answered."""
    _, told = serving
    (model,) = told["models"]
    assert (model["name"], model["backend"]) == ("tiny", "openvino")
    assert model["golden"]["y"]["max_abs"] == 0


def test_health_check_follows_the_server(environment: Path, serving: Any) -> None:
    _, told = serving
    command = json.loads(only("HEALTHCHECK").partition(" CMD ")[2])
    program = command[0].replace(ENVIRONMENT, str(environment))
    port = told["http"].rpartition(":")[2]
    assert "127.0.0.1:8000/" in command[-1]

    def check(port: str) -> int:
        words = [program, *command[1:-1], command[-1].replace(":8000/", f":{port}/")]
        return subprocess.run(words, stderr=subprocess.DEVNULL, check=False, timeout=10).returncode

    assert check(port) == 0
    assert check("9") == 1


def test_sigterm_drains_and_ends_the_entry_point(serving: Any) -> None:
    server, told = serving
    server.send_signal(signal.SIGTERM)
    assert server.wait(timeout=60) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(told["pid"], 0)
