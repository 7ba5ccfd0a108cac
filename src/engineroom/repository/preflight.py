"""Preflight: whether the version of a model that is served will load at a place, and why not, in one sentence.

Which file Triton loads is said by the configuration: `cc_model_filenames`, `default_model_filename`, or the backend's
default (triton-inference-server/common, model_config.proto). Without a GPU, `configs/cpu.pbtxt` is read where there is
one. What only its author can know, such as another backend's files, is not judged and counts as fit.

On a GPU, Triton's ONNX Runtime backend computes with CUDA by default (triton-inference-server/onnxruntime_backend) and
takes the graph itself, whatever the GPU.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from engineroom.hardware import capability
from engineroom.repository.config import backend_of, config_from_file
from engineroom.repository.layout import GOLDEN, GRAPH, MANIFEST, PLAN, ModelFolder
from engineroom.repository.passport import Passport, passport_from_file
from engineroom.repository.place import Place
from engineroom.repository.policy import served_versions
from engineroom.repository.verdict import Verdict, changed, damage, doubts, verdict
from engineroom.repository.wiring import OWN_PLAN, entry

FILES = {"tensorrt": PLAN, "openvino": "model.xml", "onnxruntime": "model.onnx"}
"""What a backend loads where the configuration does not say."""

ON_GPU = {"tensorrt": "TensorRT", "onnxruntime": "ONNX Runtime's backend"}
"""Backends that only the GPU container has."""


@dataclass(frozen=True)
class Preflight:
    """Whether a model will load.

    Attributes:
        model: The model.
        version: The version judged: the newest that the configuration serves.
        loads: Whether it will; true of what is not judged.
        sentence: That, why, and how to mend it.
        artefacts: The same of everything in the version.
    """

    model: str
    version: int
    loads: bool
    sentence: str
    artefacts: tuple[Verdict, ...]


def preflight(model: ModelFolder, place: Place) -> Preflight:
    """Judge the version of a model that is served at a place; the newest where its configuration serves none.

    Args:
        model: A model with a version.
        place: Where it is to be loaded.

    Raises:
        RepositoryError: The manifest or the configuration cannot be read.
    """
    version = _version(model, place)
    folder, named = model.version(version), f"{model.name}: version {version}"
    if not (folder / MANIFEST).exists():
        return Preflight(model.name, version, True, f"{named} is not judged: it has no manifest.json.", ())
    passport, path = passport_from_file(folder / MANIFEST), _config_path(model, place)
    verdicts = tuple(verdict(one, place, damage(one, folder)) for one in passport.artefacts)
    case = _Case(folder, passport, path, config_of(model, place), place, verdicts)
    if foreign := case.foreign(version):
        return Preflight(model.name, version, True, f"{named} is not judged: in {path.name}, {foreign}.", verdicts)
    if reason := case.reason:
        told = f"{named} does not load on {place}: {reason}. {case.mend(model.name)}"
    else:
        told = f"{named} loads on {place}{doubts(place) if case.backend == 'tensorrt' else ''}{case.caveat}."
    return Preflight(model.name, version, not reason, told, verdicts)


def _version(model: ModelFolder, place: Place) -> int:
    path = _config_path(model, place)
    served = served_versions(config_of(model, place), model.versions) if path.exists() else ()
    return (served or model.versions)[-1]


def config_of(model: ModelFolder, place: Place) -> Any:
    """The configuration that Triton reads at a place, as a `ModelConfig` message.

    Raises:
        RepositoryError: It cannot be read, or parsed.
    """
    return config_from_file(_config_path(model, place))


def _config_path(model: ModelFolder, place: Place) -> Path:
    return model.cpu_config if place.cpu and model.cpu_config.exists() else model.config


@dataclass(frozen=True)
class _Case:
    """A version with its configuration, before the place where it is to be loaded."""

    folder: Path
    passport: Passport
    path: Path
    config: Any
    place: Place
    verdicts: tuple[Verdict, ...]

    @property
    def backend(self) -> str:
        return backend_of(self.config)

    @property
    def capability(self) -> str:
        return capability(self.place.gpu) or self.place.gpu

    @cached_property
    def files(self) -> tuple[str, ...]:
        """The file that Triton will load; where the GPU is not known, each that it may be."""
        named = {f"sm{key.replace('.', '')}": file for key, file in self.config.cc_model_filenames.items()}
        default = self.config.default_model_filename or FILES.get(self.backend, "")
        if self.place.cpu or self.capability:
            return (named.get(self.capability, default),)
        return tuple(dict.fromkeys((*named.values(), default)))

    def foreign(self, version: int) -> str:
        """What in a configuration is its author's own, so that a manifest cannot tell what Triton will load."""
        policy = self.config.version_policy
        if policy.HasField("specific") and version not in policy.specific.versions:
            return "version_policy serves other versions"
        if self.backend not in ("tensorrt", "onnxruntime") and not (self.backend == "openvino" and self.place.cpu):
            return f"the backend is '{self.backend}'"
        known = {FILES["tensorrt"], FILES["openvino"], GRAPH, *(one.file for one in self.passport.artefacts)}
        if not any(file in known or OWN_PLAN.fullmatch(file) for file in self.files):
            return f"the file is {self.files[0]}, of which the manifest says nothing"
        return ""

    @cached_property
    def reason(self) -> str:
        """Why it will not load; empty where it will."""
        if self.place.cpu and self.backend in ON_GPU:
            return f"{self.path.name} gives it to {ON_GPU[self.backend]}, which needs a GPU"
        if golden := changed(self.passport, self.folder, GOLDEN):
            return f"its golden answers cannot be asked for: {GOLDEN} is {golden}"
        reasons = [self._reason(file) for file in self.files]
        return "" if "" in reasons else reasons[0]

    def _reason(self, file: str) -> str:
        if self.backend == "onnxruntime":
            damaged = changed(self.passport, self.folder, file)
            return damaged and f"{file} is {damaged}" if file == GRAPH else f"ONNX Runtime reads no {file}"
        for one in self.verdicts:
            if one.file == file:
                return one.reason and f"{file} {one.reason}"
        held = ", ".join(one.file for one in self.verdicts)
        return f"its manifest has no {file}{', only ' if held else ''}{held}"

    @property
    def _unnamed(self) -> str:
        """An engine that would load, were it named for this GPU."""
        engine = self.passport.artefact("tensorrt", self.capability) if self.capability else None
        fits = engine is not None and any(one.file == engine.file and not one.reason for one in self.verdicts)
        return engine.file if engine is not None and fits and engine.file not in self.files else ""

    @cached_property
    def _graph(self) -> str:
        """What is wrong with the graph that further engines are compiled from; empty where nothing is."""
        return changed(self.passport, self.folder, GRAPH)

    @property
    def caveat(self) -> str:
        """What is wrong with a version that loads all the same."""
        return f"; but {GRAPH} is {self._graph}, so no further engine can be compiled from it" if self._graph else ""

    def mend(self, name: str) -> str:
        """How to mend what keeps it from loading."""
        if changed(self.passport, self.folder, GOLDEN):
            return f"Run: engineroom build {name} --force"
        if self.place.cpu:
            return f"Run: engineroom build {name} --target openvino{self._force(FILES['openvino'])}"
        if self._graph or not (self.folder / GRAPH).is_file():
            return f"Run: engineroom build {name}{self._force(GRAPH)}"
        if self._unnamed:
            named = f"In {self.path.name}, name {self._unnamed}, which loads there"
            return f"{named}: {entry(self._unnamed, self.capability)}"
        rtx = [one.file for one in self.verdicts if one.file in self.files and one.target.startswith("tensorrt-rtx")]
        first = f"Take {rtx[0]} out of {self.path.name}, then compile an engine" if rtx else "Compile it"
        return f"{first} there from {GRAPH}: engineroom models engines {name}, or engineroom serve --engines"

    def _force(self, file: str) -> str:
        """The option for a build, which sees by itself that a file is missing, not that it is another one."""
        return " --force" if (self.folder / file).exists() else ""
