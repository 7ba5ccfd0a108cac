"""Targets: what a graph can be compiled for, and what each needs on this machine."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Protocol

from engineroom.errors import CompileError
from engineroom.hardware import has_gpu
from engineroom.recipe import Arrays, Recipe
from engineroom.repository.files import sha256
from engineroom.repository.passport import Artefact, Parity


@dataclass(frozen=True)
class Compiled:
    """What a compiler made.

    Attributes:
        file: The main file, in the folder that the compiler was given.
        built_with: Compiler and version.
        precision: Layers by element type, where the compiler tells.
        companions: Other files that belong to it.
        device: The GPU that it is tied to; empty where it is tied to none.
        driver: NVIDIA's driver that was there; empty where none was.
        note: What a reader of the build should know.
    """

    file: Path
    built_with: str
    precision: Mapping[str, int] = field(default_factory=dict)
    companions: tuple[Path, ...] = ()
    device: str = ""
    driver: str = ""
    note: str = ""

    @property
    def size_bytes(self) -> int:
        """Size of the file and of those that belong to it."""
        return sum(path.stat().st_size for path in (self.file, *self.companions))

    def artefact(self, target: str, seconds: float, proofs: Mapping[str, Parity] | None = None) -> Artefact:
        """What a passport says of it.

        Args:
            target: What it was compiled for.
            seconds: Time the compilation took.
            proofs: Parity by element type; none where nothing here can run it.
        """
        proofs = proofs or {}
        return Artefact(
            file=self.file.name,
            companions={path.name: sha256(path) for path in self.companions},
            target=target,
            size_bytes=self.size_bytes,
            sha256=sha256(self.file),
            built_with=self.built_with,
            seconds=round(seconds, 3),
            precision=dict(self.precision),
            proven=tuple(proofs),
            parity=tuple(proofs.values()),
            device=self.device,
            driver=self.driver,
        )


@dataclass(frozen=True)
class Runner:
    """Something that computes a model's answers on this machine.

    Attributes:
        name: What computes, such as `openvino bf16`.
        answer: From inputs by name, shape (batch, ...), to outputs by name, shape (batch, ...).
        kind: Element type whose rounding its error is judged by, such as `bf16`.
    """

    name: str
    answer: Callable[[Arrays], Arrays]
    kind: str = "fp16"


Runners = tuple[tuple[str, Callable[[], Runner]], ...]
"""Element type and how to start the runner that computes in it; the first must pass, the others may."""


class Target(Protocol):
    """One thing that a graph is compiled for. Each lives in a file of its own in this folder."""

    name: str

    def compile(self, graph: Path, recipe: Recipe, folder: Path) -> Compiled:
        """Compile a graph into files of `folder`; `CompileError` where that fails."""
        ...

    def runners(self, compiled: Compiled, graph: Path, recipe: Recipe) -> Runners:
        """What can prove the artefact here: element type, and how to start the runner. The first one must pass."""
        ...


KINDS = {
    "openvino": "engineroom.compile.targets.openvino:target",
    "tensorrt": "engineroom.compile.targets.tensorrt:target",
    "tensorrt-rtx": "engineroom.compile.targets.tensorrt:target",
}
"""Name of a target before the colon, and what makes it."""


def target_names(given: Iterable[str]) -> tuple[str, ...]:
    """Names of single targets, each once: `tensorrt-rtx:sm80,sm89` is short for `tensorrt-rtx:sm80` and `…:sm89`.

    Args:
        given: Names as people write them. After a comma stands another detail of the same kind, or another target.
    """
    names: list[str] = []
    for text in given:
        prefix = ""
        for part in text.split(","):
            kind, colon, _ = part.partition(":")
            whole = colon or kind in KINDS
            names.append(part if whole else prefix + part)
            prefix = f"{kind}:" if colon else "" if whole else prefix
    return tuple(dict.fromkeys(names))


def target_from_name(name: str) -> Target:
    """The target of a name such as `openvino`, `tensorrt` or `tensorrt-rtx:sm89`.

    Raises:
        CompileError: There is no such target, or it cannot be used on this machine.
    """
    kind, _, detail = name.partition(":")
    if kind not in KINDS:
        raise CompileError(
            f"target '{name}' is unknown. Use openvino, tensorrt, or tensorrt-rtx:smNN such as tensorrt-rtx:sm89."
        )
    module, maker = KINDS[kind].split(":")
    target: Target = getattr(import_module(module), maker)(kind, detail)
    return target


def default_target() -> str:
    """`tensorrt` where TensorRT and a GPU are there, else `openvino`."""
    from engineroom.compile.targets.tensorrt import installed

    return "tensorrt" if installed("tensorrt") and has_gpu() else "openvino"
