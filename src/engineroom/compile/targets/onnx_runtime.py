"""An ONNX graph run by ONNX Runtime on the CPU: what can be said of a plan where its GPU is not."""

from pathlib import Path
from typing import Any

from engineroom.compile.graph.onnx_files import loadable
from engineroom.compile.targets import Runner
from engineroom.errors import CompileError
from engineroom.recipe import Arrays


def runner_from_onnx(graph: Path, kind: str = "fp16") -> Runner:
    """A runner for an ONNX file.

    Args:
        graph: The file. Its FP16 arithmetic is done in FP32 inside, so this proves the graph, not the rounding.
        kind: Element type whose rounding its error is judged by.

    Raises:
        CompileError: ONNX Runtime does not take the graph.
    """
    return _runner(str(graph), graph, "onnxruntime cpu", kind)


def runner_from_model(model: Any, graph: Path, name: str, kind: str = "fp16") -> Runner:
    """A runner for a model in memory that was made from an ONNX file.

    Args:
        model: `onnx.ModelProto`.
        graph: The file, for messages.
        name: What the runner is called.
        kind: Element type whose rounding its error is judged by.

    Raises:
        CompileError: ONNX Runtime does not take the model.
    """
    with loadable(model) as source:
        return _runner(source, graph, name, kind)


def _runner(source: str | bytes, graph: Path, name: str, kind: str) -> Runner:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Fused, a quantised convolution gets its bias in INT32, by a scale that is 0 where the pairs' scales are FP16.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    try:
        session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise CompileError(
            f"{graph}: ONNX Runtime {onnxruntime.__version__} does not take this graph: {error}"
        ) from error
    names = [output.name for output in session.get_outputs()]

    def answer(inputs: Arrays) -> Arrays:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    return Runner(name, answer, kind)
