"""Engines for the GPU in this machine: compiled from the graph that a published version carries, and added to it.

Neither PyTorch nor the recipe is needed, so this runs where models are served: a plan fits one TensorRT version and one
kind of GPU, and both are known there only.
"""

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

from engineroom.compile.fallback import FALLBACK
from engineroom.compile.report import Watch
from engineroom.compile.targets import target_from_name
from engineroom.compile.targets.bindings import check_bindings
from engineroom.compile.targets.gpu import gpus
from engineroom.compile.targets.tensorrt import TensorRT, load, plan_from_onnx
from engineroom.errors import CompileError, RepositoryError
from engineroom.hardware import has_gpu
from engineroom.repository.config import backend_of, config_from_text
from engineroom.repository.files import exclusive, sync_file, sync_folder, write_atomically
from engineroom.repository.layout import GRAPH, MANIFEST, ModelFolder
from engineroom.repository.passport import Artefact, Passport, passport_from_file
from engineroom.repository.place import Place, misfit
from engineroom.repository.policy import current_version
from engineroom.repository.publish import explained
from engineroom.repository.verdict import changed, damage
from engineroom.repository.wiring import read, wire

STAGING = ".engine"
"""Folder beside the versions in which an engine is compiled. Triton looks only at folders whose name is a number."""


@dataclass(frozen=True)
class Engine:
    """What became of one model's engine.

    Attributes:
        model: The model.
        version: Its latest version, the one that the engine belongs to.
        compiled: Whether an engine was compiled now.
        reason: Why it was compiled, or why there was nothing to do.
        artefact: The engine; None where the version was not built by engineroom, or is served without one.
        wiring: What was written into `config.pbtxt`, or why the engine is not served; empty where it is served already.
    """

    model: str
    version: int
    compiled: bool
    reason: str
    artefact: Artefact | None = None
    wiring: str = ""


def engine_target(name: str) -> TensorRT:
    """The target of a name such as `tensorrt` or `tensorrt-rtx:sm89`, if engines can be compiled for it here.

    Raises:
        CompileError: It is no target of TensorRT, TensorRT is not usable, or there is not one kind of GPU here.
    """
    if name == "tensorrt":
        _check_gpu()
    target = target_from_name(name)
    if not isinstance(target, TensorRT):
        raise CompileError(f"target '{name}' has no engines. Use --target tensorrt, or tensorrt-rtx:smNN.")
    check_bindings(load(target.kind))
    return target


def add_engine(model: ModelFolder, target: TensorRT, watch: Watch, *, force: bool = False) -> Engine:
    """Make sure that a model's latest version has an engine that fits this machine.

    The plan appears in the version folder in one step, the manifest follows, then the configuration names the plan for
    this GPU: whoever is killed in between leaves a version that can be served, and that the next call completes.
    Engines for other GPUs stay. Callers on one machine take turns.

    Args:
        model: A model with a version.
        target: What to compile for, from `engine_target`.
        watch: Shows progress.
        force: Compile although a fitting engine is there.

    Raises:
        CompileError: TensorRT refuses the graph.
        RepositoryError: The version has no graph or no readable manifest, or cannot be written.
    """
    version = current_version(model) or model.versions[-1]
    folder = model.version(version)
    if not (folder / MANIFEST).exists():
        return Engine(model.name, version, compiled=False, reason="not built by engineroom: it has no manifest.json")
    with explained(model), exclusive(folder):
        passport = passport_from_file(folder / MANIFEST)
        if not force and (why := _no_engine(model, passport)):
            return Engine(model.name, version, compiled=False, reason=why)
        reason = "--force" if force else _misfit(passport, folder, target)
        artefact = passport.artefact(target.name, target.sm)
        if reason or artefact is None:
            with watch(f"compile {target.plan} ({reason})"):
                artefact = _compile(model, folder, passport, target)
            others = tuple(one for one in passport.artefacts if one.file != artefact.file)
            write_atomically(folder / MANIFEST, replace(passport, artefacts=(*others, artefact)).to_json())
        # None of Triton's backends reads a plan of TensorRT for RTX.
        wiring = wire(model, artefact.file, target.sm) if target.kind == "tensorrt" else ""
    return Engine(model.name, version, bool(reason), reason or "up to date", artefact, wiring)


def _check_gpu() -> None:
    if not has_gpu():
        raise CompileError(
            "an engine is compiled on the GPU that will run it, and no NVIDIA GPU is visible here. "
            "Give the container one: docker run --gpus all. On a machine without a GPU, "
            "'engineroom serve' alone serves the CPU configurations."
        )
    found = sorted(set(map(str, gpus())))
    if not found:
        raise CompileError(
            "an NVIDIA GPU is in this machine, but its driver shows none to this process. Run nvidia-smi to see why."
        )
    if len(found) > 1:
        raise CompileError(
            f"a plan fits one kind of GPU, and this machine has: {'; '.join(found)}. "
            "Show one kind only, as with docker run --gpus device=0, or CUDA_VISIBLE_DEVICES=0."
        )


def _no_engine(model: ModelFolder, passport: Passport) -> str:
    """Why a version is served without an engine; empty where it needs one."""
    refused = [words for one in passport.artefacts for words in one.instead_of.values()]
    if not refused or not model.config.exists():
        return ""
    if backend_of(config_from_text(read(model.config), model.config, unknown=True)) != FALLBACK:
        return ""
    return f"{model.config.name} gives it to ONNX Runtime, because {refused[0]}"


def _misfit(passport: Passport, folder: Path, target: TensorRT) -> str:
    """Why the version's plan cannot be used here; empty where it can."""
    artefact = passport.artefact(target.name, target.sm)
    if artefact is None:
        return "missing"
    here = Place(gpu=target.device, tensorrt=load(target.kind).__version__)
    return misfit(artefact, here) or damage(artefact, folder)


def _compile(model: ModelFolder, folder: Path, passport: Passport, target: TensorRT) -> Artefact:
    graph, staging = folder / GRAPH, model.path / STAGING
    if not graph.is_file():
        raise RepositoryError(
            f"{model.name}: {folder} has no {GRAPH} to compile an engine from. Run: engineroom build {model.name}"
        )
    if damaged := changed(passport, folder, GRAPH):
        raise RepositoryError(
            f"{model.name}: {graph} is {damaged}, so no engine is compiled from it. "
            f"Run: engineroom build {model.name} --force"
        )
    # Only the holder of the lock is here: a folder of this name was left by a process that was killed.
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    try:
        began = time.perf_counter()
        compiled = plan_from_onnx(target, graph, passport.profile, staging / target.plan)
        artefact = compiled.artefact(target.name, time.perf_counter() - began)
        sync_file(compiled.file)
        compiled.file.replace(folder / target.plan)
        sync_folder(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return artefact
