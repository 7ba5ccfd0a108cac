"""INT8: what multiplies by weights reads INT8, by pairs of QuantizeLinear and DequantizeLinear in the graph.

TensorRT 11 has no calibrators left: it computes in INT8 where the graph says so, and OpenVINO and ONNX Runtime read
the same pairs. Scales are symmetric, because TensorRT takes no zero point but 0 (NVIDIA TensorRT documentation, working
with quantized types): one for each output channel of a weight, one for each activation.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from engineroom.compile.graph.export import quiet
from engineroom.compile.graph.onnx_files import EXTERNAL_FROM_BYTES, copy_onnx, weights_bytes
from engineroom.errors import PrecisionError
from engineroom.recipe import Arrays

QUANTISED = ("Conv", "Gemm", "MatMul")
"""Operators that read INT8, where their second input is a weight. A product of two activations, as in attention, stays
in floating point: it saves no memory, and its rows differ more in size than one scale can serve."""


class Samples:
    """Requests, handed out one by one: what onnxruntime's quantiser calls a calibration data reader.

    Args:
        requests: Inputs by name, shape (rows, ...).
    """

    def __init__(self, requests: Iterable[Arrays]) -> None:
        self._requests: Iterator[Arrays] = iter(requests)

    def get_next(self) -> Arrays | None:
        """The next request, or None after the last."""
        return next(self._requests, None)


def quantised_from_fp32(
    model_name: str, source: Path, path: Path, requests: tuple[Arrays, ...], islands: Iterable[str] = ()
) -> str:
    """Put INT8 into a graph; everything else stays FP32.

    Args:
        model_name: For messages.
        source: The ONNX file, FP32.
        path: The `.onnx` file to write; equal inputs give equal bytes.
        requests: Real inputs by name, shape (rows, ...): the largest magnitude on them becomes an activation's scale.
        islands: Names of nodes that are left alone.

    Returns:
        What became INT8, such as `36 of 48 products`.

    Raises:
        PrecisionError: There is nothing to quantise or to calibrate on, the quantiser fails, or has left a weight out.
    """
    import onnx

    model = onnx.load(str(source))
    every = [node for node in model.graph.node if node.op_type in QUANTISED]
    sizes = {item.name: len(item.dims) for item in model.graph.initializer}
    alone = set(islands)
    chosen = {node.output[0] for node in every if _has_weight(node, sizes) and node.name not in alone}
    if alone and not chosen:
        copy_onnx(source, path)
        return f"0 of {len(every)} products"
    if not chosen or not requests:
        lack = "samples to calibrate on" if chosen else f"weights in {', '.join(QUANTISED)} that could be INT8"
        raise PrecisionError(f"{model_name}: {source.name} has no {lack}. Say precision='fp16' in the recipe.")
    _quantise(model_name, model, path, requests, [node.name for node in every if node.output[0] not in chosen])
    if left := chosen - set(products_in_int8(onnx.load(str(path)).graph)):
        raise PrecisionError(
            f"{model_name}: the quantiser left {len(left)} of {len(chosen)} products in FP32 that were to read INT8: "
            f"{', '.join(sorted(left)[:3])}. Say precision='fp16' in the recipe."
        )
    return f"{len(chosen)} of {len(every)} products"


def products_in_int8(graph: Any) -> Iterator[str]:
    """What is computed by products that read INT8 on both sides, weights among them: names of the values.

    Args:
        graph: `onnx.GraphProto`.
    """
    import onnx

    stored = {item.name for item in graph.initializer if item.data_type == onnx.TensorProto.INT8}
    made = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    for node in graph.node:
        if node.op_type in QUANTISED and made.keys() >= set(node.input[:2]) and made[node.input[1]].input[0] in stored:
            yield node.output[0]


def _quantise(model_name: str, model: Any, path: Path, requests: tuple[Arrays, ...], excluded: list[str]) -> None:
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    try:
        with quiet():
            quantize_static(
                model,
                path,
                Samples(requests),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(QUANTISED),
                per_channel=True,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=excluded,
                use_external_data_format=weights_bytes(model.graph) >= EXTERNAL_FROM_BYTES,
                calibrate_method=CalibrationMethod.MinMax,
                extra_options={
                    "ActivationSymmetric": True,
                    "WeightSymmetric": True,
                    # TensorRT takes biases in floating point only; and it fuses what follows a product, such as an
                    # activation function, only where no pair stands between.
                    "QuantizeBias": False,
                    "OpTypesToExcludeOutputQuantization": list(QUANTISED),
                },
            )
    except Exception as error:
        raise PrecisionError(
            f"{model_name}: the graph cannot be put into INT8: {type(error).__name__}: {error}. "
            "Say precision='fp16' in the recipe."
        ) from error


def _has_weight(node: Any, sizes: Mapping[str, int]) -> bool:
    """Whether the second input is a weight that has output channels: a matrix, or the kernels of a convolution."""
    found = sizes.get(node.input[1], 0)
    return found > 2 if node.op_type == "Conv" else found == 2
