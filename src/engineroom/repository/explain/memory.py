"""What serving costs in memory, estimated from the configuration, the artefacts' sizes and the graph.

The constants of our OpenVINO backend were measured on the embedded server with digits, MiniLM and EfficientNet-Lite0
(docs/explain.md says how close the estimate comes). Nothing of the estimate for a GPU was measured.
"""

from dataclasses import dataclass
from typing import Any

from engineroom.repository.config import backend_of
from engineroom.repository.explain.facts import Facts
from engineroom.repository.explain.figures import bytes_said, parameter, request_bytes
from engineroom.repository.explain.footprint import Footprint
from engineroom.repository.policy import served_versions

MIB = 2**20

STUB_BYTES = 35 * MIB
"""A process with Python, numpy and OpenVINO; what all of them share is not counted again."""

LAYER_BYTES = 105 * 1024
"""Code and bookkeeping of a layer in one compiled model."""

LARGE_BYTES = 256 * MIB
"""Weights beyond this are compiled once only (serve/backends/openvino/runner.py)."""

OPEN_COPIES = 4
"""Where more than the batch varies, OpenVINO reuses less memory between layers: measured on MiniLM alone."""

QUICK_ELEMENTS = 5_000_000
"""A batch whose layers put out no more than this takes less than about 2 ms, and the next size is compiled too."""

USUAL = 8
"""Sizes are doubled up to this one whether or not they are quick (serve/backends/openvino/runner.py)."""


@dataclass(frozen=True)
class Estimate:
    """An amount of memory, and where it comes from.

    Attributes:
        total_bytes: The amount; None where nothing is known to estimate it from.
        how: How it was estimated; empty where it is nothing.
        where: `host` or `GPU`.
    """

    total_bytes: int | None = 0
    how: str = ""
    where: str = "host"

    @property
    def said(self) -> str:
        """The amount with its reason, in words."""
        if self.total_bytes is None:
            return f"unknown: {self.how}"
        return f"about {bytes_said(self.total_bytes)} of {self.where} memory: {self.how}"

    def less(self, other: "Estimate") -> "Estimate":
        """What this one adds to another, with its reasons; unknown where one of them is unknown."""
        if self.total_bytes is None or other.total_bytes is None:
            return Estimate(None, self.how or other.how, self.where)
        return Estimate(self.total_bytes - other.total_bytes, self.how, self.where)


def served(config: Any, facts: Facts) -> Estimate:
    """What a model takes with a configuration once it is loaded, without what it shares with other models.

    Args:
        config: A `ModelConfig` message.
        facts: What is known of the model.

    Returns:
        All its instances and versions together; while it is loaded anew, the old and the new are there at once.
    """
    count = max(1, len(served_versions(config, facts.versions)))
    backend = backend_of(config)
    if backend == "tensorrt":
        return _times(_on_gpu(config, facts), count)
    if backend == "openvino":
        return _times(_on_cpu(config, facts), count)
    return Estimate(None, f"nothing is known of what the backend '{backend}' takes")


def instances(config: Any) -> int:
    """Copies of the model on each device; Triton makes one where a configuration says nothing, or 0."""
    return sum(max(1, group.count) for group in config.instance_group) or 1


def compiled_sizes(config: Any, footprint: Footprint) -> tuple[int, ...]:
    """Batch sizes that our OpenVINO backend should compile; empty where it compiles one model for all of them.

    Which they are is timed when a model is loaded; here it is guessed from the graph's work.
    """
    limit = config.max_batch_size
    if not limit or not footprint.only_batch_varies or footprint.weights_bytes > LARGE_BYTES:
        return ()
    given = {min(int(size), limit) for size in parameter(config, "BATCH_SIZES").split(",") if size.strip().isdecimal()}
    sizes = []
    for size in sorted(given or {2**power for power in range(limit.bit_length())}):
        sizes.append(size)
        if not given and size >= USUAL and size * footprint.all_elements > QUICK_ELEMENTS:
            break
    return tuple(sizes)


def runs_bf16(config: Any, facts: Facts) -> bool:
    """Whether our OpenVINO backend would compute in bf16."""
    hint = parameter(config, "HINT_BF16").upper()
    return hint == "YES" or (hint != "NO" and facts.amx and "bf16" in facts.proven("openvino"))


def one_instance(config: Any, facts: Facts) -> Estimate:
    """What one instance takes in our OpenVINO backend: its process, the compiled models, their tensors."""
    graph = facts.footprint
    if graph is None:
        return Estimate(None, "the version's model.xml is missing or cannot be read")
    # The file's weights in FP16 and a copy in the type that is computed in, for each compiled size.
    width = 2 if runs_bf16(config, facts) else 4
    weights = graph.weights_bytes * (1 + width // 2)
    sizes = compiled_sizes(config, graph)
    rows = sum(sizes) or max(1, config.max_batch_size)
    compiled = max(1, len(sizes)) * (weights + graph.layers * LAYER_BYTES)
    live = rows * graph.live_elements * width * (1 if graph.only_batch_varies else OPEN_COPIES)
    tensors = live + max(1, config.max_batch_size) * request_bytes(config, facts)
    many = f"models for batches of {', '.join(map(str, sizes))}" if sizes else "one model for any batch"
    when = "" if graph.only_batch_varies else " when requests are at their largest"
    how = (
        f"a process of {bytes_said(STUB_BYTES)}, {many} with {bytes_said(compiled)} of weights and code, "
        f"and {bytes_said(tensors)} of tensors{when}"
    )
    return Estimate(STUB_BYTES + compiled + tensors, how)


def _on_cpu(config: Any, facts: Facts) -> Estimate:
    one, count = one_instance(config, facts), instances(config)
    if one.total_bytes is None:
        return one
    return Estimate(one.total_bytes * count, f"{count} x {bytes_said(one.total_bytes)}: {one.how}")


def _on_gpu(config: Any, facts: Facts) -> Estimate:
    engine, graph, count = facts.file_bytes("tensorrt"), facts.footprint, instances(config)
    if engine is None:
        return Estimate(None, "the version holds no TensorRT engine whose size could be taken", "GPU")
    rows = max(1, config.max_batch_size)
    live = 0 if graph is None else rows * graph.live_elements * 2
    context = live + rows * request_bytes(config, facts)
    how = (
        f"the engine's {bytes_said(engine)} once on each GPU, and {count} x {bytes_said(context)} for the tensors of "
        f"{rows} rows{'' if graph else ' (without those inside the graph, which is not described here)'}; not measured"
    )
    return Estimate(engine + count * context, how, "GPU")


def _times(one: Estimate, count: int) -> Estimate:
    if one.total_bytes is None or count == 1:
        return one
    return Estimate(one.total_bytes * count, f"{count} versions, each {one.how}", one.where)
