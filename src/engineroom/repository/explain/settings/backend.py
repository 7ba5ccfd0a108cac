"""What runs the model, and what it is told."""

from collections.abc import Callable

from engineroom.repository.explain.case import threads
from engineroom.repository.explain.figures import counted
from engineroom.repository.explain.memory import compiled_sizes, runs_bf16
from engineroom.repository.explain.settings.told import Told


def _backend(told: Told) -> str:
    if told.backend == "openvino":
        return "Our OpenVINO backend runs the model on the CPU, computing in " + precision(told)
    if told.backend == "tensorrt":
        return "Triton's TensorRT backend runs an engine, which fits one model of GPU and one version of TensorRT."
    return f"The backend '{told.backend}' runs the model."


def precision(told: Told) -> str:
    """The element type that our OpenVINO backend computes in, and why."""
    if runs_bf16(told.config, told.facts):
        return "bf16: this processor has hardware for it, and the answers were proven in it."
    if not told.facts.amx:
        return "FP32: this processor has no hardware for bf16."
    return "FP32: the answers are not proven in bf16, or it is switched off."


def _parameter(told: Told) -> str:
    value = told.value.string_value if told.value is not None else ""
    if told.backend != "openvino":
        return f"'{value}': the backend '{told.backend}' decides what it means."
    if told.text == "HINT_BF16":
        return f"'{value}': the model computes in {precision(told)}"
    if told.text == "INFERENCE_NUM_THREADS":
        return f"Each instance has {counted(threads(told.config, told.facts), 'thread')}, on {told.facts.cores} cores."
    if told.text == "BATCH_SIZES":
        graph = told.facts.footprint
        sizes = compiled_sizes(told.config, graph) if graph is not None else ()
        return (
            f"The model is compiled for batches of {', '.join(map(str, sizes)) or 'any size'}; others are put together."
        )
    if told.text in ("NUM_STREAMS", "PERFORMANCE_HINT"):
        return f"'{value}' goes to OpenVINO as it is."
    return "Our OpenVINO backend does not read it."


SAYS: dict[str, Callable[[Told], str]] = {"backend": _backend, "platform": _backend, "parameters[]": _parameter}
