"""ER20: whose configuration it is, and which backend runs it."""

from collections.abc import Iterator

from engineroom.repository.lint.case import BY_PLATFORM, Case
from engineroom.repository.lint.finding import Edit, Found, Severity
from engineroom.repository.lint.rule import rule
from engineroom.repository.lint.suggest import nearest

PLATFORMS = (*BY_PLATFORM, "pytorch_aoti", "ensemble")
"""Platforms that Triton knows (triton-inference-server/core, constants.h)."""

BACKENDS = (
    *("tensorrt", "onnxruntime", "openvino", "pytorch", "python", "tensorflow"),
    *("dali", "fil", "vllm", "tensorrtllm", "identity", "repeat", "square"),
)
"""Backends that Triton's images hold; a server may have others of its own."""

ELSEWHERE = {
    "trt": "tensorrt",
    "onnx": "onnxruntime",
    "ort": "onnxruntime",
    "torch": "pytorch",
    "libtorch": "pytorch",
    "torchscript": "pytorch",
    "tf": "tensorflow",
    "ov": "openvino",
    **BY_PLATFORM,
}
"""Backends by names that they have elsewhere."""


@rule("ER201", "error", refused=True)
def name_differs_from_folder(case: Case) -> Iterator[Found]:
    """`name` is not the name of the model's folder.

    Triton refuses the model: the folder's name is the model's name.

    Mend: Write the folder's name, or leave `name` out; `--fix` writes it.
    """
    name = case.config.name
    for value in case.values("name")[:1]:
        if name and name != case.model.name:
            edits = (Edit(value.start, value.end, f'"{case.model.name}"'),)
            yield Found(
                value,
                f"it is named '{name}' in a folder called '{case.model.name}'",
                f'Write "{case.model.name}"',
                edits,
            )


@rule("ER202", "error", refused=True)
def no_backend(case: Case) -> Iterator[Found]:
    """Nothing says which backend runs the model: no `backend`, no `platform`, no file with a usual name.

    Mend: Write `backend: "onnxruntime"`, `backend: "openvino"` or `platform: "tensorrt_plan"`.
    """
    if not case.backend and not case.is_ensemble and case.model.versions:
        said = "it names no backend, and no version holds a file that tells one"
        yield Found(case.at(), said, 'Write backend: "onnxruntime", or another')


@rule("ER203", "error", refused=True)
def unknown_platform(case: Case) -> Iterator[Found]:
    """`platform` is none that Triton knows, and there is no `backend`.

    Platforms are an older way to name a backend; only a few have one. `openvino` and `python` are backends.

    Mend: Write the platform that is suggested, or `backend` instead.
    """
    platform = case.config.platform
    if not platform or case.config.backend or platform in PLATFORMS:
        return
    for value in case.values("platform"):
        meant = next((one for one, backend in BY_PLATFORM.items() if backend == ELSEWHERE.get(platform, platform)), "")
        if platform in BACKENDS and not meant:
            field = case.at("platform")
            edits: tuple[Edit, ...] = (Edit(field.start, field.start + len("platform"), "backend"),)
            yield Found(value, f"'{platform}' is a backend, no platform", f'Write backend: "{platform}"', edits)
            continue
        meant = meant or nearest(platform, PLATFORMS)
        edits = (Edit(value.start, value.end, f'"{meant}"'),) if meant else ()
        yield Found(
            value, f"Triton knows no platform '{platform}'", f'Write "{meant}"' if meant else "Write backend", edits
        )


@rule("ER204", "error", refused=True)
def unknown_backend(case: Case) -> Iterator[Found]:
    """`backend` is a slip of a backend's name, or the name that it has elsewhere.

    Triton looks for a folder of that name among its backends and finds none. A backend of your own is not judged
    unless its name is nearly that of a known one.

    Mend: Write the backend that is suggested.
    """
    backend = case.config.backend
    for value in case.values("backend"):
        meant = ELSEWHERE.get(backend.lower()) or nearest(backend, BACKENDS, 0.85)
        if backend and backend not in BACKENDS and meant:
            edits = (Edit(value.start, value.end, f'"{meant}"'),)
            yield Found(value, f"Triton has no backend '{backend}'", f'Write "{meant}"', edits)


@rule("ER205", "error", refused=True)
def platform_contradicts_backend(case: Case) -> Iterator[Found]:
    """`platform` and `backend` name two different backends.

    Triton refuses the pair where it knows both; where the backend has no platforms, it passes over the platform.

    Mend: Keep one of the two.
    """
    platform, backend = case.config.platform, case.config.backend
    known = BY_PLATFORM.get(platform)
    if not platform or not backend or known == backend or platform == "ensemble":
        return
    pairs = backend in BY_PLATFORM.values()
    if pairs and platform.startswith(backend):
        return
    said = f"platform '{platform}' does not belong to backend '{backend}'"
    severity: Severity = "error" if pairs else "warning"
    yield Found(case.at("platform"), said, "Keep one of the two", (), severity, pairs)
