"""The passport: what an artefact was built from, for what, and how it was proven (`manifest.json`)."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engineroom.errors import NewerManifest, RecipeError, RepositoryError
from engineroom.hardware import capability
from engineroom.recipe import Recipe
from engineroom.repository.agreement import Limits
from engineroom.repository.documents import document_from_file, known

SCHEMA = 1
"""Version of the manifest's form; raised when a reader of the old form would misread the new one."""


@dataclass(frozen=True)
class Parity:
    """How an artefact's answers compare with the PyTorch module's, over every sample and batch size tried.

    Attributes:
        runner: What computed the answers, such as `openvino bf16` or `onnxruntime cpu`.
        batches: Batch sizes tried.
        max_abs: Largest absolute error of any element of any output.
        mean_abs: Mean absolute error of the worst output.
        cosine: Smallest cosine of any row of any output.
        top1: Smallest share of rows with the same largest element, among those where rounding does not decide it.
        task: The recipe's task metric, by its name, and the module's, as `NAME of the module`; empty where it has none.
        kind: Element type whose rounding the errors were judged by.
        noise: Root mean squared error of the worst output, in units of what that rounding alone does to the module.
        drift: The same between a row's answer alone and in the largest batch.
    """

    runner: str
    batches: tuple[int, ...]
    max_abs: float
    mean_abs: float
    cosine: float
    top1: float = 1.0
    task: dict[str, float] = field(default_factory=dict)
    kind: str = "fp16"
    noise: float = 0.0
    drift: float = 0.0


@dataclass(frozen=True)
class Artefact:
    """One compiled file of a version.

    Attributes:
        file: Name in the version folder.
        companions: Other files that belong to it, with their digests.
        target: The target it was compiled for, such as `openvino` or `tensorrt-rtx:sm89`.
        size_bytes: Size of the file and of those that belong to it.
        sha256: Digest of the file.
        built_with: Compiler and version, such as `tensorrt_rtx 1.7.1.116`.
        seconds: Time the compilation took.
        precision: Element types the engine computes in, by count of layers; empty where the compiler does not tell.
        proven: Types the artefact may be run in because its answers stayed within tolerance, such as `f32` and `bf16`.
        parity: The proofs, one a runner; empty for an engine that was added on the machine that serves it.
        device: The GPU it was compiled on, the only kind it runs on; empty where it is tied to none.
        driver: NVIDIA's driver that it was compiled with, and the CUDA of that; empty where there was none.
        instead_of: The targets that it stands in for, each with its compiler's reason to refuse the graph.
        fingerprints: For each target that it was made for, digest of all that it was made from and proven with; none
            for an engine that was added on the machine that serves it.
    """

    file: str
    target: str
    size_bytes: int
    sha256: str
    built_with: str
    seconds: float
    precision: dict[str, int] = field(default_factory=dict)
    proven: tuple[str, ...] = ()
    parity: tuple[Parity, ...] = ()
    companions: dict[str, str] = field(default_factory=dict)
    device: str = ""
    driver: str = ""
    instead_of: dict[str, str] = field(default_factory=dict)
    fingerprints: dict[str, str] = field(default_factory=dict)

    @property
    def capability(self) -> str:
        """Compute capability it is tied to, such as `sm90`; empty where it is tied to none, or none is known."""
        return capability(self.device) or self.target.partition(":")[2]


Shapes = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""An input's smallest, usual and largest shape, batch included."""


@dataclass(frozen=True)
class Profile:
    """The sizes an engine is compiled for, and the precision its graph was asked to have.

    Attributes:
        precision: The recipe's precision.
        inputs: Input name to its shapes: TensorRT's optimization profile.
        sparsity: The recipe's sparsity.
    """

    precision: str
    inputs: dict[str, Shapes]
    sparsity: str = ""

    @classmethod
    def of(cls, recipe: Recipe) -> "Profile":
        """The profile of a recipe."""
        batch = recipe.batch
        return cls(
            recipe.precision,
            {
                tensor.name: (
                    (batch.min, *tensor.sized("min")),
                    (batch.opt, *tensor.sized("opt")),
                    (batch.max, *tensor.sized("max")),
                )
                for tensor in recipe.inputs
            },
            recipe.sparsity,
        )


@dataclass(frozen=True)
class Passport:
    """Everything known of one published version.

    Attributes:
        model: Name of the model.
        fingerprint: Digest of all that its artefacts share: recipe, weights, samples, versions, limits, machine.
        built_at: UTC time, ISO 8601.
        command: The command that builds it again.
        profile: Sizes and precision that engines are compiled for.
        limits: How far a golden answer may be from the stored one, by output.
        libraries: Distribution name to version.
        machine: System and processor; GPU, driver and CUDA where there are any.
        artefacts: The compiled files.
        files: Digest of every other file of the version: the graph, its weights where they lie beside it, the golden
            answers.
        seconds: Time of every stage of the build, by name, up to the publication.
        islands: Names of nodes that the recipe or a search keeps in FP32.
        schema: Version of this form.
    """

    model: str
    fingerprint: str
    built_at: str
    command: str
    profile: Profile
    limits: dict[str, Limits]
    libraries: dict[str, str]
    machine: dict[str, str]
    artefacts: tuple[Artefact, ...]
    files: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    islands: tuple[str, ...] = ()
    schema: int = SCHEMA

    def artefact(self, target: str, capability: str | None = None) -> Artefact | None:
        """The artefact of a target, or None.

        Args:
            target: Such as `openvino` or `tensorrt`.
            capability: What it must be tied to, such as `sm90`, where one target has engines for several GPUs; empty
                for an engine of which that is not known. By default the first of the target.
        """
        found = (artefact for artefact in self.artefacts if artefact.target == target)
        return next((one for one in found if capability in (None, one.capability)), None)

    def to_json(self) -> str:
        """The manifest's text."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"


def passport_from_file(path: Path) -> Passport:
    """Read a manifest.

    Args:
        path: A `manifest.json`.

    Raises:
        RepositoryError: The file is missing, or is no manifest.
        NewerManifest: It was written by a newer engineroom.
    """
    mend = "Build the model again."
    raw = document_from_file(path, SCHEMA, RepositoryError, lacking="is not a manifest", mend=mend, newer=NewerManifest)
    try:
        return _passport(raw)
    except (KeyError, TypeError, ValueError, AttributeError, RecipeError) as error:
        raise RepositoryError(f"{path}: lacks or misnames a field ({error}). {mend}") from error


def _passport(raw: dict[str, Any]) -> Passport:
    artefacts = tuple(
        Artefact(
            **{
                **known(Artefact, item),
                "proven": tuple(item["proven"]),
                "companions": dict(item.get("companions", {})),
                "parity": tuple(_parity(one) for one in item["parity"]),
            }
        )
        for item in raw["artefacts"]
    )
    profile = raw["profile"]
    inputs: dict[str, Any] = {name: tuple(map(tuple, shapes)) for name, shapes in profile["inputs"].items()}
    return Passport(
        **{
            **known(Passport, raw),
            "profile": Profile(profile["precision"], inputs, profile.get("sparsity", "")),
            "limits": {name: Limits(**known(Limits, one)) for name, one in raw["limits"].items()},
            "artefacts": artefacts,
            "islands": tuple(raw.get("islands", ())),
        }
    )


def _parity(raw: dict[str, Any]) -> Parity:
    return Parity(**{**known(Parity, raw), "batches": tuple(raw["batches"])})
