"""A case: one configuration of one model, and everything that a rule may look at."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from engineroom.recipe import Recipe
from engineroom.repository.config import backend_of
from engineroom.repository.layout import CPU_CONFIG, GRAPH, ModelFolder
from engineroom.repository.lint.bindings import (
    Bindings,
    bindings_from_onnx,
    bindings_from_recipe,
    bindings_from_version,
    passport_of,
)
from engineroom.repository.lint.finding import TOP, Anchor
from engineroom.repository.lint.source import Source, source_from_path
from engineroom.repository.passport import Passport
from engineroom.repository.pbtxt.tree import Value, named
from engineroom.repository.policy import served_versions

ONNX_FILE = "model.onnx"
"""What ONNX Runtime's backend loads by default, and so what models that we did not build hold."""


@dataclass(frozen=True)
class World:
    """What is known beside the configuration itself.

    Attributes:
        model: The model's folder.
        recipe: Its recipe, where there is one.
        texts: Contents to take instead of what stands in the files.
        cores: Processor cores of the machine that serves on a CPU.
        gpu_memory_bytes: Memory of a GPU that serves; None where it is not known.
    """

    model: ModelFolder
    recipe: Recipe | None = None
    texts: Mapping[Path, str] = field(default_factory=dict)
    cores: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    gpu_memory_bytes: int | None = None


def with_texts(world: World, texts: Mapping[Path, str]) -> World:
    """The same, with contents to take instead of what stands in the files."""
    return replace(world, texts={**world.texts, **texts})


