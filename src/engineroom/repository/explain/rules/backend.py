"""What a backend is told, and what makes it quick from the first request on."""

from collections.abc import Callable

from engineroom.repository.config import backend_of
from engineroom.repository.explain.case import Case, threads
from engineroom.repository.explain.figures import counted
from engineroom.repository.explain.memory import compiled_sizes, instances, runs_bf16
from engineroom.repository.explain.outlook import BETTER, EITHER, SAME, WORSE, Outlook


def _backend(case: Case) -> Outlook:
    now, passport = case.backend, case.facts.passport
    told = f"The backend '{now}' runs the model, it was '{backend_of(case.old)}'."
    if now == backend_of(case.old):
        return Outlook(f"The same backend, '{now}', by another name.")
    held = () if passport is None else tuple(one.file for one in passport.artefacts if _runs(now, one.target))
    if passport is None or held:
        said = f" The version holds {', '.join(held)} for it." if held else ""
        return Outlook(told + said, EITHER, EITHER)
    return Outlook(f"{told} The version holds nothing for it: build with that target.", EITHER, EITHER, needs="rebuild")


def _runs(backend: str, target: str) -> bool:
    return target.partition(":")[0] == backend


def _parameter(case: Case) -> Outlook:
    if case.backend != "openvino":
        return Outlook(f"The backend '{case.backend}' decides what its parameter means.", EITHER, EITHER)
    rules = {"HINT_BF16": _bf16, "INFERENCE_NUM_THREADS": _threads, "BATCH_SIZES": _sizes}
    known = {
        "NUM_STREAMS": "requests that OpenVINO runs side by side in one instance",
        "PERFORMANCE_HINT": "OpenVINO's own aim",
    }
    name = case.difference.key
    if name in rules:
        return rules[name](case)
    if name in known:
        return Outlook(f"{name}: {known[name]}. An instance gives it one batch at a time.", EITHER, EITHER)
    return Outlook(f"Our OpenVINO backend does not read '{name}'.")


def _bf16(case: Case) -> Outlook:
    before, after = runs_bf16(case.old, case.facts), runs_bf16(case.new, case.facts)
    kind = "bf16" if after else "FP32"
    if before == after:
        return Outlook(f"The model computes in {kind} as before.")
    told = f"The model computes in {kind}, it was {'FP32' if after else 'bf16'}."
    if after and "bf16" not in case.facts.proven("openvino"):
        told += " Nothing proves its answers in bf16: see what `engineroom models list` says of the version."
    if not case.facts.amx:
        return Outlook(f"{told} This processor has no hardware for bf16.", EITHER, EITHER)
    return Outlook(told, BETTER if after else WORSE, BETTER if after else WORSE)


def _threads(case: Case) -> Outlook:
    if case.after and not case.after.isdecimal():
        refusal = f"INFERENCE_NUM_THREADS '{case.after}' is no number"
        return Outlook("OpenVINO wants a number of threads.", needs="refused", refusal=refusal)
    count, now, before = instances(case.new), threads(case.new, case.facts), threads(case.old, case.facts)
    places = f"{counted(count, 'instance')} x {counted(now, 'thread')} on {counted(case.facts.cores, 'core')}"
    told = f"{places}, it was {before} each."
    if count * now > case.facts.cores:
        told += " That is more than there are cores: instances wait for each other."
    return Outlook(told, EITHER if now != before else SAME, EITHER if now != before else SAME)


def _sizes(case: Case) -> Outlook:
    graph = case.facts.footprint
    if graph is None:
        return Outlook("The batch sizes that a model is compiled for.", EITHER, EITHER)
    sizes = [", ".join(map(str, compiled_sizes(config, graph))) for config in (case.old, case.new)]
    if not any(sizes):
        return Outlook("The model's inputs vary in more than the batch: it is compiled once, whatever stands here.")
    told = f"Compiled for batches of {sizes[1]}, it was {sizes[0]}: other batches are put together from these."
    return Outlook(told, EITHER, EITHER)


def _cache(case: Case) -> Outlook:
    if not case.after:
        return Outlook("Every request is computed, whether or not it came before.", EITHER, EITHER)
    told = (
        "A request that came before, byte for byte, is answered from memory, if the server runs with --cache-config. "
        "Every other request pays for the look-up."
    )
    return Outlook(told, EITHER, EITHER, callers="An answer may be of an earlier run.")


def _warmup(case: Case) -> Outlook:
    if not case.after:
        return Outlook("The first requests after a load pay for what a backend does once: buffers, kernels, caches.")
    sample = next((one for one in case.new.model_warmup if one.name == case.difference.key), None)
    rows = sample.batch_size if sample is not None else 0
    if rows > case.new.max_batch_size:
        refusal = f"a warm-up of {rows} rows is above max_batch_size {case.new.max_batch_size}"
        told = "Triton runs it while it loads, and fails; we have seen 2.51 end itself over it."
        return Outlook(told, needs="refused", refusal=refusal)
    runs = counted(max(1, sample.count) if sample is not None else 1, "time")
    return Outlook(
        f"Before an instance counts as ready it answers this {runs}: loading takes longer, the first caller waits less."
    )


def _optimization(case: Case) -> Outlook:
    if case.backend == "openvino":
        return Outlook("Our OpenVINO backend does not read it.")
    if ".cuda." in case.difference.path:
        told = "CUDA graphs launch a batch's kernels at once: it helps small models most, and each graph takes memory."
        return Outlook(told, EITHER, EITHER)
    return Outlook("The backend decides what it makes of this.", EITHER, EITHER)


def _eager(case: Case) -> Outlook:
    told = (
        "A batch's inputs are gathered while the batch before runs"
        if case.after
        else "A batch's inputs are gathered when it runs"
    )
    return Outlook(f"{told}.", SAME, EITHER)


def _tags(_: Case) -> Outlook:
    return Outlook("A label on the model's metrics: dashboards that look for the old one find nothing.")


RULES: dict[str, Callable[[Case], Outlook]] = {
    "backend": _backend,
    "platform": _backend,
    "runtime": _backend,
    "parameters[]": _parameter,
    "response_cache": _cache,
    "model_warmup[]": _warmup,
    "optimization": _optimization,
    "optimization.eager_batching": _eager,
    "metric_tags[]": _tags,
    "model_metrics": lambda _: Outlook("The bounds of a latency histogram among the metrics."),
}
