"""TensorRT's timing cache: kept per GPU and version, and never in the way of a build."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engineroom.compile.targets import tensorrt
from engineroom.compile.targets.gpu import Gpu
from engineroom.compile.targets.tensorrt import TensorRT, plan_from_onnx
from engineroom.compile.targets.timing_cache import TimingCache
from engineroom.repository.layout import GRAPH
from engineroom.repository.passport import Profile

HERE = TensorRT("tensorrt", "tensorrt")
RTX = TensorRT("tensorrt-rtx:sm89", "tensorrt-rtx", "SM89")
PROFILE = Profile("fp16", {"x": ((1, 8), (2, 8), (4, 8))})
L4, H200 = Gpu("NVIDIA L4", "8.9"), Gpu("NVIDIA H200", "9.0")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "users-cache" / "timing"


@pytest.fixture
def build(
    tmp_path: Path, folder: Path, publish_tiny: Any, tensorrt_double: Any, as_tensorrt: Callable[[Any], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Any]:  # fmt: skip
    """`build(gpu=L4, surface="tensorrt-11.4")` compiles a plan; gives the stand-in and what the build noted."""
    graph = publish_tiny(tmp_path).version(1) / GRAPH

    def run(gpu: Gpu = L4, surface: str = "tensorrt-11.4") -> tuple[Any, str]:
        double = as_tensorrt(tensorrt_double.double(surface))
        double.gpu = str(gpu)
        monkeypatch.setattr(tensorrt, "gpus", lambda: (gpu,))
        compiled = plan_from_onnx(HERE, graph, PROFILE, tmp_path / "model.plan")
        return double, compiled.note

    return run


def loaded(double: Any) -> bytes:
    """The cache that a build began with."""
    return bytes(double.called("IBuilderConfig.create_timing_cache")[-1]["serialized_timing_cache"])


@pytest.mark.parametrize("surface", ["tensorrt-10.16", "tensorrt-11.4"])
def test_what_one_build_measured_the_next_begins_with(folder: Path, build: Any, surface: str) -> None:
    first, note = build(surface=surface)
    assert (loaded(first), note) == (b"", "")
    (kept,) = folder.glob("*.cache")
    assert kept.name == f"tensorrt-{first.__version__}-NVIDIA-L4-compute-capability-8.9.cache"
    second, note = build(surface=surface)
    assert note == ""
    started = second.called("IBuilderConfig.create_timing_cache")[0]["serialized_timing_cache"]
    assert kept.read_bytes().startswith(hashlib.sha256(started).hexdigest().encode() + b"\n")
    assert second.called("IBuilderConfig.set_timing_cache")[0]["ignore_mismatch"] is False


def test_each_gpu_and_each_version_has_its_own(folder: Path, build: Any) -> None:
    build(L4)
    double, _ = build(H200)
    assert double.called("IBuilderConfig.create_timing_cache")[0]["serialized_timing_cache"] == b""
    build(L4, "tensorrt-10.16")
    assert len(list(folder.glob("*.cache"))) == 3


@pytest.mark.parametrize(
    "damage",
    [lambda path: path.write_bytes(path.read_bytes()[:-3]), lambda path: path.write_bytes(b"rubbish")],
    ids=["cut short", "rubbish"],
)
def test_damaged_cache_is_dropped_with_a_note(folder: Path, build: Any, damage: Callable[[Path], Any]) -> None:
    build()
    (kept,) = folder.glob("*.cache")
    damage(kept)
    double, note = build()
    assert note.startswith(f"the timing cache {kept} is damaged: dropped")
    assert double.called("IBuilderConfig.create_timing_cache")[0]["serialized_timing_cache"] == b""
    assert build()[1] == ""


def test_cache_of_another_gpu_is_dropped_with_a_note(folder: Path, build: Any) -> None:
    """Somebody copied the file."""
    build(L4)
    (kept,) = folder.glob("*.cache")
    other = kept.with_name(kept.name.replace("L4", "H200").replace("8.9", "9.0"))
    kept.rename(other)
    _, note = build(H200)
    assert note == f"the timing cache {other} was made for another GPU or TensorRT: dropped"
    assert build(H200)[1] == ""


def test_what_another_build_added_meanwhile_is_kept(folder: Path, tensorrt_double: Any) -> None:
    double = tensorrt_double.double("tensorrt-11.4")
    configs = [double.make("IBuilderConfig") for _ in range(2)]
    for name, config in zip("ab", configs, strict=True):
        TimingCache.of(double, str(L4)).load_into(config)
        config.get_timing_cache().state["kernels"].add(name)
    for config in configs:
        TimingCache.of(double, str(L4)).save_from(config)
    assert TimingCache.of(double, str(L4)).path.read_bytes().endswith(b"a\nb")


def test_folder_that_cannot_be_written_is_noted(folder: Path, build: Any) -> None:
    folder.parent.mkdir()
    folder.write_text("a file stands where the folder should be")
    _, note = build()
    assert "cannot be read: Not a directory" in note
    assert "cannot be kept: " in note


def test_rtx_measures_nothing_and_keeps_nothing(
    folder: Path, tmp_path: Path, publish_tiny: Any, recwarn: pytest.WarningsRecorder
) -> None:
    """The real library; its calls for a timing cache do nothing, and warn that they are deprecated."""
    import tensorrt_rtx

    graph = publish_tiny(tmp_path).version(1) / GRAPH
    plans = [plan_from_onnx(RTX, graph, PROFILE, tmp_path / f"{number}.plan").file.read_bytes() for number in (1, 2)]
    assert plans[0] == plans[1]
    assert not folder.exists()
    assert not recwarn.list
    config = tensorrt_rtx.Builder(tensorrt_rtx.Logger()).create_builder_config()
    with pytest.warns(DeprecationWarning, match="Timing cache operations are no-ops"):
        config.get_timing_cache()
