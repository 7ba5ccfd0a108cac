"""An ONNX graph run by ONNX Runtime on the CPU: what can be said of a plan where its GPU is not."""

from pathlib import Path

from engineroom.compile.verify import Runner
from engineroom.errors import CompileError
from engineroom.recipe import Arrays


def runner_from_onnx(graph: Path) -> Runner:
    """A runner for an ONNX file.

    Args:
        graph: The file. Its FP16 arithmetic is done in FP32 inside, so this proves the graph, not the rounding.

    Raises:
        CompileError: ONNX Runtime does not take the graph.
    """
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    except Exception as error:
        raise CompileError(
            f"{graph}: ONNX Runtime {onnxruntime.__version__} does not take this graph: {error}"
        ) from error
    names = [output.name for output in session.get_outputs()]

    def answer(inputs: Arrays) -> Arrays:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    return Runner("onnxruntime cpu", answer)
