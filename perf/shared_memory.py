"""From which size of a tensor does shared memory pay? The same calls over the network and through it, in turns.

python perf/shared_memory.py             about three minutes
python perf/shared_memory.py --quick     about 25 seconds

One caller, one real Triton with a model that gives back what it gets, or a single number. Each round makes one call
of every size and way after the other, so that a machine that drifts drifts for all. The ratio is the network's time
over that of shared memory, call by call; its interval is a bootstrap of the rounds. `WORTH_BYTES`
(client/memory/placement.py) is the smallest size from which on shared memory is faster in every column.
"""

import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from engineroom.cli import run as run_command
from engineroom.client import Client
from engineroom.client.memory import placement
from engineroom.compile.precisions import median_and_interval
from engineroom.load.conditions import conditions_of_now
from engineroom.serve.server import Server, ServerOptions, running

COMMAND = "python perf/shared_memory.py"
ROW_BYTES = 1024
SIZES_KIB = (4, 16, 32, 64, 128, 256, 1024, 4096)
WAYS = {"there": ["count"], "there and back": ["y"]}
"""Outputs asked for: a number, or all that was sent."""

CONFIG = f"""
name: "echo"
backend: "python"
max_batch_size: {max(SIZES_KIB)}
input {{ name: "x" data_type: TYPE_UINT8 dims: [ {ROW_BYTES} ] }}
output [
  {{ name: "y" data_type: TYPE_UINT8 dims: [ {ROW_BYTES} ] }},
  {{ name: "count" data_type: TYPE_INT32 dims: [ 1 ] }}
]
instance_group {{ kind: KIND_CPU count: 1 }}
"""
MODEL = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
        given = {"y": x, "count": np.full((len(x), 1), len(x), np.int32)}
        wanted = request.requested_output_names()
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, given[name]) for name in wanted])
"""


@dataclass(frozen=True)
class Case:
    """What is timed.

    Attributes:
        protocol: `grpc` or `http`.
        way: One of `WAYS`.
        size_kib: Size of the tensor.
    """

    protocol: str
    way: str
    size_kib: int


Timed = dict[Case, list[tuple[float, float]]]
"""Seconds of each pair of calls: over the network, through shared memory."""


def write_repository(folder: Path) -> Path:
    """The model repository with the model that echoes."""
    version = folder / "echo" / "1"
    version.mkdir(parents=True)
    (version / "model.py").write_text(MODEL)
    (folder / "echo" / "config.pbtxt").write_text(CONFIG)
    return folder


def timed_from_server(server: Server, rounds: int) -> Timed:
    """Time every case, in rounds; the first fifth warms up."""
    cases = [Case(protocol, way, size) for protocol in ("grpc", "http") for way in WAYS for size in SIZES_KIB]
    timed: Timed = {case: [] for case in cases}
    images = {size: np.random.default_rng(0).integers(0, 256, (size, ROW_BYTES), np.uint8) for size in SIZES_KIB}
    with ExitStack() as stack:
        clients = {
            protocol: tuple(
                stack.enter_context(Client(f"{protocol}://{getattr(server, protocol)}", shared_memory=said))
                for said in (False, True)
            )
            for protocol in ("grpc", "http")
        }
        for turn in range(-rounds // 5, rounds):
            for case in cases:
                order = (0, 1) if turn % 2 else (1, 0)  # who comes first finds what the case before has left
                seconds = {
                    which: seconds_of(clients[case.protocol][which], case, images[case.size_kib]) for which in order
                }
                if turn >= 0:
                    timed[case].append((seconds[0], seconds[1]))
    return timed


def seconds_of(client: Client, case: Case, x: np.ndarray) -> float:
    """Seconds of one call, whose answer is checked."""
    start = time.perf_counter()
    answer = client.infer("echo", {"x": x}, outputs=WAYS[case.way])
    taken_s = time.perf_counter() - start
    if not np.array_equal(answer.get("y", x), x):
        raise click.ClickException(f"{case}: the answer is wrong.")
    return taken_s


def table(timed: Timed) -> str:
    """The figures as Markdown."""
    columns = [(protocol, way) for protocol in ("grpc", "http") for way in WAYS]
    lines = ["| KiB | " + " | ".join(f"{protocol}, {way}" for protocol, way in columns) + " |", "| --- " * 5 + "|"]
    for size in SIZES_KIB:
        cells = [cell(np.array(timed[Case(protocol, way, size)])) for protocol, way in columns]
        lines.append(f"| {size} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(pairs: np.ndarray) -> str:
    """Median milliseconds over the network and through shared memory, and the ratio with its interval."""
    far_ms, near_ms = np.median(pairs, axis=0) * 1e3
    ratio, low, high = median_and_interval(pairs[:, 0] / pairs[:, 1])
    return f"{far_ms:.2f} / {near_ms:.2f} ms, {ratio:.2f}x ({low:.2f} to {high:.2f})"


@click.command()
@click.option("--quick", is_flag=True, help="A look: a tenth of the rounds.")
def main(quick: bool) -> None:
    """Time calls over the network and through shared memory, by the size of their tensors."""
    placement.WORTH_BYTES = 1  # what is measured here is where it should stand
    with tempfile.TemporaryDirectory() as folder:
        repository = write_repository(Path(folder))
        with running(ServerOptions(repository, drain_s=0)) as server:
            timed = timed_from_server(server, rounds=40 if quick else 400)
    click.echo(f"Network / shared memory, then the network's time over that of shared memory.\n\n{table(timed)}")
    click.echo(f"\n{conditions_of_now(COMMAND, {'triton': '2.51.0'})}")


if __name__ == "__main__":
    run_command(main)
