"""How requests are gathered, and how many run at once."""

from collections.abc import Callable

from engineroom.repository.explain.case import largest_formed, promise, threads
from engineroom.repository.explain.figures import counted, time_said
from engineroom.repository.explain.memory import compiled_sizes, instances
from engineroom.repository.explain.settings.told import Told


def _batching(told: Told) -> str:
    full = largest_formed(told.config)
    return f"Requests that wait for an instance run together, up to {counted(full, 'row')} in a batch."


def _preferred(told: Told) -> str:
    sizes = sorted(told.value)
    said = (
        f"From a long queue Triton takes {sizes[-1]} rows at a time, not max_batch_size {told.config.max_batch_size}."
    )
    graph = told.facts.footprint
    compiled = compiled_sizes(told.config, graph) if graph is not None and told.backend == "openvino" else ()
    if compiled:
        missing = [size for size in sizes if size not in compiled]
        fits = f"{missing} is put together from these" if missing else "no padding is needed"
        said += f" Our backend has models compiled for batches of {', '.join(map(str, compiled))}: {fits}."
    if not told.config.dynamic_batching.max_queue_delay_microseconds:
        said += " Without a queue delay nothing waits until it is full."
    return said


def _delay(told: Told) -> str:
    delay_us, full = int(told.value), largest_formed(told.config)
    if not delay_us:
        return "No request waits for company."
    said = f"A request waits at most {time_said(delay_us)} until {counted(full, 'row')} have come together"
    return f"{said}{promise(told.facts, delay_us)}."


def _group(told: Told) -> str:
    count, all_of_them = max(1, told.value.count), instances(told.config)
    if told.backend == "openvino":
        each, cores = threads(told.config, told.facts), told.facts.cores
        places = f"{counted(count, 'instance')} x {counted(each, 'thread')} on {counted(cores, 'core')}"
        others = "" if count == all_of_them else f" There are {all_of_them} with the other groups."
        return f"{places}, each a process that runs one batch at a time.{others}"
    if told.backend == "tensorrt":
        where = f"GPUs {list(told.value.gpus)}" if told.value.gpus else "every GPU"
        shared = "each runs one batch at a time in memory of its own, and all share the engine's weights"
        return f"{counted(count, 'instance')} on {where}: {shared}."
    return f"{counted(count, 'copy', 'copies')} of the model, each running one batch at a time."


SAYS: dict[str, Callable[[Told], str]] = {
    "dynamic_batching": _batching,
    "dynamic_batching.preferred_batch_size": _preferred,
    "dynamic_batching.max_queue_delay_microseconds": _delay,
    "instance_group[]": _group,
}
