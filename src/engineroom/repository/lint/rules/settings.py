"""ER93: settings that the chosen backend or server does not look at."""

import re
from collections.abc import Iterator

from engineroom.repository.lint.case import Case, inside, scalar
from engineroom.repository.lint.finding import Edit, Found, Severity
from engineroom.repository.lint.rule import rule
from engineroom.repository.lint.suggest import nearest
from engineroom.repository.pbtxt.tree import named

OURS = ("INFERENCE_NUM_THREADS", "NUM_STREAMS", "PERFORMANCE_HINT", "HINT_BF16", "BATCH_SIZES")
"""Parameters that both OpenVINO backends know, and `BATCH_SIZES`, which is ours alone."""

NATIVE = (
    *("CPU_EXTENSION_PATH", "TARGET_DEVICE", "ENABLE_BATCH_PADDING", "RESHAPE_IO_LAYERS", "SKIP_OV_DYNAMIC_BATCHSIZE"),
    *("INFERENCE_PRECISION_HINT", "NUM_REQUESTS", "ENABLE_CPU_PINNING", "ENABLE_HYPER_THREADING", "CACHE_DIR"),
)
"""Parameters that only the container's own OpenVINO backend knows (triton-inference-server/openvino_backend)."""

HINTS = ("LATENCY", "THROUGHPUT", "CUMULATIVE_THROUGHPUT")

ACCELERATORS = {"gpu": ("tensorrt", "cuda", "auto_io_binding"), "cpu": ("openvino",)}
"""Accelerators of ONNX Runtime's backend."""


@rule("ER931", "warning")
def accelerator_ignored(case: Case) -> Iterator[Found]:
    """An execution accelerator where the backend has none, or none of that name.

    Only ONNX Runtime's backend has any: `tensorrt` and `cuda` on GPUs, `openvino` on CPUs. TensorRT needs none, and
    OpenVINO does not look.

    Mend: Take it out, or give the model to the backend that it is for.
    """
    for kind, names in ACCELERATORS.items():
        for value in case.values("optimization", "execution_accelerators", f"{kind}_execution_accelerator"):
            name = scalar(value, "name")
            if case.backend not in ("onnxruntime", "tensorflow"):
                yield Found(value, f"backend '{case.backend}' has no accelerator '{name}'", "Take it out")
            elif case.backend == "onnxruntime" and name not in names:
                yield Found(
                    inside(value, "name"),
                    f"there is no accelerator '{name}' on a {kind.upper()}",
                    f"Write one of {', '.join(names)}",
                )


@rule("ER932", "warning")
def accelerator_on_another_device(case: Case) -> Iterator[Found]:
    """An accelerator for a GPU where every instance runs on the CPU, or the other way round.

    Mend: Take it out, or change the kind of the instances.
    """
    kinds = {group.kind for group in case.config.instance_group}
    for kind, only in (("gpu", 2), ("cpu", 1)):
        for value in case.values("optimization", "execution_accelerators", f"{kind}_execution_accelerator"):
            if case.backend == "onnxruntime" and kinds == {only}:
                other = "CPU" if only == 2 else "GPU"
                yield Found(value, f"all instances run on the {other}", "Take it out")


@rule("ER933", "warning")
def gpu_setting_without_gpu(case: Case) -> Iterator[Found]:
    """A setting of CUDA's where the model runs on no GPU, or on a backend that does not read it.

    CUDA graphs and streams are TensorRT's.

    Mend: Take it out.
    """
    if case.config.optimization.HasField("cuda") and case.backend != "tensorrt":
        said = f"backend '{case.backend}' does not look at optimization.cuda"
        yield Found(case.at("optimization", "cuda"), said, "Take it out")


@rule("ER934", "warning")
def parameter_unknown(case: Case) -> Iterator[Found]:
    """A parameter that the OpenVINO backend does not know.

    It passes over what it does not know: a slip in a name leaves the default in place, and nothing says so. Names are
    in capitals. A name that is like none of its own may be somebody's own: that is a note.

    Mend: Write the name that is suggested, or take it out.
    """
    if case.backend != "openvino":
        return
    for key, entry in case.entries("parameters"):
        if key in (*OURS, *NATIVE):
            continue
        meant = nearest(key, OURS)
        field = named(entry.fields or (), "key")
        edits = (
            (Edit(field[0].values[0].start, field[0].values[0].end, f'"{meant}"'),)
            if field and meant and nearest(key, OURS, 0.8)
            else ()
        )
        mend = f'Write "{meant}"' if meant else f"It knows {', '.join(OURS)}"
        said = f"the OpenVINO backend has no parameter '{key}'"
        yield Found(inside(entry, "key"), said, mend, edits, severity=None if meant else "note")


@rule("ER935", "error", refused=True)
def parameter_value_wrong(case: Case) -> Iterator[Found]:
    """A parameter of the OpenVINO backend has a value that it cannot read.

    Mend: Write a number for `INFERENCE_NUM_THREADS` and `NUM_STREAMS`, `LATENCY` or `THROUGHPUT` for
    `PERFORMANCE_HINT`, `YES` or `NO` for `HINT_BF16`, sizes such as `1,2,4,8` for `BATCH_SIZES`.
    """
    if case.backend != "openvino":
        return
    for key, entry in case.entries("parameters"):
        if key not in case.config.parameters:
            continue
        text = case.config.parameters[key].string_value
        wanted = _wanted(key, text)
        if wanted:
            place = inside(entry, "value", "string_value")
            hint = key == "HINT_BF16"
            said = f"'{key}' is '{text}'"
            severity: Severity = "warning" if hint else "error"
            yield Found(place, said, f"Write {wanted}", severity=severity, refused=not hint)