@dataclass(frozen=True)
class Case:
    """One configuration of one model.

    Attributes:
        source: The configuration.
        world: What is known beside it.
    """

    source: Source
    world: World

    @property
    def path(self) -> Path:
        """Where the configuration stands."""
        return self.source.path

    @property
    def text(self) -> str:
        """Its text."""
        return self.source.text

    @property
    def config(self) -> Any:
        """Its `ModelConfig` message."""
        return self.source.config

    @property
    def model(self) -> ModelFolder:
        """The model's folder."""
        return self.world.model

    @property
    def on_cpu(self) -> bool:
        """Whether it is the configuration that serves without a GPU."""
        return self.path.parent.name == "configs" and self.path.stem == CPU_CONFIG

    @property
    def batches(self) -> bool:
        """Whether the first axis of its tensors is a batch, which its dims leave out."""
        return bool(self.config.max_batch_size > 0)

    @property
    def is_ensemble(self) -> bool:
        """Whether it is a pipeline of other models."""
        return bool(self.config.platform == "ensemble" or self.config.HasField("ensemble_scheduling"))

    @cached_property
    def backend(self) -> str:
        """Its backend, as far as it says so or its file name tells; empty where neither does."""
        named_file = self.config.default_model_filename
        by_platform = BY_PLATFORM.get(self.config.platform, self.config.platform)
        if self.config.platform == "tensorrt_plan" and not self.config.backend:
            return backend_of(self.config)
        return str(self.config.backend or by_platform or BY_FILE.get(named_file, "") or self._by_content)

    @cached_property
    def _by_content(self) -> str:
        held = {path.name for number in self.model.versions[:1] for path in self.model.version(number).iterdir()}
        return next((backend for file, backend in BY_FILE.items() if file in held), "")

    @cached_property
    def served(self) -> tuple[int, ...]:
        """The versions that it serves, ascending."""
        return served_versions(self.config, self.model.versions)

    @cached_property
    def version(self) -> Path | None:
        """The folder of the newest version that it serves; None where it serves none."""
        return self.model.version(self.served[-1]) if self.served else None

    @cached_property
    def passport(self) -> Passport | None:
        """The passport of that version; None where it has none that can be read."""
        return passport_of(self.version) if self.version else None

    @cached_property
    def has_graph(self) -> bool:
        """Whether that version holds the graph that engines are compiled from where they are served."""
        return self.version is not None and (self.version / GRAPH).is_file()

    @property
    def onnx_file(self) -> Path | None:
        """A foreign ONNX file of that version, of which no passport tells; None where there is none."""
        if self.version is None or self.is_ensemble:
            return None
        names = (self.config.default_model_filename, ONNX_FILE)
        found = (self.version / name for name in names if name.endswith(".onnx"))
        return next((path for path in found if path.is_file()), None)

    @cached_property
    def onnx_unread(self) -> bool:
        """Whether there is a foreign ONNX file, and no package to read it with."""
        return self.passport is None and self.onnx_file is not None and find_spec("onnx") is None

    @cached_property
    def bindings(self) -> Bindings | None:
        """What the model itself takes and gives; None where nothing tells."""
        if self.is_ensemble:
            return None
        told = bindings_from_version(self.version, self.passport) if self.version else None
        if told is None and self.onnx_file is not None and not self.onnx_unread:
            told = bindings_from_onnx(self.onnx_file)
        return told or (bindings_from_recipe(self.world.recipe) if self.world.recipe else None)

    @cached_property
    def others(self) -> "tuple[Case, ...]":
        """The model's other configurations."""
        paths = (path for path in self.model.configs if path != self.path)
        return tuple(Case(source_from_path(path, self.world.texts), self.world) for path in paths)

    def sibling(self, name: str) -> "Case | None":
        """Another model of the repository, by the configuration that Triton reads beside this one; None without one."""
        model = ModelFolder(self.model.path.parent / name)
        same = model.path / self.path.relative_to(self.model.path)
        path = same if same.exists() else model.config
        if not name or not path.exists():
            return None
        return Case(source_from_path(path, self.world.texts), replace(self.world, model=model, recipe=None))

    def values(self, *path: str) -> tuple[Value, ...]:
        """Every value at a path of names, in the order of the text."""
        return tuple(value for one in named(self.source.fields, *path) for value in one.values)

    def at(self, *path: str) -> Anchor:
        """The first field at a path of names; of the path's longest beginning that is there, and else the top."""
        for length in range(len(path), 0, -1):
            if found := named(self.source.fields, *path[:length]):
                return found[0]
        return TOP

    def pairs(self, *path: str) -> Iterator[tuple[Any, Value]]:
        """The messages of a repeated field with the values that they were read from.

        Args:
            path: Names, the last of a repeated field and those before it of single ones.
        """
        message = self.config
        for name in path[:-1]:
            message = getattr(message, name)
        messages, values = getattr(message, path[-1]), self.values(*path)
        if len(messages) == len(values):
            yield from zip(messages, values, strict=True)

    def entries(self, *path: str) -> Iterator[tuple[str, Value]]:
        """Every entry of a map: its key and the value that holds key and value."""
        for entry in self.values(*path):
            yield scalar(entry, "key"), entry


BY_PLATFORM = {
    "tensorrt_plan": "tensorrt",
    "onnxruntime_onnx": "onnxruntime",
    "pytorch_libtorch": "pytorch",
    "tensorflow_graphdef": "tensorflow",
    "tensorflow_savedmodel": "tensorflow",
}
"""Backends by the platform that stands for them (triton-inference-server/core, constants.h)."""

BY_FILE = {
    "model.plan": "tensorrt",
    "model.onnx": "onnxruntime",
    "model.xml": "openvino",
    "model.pt": "pytorch",
    "model.py": "python",
    "model.graphdef": "tensorflow",
    "model.savedmodel": "tensorflow",
}
"""Backends that Triton chooses by a file's name where a configuration names none."""


def inside(value: Value, *path: str) -> Anchor:
    """The first field at a path inside a value; the value itself where there is none."""
    found = named(value.fields or (), *path)
    return found[0] if found else value


def scalar(value: Value, name: str) -> str:
    """A scalar inside a value, without its quotes; empty where there is none."""
    found = named(value.fields or (), name)
    return found[0].values[0].scalar if found and found[0].values else ""
