import os
import subprocess
import sys

import numpy as np
import pytest

from engineroom.client.memory.placement import ALIGNED_BYTES, WORTH_BYTES, Span, plan_from_request
from engineroom.client.memory.pool import is_tried
from engineroom.client.memory.region import FOLDER, PREFIX, Region, sweep
from engineroom.client.metadata import ModelMetadata, TensorMetadata
from engineroom.client.protocol.transport import Connecting, InputTensor, Request, RequestedOutput, address_from_url

MANY = WORTH_BYTES // 4


def test_a_region_lives_as_long_as_it_is_held():
    region = Region(4096)
    region.array(np.float32, (2, 3), 64)[...] = 7
    assert region.array(np.float32, (6,), 64).tolist() == [7] * 6
    sweep()
    assert (FOLDER / region.name).stat().st_size == 4096
    region.close()
    region.close()
    assert not (FOLDER / region.name).exists()


def test_a_region_that_nobody_closes_goes_with_its_last_user():
    region = Region(4096)
    path = FOLDER / region.name
    del region
    assert not path.exists()


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout


def test_a_region_is_removed_at_the_end_of_a_process_but_not_of_its_children():
    code = """
import os, sys
from engineroom.client.memory.region import FOLDER, Region
region = Region(4096)
child = os.fork()
if child == 0:
    sys.exit()
os.waitpid(child, 0)
print(region.name, (FOLDER / region.name).exists())
"""
    name, there = run(code).split()
    assert there == "True"
    assert not (FOLDER / name).exists()


def test_what_a_killed_process_leaves_is_swept_and_nothing_else():
    code = """
import os, signal
from engineroom.client.memory.region import Region
region = Region(4096)
print(region.name, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    left, foreign = FOLDER / process.stdout.strip(), FOLDER / f"other-{PREFIX}{os.getpid()}"
    assert left.name.startswith(PREFIX)
    foreign.touch()
    sweep()
    assert not left.exists()
    assert foreign.exists()
    foreign.unlink()


def request_of(inputs, outputs, max_batch_size=0, wanted=(), **more):
    known = ModelMetadata("m", (), tuple(TensorMetadata(*one) for one in outputs), max_batch_size)
    tensors = tuple(InputTensor(name, dtype, np.zeros(shape, object)) for name, dtype, shape in inputs)
    return Request("m", "", tensors, tuple(RequestedOutput(*one) for one in wanted), 1.0, known=known, **more)


@pytest.mark.parametrize(
    ("request_", "inputs", "outputs"),
    [
        pytest.param(request_of([("x", "FP32", (MANY,))], []), {"x": 4 * MANY}, {}, id="just large enough"),
        pytest.param(request_of([("x", "FP32", (MANY - 1,))], []), {}, {}, id="just too small"),
        pytest.param(request_of([("x", "BF16", (2 * MANY,))], []), {"x": 4 * MANY}, {}, id="two bytes of BF16"),
        pytest.param(request_of([("x", "BF16", (MANY,))], []), {}, {}, id="two bytes of BF16, too few"),
        pytest.param(request_of([("x", "BYTES", (8 * MANY,))], []), {}, {}, id="texts"),
        pytest.param(
            request_of([("x", "INT8", (3, 1))], [("y", "FP32", (MANY,))], 4), {}, {"y": 12 * MANY}, id="a batch"
        ),
        pytest.param(
            request_of([("x", "INT8", (3, 1))], [("y", "FP32", (MANY,))]), {}, {"y": 4 * MANY}, id="without batches"
        ),
        pytest.param(request_of([("x", "INT8", (3, 1))], [("y", "FP32", (MANY, -1))]), {}, {}, id="a size that varies"),
        pytest.param(request_of([("x", "INT8", (3, 1))], [("y", "BYTES", (MANY,))]), {}, {}, id="an output of texts"),
        pytest.param(
            request_of([("x", "INT8", (3, 1))], [("y", "FP32", (MANY,)), ("z", "FP32", (MANY,))], 0, [("z",)]),
            {}, {"z": 4 * MANY}, id="only what is asked for",
        ),
        pytest.param(
            request_of([("x", "INT8", (3, 1))], [("y", "FP32", (MANY,))], 0, [("y", 5)]), {}, {}, id="classes"
        ),
    ],
)  # fmt: skip
def test_tensors_that_are_large_and_whose_size_is_known_get_a_place(request_, inputs, outputs):
    plan = plan_from_request(request_)
    sizes = ({}, {}) if plan is None else tuple(
        {name: span.size_bytes for name, span in side.items()} for side in (plan.inputs, plan.outputs)
    )  # fmt: skip
    assert sizes == (inputs, outputs)


def test_places_lie_side_by_side_and_begin_at_a_cache_line():
    plan = plan_from_request(
        request_of([("x", "INT8", (4 * MANY + 1,)), ("z", "INT8", (4 * MANY,))], [("y", "FP32", (MANY,))])
    )
    second = 4 * MANY + ALIGNED_BYTES
    assert plan.inputs == {"x": Span(0, 4 * MANY + 1), "z": Span(second, 4 * MANY)}
    assert plan.outputs == {"y": Span(second + 4 * MANY, 4 * MANY)}
    assert plan.size_bytes == second + 8 * MANY


def test_a_model_that_does_not_keep_to_its_sizes_gets_no_place_for_outputs():
    request = request_of([("x", "FP32", (MANY,))], [("y", "FP32", (MANY,))])
    assert plan_from_request(request, sized=False).outputs == {}


@pytest.mark.parametrize(
    ("host", "here"),
    [("127.0.0.1", True), ("127.0.1.1", True), ("localhost", True), ("[::1]", True), ("10.0.0.7", False), ("s", False)],
)
def test_shared_memory_is_tried_at_addresses_of_this_machine_unless_the_caller_says(host, here):
    for said, tried in ((None, here), (True, True), (False, False)):
        assert is_tried(address_from_url(f"http://{host}", Connecting(shared_memory=said))) is tried
