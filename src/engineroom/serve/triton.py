"""Finding a Triton: the container's, or the embedded one."""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from engineroom.errors import ServerNotInstalled
from engineroom.hardware import has_gpu
from engineroom.repository.layout import CPU_CONFIG
from engineroom.serve.embedded import installed_server

CONTAINER = Path("/opt/tritonserver/bin/tritonserver")
"""Where NVIDIA's images have it."""

BACKENDS = Path(__file__).parent / "backends"
"""Our Python-based backends, one folder each."""


@dataclass(frozen=True)
class Triton:
    """A Triton that can be started.

    Attributes:
        binary: The program.
        gpu: Whether models run on a GPU: decides which configuration of a model is read.
        backends: Backend folders to serve from, where the binary does not bring its own.
        options: Options that this Triton needs.
        environment: Its environment variables.
    """

    binary: Path
    gpu: bool
    backends: tuple[Path, ...] = ()
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))


def find_triton() -> Triton:
    """The Triton of this machine: a container's where there is one, else the embedded server.

    Raises:
        ServerNotInstalled: There is neither, or a container's without a GPU.
    """
    binary = container_binary()
    if binary and not has_gpu():
        raise ServerNotInstalled(
            f"{binary} is here, but no GPU. The image's own OpenVINO backend takes full batches only, so models would "
            "not answer there as they do elsewhere. Start the container with --gpus all, or serve outside it."
        )
    if binary:
        return Triton(binary, gpu=True)
    server = installed_server()
    return Triton(
        binary=server.binary,
        gpu=False,
        backends=(server.python_backend, *(folder for folder in BACKENDS.iterdir() if (folder / "model.py").exists())),
        options=(*_WITHOUT_GPU, f"--cache-directory={server.caches}"),
        environment=_isolated(server.environment, server.libraries),
    )


def container_binary() -> Path | None:
    """The `tritonserver` of NVIDIA's image, or one on PATH; None where there is neither."""
    if CONTAINER.exists():
        return CONTAINER
    on_path = shutil.which("tritonserver")
    return Path(on_path) if on_path else None


_WITHOUT_GPU = (f"--model-config-name={CPU_CONFIG}", "--allow-gpu-metrics=false")


def _isolated(environment: Path, libraries: tuple[Path, ...]) -> dict[str, str]:
    # An embedded Python finds its environment as the shell would: by the first python3 on PATH. Every other way
    # to packages of the caller's is cut.
    cut = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTHONSTARTUP", "PYTHONWARNINGS", "LD_PRELOAD")
    kept = {name: value for name, value in os.environ.items() if name not in cut}
    return {
        **kept,
        "PATH": f"{environment / 'bin'}:{kept.get('PATH', os.defpath)}",
        "LD_LIBRARY_PATH": ":".join(str(folder) for folder in libraries),
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }
