"""Running a plan, against stand-ins for 10.16 and 11.4 that compute on the addresses they are given."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from engineroom.compile.targets.tensorrt import TensorRT, plan_from_onnx
from engineroom.compile.targets.tensorrt_engine import runner_from_plan, torch_dtype
from engineroom.errors import CompileError
from engineroom.repository.layout import GRAPH
from engineroom.repository.passport import Profile

PROFILE = Profile("fp16", {"x": ((1, 8), (2, 8), (4, 8))})

each_version = pytest.mark.parametrize("version", ["tensorrt-10.16", "tensorrt-11.4"])


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor's memory in the place of a GPU's: the addresses are real, the device is not."""
    empty = torch.empty
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "stand-in")
    stream = SimpleNamespace(cuda_stream=7, synchronize=lambda: None)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: stream)
    monkeypatch.setattr(torch.Tensor, "cuda", lambda self: self)
    monkeypatch.setattr(torch, "empty", lambda shape, dtype, device: empty(shape, dtype=dtype))


@pytest.fixture
def plan(
    tmp_path: Path, publish_tiny: Any, tensorrt_double: Any, as_tensorrt: Callable[[Any], Any]
) -> Callable[..., tuple[Any, Path]]:
    """Makes a stand-in, and a plan of `relu(relu(x) @ 2)` with it."""

    def make(version: str, **script: Any) -> tuple[Any, Path]:
        trt = as_tensorrt(tensorrt_double.double(version, **script))
        path = tmp_path / "model.plan"
        plan_from_onnx(TensorRT("tensorrt", "tensorrt"), publish_tiny(tmp_path).version(1) / GRAPH, PROFILE, path)
        return trt, path

    return make


@each_version
@pytest.mark.parametrize("batch", [1, 4])
def test_engine_answers_batches_within_its_profile(
    version: str, batch: int, plan: Callable[..., Any], cuda: None
) -> None:
    trt, path = plan(version)
    runner = runner_from_plan(trt, path)
    x = np.random.default_rng(batch).normal(size=(batch, 8)).astype(np.float32)
    answer = runner.answer({"x": x})["y"]
    assert runner.name == "tensorrt stand-in"
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer, 2 * np.maximum(x, 0), rtol=1e-2)
    assert trt.called("IExecutionContext.execute_async_v3") == [{"stream_handle": 7}]


@each_version
def test_answers_stay_as_they_were_when_the_next_batch_runs(version: str, plan: Callable[..., Any], cuda: None) -> None:
    runner = runner_from_plan(*plan(version))
    first = runner.answer({"x": np.ones((2, 8), np.float32)})["y"]
    runner.answer({"x": np.zeros((4, 8), np.float32)})
    np.testing.assert_array_equal(first, np.full((2, 8), 2, np.float32))


@each_version
def test_shape_outside_the_profile_is_refused(version: str, plan: Callable[..., Any], cuda: None) -> None:
    runner = runner_from_plan(*plan(version))
    with pytest.raises(CompileError, match=r"model.plan: takes no 'x' of shape \(5, 8\): .*Widen the recipe's axes"):
        runner.answer({"x": np.ones((5, 8), np.float32)})


@each_version
def test_plan_that_does_not_load_says_why(version: str, plan: Callable[..., Any], cuda: None) -> None:
    trt, path = plan(version)
    trt.script.loads, trt.script.logged = False, ("built with an incompatible version",)
    with pytest.raises(CompileError, match=r"model.plan: does not load .*: built with an incompatible version$"):
        runner_from_plan(trt, path)


@each_version
def test_engine_that_does_not_run_is_an_error(version: str, plan: Callable[..., Any], cuda: None) -> None:
    trt, path = plan(version)
    runner = runner_from_plan(trt, path)
    trt.script.runs = False
    with pytest.raises(CompileError, match="the engine did not run: it gave no reason"):
        runner.answer({"x": np.ones((1, 8), np.float32)})


def test_torch_without_cuda_says_which_to_install(plan: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(CompileError, match=r"this PyTorch \(.+\) has no CUDA.* Install a CUDA build of torch"):
        runner_from_plan(*plan("tensorrt-11.4"))


def test_every_type_of_a_recipe_has_a_type_in_torch(tensorrt_double: Any) -> None:
    kinds = ("FLOAT", "HALF", "BF16", "INT64", "INT32", "INT8", "UINT8", "BOOL")
    surfaces = [
        set(tensorrt_double.double(version).DataType.__members__) for version in ("tensorrt-10.16", "tensorrt-11.4")
    ]
    assert all(set(kinds) <= surface for surface in surfaces)
    assert [torch_dtype(kind).itemsize for kind in kinds] == [4, 2, 2, 8, 4, 1, 1, 1]
