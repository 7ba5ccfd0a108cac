"""`engineroom doctor` on this machine as it is, and on this machine with something taken away for real."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import venv
from collections.abc import Callable
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from engineroom.cli.packages import declared, fits
from engineroom.hardware import has_gpu
from engineroom.serve.embedded import EmbeddedServer, embedded_server
from engineroom.serve.install import install
from engineroom.serve.leftovers import PREFIX, SHARED_MEMORY

pytestmark = pytest.mark.usefixtures("own_ports")

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
EXTRAS = ("compile", "rtx", "tensorrt", "perf", "models")

without_gpu = pytest.mark.skipif(has_gpu(), reason="speaks of a machine without a GPU")


class Report:
    """What the command said as JSON, by name."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        assert "Traceback" not in done.stdout + done.stderr
        said = json.loads(done.stdout)
        self.status = done.returncode
        self.usable: bool = said["usable"]
        self.checks: dict[str, Any] = {check["name"]: check for check in said["checks"]}
        self.verdicts: dict[str, Any] = {verdict["name"]: verdict for verdict in said["verdicts"]}

    @property
    def mends(self) -> set[str]:
        return {one["mend"] for one in (*self.checks.values(), *self.verdicts.values()) if one["mend"]}

    def state(self, name: str) -> str:
        state = self.checks[name]["state"]
        assert isinstance(state, str)
        return state


