"""The backend's two files, driven without a server: what a server cannot show from outside."""

import importlib
import itertools
import json
import sys
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from engineroom.serve.triton import BACKENDS


@pytest.fixture(scope="session")
def backend(server_installation):
    """The modules `model` and `runner` as Triton's stub would import them."""
    folders = [str(BACKENDS / "openvino"), str(server_installation.python_backend)]
    sys.path[:0] = folders
    try:
        yield importlib.import_module("model"), importlib.import_module("runner")
    finally:
        for folder in folders:
            sys.path.remove(folder)
        for module in ("model", "runner"):
            sys.modules.pop(module, None)


@pytest.fixture
def affine():
    """`out = 2 * in + 1`, any number of rows of width 3."""
    rows = ops.parameter([-1, 3], np.float32, name="in")
    out = ops.add(ops.multiply(rows, np.float32(2)), np.float32(1))
    rows.output(0).get_tensor().set_names({"in"})
    out.output(0).get_tensor().set_names({"out"})
    return ov.Model([ops.result(out)], [rows], "affine")


@pytest.mark.parametrize(
    ("times", "rows", "plan"),
    [
        ({1: 1.0, 2: 1.8, 4: 3.2}, 7, (4, 2, 1)),
        ({1: 1.0, 8: 1.2}, 3, (8,)),
        ({1: 1.0, 2: 2.5, 4: 6.0}, 4, (1, 1, 1, 1)),
        ({4: 1.0}, 9, (4, 4, 4)),
        ({1: 1.0}, 0, ()),
    ],
    ids=["cut without waste", "padded where calls cost more than rows", "larger does not pay", "one size", "no rows"],
)
def test_the_cheapest_plan(backend, times, rows, plan):
    _, runner = backend
    assert runner.cheapest_plans(times, 9)[rows] == plan


@pytest.mark.parametrize("sizes", [(), (1,), (2, 4), (8,)], ids=["chosen", "ones", "twos and fours", "eights"])
def test_every_way_to_cut_a_batch_gives_every_row_its_answer(backend, affine, sizes):
    _, runner = backend
    tested = runner.Runner(affine, ["in"], ["out"], {"INFERENCE_NUM_THREADS": "1"})
    tested.prepare(8, sizes)
    assert not sizes or set(tested.requests) == set(sizes)
    values = itertools.count()
    for counts in [(1,), (8,), (3,), (1, 2), (5, 3), (1, 1, 1, 1, 1, 1, 1), (2, 2)]:
        calls = [[np.array([[next(values)] * 3 for _ in range(count)], np.float32)] for count in counts]
        (answer,) = tested.run(calls)
        np.testing.assert_array_equal(answer[: sum(counts)], 2 * np.concatenate([call[0] for call in calls]) + 1)


def test_a_model_with_more_than_the_batch_varying_is_left_as_it_is(backend):
    _, runner = backend
    rows = ops.parameter([-1, -1], np.float32, name="in")
    rows.output(0).get_tensor().set_names({"in"})
    twice = ops.multiply(rows, np.float32(2))
    twice.output(0).get_tensor().set_names({"out"})
    tested = runner.Runner(ov.Model([ops.result(twice)], [rows], "twice"), ["in"], ["out"], {})
    tested.prepare(8)
    assert set(tested.requests) == {runner.DYNAMIC}
    for width in (2, 5):
        calls = [[np.ones((count, width), np.float32)] for count in (1, 2)]
        np.testing.assert_array_equal(tested.run(calls)[0], np.full((3, width), 2))


@pytest.mark.parametrize(
    ("proven", "hint", "expected"),
    [
        (["f32", "bf16"], "", "amx"),
        (["f32"], "", "f32"),
        (None, "", "f32"),
        (["f32"], "YES", "bf16"),
        (["f32", "bf16"], "no", "f32"),
    ],
    ids=["proven", "not proven", "no manifest", "asked for", "declined"],
)
def test_bf16_runs_where_it_is_proven_and_the_processor_has_it(backend, tmp_path, proven, hint, expected):
    model, _ = backend
    if proven is not None:
        (tmp_path / "manifest.json").write_text(json.dumps({"artefacts": [{"target": "openvino", "proven": proven}]}))
    parameters = {"HINT_BF16": {"string_value": hint}} if hint else {}
    properties = model._properties(tmp_path, {"parameters": parameters, "instance_group": [{"count": 1}]})
    if expected == "amx":
        expected = "bf16" if "amx_bf16" in Path("/proc/cpuinfo").read_text().split() else "f32"
    assert properties["INFERENCE_PRECISION_HINT"] == expected


def test_instances_share_the_cores_and_the_configuration_wins(backend, tmp_path, monkeypatch):
    model, _ = backend
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(8))
    config = {"parameters": {}, "instance_group": [{"count": 2}, {"count": 1}]}
    assert model._properties(tmp_path, config)["INFERENCE_NUM_THREADS"] == "2"
    config["parameters"] = {"INFERENCE_NUM_THREADS": {"string_value": "5"}}
    assert model._properties(tmp_path, config)["INFERENCE_NUM_THREADS"] == "5"
