"""ER22: the files that a configuration names."""

import re
from collections.abc import Iterator
from pathlib import Path

from engineroom.repository.layout import PLAN
from engineroom.repository.lint.case import Case, inside, scalar
from engineroom.repository.lint.finding import Edit, Found
from engineroom.repository.lint.rule import rule
from engineroom.repository.wiring import key_from_capability

ENDINGS = {
    ".plan": "tensorrt",
    ".engine": "tensorrt",
    ".trt": "tensorrt",
    ".onnx": "onnxruntime",
    ".xml": "openvino",
    ".pt": "pytorch",
    ".py": "python",
}
"""Backends by the ending of the file that each reads."""

READS = {
    "openvino": (".xml", ".onnx"),
    "python": (".py",),
    "tensorrt": (".plan", ".engine", ".trt"),
    "onnxruntime": (".onnx",),
}
"""Endings that a backend reads, where it is known to read no others."""

USUAL = {"tensorrt": PLAN, "onnxruntime": "model.onnx", "openvino": "model.xml", "python": "model.py"}
"""What a backend loads where a configuration does not say."""


SPARE = {"openvino": ("model.xml", "model.onnx")}
"""What a backend tries where the file that it looks for is not there."""


@rule("ER221", "error")
def file_of_another_backend(case: Case) -> Iterator[Found]:
    """The file that the configuration names is of a kind that its backend does not read.

    The backend tries all the same, and fails in words of its own.

    Mend: Name the backend's own file, or the file's own backend.
    """
    endings = READS.get(case.backend, ())
    for path in (("default_model_filename",), ("cc_model_filenames", "value")):
        for value in case.values(*path):
            ending = Path(value.scalar).suffix
            if endings and ENDINGS.get(ending) and ending not in endings:
                said = f"backend '{case.backend}' does not read {value.scalar}"
                yield Found(value, said, f"Name a file that ends in {' or '.join(endings)}")


@rule("ER222", "error")
def file_missing(case: Case) -> Iterator[Found]:
    """A version that is served does not hold the file that the configuration names.

    `model.plan` may be missing where its graph is there: it is compiled on the machine that serves it. An engine for
    one kind of GPU is asked of the newest version only, and a warning where it can still be compiled.

    Mend: Name a file that the version holds, or build the version again.
    """
    compilable = case.backend == "tensorrt" and case.has_graph
    named = case.config.default_model_filename
    spare = SPARE.get(case.backend, ())
    for number in () if case.is_ensemble or compilable else case.served:
        wanted = named or USUAL.get(case.backend, "")
        if (
            wanted
            and not _holds(case, number, wanted)
            and (named or not any(_holds(case, number, one) for one in spare))
        ):
            refused = case.backend == "openvino" and not any(_holds(case, number, one) for one in spare)
            said = f"version {number} holds no {wanted}"
            yield Found(case.at("default_model_filename"), said, _held(case, number), refused=refused)
    for _, entry in case.entries("cc_model_filenames"):
        name = scalar(entry, "value")
        if name and case.served and not _holds(case, case.served[-1], name):
            said = f"version {case.served[-1]} holds no {name}"
            mend = "Compile it there: engineroom models engines" if compilable else _held(case, case.served[-1])
            yield Found(inside(entry, "value"), said, mend, severity="warning" if compilable else None)


def _holds(case: Case, number: int, name: str) -> bool:
    return (case.model.version(number) / name).exists()


def _held(case: Case, number: int) -> str:
    names = sorted(path.name for path in case.model.version(number).iterdir() if not path.name.startswith("."))
    return f"It holds {', '.join(names[:6])}" if names else "It is empty: build the model, or take the folder away"


@rule("ER223", "warning")
def capability_key_malformed(case: Case) -> Iterator[Found]:
    """A key of `cc_model_filenames` is no compute capability as Triton compares it, `MAJOR.MINOR`.

    Triton looks for `9.0` and never finds `sm90`: the default file is loaded on that GPU, and nothing says so.

    Mend: Write `9.0` for sm90, `12.0` for sm120; `--fix` does.
    """
    for key, entry in case.entries("cc_model_filenames"):
        if re.fullmatch(r"\d{1,2}\.\d", key):
            continue
        told = re.fullmatch(r"(?:sm_?|SM_?|cc)?(\d{1,2})\.?(\d)", key)
        field = inside(entry, "key")
        meant = f"{told[1]}.{told[2]}" if told else ""
        text = case.text[field.start : field.end]
        edits = (Edit(field.start, field.end, text.replace(key, meant)),) if told and key else ()
        yield Found(field, f"'{key}' is no compute capability", f'Write "{meant or "9.0"}"', edits)


@rule("ER224", "error", refused=True)
def label_file_missing(case: Case) -> Iterator[Found]:
    """An output's `label_filename` is not in the model's folder.

    It lies beside `config.pbtxt`, not in the version's folder, and not beside `configs/cpu.pbtxt`.

    Mend: Put the file there, or take the field out.
    """
    for output, value in case.pairs("output"):
        name = output.label_filename
        if name and not (case.model.path / name).is_file():
            said = f"the folder {case.model.path.name} holds no {name}"
            yield Found(inside(value, "label_filename"), said, "Put it beside config.pbtxt")


@rule("ER225", "warning")
def label_count_differs(case: Case) -> Iterator[Found]:
    """A label file has another number of lines than the output has classes.

    Classification then answers with empty labels, or with none of the last.

    Mend: Write one label a line, in the order of the classes.
    """
    for output, value in case.pairs("output"):
        path = case.model.path / output.label_filename
        if not output.label_filename or not path.is_file() or not output.dims or -1 in output.dims:
            continue
        lines = path.read_bytes().decode("utf-8", errors="replace").splitlines()
        classes = output.dims[-1]
        if len(lines) != classes:
            said = f"{path.name} has {len(lines)} lines, output '{output.name}' has {classes} classes"
            yield Found(inside(value, "label_filename"), said, "Write one label a line")


@rule("ER226", "error")
def file_outside_version(case: Case) -> Iterator[Found]:
    """A file name leads out of the version's folder.

    Versions stop being independent: replacing one changes the other, and a copy of the folder does not work elsewhere.

    Mend: Keep each version's files in its own folder.
    """
    for path in (("default_model_filename",), ("cc_model_filenames", "value"), ("output", "label_filename")):
        for value in case.values(*path):
            if value.scalar.startswith("/") or ".." in Path(value.scalar).parts:
                yield Found(value, f"{value.scalar} leads out of the folder", "Name a file in the folder itself")


@rule("ER227", "error")
def engine_of_another_gpu(case: Case) -> Iterator[Found]:
    """`cc_model_filenames` names, for one kind of GPU, an engine that was compiled for another.

    TensorRT loads an engine only on the kind of GPU that it was made on.

    Mend: Name the engine of that GPU, or compile one there: `engineroom models engines`.
    """
    made = {one.file: one.capability for one in case.passport.artefacts} if case.passport is not None else {}
    for key, entry in case.entries("cc_model_filenames") if case.backend == "tensorrt" else ():
        file = scalar(entry, "value")
        by_name = re.fullmatch(r"model\.(sm\d{2,3})\.plan", file)
        capability = made.get(file, "") or (by_name[1] if by_name else "")
        if re.fullmatch(r"\d{1,2}\.\d", key) and capability and key_from_capability(capability) != key:
            said = f"{file} is for compute capability {key_from_capability(capability)}, not {key}"
            yield Found(inside(entry, "value"), said, "Name the engine of that GPU, or compile one there")
