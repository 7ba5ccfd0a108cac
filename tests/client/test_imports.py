"""The client lives in applications that have numpy and tritonclient, and nothing else of the toolchain."""

import subprocess
import sys
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def run(code: str) -> str:
    """Run code in an interpreter of its own, with warnings as errors."""
    command = [sys.executable, "-I", "-W", "error", "-c", code]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def needed_by(name: str, extras: frozenset[str] = frozenset()) -> set[str]:
    """A distribution and everything it brings."""
    found, waiting = set(), [(name, extras)]
    while waiting:
        name, extras = waiting.pop()
        found.add(canonicalize_name(name))
        for text in metadata.requires(name) or ():
            requirement = Requirement(text)
            marker = requirement.marker
            wanted = marker is None or any(marker.evaluate({"extra": extra}) for extra in {"", *extras})
            if wanted and canonicalize_name(requirement.name) not in found:
                waiting.append((requirement.name, frozenset(requirement.extras)))
    return found


def foreign_packages() -> list[str]:
    """Every installed package that numpy and tritonclient do not bring."""
    ours = needed_by("numpy") | needed_by("tritonclient", frozenset({"grpc", "http"})) | {"engineroom"}
    return sorted(
        package
        for package, distributions in metadata.packages_distributions().items()
        if not ours & {canonicalize_name(name) for name in distributions}
    )


def test_the_client_works_where_only_its_own_dependencies_are():
    foreign = foreign_packages()
    assert {"click", "rich", "torch", "onnx", "locust", "PIL"} <= set(foreign)
    code = f"""
import sys
for name in {foreign!r}:
    sys.modules[name] = None  # importing it raises ImportError

from engineroom.client import Client, ServerUnavailable

for url in ("grpc://127.0.0.1:1", "http://127.0.0.1:1"):
    with Client(url) as client:
        try:
            client.metadata("digits")
        except ServerUnavailable as error:
            print(error)
"""
    lines = run(code).splitlines()
    assert [line.split(" (")[0] for line in lines] == [
        "no Triton answers at grpc://127.0.0.1:1",
        "no Triton answers at http://127.0.0.1:1",
    ]


def test_importing_the_client_loads_nothing_heavy():
    code = "import sys, numpy; before = set(sys.modules); import engineroom.client; print(*(set(sys.modules) - before))"
    loaded = {name.split(".")[0] for name in run(code).split()}
    assert loaded - set(sys.stdlib_module_names) <= {"engineroom", "numpy"}
