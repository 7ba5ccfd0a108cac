"""The folders of a Triton model repository, and which versions stand in it.

model_repository/NAME/config.pbtxt      the GPU container's configuration, committed
model_repository/NAME/configs/cpu.pbtxt the configuration without a GPU, committed
model_repository/NAME/LABELS.txt        class names of an output, committed
model_repository/NAME/N/                a version: artefacts, manifest.json, golden.npz; ignored by git
"""

from dataclasses import dataclass
from pathlib import Path

from engineroom.errors import RepositoryError

CPU_CONFIG = "cpu"
"""Name of the configuration that serves without a GPU (Triton's `--model-config-name`)."""

MANIFEST = "manifest.json"
"""The passport of a version."""

GOLDEN = "golden.npz"
"""Stored inputs and answers of a version: arrays `input.NAME` and `output.NAME`, rows first."""

GRAPH = "model.graph.onnx"
"""The graph that every artefact of a version was compiled from; engines for further GPUs are compiled from it."""

PLAN = "model.plan"
"""What Triton's TensorRT backend loads where the configuration names no engine for the GPU."""


@dataclass(frozen=True)
class ModelFolder:
    """One model's folder in the repository.

    Attributes:
        path: The folder; its name is the model's name.
    """

    path: Path

    @property
    def name(self) -> str:
        """The model's name."""
        return self.path.name

    @property
    def config(self) -> Path:
        """The GPU container's configuration."""
        return self.path / "config.pbtxt"

    @property
    def cpu_config(self) -> Path:
        """The configuration without a GPU."""
        return self.path / "configs" / f"{CPU_CONFIG}.pbtxt"

    @property
    def configs(self) -> tuple[Path, ...]:
        """Every configuration that is there: `config.pbtxt` and `configs/*.pbtxt`, by name."""
        return tuple(
            path for path in (self.config, *sorted(self.config.parent.glob("configs/*.pbtxt"))) if path.exists()
        )

    @property
    def versions(self) -> tuple[int, ...]:
        """Published versions, ascending. Triton's rule: folders whose name is a number not starting with 0."""
        if not self.path.is_dir():
            return ()
        names = (folder.name for folder in self.path.iterdir() if folder.is_dir())
        return tuple(sorted(int(name) for name in names if name.isdecimal() and not name.startswith("0")))

    @property
    def latest(self) -> int | None:
        """The newest version, the one Triton serves by default; None before the first build."""
        return self.versions[-1] if self.versions else None

    def version(self, number: int) -> Path:
        """Folder of one version."""
        return self.path / str(number)


@dataclass(frozen=True)
class Repository:
    """A model repository.

    Attributes:
        path: Its folder.
    """

    path: Path

    def model(self, name: str) -> ModelFolder:
        """One model's folder, whether or not it exists yet."""
        return ModelFolder(self.path / name)

    @property
    def models(self) -> tuple[ModelFolder, ...]:
        """Every model with a configuration, by name. Hidden folders are not models: a rehearsal lies in one."""
        if not self.path.is_dir():
            return ()
        names = (folder for folder in sorted(self.path.iterdir()) if folder.is_dir() and folder.name[0] != ".")
        folders = (ModelFolder(folder) for folder in names)
        return tuple(folder for folder in folders if folder.config.exists() or folder.cpu_config.exists())

    def published(self, names: tuple[str, ...] = ()) -> tuple[ModelFolder, ...]:
        """Models that have a version to serve.

        Args:
            names: The models wanted; every published one where empty.

        Raises:
            RepositoryError: A named model is unknown or has no version, or nothing is published at all.
        """
        known = {model.name: model for model in self.models}
        for name in names:
            if name not in known:
                raise RepositoryError(
                    f"{name}: no such model in {self.path}. It holds: {', '.join(known) or 'nothing'}."
                )
        wanted = tuple(known[name] for name in names) or tuple(model for model in known.values() if model.versions)
        for model in wanted:
            if not model.versions:
                raise RepositoryError(
                    f"{model.name}: no version is published in {model.path}. Run: engineroom build {model.name}"
                )
        if not wanted:
            raise RepositoryError(f"nothing is published in {self.path}. Run: engineroom build NAME")
        return wanted
