"""Preflight: whether the latest version of a model will load at a place, and why not, in one sentence.

Which file Triton loads is said by the configuration: `cc_model_filenames`, `default_model_filename`, or the backend's
default (triton-inference-server/common, model_config.proto). Without a GPU, `configs/cpu.pbtxt` is read where there is
one. What only its author can know, such as another backend's files, is not judged and counts as fit.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engineroom.repository.config import config_from_file
from engineroom.repository.layout import GRAPH, MANIFEST, ModelFolder
from engineroom.repository.passport import Passport, passport_from_file
from engineroom.repository.place import Place, capability
from engineroom.repository.verdict import Verdict, damage, doubts, verdict

FILES = {"tensorrt": "model.plan", "openvino": "model.xml"}
"""What a backend loads where the configuration does not say."""


@dataclass(frozen=True)
class Preflight:
    """Whether a model will load.

    Attributes:
        model: The model.
        version: Its latest version, the one judged.
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
    """Judge a model's latest version.

    Args:
        model: A model with a version.
        place: Where it is to be loaded.

    Raises:
        RepositoryError: The manifest or the configuration cannot be read.
    """
    version = model.versions[-1]
    folder, named = model.version(version), f"{model.name}: version {version}"
    if not (folder / MANIFEST).exists():
        return Preflight(model.name, version, True, f"{named} is not judged: it has no manifest.json.", ())
    passport, path, config = passport_from_file(folder / MANIFEST), _config_path(model, place), config_of(model, place)
    verdicts = tuple(verdict(one, place, damage(one, folder)) for one in passport.artefacts)
    foreign = _foreign(config, version, passport, place)
    if foreign:
        return Preflight(model.name, version, True, f"{named} is not judged: in {path.name}, {foreign}.", verdicts)
    if _backend(config) == "tensorrt" and place.cpu:
        reason = f"{path.name} gives it to TensorRT, which needs a GPU"
    else:
        reason = _reason(verdicts, _file(config, place))
    if not reason:
        return Preflight(model.name, version, True, f"{named} loads on {place}{doubts(place)}.", verdicts)
    told = f"{named} does not load on {place}: {reason}. {_mend(model.name, folder, place)}"
    return Preflight(model.name, version, False, told, verdicts)


def config_of(model: ModelFolder, place: Place) -> Any:
    """The configuration that Triton reads at a place, as a `ModelConfig` message.

    Raises:
        RepositoryError: It cannot be read, or parsed.
    """
    return config_from_file(_config_path(model, place))


def _config_path(model: ModelFolder, place: Place) -> Path:
    return model.cpu_config if place.cpu and model.cpu_config.exists() else model.config


def _backend(config: Any) -> str:
    return "tensorrt" if config.platform == "tensorrt_plan" else str(config.backend or config.platform)


def _file(config: Any, place: Place) -> str:
    """The file that Triton will load."""
    by_capability = {f"sm{key.replace('.', '')}": file for key, file in config.cc_model_filenames.items()}
    chosen = by_capability.get(capability(place.gpu) or place.gpu) or config.default_model_filename
    return chosen or FILES.get(_backend(config), "")


def _foreign(config: Any, version: int, passport: Passport, place: Place) -> str:
    """What in a configuration is its author's own, so that a manifest cannot tell what Triton will load."""
    backend, file = _backend(config), _file(config, place)
    policy = config.version_policy
    if policy.HasField("specific") and version not in policy.specific.versions:
        return "version_policy serves other versions"
    if backend != "tensorrt" and not (backend == "openvino" and place.cpu):
        return f"the backend is '{backend}'"
    if file not in (FILES[backend], *(one.file for one in passport.artefacts)):
        return f"the file is {file}, of which the manifest says nothing"
    return ""


def _reason(verdicts: tuple[Verdict, ...], file: str) -> str:
    for one in verdicts:
        if one.file == file:
            return one.reason and f"{file} {one.reason}"
    held = ", ".join(one.file for one in verdicts)
    return f"its manifest has no {file}{', only ' if held else ''}{held}"


def _mend(name: str, folder: Path, place: Place) -> str:
    if place.cpu:
        # A build sees that a file is missing, not that it is another one.
        force = " --force" if (folder / FILES["openvino"]).exists() else ""
        return f"Run: engineroom build {name} --target openvino{force}"
    if (folder / GRAPH).is_file():
        return f"Compile it there from {GRAPH}: engineroom models engines {name}, or engineroom serve --engines"
    return f"Run: engineroom build {name}"
