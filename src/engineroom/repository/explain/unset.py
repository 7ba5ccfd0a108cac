"""What is not set, and what Triton does therefore (model_config.proto; tried on 2.51)."""

from collections.abc import Callable, Iterator
from typing import Any

from engineroom.repository.config import backend_of
from engineroom.repository.explain.case import largest_formed, threads
from engineroom.repository.explain.facts import Facts
from engineroom.repository.explain.figures import counted
from engineroom.repository.explain.memory import compiled_sizes
from engineroom.repository.explain.settings import Setting
from engineroom.repository.explain.settings.backend import precision
from engineroom.repository.explain.settings.told import Told
from engineroom.repository.explain.settings.versions import served


def unset(config: Any, facts: Facts) -> tuple[Setting, ...]:
    """The settings that matter and are not set, with what happens without them.

    Args:
        config: A `ModelConfig` message.
        facts: What is known of the model.
    """
    rules = (_batching, _queue, _versions, _instances, _backend, _rest)
    return tuple(Setting(0, path, "", does) for rule in rules for path, does in rule(config, facts))


Found = Iterator[tuple[str, str]]


def _batching(config: Any, _: Facts) -> Found:
    batching = config.dynamic_batching
    if not config.max_batch_size or config.HasField("sequence_batching"):
        return
    if not config.HasField("dynamic_batching"):
        yield "dynamic_batching", "Every request runs alone, however many wait."
        return
    if not batching.max_queue_delay_microseconds:
        yield (
            "dynamic_batching.max_queue_delay_microseconds",
            "A free instance takes what waits at once, be it one row.",
        )
    if not batching.preferred_batch_size:
        yield (
            "dynamic_batching.preferred_batch_size",
            f"From a long queue Triton takes up to {largest_formed(config)} rows.",
        )


def _queue(config: Any, facts: Facts) -> Found:
    policy = config.dynamic_batching.default_queue_policy
    path = "dynamic_batching.default_queue_policy"
    promised = f" beyond the {facts.p99_ms:g} ms that callers are promised" if facts.p99_ms else ""
    if not config.HasField("dynamic_batching"):
        yield path, "The queue has no end, and a limit needs dynamic_batching."
        return
    if not policy.max_queue_size:
        yield f"{path}.max_queue_size", f"The queue has no end: under overload waiting grows{promised}."
    if not policy.default_timeout_microseconds:
        yield (
            f"{path}.default_timeout_microseconds",
            "A request waits as long as it takes, and is answered late.",
        )


def _versions(config: Any, facts: Facts) -> Found:
    if not config.HasField("version_policy"):
        yield "version_policy", f"The latest one. {served(Told(config, facts, None, ''))}"


def _instances(config: Any, facts: Facts) -> Found:
    if not config.instance_group:
        places = counted(threads(config, facts), "thread") if backend_of(config) == "openvino" else "the whole of it"
        yield (
            "instance_group",
            f"One instance on the CPU, or on each GPU: it has {places}, and runs one batch at a time.",
        )


def _backend(config: Any, facts: Facts) -> Found:
    if not config.default_model_filename:
        yield "default_model_filename", "The backend looks for the file that is usual with it."
    if backend_of(config) != "openvino":
        return
    graph = facts.footprint
    if "HINT_BF16" not in config.parameters:
        yield "parameters[HINT_BF16]", f"The model computes in {precision(Told(config, facts, None, ''))}"
    if "INFERENCE_NUM_THREADS" not in config.parameters:
        each = counted(threads(config, facts), "thread")
        yield "parameters[INFERENCE_NUM_THREADS]", f"The cores are shared out when the model is loaded: {each} each."
    if "BATCH_SIZES" not in config.parameters and graph is not None and (sizes := compiled_sizes(config, graph)):
        said = ", ".join(map(str, sizes))
        yield (
            "parameters[BATCH_SIZES]",
            f"Compiled for batches of {said}, by guess: as many as pay, timed at the load.",
        )


def _rest(config: Any, _: Facts) -> Found:
    checks: tuple[tuple[str, Callable[[], bool], str], ...] = (
        ("model_warmup", lambda: bool(config.model_warmup), "The first requests pay for what a backend does once."),
        (
            "response_cache",
            lambda: config.HasField("response_cache"),
            "Every request is computed, also one that came before.",
        ),
    )
    for path, is_set, does in checks:
        if not is_set():
            yield path, does
