"""An ONNX graph run by ONNX Runtime on the CPU: what can be said of a plan where its GPU is not."""

from pathlib import Path

from engineroom.compile.verify import Runner
from engineroom.recipe import Arrays


def runner_from_onnx(graph: Path) -> Runner:
    """A runner for an ONNX file.

    Args:
        graph: The file. Its FP16 arithmetic is done in FP32 inside, so this proves the graph, not the rounding.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def answer(inputs: Arrays) -> Arrays:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    return Runner("onnxruntime cpu", answer)
