"""Rows per second, memory and losses of `engineroom infer`, against one real Triton with a small model.

python perf/infer.py                     about four minutes
python perf/infer.py --quick             about one

For each format a small file and one of ten times the rows are asked and written in the same format: memory that grows
with the file would show. Memory is the largest anonymous part of the resident set (`RssAnon` in /proc/PID/status), so
without files that are mapped; processor time is that of the command alone. Then a run is killed (`kill -9`) at random
times and begun again until it is through, and every row of its output is compared with the truth.
"""

import csv
import json
import math
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
from marked import WIDTH, configure, publish_next

from engineroom.cli import run as run_command
from engineroom.load.conditions import conditions_of_now
from engineroom.serve.server import ServerOptions, running

COMMAND = "python perf/infer.py"
FORMATS = ("npy", "npz", "csv", "jsonl", "parquet")
BATCH = 64
MOST_KILLS = 12
RSS_ANON = re.compile(r"RssAnon:\s+(\d+) kB")

Numbers = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Ended:
    """What a run has taken.

    Attributes:
        status: Its exit status; below 0 where it was killed.
        wall_s: How long it ran.
        cpu_s: Processor time.
        mib: Largest memory.
    """

    status: int
    wall_s: float
    cpu_s: float
    mib: float


def write_rows(path: Path, x: Numbers) -> None:
    """A file of any format that feeds the input `x`."""
    if path.suffix == ".npy":
        np.save(path, x)
    elif path.suffix == ".npz":
        np.savez(path, x=x)
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([[f"x.{column}" for column in range(WIDTH)], *x.tolist()])
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps({"x": row}) + "\n" for row in x.tolist()))
    else:
        from pyarrow import parquet, table

        parquet.write_table(table({"x": x.tolist()}), path, row_group_size=10_000)


def ended(source: Path, output: Path, url: str, kill_after_s: float = math.inf) -> Ended:
    """Run the command, and kill it when it has run so long."""
    words = ["infer", "marked", str(source), "--output", str(output), "--url", url]
    start_s, mib = time.monotonic(), 0.0
    process = subprocess.Popen(
        [sys.executable, "-m", "engineroom", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while True:
        pid, status, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return Ended(process.returncode, time.monotonic() - start_s, used.ru_utime + used.ru_stime, mib)
        if time.monotonic() - start_s > kill_after_s:
            process.kill()
        found = RSS_ANON.search(Path(f"/proc/{process.pid}/status").read_text())
        mib = max(mib, int(found[1]) / 1024) if found else mib
        time.sleep(0.02)


def figures(folder: Path, url: str, rows: int) -> str:
    """The table of formats, as Markdown."""
    lines = ["| format | rows | rows/s | CPU us a row | MiB |", "| --- " * 5 + "|"]
    for form in FORMATS:
        for count in (rows // 10, rows):
            source, output = folder / f"{count}.{form}", folder / f"y{count}.{form}"
            write_rows(source, np.random.default_rng(0).random((count, WIDTH), np.float32))
            run = ended(source, output, url)
            if run.status:
                raise click.ClickException(f"{form}: ended with status {run.status}.")
            speed = f"{count / run.wall_s:,.0f} | {run.cpu_s / count * 1e6:.0f}"
            lines.append(f"| {form} | {count:,} | {speed} | {run.mib:.0f} |")
            source.unlink()
            output.unlink()
    return "\n".join(lines)


def kills(folder: Path, url: str, rows: int) -> str:
    """Kill a run again and again; say how often, and that nothing is lost."""
    x = np.random.default_rng(1).random((rows, WIDTH), np.float32)
    source, output = folder / "killed.npy", folder / "killed.csv"
    write_rows(source, x)
    killed, chance = 0, random.Random(0)  # noqa: S311 - times, no secrets
    while ended(source, output, url, chance.uniform(1, 8) if killed < MOST_KILLS else math.inf).status:
        killed += 1
        if killed > MOST_KILLS:
            raise click.ClickException("a run that nobody killed failed.")
    with output.open(newline="") as file:
        lines = list(csv.reader(file))[1:]
    found = np.array([line[2 : 2 + WIDTH] for line in lines], np.float32)
    order = [int(line[1]) for line in lines]
    if order != list(range(rows)) or not np.array_equal(found, x):
        raise click.ClickException(f"after {killed} kills the output is not the truth.")
    return f"{rows:,} rows: killed {killed} times, every row is there once, and right."


@click.command()
@click.option("--quick", is_flag=True, help="A tenth of the rows.")
def main(quick: bool) -> None:
    """Measure `engineroom infer`; exit status 1 where a row is lost, written twice or wrong."""
    rows = 10_000 if quick else 100_000
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = configure(folder / "repository")
        for config in (model.config, model.cpu_config):
            config.write_text(config.read_text().replace("max_batch_size: 4", f"max_batch_size: {BATCH}"))
        publish_next(model, folder / "scratch")  # its first version multiplies by 1
        with running(ServerOptions(folder / "repository", drain_s=0)) as server:
            url = f"grpc://{server.grpc}"
            click.echo(f"\n{figures(folder, url, rows)}\n")
            click.echo(f"{kills(folder, url, 2 * rows)}\n")
    click.echo(conditions_of_now(COMMAND, {}))


if __name__ == "__main__":
    run_command(main)
