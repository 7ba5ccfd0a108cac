"""Running the project's Locust file without its page, as a program of its own: Locust patches the whole interpreter."""

import importlib.util
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from engineroom.client.protocol.transport import Address
from engineroom.errors import BadInput, LoadError, ToolMissing
from engineroom.load.locust.shapes import stages_from_text
from engineroom.load.result import LoadResult, results_from_file
from engineroom.load.samples import Samples, samples_beside, samples_from_file
from engineroom.project import Project

SLACK_S = 60.0
"""Time for starting, connecting the users and writing the result."""


@dataclass(frozen=True)
class LocustRun:
    """What to measure.

    Attributes:
        address: The server.
        model: The model's name.
        users: Closed loops, each with a connection of its own.
        seconds: Time to measure.
        batch: Rows of one request.
        timeout_s: Longest wait for an answer.
        slo_ms: Latency that goodput is counted against; None counts none.
        shape: Instead of users and seconds, how their number changes: see `stages_from_text`.
    """

    address: Address
    model: str
    users: int = 8
    seconds: int = 10
    batch: int = 1
    timeout_s: float = 30.0
    slo_ms: float | None = None
    shape: str = ""

    def __post_init__(self) -> None:
        if self.shape:
            stages_from_text(self.shape)
        if self.users < 1 or self.seconds < 1 or self.timeout_s <= 0:
            raise BadInput(
                f"{self.model}: {self.users} users for {self.seconds} s, waiting {self.timeout_s:g} s for an answer: "
                "each must be above 0."
            )

    @property
    def longest_s(self) -> float:
        """Time after which it is given up."""
        stages = stages_from_text(self.shape) if self.shape else ()
        seconds = sum(stage.seconds for stage in stages) or self.seconds
        return seconds + self.timeout_s + SLACK_S

    def options(self, result: Path) -> list[str]:
        """Locust's options. Judging is left to the caller, so no failure ratio is too high.

        Args:
            result: File for the result.
        """
        options = ["--headless", "--only-summary", "--loglevel", "ERROR", "--host", self.address.url]
        if self.shape:
            options += ["--shape", self.shape]
        else:
            options += ["--users", str(self.users), "--spawn-rate", str(self.users), "--run-time", f"{self.seconds}s"]
        if self.slo_ms is not None:
            options += ["--slo-ms", f"{self.slo_ms:g}"]
        options += ["--model", self.model, "--batch", str(self.batch), "--timeout-s", f"{self.timeout_s:g}"]
        return [*options, "--max-failure-ratio", "1", "--result", str(result)]


def measure_with_locust(run: LocustRun, project: Project, command: str) -> tuple[LoadResult, Samples]:
    """Run Locust with the project's `perf/locustfile.py`.

    Args:
        run: What to measure.
        project: Holds the Locust file, and the model repository with the golden inputs.
        command: The command to put into the result's conditions.

    Returns:
        The result, and every single latency.

    Raises:
        ToolMissing: Locust is not installed, or the project has no Locust file.
        LoadError: Nothing could be measured.
    """
    locustfile = project.root / "perf" / "locustfile.py"
    if importlib.util.find_spec("locust") is None:
        raise ToolMissing('Locust is not installed. Run: pip install "engineroom[perf]"')
    if not locustfile.is_file():
        raise ToolMissing(f"{locustfile} is not there. Run this in a project with a perf/ folder.")
    with tempfile.TemporaryDirectory(prefix="engineroom-locust-") as folder:
        path = Path(folder) / "result.json"
        _run([sys.executable, "-m", "locust", "-f", str(locustfile), *run.options(path)], run, project)
        (result,) = results_from_file(path)
        samples = samples_from_file(samples_beside(path))
    conditions = replace(result.conditions, command=command)
    return replace(result, conditions=conditions, samples=None), samples


def _run(command: list[str], run: LocustRun, project: Project) -> None:
    longest_s = run.longest_s
    try:
        answer = subprocess.run(
            command,
            env={**os.environ, "ENGINEROOM_PROJECT": str(project.root)},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=longest_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LoadError(f"{run.model}: Locust did not finish within {longest_s:.0f} s and was killed.") from error
    if answer.returncode != 0:
        raise LoadError(_reason(answer.stderr) or f"{run.model}: Locust ended with status {answer.returncode}.")


def _reason(text: str) -> str:
    """Our own last word in Locust's output, else the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    ours = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (ours or lines or [""])[-1]
