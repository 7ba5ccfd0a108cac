"""Wiring: which file of a version Triton loads on which GPU, put into `config.pbtxt` by the smallest edit.

Triton looks for the GPU's `MAJOR.MINOR` among the keys of `cc_model_filenames` and loads the file named there; on every
other GPU it loads `default_model_filename`. That holds for every backend (triton-inference-server/backend,
backend_model_instance.cc). The text is edited, so that comments and the operator's order stay, and what comes out is
read again: it must say what was meant, and nothing else.
"""

import difflib
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from engineroom.errors import RepositoryError
from engineroom.repository.config import backend_of, config_from_text
from engineroom.repository.files import exclusive, write_atomically
from engineroom.repository.layout import GRAPH, PLAN, ModelFolder
from engineroom.repository.passport import Artefact

OWN_PLAN = re.compile(r"model\.(sm\d+\.)?plan")
"""Names that engines get from us: `model.plan`, and `model.sm90.plan`."""

ON_TENSORRT = 'platform: "tensorrt_plan"'

MARK = "  # {kind} refuses the model: --fallback onnxruntime"
"""Stands behind a backend that a build has changed, and lets a later build change it back."""

ON_ONNX_RUNTIME = f'backend: "onnxruntime"{MARK}'


def engine_name(capability: str) -> str:
    """File name of the engine for a compute capability such as `sm90`; `model.plan` where none is known."""
    return f"model.{capability}.plan" if capability else PLAN


def key_from_capability(capability: str) -> str:
    """A compute capability as Triton compares it: `9.0` for `sm90`, `12.0` for `sm120`."""
    return f"{capability[2:-1]}.{capability[-1]}"


def entry(file: str, capability: str) -> str:
    """The line of a configuration that names an engine for a compute capability such as `sm90`."""
    return f'cc_model_filenames {{ key: "{key_from_capability(capability)}" value: "{file}" }}'


def wire(model: ModelFolder, file: str, capability: str) -> str:
    """Make `config.pbtxt` name an engine for its GPU, where it says nothing of that GPU yet.

    Args:
        model: The engine's model.
        file: The engine, in the latest version.
        capability: What it is for, such as `sm90`; empty for `model.plan`, which needs no entry.

    Returns:
        What was written, or why nothing was although the engine is not served; empty where all is as it should be.

    Raises:
        RepositoryError: The configuration cannot be read, or does not mean what was written into it.
        OSError: It cannot be written.
    """
    if not capability:
        return ""
    if not model.config.exists():
        return f"there is no {model.config.name} to name {file} in. Run: engineroom build {model.name}"
    with exclusive(model.path):
        text = read(model.config)
        edited, note = with_engine(text, model.config, file, capability)
        if edited != text:
            write(model.config, edited)
    return note


def with_engine(text: str, path: Path, file: str, capability: str) -> tuple[str, str]:
    """A configuration's text that names an engine, and what was done; the same text where the operator has decided.

    Args:
        text: The configuration.
        path: Where it stands, for messages.
        file: The engine.
        capability: What it is for, such as `sm90`.

    Raises:
        RepositoryError: The text cannot be parsed, or edited.
    """
    config, key = config_from_text(text, path, unknown=True), key_from_capability(capability)
    line = entry(file, capability)
    named, default = config.cc_model_filenames.get(key), config.default_model_filename
    if backend_of(config) != "tensorrt":
        return text, f"{path.name} gives the model to '{backend_of(config)}', so {file} is not served"
    if named == file or (named is None and default == file):
        return text, ""
    if named is not None:
        return text, f"{path.name} names {named} for compute capability {key}, so {file} is not served"
    if default not in ("", PLAN):
        return text, f"{path.name} names {default} for every GPU, so {file} is not served. To serve it, add: {line}"
    config.cc_model_filenames[key] = file
    break_line = "" if not text or text.endswith("\n") else "\n"
    return proven(f"{text}{break_line}{line}\n", config, path, f"add: {line}"), f"{path.name}: + {line}"


def rewire(model: ModelFolder, artefacts: Iterable[Artefact]) -> str:
    """Make `config.pbtxt` serve what a new version holds: its engines, or the graph where TensorRT refused it.

    Args:
        model: A model with a configuration.
        artefacts: Those of the version.

    Returns:
        What changed, as a diff, and why an engine is not served; empty where nothing had to change.

    Raises:
        RepositoryError: The configuration cannot be edited; the message says what to write.
        OSError: It cannot be written.
    """
    with exclusive(model.path):
        text = read(model.config)
        edited, notes = rewired(text, model.config, artefacts)
        if edited != text:
            write(model.config, edited)
            lines = text.splitlines(), edited.splitlines()
            diff = difflib.unified_diff(*lines, model.config.name, model.config.name, n=0, lineterm="")
            notes = [line for line in diff if not line.startswith("@@")] + notes
    return "\n".join(notes)


