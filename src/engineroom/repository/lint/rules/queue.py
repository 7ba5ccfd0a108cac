"""ER50: how long requests wait, and which go first."""

from collections.abc import Iterator
from typing import Any

from engineroom.repository.lint.case import Case, inside
from engineroom.repository.lint.finding import Anchor, Found
from engineroom.repository.lint.rule import rule
from engineroom.repository.pbtxt.tree import Value, named

LITTLE_US = 1000
"""A timeout below this, a millisecond, refuses requests that have hardly arrived."""

DEFAULT = ("dynamic_batching", "default_queue_policy")


def _policies(case: Case) -> Iterator[tuple[Any, Anchor, str]]:
    """Every queue policy that is written: its message, its place, and what to call it."""
    batching = case.config.dynamic_batching
    if batching.HasField("default_queue_policy"):
        for value in case.values(*DEFAULT):
            yield batching.default_queue_policy, value, "default_queue_policy"
    for key, entry in case.entries("dynamic_batching", "priority_queue_policy"):
        level = int(key) if key.isdecimal() else -1
        if level in batching.priority_queue_policy:
            yield batching.priority_queue_policy[level], entry, f"the policy of priority {level}"


@rule("ER501", "note")
def unbounded_queue(case: Case) -> Iterator[Found]:
    """The queue has no limit: no `max_queue_size`, no `default_timeout_microseconds`.

    A server that gets a little more than it can do then answers everybody, and nobody in time: the queue grows, and
    each answer is for a caller who has given up. With a limit, the requests above it are refused at once and the rest
    keep their time.

    Mend: Add `default_queue_policy { max_queue_size: N timeout_action: REJECT default_timeout_microseconds: T }`, with
    T a little below the time that callers wait.
    """
    batching = case.config.dynamic_batching
    if not case.config.HasField("dynamic_batching"):
        return
    levels = batching.priority_queue_policy
    bounded = [
        p.max_queue_size or p.default_timeout_microseconds for p in (batching.default_queue_policy, *levels.values())
    ]
    if not any(bounded):
        said = "the queue has no limit: a server that falls behind answers nobody in time"
        yield Found(case.at("dynamic_batching"), said, "Add a default_queue_policy with max_queue_size and a timeout")


@rule("ER502", "error", refused=True)
def priority_out_of_range(case: Case) -> Iterator[Found]:
    """The default priority, or a policy's, is none of the `priority_levels`.

    Levels count from 1, the first to be served; with levels, a default must be given.

    Mend: Write a level from 1 to `priority_levels`.
    """
    batching = case.config.dynamic_batching
    levels, default = batching.priority_levels, batching.default_priority_level
    if not levels:
        return
    if not 1 <= default <= levels:
        said = f"the default priority is {default or 'not given'}, levels are 1 to {levels}"
        yield Found(
            case.at("dynamic_batching", "default_priority_level"), said, "Write default_priority_level: 1, or another"
        )
    for key, entry in case.entries("dynamic_batching", "priority_queue_policy"):
        if key.isdecimal() and not 1 <= int(key) <= levels:
            yield Found(
                inside(entry, "key"), f"there is no priority {key}, levels are 1 to {levels}", "Write one of them"
            )


@rule("ER503", "warning")
def priorities_without_levels(case: Case) -> Iterator[Found]:
    """A default priority or a policy for a priority, and no `priority_levels`.

    Triton loads the model and serves everybody alike.

    Mend: Write `priority_levels`, or take the rest out.
    """
    batching = case.config.dynamic_batching
    if batching.priority_levels:
        return
    for name in ("default_priority_level", "priority_queue_policy"):
        if getattr(batching, name):
            said = f"{name} does nothing without priority_levels"
            yield Found(case.at("dynamic_batching", name), said, "Write priority_levels, or take it out")


@rule("ER504", "error", refused=True)
def order_against_priorities(case: Case) -> Iterator[Found]:
    """`preserve_ordering` together with several priorities, or with a timeout that delays.

    Answers cannot leave in the order of requests while some requests overtake others.

    Mend: Take `preserve_ordering` out, or have one priority and `timeout_action: REJECT`.
    """
    batching = case.config.dynamic_batching
    if not batching.preserve_ordering:
        return
    if batching.priority_levels > 1:
        said = f"preserve_ordering excludes {batching.priority_levels} priorities"
        yield Found(case.at("dynamic_batching", "preserve_ordering"), said, "Keep one of the two")
    for policy, place, name in _policies(case):
        if policy.timeout_action == DELAY and policy.default_timeout_microseconds:
            yield Found(place, f"preserve_ordering excludes the DELAY of {name}", "Write timeout_action: REJECT")


