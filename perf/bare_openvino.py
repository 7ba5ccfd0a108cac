"""How fast the CPU artefact runs with no server around it: OpenVINO's throughput mode, in this process.

Prints one line of JSON. `perf/bench.py` runs it in turn with the served model.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

import click
import numpy as np


@click.command()
@click.argument("version", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--batch", default=8, show_default=True, help="Rows of one inference.")
@click.option("--seconds", default=5.0, show_default=True, help="How long to measure.")
def main(version: Path, batch: int, seconds: float) -> None:
    """Measure the OpenVINO artefact of VERSION, a version folder of the model repository."""
    from openvino import AsyncInferQueue, Core

    manifest = json.loads((version / "manifest.json").read_text(encoding="utf-8"))
    artefact = next(one for one in manifest["artefacts"] if one["target"] == "openvino")
    kind = "bf16" if "bf16" in artefact["proven"] else "f32"
    hints = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": kind}
    core = Core()
    model = core.read_model(str(version / artefact["file"]))
    names = [port.get_any_name() for port in model.inputs]
    inputs = rows(version, names, batch)
    # A fixed batch is what OpenVINO runs fastest: the bar to measure a server against.
    model.reshape({name: list(array.shape) for name, array in zip(names, inputs, strict=True)})
    queue = AsyncInferQueue(core.compile_model(model, "CPU", hints))
    run(queue, inputs, seconds=1.0)
    cpu = time.process_time()
    done, elapsed = run(queue, inputs, seconds)
    figures = {
        "rows_per_s": done * batch / elapsed,
        "cpu_ms_per_row": (time.process_time() - cpu) * 1e3 / (done * batch),
        "streams": len(queue),
        "precision": kind,
        "batch": batch,
        "cores": len(os.sched_getaffinity(0)),
    }
    click.echo(json.dumps(figures))


def rows(version: Path, names: list[str], batch: int) -> list[Any]:
    """Real rows, from the golden input, repeated to the batch: one array an input, shape (batch, ...)."""
    golden = np.load(version / "golden.npz")
    arrays = [golden[f"input.{name}"] for name in names]
    return [np.ascontiguousarray(array[np.arange(batch) % len(array)]) for array in arrays]


def run(queue: Any, inputs: list[Any], seconds: float) -> tuple[int, float]:
    """Keep every stream busy for a while.

    Returns:
        Inferences that ended, and the seconds they took.
    """
    began = time.perf_counter()
    done = 0
    while time.perf_counter() - began < seconds:
        queue.start_async(inputs, share_inputs=True)
        done += 1
    queue.wait_all()
    return done, time.perf_counter() - began


if __name__ == "__main__":
    main()
