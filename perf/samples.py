"""What keeping a million requests takes: lines of JSON as `load/samples.py` writes them, beside numpy's own arrays.

    python perf/samples.py [--quick]

Half a minute; with `--quick`, a tenth of the requests. Times are processor time.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

from engineroom.load.conditions import conditions_of_now
from engineroom.load.samples import Samples, samples_from_file, samples_to_file


def requests(count: int) -> Samples:
    """An open loop at 1000/s: latencies around 4.5 ms, one in a hundred rejected."""
    rng = np.random.default_rng(0)
    due_s = np.sort(rng.uniform(0, count / 1000, count))
    outcome = np.where(rng.uniform(size=count) < 0.01, 2, 0).astype(np.uint8)
    sent_s = due_s + rng.exponential(1e-4, count)
    return Samples(sent_s, rng.lognormal(1.5, 0.5, count), outcome > 0, due_s, outcome)


def arrays_to_file(samples: Samples, path: Path) -> None:
    """The same as compressed arrays."""
    with path.open("wb") as file:
        np.savez_compressed(file, **{name: array for name, array in vars(samples).items() if array is not None})


def arrays_from_file(path: Path) -> None:
    """Read them all."""
    with np.load(path) as arrays:
        for name in arrays:
            arrays[name]


def seconds(work: Callable[[], object]) -> float:
    """Processor time of some work."""
    begin_s = time.process_time()
    work()
    return time.process_time() - begin_s


@click.command()
@click.option("--quick", is_flag=True, help="A tenth of the requests.")
def main(quick: bool) -> None:
    """Print the table."""
    samples = requests(100_000 if quick else 1_000_000)
    click.echo(f"{len(samples):,} requests\n\n| form | MB | s to write | s to read |\n| --- | --- | --- | --- |")
    forms = {"lines of JSON": (samples_to_file, samples_from_file), "arrays": (arrays_to_file, arrays_from_file)}
    with tempfile.TemporaryDirectory() as folder:
        for form, (write, read) in forms.items():
            path = Path(folder) / "samples"
            times = [seconds(lambda: write(samples, path)), seconds(lambda: read(path))]  # noqa: B023 - called at once
            click.echo(f"| {form} | {path.stat().st_size / 1e6:.1f} | {times[0]:.1f} | {times[1]:.1f} |")
    told = conditions_of_now("python perf/samples.py", {"numpy": np.__version__})
    click.echo(f"\n{told.machine}, {told.cores} cores; {told.versions}; {told.time}")


if __name__ == "__main__":
    main()
