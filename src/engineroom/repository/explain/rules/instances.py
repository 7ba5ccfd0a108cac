"""How many copies of the model serve, and where."""

from collections.abc import Callable

from engineroom.repository.explain.case import Case, threads
from engineroom.repository.explain.figures import counted
from engineroom.repository.explain.memory import instances
from engineroom.repository.explain.outlook import BETTER, EITHER, SAME, WORSE, Direction, Outlook, Trend


def _count(case: Case) -> Outlook:
    before, after = instances(case.old), instances(case.new)
    if before == after:
        return Outlook(f"{counted(after, 'instance')} as before.")
    return _on_cpu(case, before, after) if case.backend == "openvino" else _elsewhere(case, before, after)


def _on_cpu(case: Case, before: int, after: int) -> Outlook:
    facts = case.facts
    kept, shared = threads(case.old, facts), threads(case.new, facts)
    now = kept if case.in_place else shared
    places = f"{counted(after, 'instance')} x {counted(now, 'thread')} on {counted(facts.cores, 'core')}"
    told = f"{places}, it was {before} x {kept}."
    if case.in_place and kept != shared:
        told += (
            f" Triton updates the running model, and every instance keeps the threads of the last full load: "
            f"{kept} each, not {shared}. `config apply` has all of them start anew."
        )
    if case.is_small:
        return Outlook(f"{told} A batch takes less time than its requests cost around it: measure.", SAME, EITHER)
    busy = _direction(min(before * kept, facts.cores), min(after * now, facts.cores), before, after, facts.cores)
    return Outlook(told, _alone(kept, now), busy)


def _direction(used: int, used_now: int, before: int, after: int, cores: int) -> Trend:
    if used_now != used:
        return BETTER if used_now > used else WORSE
    # One thread an instance wastes least: threads of one instance wait for each other.
    if min(before, after) >= cores:
        return Trend("same", "either", "either")
    return BETTER if after > before else WORSE


def _alone(before: int, after: int) -> Trend:
    if before == after:
        return SAME
    moved: Direction = "up" if after < before else "down"
    return Trend("down" if after < before else "up", moved, moved)


def _elsewhere(case: Case, before: int, after: int) -> Outlook:
    told = f"{counted(after, 'copy', 'copies')} of the model, it was {before}"
    if case.backend != "tensorrt":
        return Outlook(f"{told}.", SAME, EITHER)
    told += " on each GPU: one can compute while another copies. More than two seldom help."
    if max(before, after) <= 2:
        return Outlook(told, SAME, BETTER if after > before else WORSE)
    return Outlook(told, SAME, EITHER)


def _kind(case: Case) -> Outlook:
    if case.backend == "openvino" and case.after == "KIND_GPU":
        refusal = "the openvino backend here runs on the CPU, and Triton refuses KIND_GPU where there is no GPU"
        return Outlook("Our OpenVINO backend runs on the CPU alone.", needs="refused", refusal=refusal)
    if case.backend == "tensorrt" and case.after == "KIND_CPU":
        return Outlook(
            "A TensorRT engine runs on a GPU alone.",
            needs="refused",
            refusal="Triton's TensorRT backend takes instances on GPUs only",
        )
    places = {"KIND_CPU": "on the CPU", "KIND_GPU": "on GPUs", "KIND_MODEL": "where the model says"}
    return Outlook(f"Instances run {places.get(case.after, 'on GPUs where the backend takes them, else on the CPU')}.")


def _gpus(case: Case) -> Outlook:
    return Outlook(f"Instances stand on GPUs {case.after or '(all there are)'}, as many on each.", SAME, EITHER)


def _passive(case: Case) -> Outlook:
    if case.after:
        callers = "Requests are taken and never answered, unless another group serves."
        return Outlook("Triton gives these instances no requests.", EITHER, WORSE, callers=callers)
    return Outlook("These instances get requests again.", EITHER, BETTER)


def _host_policy(case: Case) -> Outlook:
    return Outlook(
        f"Instances follow the host policy '{case.after}', where the server was started with one.", EITHER, EITHER
    )


RULES: dict[str, Callable[[Case], Outlook]] = {
    "instance_group": lambda _: Outlook("The same groups in another order."),
    "instance_group[]": _count,
    "instance_group[].count": _count,
    "instance_group[].kind": _kind,
    "instance_group[].gpus": _gpus,
    "instance_group[].name": lambda case: Outlook(
        f"Instances are called {case.after or 'after the model'} in the log."
    ),
    "instance_group[].passive": _passive,
    "instance_group[].host_policy": _host_policy,
    "instance_group[].rate_limiter": lambda _: Outlook(
        "Instances ask for resources before they run, if the server was started with --rate-limit=execution_count.",
        SAME,
        EITHER,
    ),
}