DELAY = 1
"""`ModelQueuePolicy.DELAY` (model_config.proto)."""


@rule("ER505", "warning")
def timeout_in_another_unit(case: Case) -> Iterator[Found]:
    """A queue timeout that makes sense in another unit, and none in microseconds.

    Requests that have waited less than a millisecond are refused, and with them most of the traffic.

    Mend: Write microseconds: 50 ms are 50000.
    """
    for policy, place, name in _policies(case):
        timeout = policy.default_timeout_microseconds
        if 0 < timeout < LITTLE_US:
            said = f"{name} gives up after {timeout} us"
            yield Found(_timeout(place), said, f"Write {timeout * 1000} for {timeout} ms")


@rule("ER506", "warning")
def timeout_below_delay(case: Case) -> Iterator[Found]:
    """Requests time out in the queue before the queue delay has passed.

    In quiet hours a batch is sent only after the delay: every request is refused while it waits for company.

    Mend: Write a timeout that is longer than the delay.
    """
    delay = case.config.dynamic_batching.max_queue_delay_microseconds
    for policy, place, name in _policies(case):
        timeout = policy.default_timeout_microseconds
        if 0 < timeout <= delay:
            said = f"{name} gives up after {timeout} us, batches wait for {delay} us"
            yield Found(_timeout(place), said, f"Write more than {delay}")


@rule("ER507", "warning")
def timeout_above_promise(case: Case) -> Iterator[Found]:
    """Requests may wait longer in the queue than the recipe promises for the whole answer.

    The limit then refuses only what has failed already.

    Mend: Write less than the promise minus the time that a batch takes.
    """
    recipe = case.world.recipe
    for policy, place, name in _policies(case) if recipe is not None else ():
        promise_us = round(recipe.slo.p99_ms * 1000) if recipe else 0
        if policy.default_timeout_microseconds >= promise_us > 0:
            said = f"{name} lets requests wait {policy.default_timeout_microseconds / 1000:g} ms"
            yield Found(
                _timeout(place), f"{said}, {promise_us / 1000:g} ms are promised", f"Write less than {promise_us}"
            )


@rule("ER508", "warning")
def queue_below_batch(case: Case) -> Iterator[Found]:
    """The queue is shorter than the batch that it is to fill.

    Requests are refused while a batch still has room, and the preferred size is never reached.

    Mend: Let the queue hold at least one batch of the smallest preferred size.
    """
    sizes = case.config.dynamic_batching.preferred_batch_size
    for policy, place, name in _policies(case):
        if sizes and 0 < policy.max_queue_size < min(sizes):
            said = f"{name} holds {policy.max_queue_size} requests, a preferred batch is {min(sizes)}"
            yield Found(inside_or(place, "max_queue_size"), said, f"Write at least {min(sizes)}")


@rule("ER509", "warning")
def action_without_timeout(case: Case) -> Iterator[Found]:
    """`timeout_action` says what happens after a timeout, and there is none.

    Nobody is refused, and nobody put off, unless requests bring a timeout along (`allow_timeout_override`).

    Mend: Write `default_timeout_microseconds`, or `allow_timeout_override: true`.
    """
    for policy, place, name in _policies(case):
        action = inside_or(place, "timeout_action")
        if action is not place and not policy.default_timeout_microseconds and not policy.allow_timeout_override:
            said = f"{name} says what happens after a timeout, and has none"
            yield Found(action, said, "Write default_timeout_microseconds")


@rule("ER510", "warning")
def put_off_without_end(case: Case) -> Iterator[Found]:
    """Requests that time out are put off (`DELAY`), and the queue has no `max_queue_size`.

    Those put off are served when there is nothing else to do: in overload never, while the queue grows.

    Mend: Write `max_queue_size`, or `timeout_action: REJECT`.
    """
    for policy, place, name in _policies(case):
        if policy.timeout_action == DELAY and policy.default_timeout_microseconds and not policy.max_queue_size:
            said = f"{name} puts requests off, and nothing bounds the queue"
            yield Found(inside_or(place, "timeout_action"), said, "Write max_queue_size, or timeout_action: REJECT")


def inside_or(place: Anchor, name: str) -> Anchor:
    """A field of a policy, whether it stands in the policy itself or in a map's entry; else the place."""
    if not isinstance(place, Value):
        return place
    for path in ((name,), ("value", name)):
        if named(place.fields or (), *path):
            return inside(place, *path)
    return place


def _timeout(place: Anchor) -> Anchor:
    return inside_or(place, "default_timeout_microseconds")
