"""What `engineroom doctor` looks at: what is here, whether it works, and the one command that mends what does not.

A probe asks the room that knows. Libraries are loaded in interpreters of their own: one that crashes is a finding.
"""

import os
import platform
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from engineroom.cli.packages import answer_of, declared, fits, inspect
from engineroom.errors import PortInUse, ServerNotInstalled, ToolMissing
from engineroom.hardware import has_amx, has_gpu, processor
from engineroom.project import Project, cache_folder

OK, MISSING, BROKEN = "ok", "missing", "broken"

PORTS = (8000, 8001, 8002)
"""HTTP, gRPC and metrics, where `engineroom serve` is not told others."""

LEAST_DISK_BYTES = 10**9
"""The embedded server takes 500 MB, and builds write graphs and artefacts of each version."""

LEAST_SHARED_BYTES = 32 * 2**20
"""The Python backend starts with 1 MB an instance and grows with its requests (Triton, `shm-default-byte-size`)."""

TOOLCHAIN, LOAD = ("torch", "onnxscript", "onnxruntime", "onnx"), ("locust", "matplotlib")

LOAD_TENSORRT = {
    "tensorrt": "from engineroom.compile.targets.bindings import check_bindings; print(check_bindings())",
    "tensorrt-rtx": "from engineroom.compile.targets.tensorrt import load; print(load('tensorrt-rtx').__version__)",
}
OPENVINO = "import openvino; assert 'CPU' in openvino.Core().available_devices, 'it shows no CPU'"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What it is called.
        state: `ok`, `missing` (not here), or `broken` (here, and not usable as it is).
        found: What is here, in words.
        problem: What is wrong; empty where nothing is.
        mend: The command that mends it; empty where nothing is wrong, or no command helps.
        data: The figures behind the words.
    """

    name: str
    state: str
    found: str
    problem: str = ""
    mend: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


def probes(project: Project) -> dict[str, Callable[[], Check]]:
    """Every probe, by the name of its check.

    Args:
        project: Whose disk is looked at.
    """
    toolchain, load = ({name: f"import {name}" for name in names} for names in (TOOLCHAIN, LOAD))
    return {
        "processor": _processor,
        "gpu": _gpu,
        "python": _python,
        "c library": _c_library,
        "project disk": partial(_disk, "project disk", project.root),
        "cache disk": lambda: _disk("cache disk", cache_folder()),
        "shared memory": _shared_memory,
        "leftovers": _leftovers,
        "ports": _ports,
        "toolchain": partial(_packages, "toolchain", "compile", toolchain),
        "openvino": partial(_packages, "openvino", "compile", {"openvino": OPENVINO}),
        "tensorrt": partial(_tensorrt, "tensorrt", "tensorrt"),
        "tensorrt-rtx": partial(_tensorrt, "tensorrt-rtx", "rtx"),
        "embedded server": _embedded_server,
        "container": _container,
        "locust": partial(_packages, "locust", "perf", load),
        "perf_analyzer": _perf_analyzer,
        "models": partial(_packages, "models", "models", None),
    }


def _packages(name: str, extra: str, trials: Mapping[str, str] | None) -> Check:
    found = inspect(extra, trials)
    data = {package.name: package.version for package in found}
    words = ", ".join(f"{package.name} {package.version}" for package in found if package.version)
    bad = [package for package in found if package.problem]
    if not bad:
        return Check(name, OK, words, data=data)
    damaged = " ".join(f"'{package.requirement}'" for package in bad if package.damaged)
    mend = f"pip install --force-reinstall {damaged}" if damaged else f"pip install 'engineroom[{extra}]'"
    missing = ", ".join(package.name for package in bad if package.version is None)
    problems = [f"not installed: {missing}"] if missing else []
    problems += [package.problem for package in bad if package.version]
    return Check(name, BROKEN if problems[bool(missing) :] else MISSING, words, "; ".join(problems), mend, data)


def _tensorrt(kind: str, extra: str) -> Check:
    """By module, not by package: the container has the bindings alone, and the libraries are the image's."""
    from engineroom.compile.targets.tensorrt import installed

    (requirement,) = declared(extra)
    install = f"pip install 'engineroom[{extra}]'"
    if not installed(kind):
        if kind == "tensorrt" and not has_gpu():
            return Check(kind, MISSING, "", "not installed; it compiles only where its GPU is")
        return Check(kind, MISSING, "", "not installed", install)
    answer = answer_of([sys.executable, "-c", LOAD_TENSORRT[kind]])
    if answer.failure:
        return Check(kind, BROKEN, "", answer.failure, f"pip install --force-reinstall '{requirement}'")
    version, data = answer.output, {"version": answer.output}
    if not fits(version, requirement):
        return Check(kind, BROKEN, version, f"engineroom needs {requirement}", install, data)
    return Check(kind, OK, version, data=data)


