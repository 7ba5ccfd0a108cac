"""The fallback: the graph itself on Triton's ONNX Runtime backend, where TensorRT refuses to compile it.

The backend takes the graph that a version holds anyway, in FP16 too, and computes it with CUDA by default
(triton-inference-server/onnxruntime_backend). Name, inputs, outputs, batching and instances stay the same.
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from engineroom.compile.graph.onnx_files import files_of
from engineroom.compile.targets import Compiled, Runners, Target
from engineroom.compile.targets.rounding import rounding_runner
from engineroom.errors import CompileError, GraphRefused
from engineroom.recipe import Recipe
from engineroom.repository.passport import Artefact

FALLBACK = "onnxruntime"
"""The one fallback there is: a target, and the name of Triton's backend."""


def lost(words: str) -> str:
    """What a reader of the build should know of a fallback.

    Args:
        words: The compiler's reason to refuse the graph.
    """
    return (
        f"{words}. The graph is served by ONNX Runtime instead. Lost is TensorRT's speed: no engine is compiled "
        "on the node that serves it, nothing is tuned for its GPU, and operators without a CUDA kernel run on the CPU"
    )


class OnnxRuntime:
    """Serves the graph as it is."""

    name = FALLBACK

    def compile(self, graph: Path, recipe: Recipe, folder: Path) -> Compiled:  # noqa: ARG002 - the protocol's
        """Check that the backend will take the graph; there is nothing to compile.

        Raises:
            CompileError: The graph is INT8, or an output has another shape than the configuration will say: the
                backend compares them.
        """
        import onnx
        import onnxruntime

        if recipe.precision == "int8":
            raise CompileError(
                f"{recipe.name}: ONNX Runtime's own optimisations of an INT8 graph get the biases of its convolutions "
                "wrong where scales are FP16. "
                "Say precision='fp16' in the recipe, or build without --fallback."
            )
        values = {value.name: value for value in onnx.load(str(graph), load_external_data=False).graph.output}
        for tensor in recipe.outputs:
            dims = values[tensor.name].type.tensor_type.shape.dim
            shape = tuple(dim.dim_value if dim.HasField("dim_value") else -1 for dim in dims)
            if shape != (-1, *tensor.shape):
                raise CompileError(
                    f"{recipe.name}: the graph's output '{tensor.name}' is {shape}, and Triton's ONNX Runtime backend "
                    f"wants {(-1, *tensor.shape)} (-1: any size). End the module with a reshape to the sizes that are "
                    "known, let the batch axis vary, or build without --fallback."
                )
        return Compiled(graph, f"onnxruntime {onnxruntime.__version__}", companions=files_of(graph)[1:])

    def runners(self, compiled: Compiled, graph: Path, recipe: Recipe) -> Runners:  # noqa: ARG002 - the protocol's
        """The graph, with every value rounded as a GPU would."""
        return ((recipe.precision, partial(rounding_runner, graph, recipe.precision)),)


def compile_or_fall_back(
    target: Target, graph: Path, recipe: Recipe, fallback: str, folder: Path
) -> tuple[Target, Compiled, dict[str, str]]:
    """Compile a graph for a target, or take the fallback where its compiler refuses the graph.

    Args:
        target: What for.
        graph: The ONNX graph after the precision step.
        recipe: Its recipe.
        fallback: `onnxruntime`, or empty for none.
        folder: Where what is made goes; the fallback makes nothing, it is the graph itself.

    Returns:
        The target in the end, what was made, and, where that is the fallback, the target it stands in for with the
        compiler's reason.

    Raises:
        CompileError: The target cannot be used here, or refuses the graph and there is no fallback.
    """
    try:
        return target, target.compile(graph, recipe, folder), {}
    except GraphRefused as error:
        if fallback != FALLBACK:
            raise
        instead = OnnxRuntime()
        return instead, instead.compile(graph, recipe, folder), {target.name: error.words}


def joined(artefacts: Iterable[Artefact]) -> tuple[Artefact, ...]:
    """Artefacts with those of one file made one: it stands in for all the targets that each of them stood in for."""
    by_file: dict[str, Artefact] = {}
    for one in artefacts:
        before = by_file.get(one.file)
        by_file[one.file] = replace(
            one,
            instead_of={**(before.instead_of if before else {}), **one.instead_of},
            fingerprints={**(before.fingerprints if before else {}), **one.fingerprints},
        )
    return tuple(by_file.values())
