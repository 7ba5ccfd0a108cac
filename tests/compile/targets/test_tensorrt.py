"""The TensorRT targets: the same code against stand-ins for 10.16 and 11.4, and against the real TensorRT for RTX."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engineroom.compile.targets import target_from_name, tensorrt
from engineroom.compile.targets.tensorrt import TensorRT, plan_from_onnx
from engineroom.errors import CompileError
from engineroom.repository.layout import GRAPH
from engineroom.repository.passport import Profile

HERE = TensorRT("tensorrt", "tensorrt")
RTX = TensorRT("tensorrt-rtx:sm89", "tensorrt-rtx", "SM89")
PROFILE = Profile("fp16", {"x": ((1, 8), (2, 8), (4, 8))})

each_version = pytest.mark.parametrize("version", ["tensorrt-10.16", "tensorrt-11.4"])


@pytest.fixture
def graph(tmp_path: Path, publish_tiny: Any) -> Path:
    """`relu(relu(x) @ 2)` in FP16: four HALF layers and the cast back to FLOAT."""
    path: Path = publish_tiny(tmp_path).version(1) / GRAPH
    return path


@pytest.fixture
def graph_of_two(tmp_path: Path) -> Path:
    """`relu(ids) + relu(mask)` in FP16, both (batch, tokens)."""
    import onnx
    from onnx import TensorProto, helper

    def edge(name: str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT16, ["batch", "tokens"])

    nodes = [
        helper.make_node("Relu", ["ids"], ["a"]),
        helper.make_node("Relu", ["mask"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["sum"]),
    ]
    drawn = helper.make_graph(nodes, "two", [edge("ids"), edge("mask")], [edge("sum")])
    path = tmp_path / "two.onnx"
    onnx.save(helper.make_model(drawn, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


@pytest.fixture
def stand_in(tensorrt_double: Any, as_tensorrt: Callable[[Any], Any]) -> Callable[..., Any]:
    """`stand_in(version, **script)` puts a stand-in where TensorRT is loaded from."""
    return lambda version, **script: as_tensorrt(tensorrt_double.double(version, **script))


@each_version
def test_network_is_strongly_typed_with_no_flag_of_the_builder(
    version: str, graph: Path, stand_in: Callable[..., Any]
) -> None:
    trt = stand_in(version)
    compiled = plan_from_onnx(HERE, graph, PROFILE, graph.with_name("model.plan"))
    flag = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    assert trt.called("Builder.create_network") == [{"flags": flag}]
    assert trt.called("IBuilderConfig.set_flag") == []
    assert trt.called("IBuilderConfig.profiling_verbosity") == [{"value": trt.ProfilingVerbosity.DETAILED}]
    assert compiled.built_with == f"tensorrt {trt.__version__}"
    assert compiled.precision == {"HALF": 4, "FLOAT": 1}
    assert compiled.file.read_bytes().endswith(graph.read_bytes()[-16:])


def test_version_without_the_flag_is_strongly_typed_anyway(graph: Path, stand_in: Callable[..., Any]) -> None:
    """Weak typing is gone in 11, and its flag may follow."""
    trt = stand_in("tensorrt-11.4")
    trt.NetworkDefinitionCreationFlag = object()
    plan_from_onnx(HERE, graph, PROFILE, graph.with_name("model.plan"))
    assert trt.called("Builder.create_network") == [{"flags": 0}]


@each_version
def test_profile_has_three_shapes_for_every_input(
    version: str, graph_of_two: Path, stand_in: Callable[..., Any]
) -> None:
    trt = stand_in(version)
    shapes = {"ids": ((1, 2), (8, 64), (32, 256)), "mask": ((1, 2), (8, 64), (32, 256))}
    plan_from_onnx(HERE, graph_of_two, Profile("fp16", shapes), graph_of_two.with_suffix(".plan"))
    assert [tuple(call.values()) for call in trt.called("IOptimizationProfile.set_shape")] == [
        (name, *sizes) for name, sizes in shapes.items()
    ]
    assert len(trt.called("IBuilderConfig.add_optimization_profile")) == 1


@each_version
def test_profile_that_is_refused_is_shown(version: str, graph: Path, stand_in: Callable[..., Any]) -> None:
    stand_in(version)
    backwards = Profile("fp16", {"x": ((4, 8), (2, 8), (1, 8))})
    with pytest.raises(CompileError, match=r"profile \{'x': \(\(4, 8\).* is refused. Check the recipe's axes"):
        plan_from_onnx(HERE, graph, backwards, graph.with_name("model.plan"))


@each_version
def test_what_the_parser_refuses_is_named_by_node(version: str, graph: Path, stand_in: Callable[..., Any]) -> None:
    stand_in(version, parser_errors=(("/net/roi", "RoiAlign", "no plugin"), ("", "", "false")))
    with pytest.raises(CompileError) as caught:
        plan_from_onnx(HERE, graph, PROFILE, graph.with_name("model.plan"))
    assert "/net/roi (RoiAlign): no plugin; graph: UNSUPPORTED_NODE. Replace the operator" in str(caught.value)
    assert not graph.with_name("model.plan").exists()


@each_version
def test_failed_build_ends_in_the_last_lines_of_the_log(
    version: str, graph: Path, stand_in: Callable[..., Any]
) -> None:
    trt = stand_in(version, builds=False, logged=("no tactic for node 7", "out of memory"))
    with pytest.raises(
        CompileError,
        match=r"cannot compile it for tensorrt: no tactic for node 7 out of memory\. Build .* --fallback onnxr",
    ):
        plan_from_onnx(HERE, graph, PROFILE, graph.with_name("model.plan"))
    trt.script.logged = ()
    with pytest.raises(CompileError, match=r"cannot compile it for tensorrt: it gave no reason\."):
        plan_from_onnx(HERE, graph, PROFILE, graph.with_name("model.plan"))
    assert not graph.with_name("model.plan").exists()


def test_errors_logged_by_a_build_that_went_well_are_not_blamed_on_the_next(
    graph: Path, stand_in: Callable[..., Any]
) -> None:
    trt = stand_in("tensorrt-11.4", logged=("an old worry",))
    plan_from_onnx(HERE, graph, PROFILE, graph.with_name("model.plan"))
    trt.script.builds, trt.script.logged = False, ("the reason",)
    with pytest.raises(CompileError, match=r"cannot compile it for tensorrt: the reason\. Build for another"):
        plan_from_onnx(HERE, graph, PROFILE, graph.with_name("model.plan"))


@each_version
def test_sparse_weights_are_asked_for_where_the_recipe_is_sparse(
    version: str, graph: Path, stand_in: Callable[..., Any]
) -> None:
    trt = stand_in(version)
    plan_from_onnx(HERE, graph, Profile("fp16", PROFILE.inputs, "2:4"), graph.with_name("model.plan"))
    assert trt.called("IBuilderConfig.set_flag") == [{"flag": trt.BuilderFlag.SPARSE_WEIGHTS}]


def test_real_library_takes_sparse_weights(graph: Path) -> None:
    compiled = plan_from_onnx(RTX, graph, Profile("fp16", PROFILE.inputs, "2:4"), graph.with_name(RTX.plan))
    assert compiled.file.stat().st_size > 1000


@each_version
def test_network_in_fp32_is_refused_where_fp16_was_asked(
    version: str, tmp_path: Path, publish_tiny: Any, stand_in: Callable[..., Any]
) -> None:
    stand_in(version)
    graph = publish_tiny(tmp_path, precision="fp32").version(1) / GRAPH
    with pytest.raises(CompileError, match="fp16 was asked for, but of 5 floating-point layers only 0 are FP16"):
        plan_from_onnx(HERE, graph, PROFILE, tmp_path / "model.plan")
    asked = Profile("fp32", PROFILE.inputs)
    assert plan_from_onnx(HERE, graph, asked, tmp_path / "model.plan").precision == {"FLOAT": 5}


def test_stand_in_for_rtx_is_told_the_capability(graph: Path, stand_in: Callable[..., Any]) -> None:
    trt = stand_in("tensorrt-rtx-1.7")
    plan_from_onnx(RTX, graph, PROFILE, graph.with_name("model.plan"))
    assert trt.called("IBuilderConfig.num_compute_capabilities") == [{"value": 1}]
    assert trt.called("IBuilderConfig.set_compute_capability") == [
        {"compute_capability": trt.ComputeCapability.SM89, "index": 0}
    ]


@pytest.mark.parametrize("name", ["sm75", "sm89", "sm120"])
def test_real_library_compiles_for_a_gpu_that_is_not_here(name: str, graph: Path) -> None:
    target = target_from_name(f"tensorrt-rtx:{name}")
    assert isinstance(target, TensorRT)
    compiled = plan_from_onnx(target, graph, PROFILE, graph.with_name(target.plan))
    assert compiled.file.name == f"model.rtx-{name}.plan"
    assert compiled.file.stat().st_size > 1000
    assert compiled.precision["HALF"] >= 4 * compiled.precision["FLOAT"]
    assert compiled.built_with.startswith("tensorrt_rtx 1.7.")


def test_real_library_names_the_node_it_does_not_take(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info("x", TensorProto.FLOAT16, ["batch", 8])
    answer = helper.make_tensor_value_info("where", TensorProto.INT64, [2, "found"])
    drawn = helper.make_graph([helper.make_node("NonZero", ["x"], ["where"], name="looking")], "g", [value], [answer])
    graph = tmp_path / "nonzero.onnx"
    onnx.save(helper.make_model(drawn, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), graph)
    with pytest.raises(CompileError, match=r"nonzero.onnx: tensorrt_rtx 1\.7\.\S+ does not take this graph: looking"):
        plan_from_onnx(RTX, graph, PROFILE, tmp_path / "model.plan")


def test_real_library_refuses_a_file_that_is_no_graph(tmp_path: Path) -> None:
    graph = tmp_path / "model.graph.onnx"
    graph.write_text("not a graph")
    with pytest.raises(CompileError, match=r"model\.graph\.onnx: is no ONNX graph: .* Build it again"):
        plan_from_onnx(RTX, graph, PROFILE, tmp_path / "model.plan")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cuda", r"target 'cuda' is unknown\. Use openvino, tensorrt, or tensorrt-rtx:smNN such as tensorrt-rtx:sm89"),
        ("tensorrt-rtx:sm90", r"'tensorrt-rtx:sm90' is unknown: .* compiles for sm75, .*sm89.* --target tensorrt-rtx:"),
        ("tensorrt-rtx", r"'tensorrt-rtx' is unknown: TensorRT for RTX .* compiles for sm75"),
        ("openvino:cpu", r"'openvino:cpu' is unknown: openvino takes nothing after a colon. Use --target openvino"),
    ],
)
def test_unknown_target_says_which_there_are(name: str, message: str) -> None:
    with pytest.raises(CompileError, match=message):
        target_from_name(name)


def test_tensorrt_takes_no_capability_and_needs_a_gpu(
    stand_in: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in("tensorrt-11.4")
    with pytest.raises(CompileError, match=r"'tensorrt:sm89': TensorRT compiles for the GPU in this machine only"):
        target_from_name("tensorrt:sm89")
    monkeypatch.setattr(tensorrt, "has_gpu", lambda: False)
    with pytest.raises(CompileError, match=r"needs an NVIDIA GPU .* none is here\. Use --target openvino"):
        target_from_name("tensorrt")


@pytest.mark.parametrize(
    ("kind", "command"), [("tensorrt", r"engineroom\[tensorrt\]"), ("tensorrt-rtx", r"engineroom\[rtx\]")]
)
def test_missing_library_says_how_to_install_it(kind: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tensorrt.MODULES, kind, ("no_such_module_of_tensorrt",))
    with pytest.raises(CompileError, match=rf"'{kind}' needs the package no_such.* pip install '{command}'"):
        tensorrt.load(kind)


def test_library_that_cannot_be_loaded_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_tensorrt.py").write_text('raise OSError("libnvinfer.so.11: cannot open shared object file")')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(tensorrt.MODULES, "tensorrt", ("broken_tensorrt",))
    with pytest.raises(CompileError, match=r"broken_tensorrt is installed but cannot be loaded: libnvinfer\.so\.11"):
        tensorrt.load("tensorrt")