def _perf_analyzer() -> Check:
    from engineroom.load.perf_analyzer.binary import find_perf_analyzer, wheel_version

    try:
        tool = find_perf_analyzer()
    except ToolMissing as error:
        problem, mend = _mending_perf_analyzer(error)
        wheel = wheel_version()
        found = f"the package perf-analyzer {wheel}" if wheel else ""
        return Check("perf_analyzer", BROKEN if wheel else MISSING, found, problem, mend, {"package": wheel})
    data = {"version": tool.version, "path": tool.origin}
    return Check("perf_analyzer", OK, f"{tool.version} in {tool.origin}", data=data)


def _mending_perf_analyzer(missing: ToolMissing) -> tuple[str, str]:
    from engineroom.load.perf_analyzer.binary import INSTALL, check_platform

    try:
        check_platform()
    except ToolMissing as error:
        return str(error), ""
    return str(missing).removeprefix("perf_analyzer: ").removesuffix(INSTALL).strip(), INSTALL.removeprefix("Run: ")


def _embedded_server() -> Check:
    from engineroom.serve.embedded import PINS, embedded_server
    from engineroom.serve.triton import container_binary

    name, first = "embedded server", container_binary()
    if first:
        return Check(name, MISSING, "", f"{first} is here, and goes before it")
    try:
        server = embedded_server()
    except ServerNotInstalled as error:
        return Check(name, MISSING, "", str(error))
    data = {"folder": str(server.folder), "python": server.interpreter.version, "packages": PINS}
    if not server.folder.exists():
        return Check(name, MISSING, "", f"not installed in {server.folder}", "engineroom server install", data)
    problem = f"{server.missing[0]} is gone" if server.missing else _trial_of_embedded(server.environment)
    if problem:
        return Check(name, BROKEN, str(server.folder), problem, "engineroom server install --force", data)
    return Check(name, OK, f"{PINS[0]} for Python {server.interpreter.version} in {server.folder}", data=data)


def _trial_of_embedded(environment: Path) -> str:
    """How its program, or the packages of its backends, fail to load; empty where they load."""
    from engineroom.serve.triton import find_triton

    triton = find_triton()
    answer = answer_of([str(triton.binary), "--help"], triton.environment)
    # Asked for help, it prints that on standard error and ends with 1.
    if "Usage: tritonserver" not in answer.errors:
        return f"tritonserver does not start: {answer.failure}"
    python = str(environment / "bin" / "python3")
    failure = answer_of([python, "-I", "-c", f"import numpy; {OPENVINO}"]).failure
    return failure and f"the packages of its backends do not load: {failure}"


def _container() -> Check:
    from engineroom.serve.triton import container_binary

    binary = container_binary()
    if not binary:
        return Check(
            "container", MISSING, "", "no tritonserver in /opt/tritonserver or on PATH: this is no Triton image"
        )
    told = binary.parent.parent / "TRITON_VERSION"
    version = told.read_text(encoding="utf-8").strip() if told.is_file() else "of unknown version"
    return Check("container", OK, f"{version} in {binary}", data={"version": version, "path": str(binary)})