def _wanted(key: str, text: str) -> str:
    """What a parameter takes, where its text is something else; empty where it fits."""
    if key == "INFERENCE_NUM_THREADS" and not text.isdecimal():
        return "a whole number"
    if key == "NUM_STREAMS" and not text.isdecimal() and text not in ("AUTO", "NUMA"):
        return "a whole number, or AUTO"
    if key == "PERFORMANCE_HINT" and text not in HINTS:
        return " or ".join(HINTS[:2])
    if key == "HINT_BF16" and text.upper() not in ("YES", "NO"):
        return "YES or NO"
    if key == "BATCH_SIZES" and any(size and not size.strip().isdecimal() for size in text.split(",")):
        return "sizes such as 1,2,4,8"
    return ""


@rule("ER936", "warning")
def threads_above_cores(case: Case) -> Iterator[Found]:
    """The copies of the model use more threads together than this machine has cores.

    `INFERENCE_NUM_THREADS` counts for each copy. Threads that wait for one another's cores make every answer slower.

    Mend: Write cores divided by copies, or take it out: that is the default.
    """
    given = (
        case.config.parameters["INFERENCE_NUM_THREADS"].string_value
        if "INFERENCE_NUM_THREADS" in case.config.parameters
        else ""
    )
    copies = sum(max(1, group.count) for group in case.config.instance_group) or 1
    if case.backend == "openvino" and given.isdecimal() and int(given) > 1 and int(given) * copies > case.world.cores:
        said = f"{copies} copies with {given} threads share {case.world.cores} cores"
        yield Found(case.at("parameters"), said, f"Write {max(1, case.world.cores // copies)}, or take it out")


@rule("ER937", "note")
def cache_needs_the_server(case: Case) -> Iterator[Found]:
    """`response_cache` is on, which does nothing unless the server has a cache.

    Triton loads the model all the same.

    Mend: Start it with one: `engineroom serve --triton --cache-config=local,size=104857600`.
    """
    if case.config.response_cache.enable and not case.config.HasField("sequence_batching"):
        said = "answers are cached only where the server is started with --cache-config"
        yield Found(case.at("response_cache"), said, "Start it with --cache-config=local,size=BYTES")


@rule("ER938", "error", refused=True)
def cache_excluded(case: Case) -> Iterator[Found]:
    """`response_cache` together with sequences or with a decoupled model.

    An answer that depends on earlier requests, or comes in several parts, is not cached; Triton refuses the model.

    Mend: Take `response_cache` out.
    """
    if not case.config.response_cache.enable:
        return
    why = "sequences" if case.config.HasField("sequence_batching") else ""
    why = why or ("a decoupled model" if case.config.model_transaction_policy.decoupled else "")
    if why:
        yield Found(case.at("response_cache"), f"answers of {why} are not cached", "Take response_cache out")


@rule("ER939", "warning")
def decoupled_with_one_answer(case: Case) -> Iterator[Found]:
    """`decoupled` where the backend gives one answer for each request.

    Callers must then use a stream over gRPC: plain calls over gRPC and HTTP are refused for decoupled models.

    Mend: Take `model_transaction_policy` out.
    """
    if case.config.model_transaction_policy.decoupled and case.backend in ("tensorrt", "onnxruntime", "openvino"):
        said = f"{case.backend} answers once, and plain calls of a decoupled model are refused"
        yield Found(case.at("model_transaction_policy"), said, "Take it out")


@rule("ER940", "error", refused=True)
def runtime_not_there(case: Case) -> Iterator[Found]:
    """`runtime` names a library of the backend that is none.

    It is the file that implements the backend, such as `libtriton_onnxruntime.so` or `model.py`.

    Mend: Take it out: the backend knows its own file.
    """
    runtime = case.config.runtime
    if runtime and not runtime.endswith((".so", ".py", ".dll")):
        yield Found(case.at("runtime"), f"'{runtime}' is no backend's library", "Take it out")


@rule("ER941", "error", refused=True)
def metric_tag_not_for_prometheus(case: Case) -> Iterator[Found]:
    """The name of a metric tag is none that Prometheus takes.

    Letters, figures and underscores, no figure first. Triton itself ends on any other, with all its models.

    Mend: Write underscores for dashes and dots; `--fix` does.
    """
    for key, entry in case.entries("metric_tags"):
        if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key):
            continue
        meant = re.sub(r"^(?=\d)|[^A-Za-z0-9_]", "_", key) or "tag"
        field = inside(entry, "key")
        text = case.text[field.start : field.end]
        edits = (Edit(field.start, field.end, text.replace(key, meant)),) if key else ()
        yield Found(field, f"Prometheus takes no label '{key}', and Triton ends on it", f'Write "{meant}"', edits)
