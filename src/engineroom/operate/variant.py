"""Which of a model's configurations is meant: the GPU's, the CPU's, or another of `configs/`."""

from pathlib import Path

from engineroom.errors import RepositoryError
from engineroom.hardware import has_gpu
from engineroom.repository.layout import ModelFolder


def variant_path(model: ModelFolder, variant: str | None = None) -> Path:
    """The configuration that a name means.

    Args:
        model: The model.
        variant: `gpu` for `config.pbtxt`, else the name of a file of `configs/`; by default the one that this machine
            would serve.

    Raises:
        RepositoryError: There is no such configuration.
    """
    if variant is None:
        on_cpu = model.cpu_config.exists() and not has_gpu()
        return model.cpu_config if on_cpu or not model.config.exists() else model.config
    path = model.config if variant == "gpu" else model.path / "configs" / f"{variant}.pbtxt"
    if path not in model.configs:
        held = ", ".join("gpu" if one == model.config else one.stem for one in model.configs)
        raise RepositoryError(f"{model.name}: has no configuration '{variant}'. It has: {held}.")
    return path