def _ports() -> Check:
    from engineroom.serve.ports import choose_ports

    free = dict.fromkeys(map(str, PORTS), True)
    for port in PORTS:
        try:
            choose_ports("127.0.0.1", port, None, None)
        except PortInUse:
            free[str(port)] = False
    words = ", ".join(f"{port} {'free' if is_free else 'taken'}" for port, is_free in free.items())
    if all(free.values()):
        return Check("ports", OK, words, data=free)
    mend = "engineroom serve --http-port 0 --grpc-port 0 --metrics-port 0"
    return Check("ports", BROKEN, words, "a port that serve uses by default is taken", mend, data=free)


def _gpu() -> Check:
    from engineroom.compile.targets.gpu import find_driver

    driver, visible = find_driver(), has_gpu()
    if driver is None:
        problem = "a GPU is here, its driver's libcuda.so.1 is not" if visible else "no NVIDIA GPU and no driver"
        return Check("gpu", BROKEN if visible else MISSING, "", problem, data={"gpus": []})
    told = f"driver {driver.version or 'of unknown version'}, CUDA up to {driver.cuda or 'unknown'}"
    data = {"driver": driver.version, "cuda": driver.cuda, "gpus": [vars(gpu) for gpu in driver.gpus]}
    if not driver.gpus:
        problem = f"the driver shows no GPU (cuInit answers {driver.status})"
        return Check("gpu", BROKEN if visible else MISSING, told, problem, data=data)
    if not visible:
        return Check("gpu", BROKEN, told, "the driver shows a GPU, and it has no device node in /dev", data=data)
    return Check("gpu", OK, f"{'; '.join(map(str, driver.gpus))}; {told}", data=data)


def _processor() -> Check:
    cores, amx = len(os.sched_getaffinity(0)), has_amx()
    words = f"{processor()}, {cores} cores, {'AMX: bf16' if amx else 'no AMX: FP32'}"
    return Check("processor", OK, words, data={"name": processor(), "cores": cores, "amx": amx})


def _python() -> Check:
    version = platform.python_version()
    return Check("python", OK, f"{version} in {sys.executable}", data={"version": version, "path": sys.executable})


def _c_library() -> Check:
    name, version = platform.libc_ver()
    return Check("c library", OK, f"{name} {version}".strip() or "unknown", data={"name": name, "version": version})


def _shared_memory() -> Check:
    from engineroom.serve.leftovers import SHARED_MEMORY

    if not os.access(SHARED_MEMORY, os.W_OK):
        return Check("shared memory", BROKEN, "", f"{SHARED_MEMORY} is not there, or not writable")
    return _room("shared memory", SHARED_MEMORY, LEAST_SHARED_BYTES, "Triton's Python backend may run out of it")


def _leftovers() -> Check:
    from engineroom.serve.leftovers import dead_servers

    dead = dead_servers()
    if not dead:
        return Check("leftovers", OK, "none of dead servers", data={"servers": dead})
    # Every start sweeps first.
    words = f"of {len(dead)} dead server{'s'[: len(dead) > 1]}"
    return Check("leftovers", BROKEN, words, ", ".join(dead), "engineroom serve", {"servers": dead})


def _disk(name: str, folder: Path) -> Check:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        return Check(name, BROKEN, "", f"{there} is no folder that can be written")
    return _room(name, there, LEAST_DISK_BYTES, "builds and installations may fail")


def _room(name: str, folder: Path, least_bytes: int, danger: str) -> Check:
    room = shutil.disk_usage(folder)
    words = f"{room.free / 1e9:.1f} of {room.total / 1e9:.1f} GB free in {folder}"
    data = {"folder": str(folder), "free_bytes": room.free, "total_bytes": room.total}
    if room.free < least_bytes:
        return Check(name, BROKEN, words, f"less than {least_bytes / 1e6:.0f} MB are free: {danger}", data=data)
    return Check(name, OK, words, data=data)
