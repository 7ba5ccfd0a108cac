"""The packages of the extras: whether they are here, in a version that fits, and whether they load.

Declared versions are read from engineroom's own metadata, which pyproject.toml became when it was installed. Nothing
is imported in this process: a library that crashes while it loads ends an interpreter of its own.
"""

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata

_DECLARED = re.compile(r"([\w.-]+)(?:\[[^\]]*\])?\s*\(?([^;()]*)\)?\s*;\s*extra\s*==\s*['\"]([\w-]+)['\"]")
_BOUND = re.compile(r"(==|>=|<=|<|>)\s*([\w.]+)")
LOAD_S = 120
"""The longest that loading a library may take: PyTorch from a cold disk."""


@dataclass(frozen=True)
class Package:
    """One package that an extra declares.

    Attributes:
        requirement: As declared, such as `onnx>=1.21`.
        version: The one installed; None where there is none.
        problem: Why it cannot be used; empty where it can.
        damaged: Whether it is here in a version that fits, and does not load.
    """

    requirement: str
    version: str | None
    problem: str = ""
    damaged: bool = False

    @property
    def name(self) -> str:
        """Name of the distribution."""
        return _name(self.requirement)


def declared(extra: str) -> tuple[str, ...]:
    """The requirements of an extra, such as `onnx>=1.21`.

    Args:
        extra: `compile`, `rtx`, `tensorrt`, `perf`, `models` or `dev`.
    """
    found = (_DECLARED.match(text) for text in metadata.requires("engineroom") or ())
    return tuple(f"{match[1]}{match[2].strip()}" for match in found if match and match[3] == extra)


def inspect(extra: str, trials: Mapping[str, str] | None = None) -> tuple[Package, ...]:
    """Look at packages of an extra.

    Args:
        extra: Its name.
        trials: The packages to look at, and Python code that each must survive. By default all, and presence is enough.
    """
    return tuple(
        _inspect(text, (trials or {}).get(_name(text), ""))
        for text in declared(extra)
        if trials is None or _name(text) in trials
    )


def _inspect(requirement: str, trial: str) -> Package:
    name = _name(requirement)
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Package(requirement, None, f"{name} is not installed")
    if not fits(version, requirement):
        return Package(requirement, version, f"{name} is {version}, engineroom needs {requirement}")
    failure = answer_of([sys.executable, "-c", trial]).failure if trial else ""
    if failure:
        return Package(requirement, version, f"{name} {version} does not load: {failure}", damaged=True)
    return Package(requirement, version)


def fits(version: str, requirement: str) -> bool:
    """Whether a version is within all bounds of a requirement, by its release number alone.

    Args:
        version: Such as `2.13.0+cpu`.
        requirement: Such as `torch>=2.9,<3`.
    """
    here = _release(version)
    compared = {
        "==": lambda bound: here == bound,
        ">=": lambda bound: here >= bound,
        "<=": lambda bound: here <= bound,
        ">": lambda bound: here > bound,
        "<": lambda bound: here < bound,
    }
    return all(compared[operator](_release(bound)) for operator, bound in _BOUND.findall(requirement))


@dataclass(frozen=True)
class Answer:
    """What came of a program that should have ended in order.

    Attributes:
        output: What it printed.
        errors: What it printed on standard error.
        failure: How it failed, in a line; empty where it did not.
    """

    output: str
    errors: str
    failure: str


def answer_of(command: list[str], environment: Mapping[str, str] | None = None) -> Answer:
    """Run a program that asks nothing and ends soon.

    Args:
        command: The program and its arguments.
        environment: Its environment variables; this process's by default.
    """
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False,
            timeout=LOAD_S, stdin=subprocess.DEVNULL, env=environment,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return Answer("", "", str(error))
    return Answer(done.stdout.strip(), done.stderr.strip(), _failure(done))


def _failure(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        return f"signal {-done.returncode} ended it"
    lines = (done.stderr or done.stdout).strip().splitlines() or [f"exit status {done.returncode}"]
    return lines[-1].strip().removeprefix("engineroom.errors.CompileError: ") if done.returncode else ""


def _name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]


def _release(version: str) -> tuple[int, ...]:
    numbers = re.match(r"\d+(?:\.\d+)*", version)
    parts = [int(part) for part in numbers[0].split(".")] if numbers else []
    while parts and not parts[-1]:
        parts.pop()
    return tuple(parts)
