"""What changing the important settings would do: a few changes that people make, each foreseen."""

from collections.abc import Callable, Iterator
from typing import Any

from engineroom.repository.config import backend_of
from engineroom.repository.explain.effects import changes
from engineroom.repository.explain.facts import Facts
from engineroom.repository.explain.figures import parameter
from engineroom.repository.explain.memory import instances
from engineroom.repository.explain.outlook import Change

DELAY_US = 500
"""The queue delay that is tried where none is set."""


def prospects(config: Any, facts: Facts) -> tuple[Change, ...]:
    """What some usual changes of a configuration would do.

    Args:
        config: A `ModelConfig` message; it is left as it is.
        facts: What is known of the model.
    """
    return tuple(change for other in _others(config, facts) for change in changes(config, other, facts=facts)[:1])


def _others(config: Any, facts: Facts) -> Iterator[Any]:
    count = instances(config)
    if len(config.instance_group) == 1:
        yield _with(config, lambda other: setattr(other.instance_group[0], "count", count + 1))
        if count > 1:
            yield _with(config, lambda other: setattr(other.instance_group[0], "count", count - 1))
    if not config.max_batch_size:
        return
    if config.HasField("dynamic_batching"):
        yield from _batching(config)
    else:
        yield _with(config, lambda other: other.dynamic_batching.SetInParent())
    most = facts.largest_batch or config.max_batch_size
    yield _with(config, lambda other: setattr(other, "max_batch_size", 2 * most))
    if backend_of(config) == "openvino" and facts.amx and "bf16" in facts.proven("openvino"):
        off = "YES" if parameter(config, "HINT_BF16").upper() == "NO" else "NO"
        yield _with(config, lambda other: setattr(other.parameters["HINT_BF16"], "string_value", off))


def _batching(config: Any) -> Iterator[Any]:
    delay = config.dynamic_batching.max_queue_delay_microseconds
    queue = config.dynamic_batching.default_queue_policy.max_queue_size
    # Twice what one round of batches takes: the rest would wait for a third round.
    room = queue or 2 * instances(config) * min(config.max_batch_size, 16)
    yield _with(
        config, lambda other: setattr(other.dynamic_batching, "max_queue_delay_microseconds", 2 * delay or DELAY_US)
    )
    yield _with(
        config, lambda other: setattr(other.dynamic_batching.default_queue_policy, "max_queue_size", 2 * queue or room)
    )


def _with(config: Any, edit: Callable[[Any], Any]) -> Any:
    other = type(config)()
    other.CopyFrom(config)
    edit(other)
    return other
