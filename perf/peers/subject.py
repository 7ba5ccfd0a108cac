"""The model that everybody serves: its files, its golden answers, and the task for each peer."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from peers.inside.peer_model import Task

from engineroom.client.metadata import ModelMetadata, TensorMetadata
from engineroom.compile.graph.export import onnx_from_module
from engineroom.compile.recipes import recipe_from_name
from engineroom.compile.truth.reference import Reference
from engineroom.hardware import has_amx
from engineroom.project import Project
from engineroom.recipe import Recipe
from engineroom.repository.golden import Golden, golden_from_repository
from engineroom.repository.layout import MANIFEST, Repository
from engineroom.repository.passport import passport_from_file
from engineroom.repository.policy import current_version
from engineroom.serve.triton import BACKENDS


@dataclass(frozen=True)
class Tuning:
    """What the peers are set to, alike: chosen, not searched for each of them.

    Attributes:
        batch: Most rows of one inference.
        wait_ms: Longest wait for a batch to fill.
        guess_per_s: A rate that most of them reach, to begin the search with.
    """

    batch: int
    wait_ms: float
    guess_per_s: float


TUNING = {
    ("efficientnet_lite0", "onnxruntime"): Tuning(4, 5.0, 60.0),
    ("efficientnet_lite0", "openvino"): Tuning(8, 5.0, 140.0),
    ("digits", "onnxruntime"): Tuning(16, 2.0, 500.0),
    ("digits", "openvino"): Tuning(16, 2.0, 500.0),
}
ELSE = Tuning(8, 5.0, 50.0)


def tuning(model: str, runtime: str) -> Tuning:
    """What the peers are set to for a model."""
    return TUNING.get((model, runtime), ELSE)


@dataclass(frozen=True)
class Subject:
    """A published model.

    Attributes:
        recipe: Its recipe, which says the SLO.
        folder: The version that is served.
        golden: Inputs and answers.
        onnx: The module exported in FP32, which is what one would give ONNX Runtime on a CPU.
    """

    recipe: Recipe
    folder: Path
    golden: Golden
    onnx: Path = field(repr=False)

    @property
    def metadata(self) -> ModelMetadata:
        """What it takes and gives."""
        from tritonclient.utils import np_to_triton_dtype

        recipe = self.recipe
        inputs, outputs = (
            tuple(TensorMetadata(one.name, np_to_triton_dtype(np.dtype(one.dtype)), one.shape) for one in tensors)
            for tensors in (recipe.inputs, recipe.outputs)
        )
        return ModelMetadata(recipe.name, inputs, outputs, recipe.batch.max)

    @property
    def slo_ms(self) -> float:
        """What the 99th percentile of the latency must stay within."""
        return self.recipe.slo.p99_ms

    def task(self, runtime: str, port: int) -> Task:
        """What a peer is to do.

        Args:
            runtime: One of `RUNTIMES`.
            port: Where it is to listen.
        """
        (given,), (answer,) = self.recipe.inputs, self.recipe.outputs
        tuned = tuning(self.recipe.name, runtime)
        cores = len(os.sched_getaffinity(0))
        artefact = passport_from_file(self.folder / MANIFEST).artefact("openvino")
        assert artefact, "the embedded server serves nothing else"  # noqa: S101
        return Task(
            model=self.recipe.name,
            runtime=runtime,
            file=str(self.onnx if runtime == "onnxruntime" else self.folder / artefact.file),
            runner=str(BACKENDS / "openvino" / "runner.py"),
            precision="bf16" if "bf16" in artefact.proven and has_amx() else "f32",
            input=given.name,
            output=answer.name,
            dtype=str(given.dtype),
            row=given.shape,
            answer=answer.shape,
            port=port,
            workers=cores,
            threads=1,
            batch=tuned.batch,
            wait_ms=tuned.wait_ms,
            slo_ms=self.slo_ms,
        )


def subject(project: Project, name: str, kept: Path) -> Subject:
    """A model of this project.

    Args:
        project: This one.
        name: The model's name.
        kept: Folder for the exported graph, which is made when it is missing.

    Raises:
        RepositoryError: The model is not built.
    """
    (folder,) = Repository(project.repository).published((name,))
    version = folder.version(current_version(folder) or 0)
    recipe = recipe_from_name(project, name)
    onnx = kept / f"{name}-{version.name}.onnx"
    if not onnx.exists():
        kept.mkdir(parents=True, exist_ok=True)
        unfinished = onnx.with_suffix(".unfinished.onnx")
        onnx_from_module(Reference(recipe), unfinished)
        unfinished.rename(onnx)
    return Subject(recipe, version, golden_from_repository(Repository(project.repository), name), onnx)
