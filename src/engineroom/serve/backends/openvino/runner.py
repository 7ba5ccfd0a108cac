"""Running batches of any size through OpenVINO in the least time.

OpenVINO runs a batch whose size is fixed up to a third faster than the same batch through a model whose batch is
dynamic (EfficientNet-Lite0 in bf16 on one core: 6.5 ms a row against 8.3 ms). So there is one compiled model for each
of a few sizes, timed when it is loaded, and a batch is cut into the sizes that take the least time together.
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

Array = npt.NDArray[Any]

DYNAMIC = 0
"""Stands for the model whose shapes are left as they are."""

LARGE_BYTES = 256 * 2**20
"""Weights beyond this are compiled once only: every compiled size has its own copy of them."""

USUAL = 8
SLOW_S = 0.5
QUICK_S = 0.002
"""Sizes are doubled up to the usual one unless a batch is slow, and beyond it while a batch is so quick that the call
itself counts."""

ROUNDS = 4
"""How often the sizes are timed after the first time; once where all together are slow."""


class Runner:
    """A model compiled for batches.

    Args:
        model: The model, as read.
        inputs: Names of its inputs, in the order that arrays are given.
        outputs: Names of its outputs, in the order that arrays are wanted.
        properties: OpenVINO's properties of the CPU device.
    """

    def __init__(
        self, model: ov.Model, inputs: Sequence[str], outputs: Sequence[str], properties: dict[str, str]
    ) -> None:
        self.model = model
        self.inputs = inputs
        self.outputs = outputs
        self.properties = properties
        self.times: dict[int, float] = {}
        self.plans: list[tuple[int, ...]] = []
        self.requests: dict[int, Any] = {}

    def prepare(self, limit: int, given: Sequence[int] = ()) -> None:
        """Compile what will run: fixed batch sizes where nothing but the batch varies between requests.

        Args:
            limit: Largest batch that `run` will be given; 0 where there is no batch axis.
            given: Sizes to compile; powers of two where empty, as many as pay.
        """
        if limit and _is_light(self.model) and _only_batch_varies(self.model):
            self.room = [_room(self.model.input(name), 2 * limit) for name in self.inputs]
            self.answers = [_room(self.model.output(name), 2 * limit) for name in self.outputs]
            self.times = self._times(limit, given)
            self.plans = cheapest_plans(self.times, limit)
        else:
            self.requests[DYNAMIC] = self._compile(self.model)

    def described(self) -> str:
        """How the model runs, in one line for the server's log."""
        sizes = ", ".join(f"{size} in {seconds * 1e3:.2f} ms" for size, seconds in self.times.items())
        return f"{self.properties}, batches of {sizes or 'any size'}"

    def run(self, calls: list[list[Array]]) -> list[Array]:
        """Infer the rows of some calls together.

        Args:
            calls: Arrays of each call, in the order of `inputs`; shapes may differ in the first axis only.

        Returns:
            Arrays in the order of `outputs`, rows of the calls one after the other (more rows may follow). They are
            valid until the next run.
        """
        if not self.plans:
            return self._infer(DYNAMIC, calls[0] if len(calls) == 1 else [np.concatenate(a) for a in _by_input(calls)])
        count = sum(len(arrays[0]) for arrays in calls)
        plan = self.plans[count]
        rows = self._gather(calls, count, sum(plan))
        if len(plan) == 1:
            return self._infer(plan[0], [array[: plan[0]] for array in rows])
        start = 0
        for size in plan:
            part = slice(start, start + size)
            found = self._infer(size, [array[part] for array in rows])
            # Copied at once: the same size, run again, writes to the same memory.
            for answer, array in zip(self.answers, found, strict=True):
                answer[part] = array
            start += size
        return self.answers

    def _gather(self, calls: list[list[Array]], count: int, padded: int) -> list[Array]:
        if len(calls) == 1 and count == padded:
            return calls[0]
        for room, arrays in zip(self.room, _by_input(calls), strict=True):
            np.concatenate(arrays, out=room[:count])
        return self.room

    def _infer(self, size: int, arrays: list[Array]) -> list[Array]:
        request = self.requests[size]
        for name, array in zip(self.inputs, arrays, strict=True):
            request.set_tensor(name, ov.Tensor(np.ascontiguousarray(array), shared_memory=True))
        request.infer()
        return [request.get_tensor(name).data for name in self.outputs]

    def _compile(self, model: ov.Model) -> Any:
        return ov.Core().compile_model(model, "CPU", self.properties).create_infer_request()

    def _times(self, limit: int, given: Sequence[int]) -> dict[int, float]:
        wanted = {min(size, limit) for size in given} or {2**power for power in range(limit.bit_length())}
        times: dict[int, float] = {}
        for size in sorted(wanted):
            fixed = self.model.clone()
            fixed.reshape({name: [size, *_row(fixed.input(name))] for name in self.inputs})
            self.requests[size] = self._compile(fixed)
            self._time(size)
            times[size] = self._time(size)
            if not given and times[size] > (SLOW_S if size < USUAL else QUICK_S):
                break
        # In turns, because a shared machine changes its speed: what is compared must have met the same weather.
        for _ in range(ROUNDS):
            times.update({size: min(seconds, self._time(size)) for size, seconds in times.items()})
            if sum(times.values()) > SLOW_S:
                break
        return times

    def _time(self, size: int) -> float:
        # A lone thread's own time does not count what else runs while several instances are loaded.
        clock = time.thread_time if self.properties["INFERENCE_NUM_THREADS"] == "1" else time.monotonic
        start = clock()
        self._infer(size, [room[:size] for room in self.room])
        return clock() - start


def cheapest_plans(times: dict[int, float], limit: int) -> list[tuple[int, ...]]:
    """The cheapest way to run any number of rows with batches of some sizes, the last of them padded.

    Args:
        times: Time of one batch, by its size.
        limit: Largest number of rows.

    Returns:
        Sizes to run, largest first, by the number of rows from 0.
    """
    costs = [0.0]
    plans: list[tuple[int, ...]] = [()]
    for rows in range(1, limit + 1):
        cost, size = min((seconds + costs[max(0, rows - size)], size) for size, seconds in times.items())
        costs.append(cost)
        plans.append(tuple(sorted((size, *plans[max(0, rows - size)]), reverse=True)))
    return plans


def _by_input(calls: list[list[Array]]) -> Any:
    return zip(*calls, strict=True)


def _only_batch_varies(model: ov.Model) -> bool:
    shapes = [port.get_partial_shape() for port in (*model.inputs, *model.outputs)]
    return all(
        shape.rank.is_static
        and len(shape) > 0
        and shape[0].is_dynamic
        and all(size.is_static for size in list(shape)[1:])
        for shape in shapes
    )


def _is_light(model: ov.Model) -> bool:
    constants = (node for node in model.get_ops() if node.get_type_name() == "Constant")
    return sum(int(node.get_byte_size()) for node in constants) <= LARGE_BYTES


def _row(port: Any) -> list[int]:
    return [size.get_length() for size in list(port.get_partial_shape())[1:]]


def _room(port: Any, rows: int) -> Array:
    return np.zeros((rows, *_row(port)), port.get_element_type().to_dtype())
