"""Running NVIDIA's perf_analyzer, bounded in time."""

import re
import subprocess
import tempfile
from pathlib import Path

from engineroom.errors import LoadError
from engineroom.load.conditions import conditions_of_now
from engineroom.load.perf_analyzer.binary import PerfAnalyzer
from engineroom.load.perf_analyzer.report import results_from_output
from engineroom.load.perf_analyzer.run import PerfRun, export_beside
from engineroom.load.perf_analyzer.samples import samples_from_export
from engineroom.load.result import LoadResult
from engineroom.load.samples import Samples

STOPPED_TRYING = 2
"""perf_analyzer's exit status where no three windows in a row were alike."""


def measure_with_perf_analyzer(
    tool: PerfAnalyzer, run: PerfRun, command: str
) -> tuple[tuple[LoadResult, Samples | None], ...]:
    """Run perf_analyzer.

    Args:
        tool: The one to run.
        run: What to measure.
        command: The command to put into the results' conditions.

    Returns:
        One result a load, upward, each with its samples where they were to be kept.

    Raises:
        LoadError: It ended with an error, found no stable measurement, or took too long and was killed.
    """
    with tempfile.TemporaryDirectory(prefix="engineroom-perf-") as folder:
        report = Path(folder) / "report.csv"
        output = _output(tool, run, report)
        text = report.read_text(encoding="utf-8") if report.is_file() else ""
        kept = samples_from_export(export_beside(report)) if run.keep_samples else {}
    versions = {"perf_analyzer": tool.version, "server": run.served.server, run.served.name: run.served.version}
    results = results_from_output(output, text, run, conditions_of_now(command, versions))
    if run.keep_samples and not kept.keys() >= {one.offered.value for one in results}:
        raise LoadError(f"{run.served.name}: perf_analyzer's export lacks a load. Use version 2.60.0.")
    return tuple((one, kept.get(one.offered.value)) for one in results)


def _output(tool: PerfAnalyzer, run: PerfRun, report: Path) -> str:
    try:
        answer = subprocess.run(
            [*tool.command, *run.options(report)],
            cwd=report.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=run.timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LoadError(
            f"{run.served.name}: perf_analyzer did not finish within {run.timeout_s:.0f} s and was killed. "
            "Above the server's capacity it never does: offer less load."
        ) from error
    except OSError as error:
        raise LoadError(
            f"perf_analyzer cannot be started ({error}). Run: engineroom load install-perf-analyzer"
        ) from error
    if answer.returncode != 0:
        raise _failure(answer.returncode, answer.stdout, run)
    return answer.stdout


def _failure(status: int, output: str, run: PerfRun) -> LoadError:
    name = run.served.name
    if status == STOPPED_TRYING and "Failed to obtain stable measurement" in output:
        return LoadError(
            f"{name}: no three of {run.trials} windows of {run.window_ms} ms came within {run.stability_percent:g} % "
            "of each other. Lengthen --window-ms, loosen --stability-percent, or quieten the machine."
        )
    if "doesn't match expected output" in output or "size doesn't match" in output:
        return LoadError(f"{name}: an answer differs from the validation data. Build or serve the right version.")
    reason = re.search(r"(?:had error|error): (.+)", output, re.IGNORECASE)
    last = reason[1] if reason else (output.strip().splitlines() or ["no reason given"])[-1]
    return LoadError(f"{name}: perf_analyzer at {run.served.address.url} ended with status {status}: {last}")