def doctor(*words: str, python: str = sys.executable, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [python, "-m", "engineroom", "doctor", *words]
    environment = {**os.environ, **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=200)


def report(**variables: str) -> Report:
    return Report(doctor("--json", **variables))


@pytest.fixture(scope="module")
def server() -> EmbeddedServer:
    """The embedded server, installed where it is missing."""
    install(lambda _: None)
    return embedded_server()


@pytest.fixture(scope="module")
def here(server: EmbeddedServer) -> Report:
    """This machine as it is."""
    return report()


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An environment that has engineroom and its base dependencies alone."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, symlinks=True, with_pip=False)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    for name in with_dependencies("engineroom"):
        for file in metadata.files(name) or ():
            top = file.parts[0]
            if top != ".." and not (packages / top).exists():
                (packages / top).symlink_to(str(metadata.distribution(name).locate_file(top)))
    return str(folder / "bin" / "python")


@pytest.fixture
def bare(bare_python: str, tmp_path: Path) -> Callable[..., Report]:
    """Asks in that environment, with an empty cache and nothing on PATH; variables may be given."""

    def ask(**variables: str) -> Report:
        isolated = {"PATH": "/nowhere", "ENGINEROOM_CACHE": str(tmp_path / "cache"), **variables}
        return Report(doctor("--json", python=bare_python, **isolated))

    return ask


def with_dependencies(name: str) -> set[str]:
    """A distribution and all that it needs without extras, those of tritonclient excepted."""
    from packaging.requirements import Requirement

    found, waiting = set(), [(name, "")]
    while waiting:
        name, extra = waiting.pop()
        found.add(name)
        for requirement in map(Requirement, metadata.requires(name) or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                waiting += [
                    (requirement.name, one) for one in requirement.extras or {""} if requirement.name not in found
                ]
    return found


@without_gpu
def test_what_works_on_a_machine_without_a_gpu(here: Report) -> None:
    works = {name for name, verdict in here.verdicts.items() if verdict["works"]}
    assert works == {
        "build --target openvino",
        "build --target tensorrt-rtx:smNN",
        "serve, embedded server",
        "load locust",
        "load perf-analyzer",
    }
    assert (here.usable, here.status) == (True, 0)
    assert here.verdicts["build --target tensorrt"]["problem"] == "no NVIDIA GPU and no driver"
    assert here.verdicts["build --target tensorrt"]["mend"] == "", "no command brings a GPU"


def test_the_machine_is_described_as_the_system_does(here: Report) -> None:
    processor = here.checks["processor"]["data"]
    assert processor["amx"] == (" amx_bf16 " in Path("/proc/cpuinfo").read_text())
    assert processor["cores"] == len(os.sched_getaffinity(0))
    assert here.checks["python"]["data"]["version"] == sys.version.split()[0]
    assert here.checks["c library"]["data"]["version"] == os.confstr("CS_GNU_LIBC_VERSION").split()[1]  # type: ignore[union-attr]
    shared = os.statvfs(SHARED_MEMORY)
    assert here.checks["shared memory"]["data"]["total_bytes"] == shared.f_blocks * shared.f_frsize


def test_versions_are_those_of_the_packages(here: Report) -> None:
    toolchain = here.checks["toolchain"]["data"]
    assert toolchain == {name: metadata.version(name) for name in ("onnx", "onnxruntime", "onnxscript", "torch")}
    assert here.checks["tensorrt-rtx"]["data"]["version"] == metadata.version("tensorrt-rtx-cu13")
    assert set(here.checks["models"]["data"]) == {re.split("[<>=]", one)[0] for one in declared("models")}


def test_people_are_told_the_same(bare_python: str, tmp_path: Path) -> None:
    done = doctor(python=bare_python, PATH="/nowhere", ENGINEROOM_CACHE=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == "doctor: looking at this machine, and loading what is installed\n"
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert f"yes python {sys.version.split()[0]} in {bare_python}"[:60] in " ".join(lines)
    assert lines[lines.index("- openvino not installed: openvino") + 1] == "Run: pip install 'engineroom[compile]'"
    assert "- load locust not installed: locust, matplotlib pip install 'engineroom[perf]'" in lines


@without_gpu
def test_base_dependencies_alone_say_what_to_install(bare: Callable[..., Report]) -> None:
    found = bare()
    assert (found.usable, found.status) == (False, 1)
    assert not any(verdict["works"] for verdict in found.verdicts.values())
    mends = {name: verdict["mend"] for name, verdict in found.verdicts.items() if verdict["mend"]}
    assert mends == {
        "build --target openvino": "pip install 'engineroom[compile]'",
        "build --target tensorrt-rtx:smNN": "pip install 'engineroom[compile]'",
        "serve, embedded server": "engineroom server install",
        "load locust": "pip install 'engineroom[perf]'",
        "load perf-analyzer": "engineroom load install-perf-analyzer",
    }
    assert {found.state(name) for name in ("toolchain", "openvino", "tensorrt-rtx", "models", "locust")} == {"missing"}
    assert found.checks["models"]["mend"] == "pip install 'engineroom[models]'"
    assert found.checks["tensorrt-rtx"]["mend"] == "pip install 'engineroom[rtx]'"


def test_damaged_and_foreign_packages_are_findings(tmp_path: Path, server: EmbeddedServer) -> None:
    (tmp_path / "openvino.py").write_text("raise ImportError('libopenvino.so: cannot open shared object file')")
    (tmp_path / "locust.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    (tmp_path / "tensorrt_rtx.py").write_text("raise OSError('libtensorrt_rtx.so.1: file too short')")
    old = tmp_path / "onnx-1.12.0.dist-info"
    old.mkdir()
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: onnx\nVersion: 1.12.0\n")
    (tmp_path / "tokenizers-0.23.dist-info").mkdir()
    found = report(PYTHONPATH=f"{tmp_path}:{SOURCE}")
    parts = ("openvino", "locust", "tensorrt-rtx", "toolchain", "models")
    assert {name: found.state(name) for name in parts} == dict.fromkeys(parts, "broken")
    assert "libopenvino.so: cannot open shared object file" in found.checks["openvino"]["problem"]
    assert found.checks["openvino"]["mend"] == f"pip install --force-reinstall '{declared('compile')[3]}'"
    assert "signal 11" in found.verdicts["load locust"]["problem"]
    assert "file too short" in found.checks["tensorrt-rtx"]["problem"]
    assert found.checks["toolchain"]["problem"] == f"onnx is 1.12.0, engineroom needs {declared('compile')[0]}"
    assert found.checks["toolchain"]["mend"] == "pip install 'engineroom[compile]'"
    assert (found.verdicts["serve, embedded server"]["works"], found.status) == (True, 1)


def test_an_incomplete_server_is_a_finding(bare: Callable[..., Report], tmp_path: Path) -> None:
    named = bare(PATH=os.environ["PATH"]).checks["embedded server"]
    Path(named["data"]["folder"]).mkdir(parents=True)
    found = bare(PATH=os.environ["PATH"])
    assert (named["state"], found.state("embedded server")) == ("missing", "broken")
    assert found.verdicts["serve, embedded server"]["mend"] == "engineroom server install --force"


def test_a_server_whose_program_does_not_start_is_a_finding(tmp_path: Path, server: EmbeddedServer) -> None:
    copy = tmp_path / "server" / server.folder.name
    shutil.copytree(server.folder, copy, symlinks=True, copy_function=os.symlink)
    binary = copy / server.binary.relative_to(server.folder)
    binary.unlink()
    binary.write_text("#!/bin/sh\necho 'error while loading shared libraries: libdcgm.so.3' >&2\nexit 127\n")
    binary.chmod(0o755)
    found = report(ENGINEROOM_CACHE=str(tmp_path), PYTHONPATH=str(SOURCE))
    assert found.checks["embedded server"]["problem"].endswith("libdcgm.so.3")
    assert found.checks["embedded server"]["mend"] == "engineroom server install --force"


@without_gpu
def test_a_container_without_its_gpu_is_not_a_server(bare: Callable[..., Report], tmp_path: Path) -> None:
    (tmp_path / "tritonserver").write_text("#!/bin/sh\n")
    (tmp_path / "tritonserver").chmod(0o755)
    found = bare(PATH=str(tmp_path))
    assert found.checks["container"]["data"]["path"] == str(tmp_path / "tritonserver")
    assert found.verdicts["serve, in the container"]["problem"] == "no NVIDIA GPU and no driver"
    assert "goes before it" in found.verdicts["serve, embedded server"]["problem"]


def test_a_file_where_the_cache_should_be_is_a_finding(bare: Callable[..., Report], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    found = bare()
    assert found.state("embedded server") == "missing"
    assert found.state("cache disk") == "broken"


def test_a_taken_port_is_told(bare: Callable[..., Report]) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # somebody else's is as good
            taken.bind(("127.0.0.1", 8002))
            taken.listen()
        ports = bare().checks["ports"]
    assert (ports["state"], ports["data"]["8002"]) == ("broken", False)
    assert ports["mend"].startswith("engineroom serve --http-port 0")


def test_what_a_dead_server_left_is_told_and_stays(bare: Callable[..., Report]) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    region = SHARED_MEMORY / f"{PREFIX}{process.pid}_feedbeef_region"
    try:
        for _ in range(5):  # a server that another test starts meanwhile sweeps it
            region.write_bytes(b"left")
            leftovers = bare().checks["leftovers"]
            if stays := region.exists():
                break
    finally:
        region.unlink(missing_ok=True)
    assert stays, "a look must change nothing"
    assert region.name.removesuffix("_region") in leftovers["data"]["servers"]
    assert leftovers["mend"] == "engineroom serve"


def test_a_placeholder_is_not_perf_analyzer(bare: Callable[..., Report], tmp_path: Path) -> None:
    dummy = tmp_path / "perf_analyzer-0.1.0.dist-info"
    dummy.mkdir()
    (dummy / "METADATA").write_text("Metadata-Version: 2.1\nName: perf-analyzer\nVersion: 0.1.0\n")
    found = bare(PYTHONPATH=str(tmp_path)).checks["perf_analyzer"]
    assert (found["state"], found["found"]) == ("broken", "the package perf-analyzer 0.1.0")
    assert "placeholder" in found["problem"]
    assert found["mend"] == "engineroom load install-perf-analyzer"


def test_every_command_that_mends_exists(here: Report, bare: Callable[..., Report]) -> None:
    elsewhere = {f"engineroom {words}" for words in ("serve", "serve --http-port 0", "server install --force")}
    mends = here.mends | bare().mends | elsewhere
    for mend in mends:
        if mend.startswith("pip install"):
            assert set(re.findall(r"engineroom\[(\w+)\]", mend)) <= set(EXTRAS)
            assert all(map(declared, re.findall(r"engineroom\[(\w+)\]", mend)))
            continue
        words = mend.split()
        assert words[0] == "engineroom"
        options = [word for word in words[1:] if word.startswith("--")]
        command = [
            sys.executable,
            "-m",
            "engineroom",
            *(word for word in words[1:] if word[:2] != "--" and word != "0"),
        ]
        said = subprocess.run([*command, "--help"], capture_output=True, text=True, check=False)
        assert said.returncode == 0, said.stderr
        assert all(option in said.stdout for option in options)


@pytest.mark.parametrize("extra", EXTRAS)
def test_declared_is_what_pyproject_says(extra: str) -> None:
    from packaging.requirements import Requirement

    text = (ROOT / "pyproject.toml").read_text()
    listed = re.search(rf"^{extra} = \[(.*?)\]$", text, re.MULTILINE | re.DOTALL)
    assert listed
    said = {str(Requirement(one)) for one in re.findall(r'"([^"]+)"', listed[1])}
    assert {str(Requirement(one)) for one in declared(extra)} == said


@pytest.mark.parametrize(
    "version", ["1", "1.20.9", "1.21", "1.21.0", "1.24.1+cpu", "2.0rc1", "2", "10.12.0.36", "12.0"]
)
def test_versions_are_compared_as_pip_does(version: str) -> None:
    from packaging.specifiers import SpecifierSet

    bounds = [">=1.21", "<12,>=10.12", "==1.21", ">1.21", "<=2"]
    for bound in bounds:
        expected = SpecifierSet(bound).contains(version, prereleases=True)
        assert fits(version, f"package{bound}") == expected or "rc" in version, bound


def test_every_bound_of_an_extra_is_one_that_is_compared() -> None:
    for extra in EXTRAS:
        for requirement in declared(extra):
            bounds = re.sub(r"^[\w.-]+", "", requirement)
            assert re.fullmatch(r"(,?(==|>=|<=|<|>)[\w.]+)+", bounds), requirement