def rewired(text: str, path: Path, artefacts: Iterable[Artefact]) -> tuple[str, list[str]]:
    """A configuration's text that serves what a version holds, and why an engine is not served by it.

    Raises:
        RepositoryError: It cannot be edited; the message says what to write.
    """
    artefacts, notes = tuple(artefacts), []
    kinds = {one.target.partition(":")[0] for one in artefacts} & {"tensorrt", "tensorrt-rtx"}
    refusing = {target.partition(":")[0] for one in artefacts for target in one.instead_of}
    if refusing and not kinds:
        text = for_onnx_runtime(text, path, min(refusing))
    text = for_tensorrt(text, path, kinds)
    for engine in artefacts:
        if engine.target == "tensorrt" and engine.capability:
            edited, note = with_engine(text, path, engine.file, engine.capability)
            notes += [note] if edited == text and note else []
            text = edited
    return text, notes


def for_onnx_runtime(text: str, path: Path, kind: str) -> str:
    """A configuration's text with TensorRT's backend replaced by ONNX Runtime's, on the graph of the same version.

    Engines that `cc_model_filenames` names go too: that backend would load them as graphs.

    Args:
        text: The configuration.
        path: Where it stands, for messages.
        kind: Which TensorRT refuses the model, `tensorrt` or `tensorrt-rtx`.

    Raises:
        RepositoryError: The text cannot be parsed or edited; the message says what to write.
    """
    config = config_from_text(text, path, unknown=True)
    if backend_of(config) != "tensorrt":
        return text
    mend = f'write backend: "onnxruntime" for the platform, default_model_filename: "{GRAPH}", no cc_model_filenames'
    others = [name for name in (config.default_model_filename, *config.cc_model_filenames.values()) if name]
    if own := [name for name in others if not OWN_PLAN.fullmatch(name)]:
        raise RepositoryError(f"{path}: names {own[0]}, which is not a build's to replace. For ONNX Runtime, {mend}.")
    config.platform, config.backend, config.default_model_filename = "", "onnxruntime", GRAPH
    config.cc_model_filenames.clear()
    text = re.sub(r"^[ \t]*cc_model_filenames\s*:?\s*\{[^{}#]*\}[ \t]*\n?", "", text, flags=re.MULTILINE)
    backend = r'platform\s*:\s*"tensorrt_plan"|backend\s*:\s*"tensorrt"'
    text = _on(text, backend, ON_ONNX_RUNTIME.format(kind=kind), GRAPH)
    return proven(text, config, path, mend)


def for_tensorrt(text: str, path: Path, kinds: Collection[str]) -> str:
    """A configuration's text given back to TensorRT, where `for_onnx_runtime` had changed it; else the same text.

    Args:
        text: The configuration.
        path: Where it stands, for messages.
        kinds: Which kinds of TensorRT take the model now: the one that refused it must be among them, or TensorRT
            itself.

    Raises:
        RepositoryError: The text cannot be parsed or edited; the message says what to write.
    """
    config = config_from_text(text, path, unknown=True)
    marked = [kind for kind in ("tensorrt", "tensorrt-rtx") if ON_ONNX_RUNTIME.format(kind=kind) in text]
    if not marked or not {"tensorrt", *marked}.intersection(kinds):
        return text
    config.backend, config.platform, config.default_model_filename = "", "tensorrt_plan", PLAN
    mend = f'write {ON_TENSORRT} for the backend, default_model_filename: "{PLAN}"'
    return proven(_on(text, re.escape(ON_ONNX_RUNTIME.format(kind=marked[0])), ON_TENSORRT, PLAN), config, path, mend)


def _on(text: str, backend: str, instead: str, file: str) -> str:
    """The text with another backend and another default file, which is added below the backend where there is none."""
    named = re.compile(r'^([^#\n]*\bdefault_model_filename\s*:\s*)"[^"\n]*"', re.MULTILINE)
    line = f'default_model_filename: "{file}"'
    below = "" if named.search(text) else f"\n{line}"
    text = named.sub(rf'\g<1>"{file}"', text, count=1)
    return re.sub(rf"^([ \t]*)(?:{backend})([^\n]*)", rf"\g<1>{instead}\g<2>{below}", text, count=1, flags=re.MULTILINE)


def proven(text: str, wanted: Any, path: Path, mend: str) -> str:
    """An edited text, if it means what it should.

    Args:
        text: The text.
        wanted: The `ModelConfig` message that it should say.
        path: Where it stands.
        mend: What its author should do otherwise.

    Raises:
        RepositoryError: It means something else.
    """
    try:
        same = config_from_text(text, path, unknown=True) == wanted
    except RepositoryError:
        same = False
    if not same:
        raise RepositoryError(f"{path}: is written in a way that engineroom does not edit. By hand, {mend}.")
    return text


def read(path: Path) -> str:
    """A configuration's text.

    Raises:
        RepositoryError: It cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RepositoryError(f"{path}: cannot be read: {error}") from error


def write(path: Path, text: str) -> None:
    """Write a configuration at once; where it is a link, what it links to.

    Raises:
        OSError: It cannot be written.
    """
    write_atomically(path.resolve(), text)
