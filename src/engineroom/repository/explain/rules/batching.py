"""How requests are gathered into batches."""

from collections.abc import Callable

from engineroom.repository.explain.case import Case, largest_formed, promise
from engineroom.repository.explain.figures import counted, time_said
from engineroom.repository.explain.outlook import BETTER, EITHER, SAME, WORSE, Outlook, Trend

FELT_US = 50
"""A shorter delay is lost in what a request costs anyway."""


def _batching(case: Case) -> Outlook:
    rows = largest_formed(case.new if case.after else case.old)
    told = f"Requests that wait are answered together, up to {rows} rows in a batch. One request alone gains nothing."
    if not case.after:
        told = f"Every request runs alone: batches of up to {rows} rows are no longer formed."
    if case.backend == "tensorrt" or case.is_small:
        return Outlook(told, SAME, BETTER if case.after else WORSE)
    return Outlook(f"{told} A heavy model on a CPU may gain nothing from batches: measure.", SAME, EITHER)


def _delay(case: Case) -> Outlook:
    before, after = case.numbers
    full, room = largest_formed(case.new), case.new.dynamic_batching.default_queue_policy.max_queue_size
    told = (
        f"A request that finds fewer than {counted(full, 'row')} waiting {_waits(after)}{promise(case.facts, after)}; "
        f"with {full} or more waiting it changes nothing. In between, batches grow and each answer waits longer."
    )
    if max(before, after) < FELT_US or full == 1:
        return Outlook(told)
    quiet = Trend("down", "up", "up") if after > before else Trend("up", "down", "down")
    if after and 0 < room < full:
        told += f" The queue takes {counted(room, 'request')}: with one row in each, every batch waits, whoever calls."
    # Callers seldom keep a batch's worth waiting all the time: then a delay fills batches, or wastes an instance.
    return Outlook(told, quiet, EITHER)


def _waits(delay_us: int) -> str:
    return f"waits up to {time_said(delay_us)} for company" if delay_us else "no longer waits for company"


def _preferred(case: Case) -> Outlook:
    before, after = largest_formed(case.old), largest_formed(case.new)
    if case.new.max_batch_size and after > case.new.max_batch_size:
        refusal = f"a preferred size of {after} is above max_batch_size {case.new.max_batch_size}"
        return Outlook(
            "Triton does not load a preferred size that no batch can have.", needs="refused", refusal=refusal
        )
    told = f"From a long queue Triton takes batches of {after} rows at most, it was {before}"
    if case.new.dynamic_batching.preferred_batch_size:
        told += "; the largest preferred size that the queue fills goes first"
    # A smaller batch answers sooner and costs more a row; which of the two wins is the model's affair.
    return Outlook(f"{told}.", SAME, EITHER if before != after else SAME)


def _ordering(case: Case) -> Outlook:
    if case.after:
        told = (
            "Answers leave in the order in which requests came: a quick batch waits for a slow one in another instance."
        )
        return Outlook(told, SAME, Trend("same", "either", "up"))
    return Outlook("Answers leave as soon as they are there.", SAME, Trend("same", "either", "down"))


def _priorities(case: Case) -> Outlook:
    policy = case.new.dynamic_batching
    levels, default = policy.priority_levels, policy.default_priority_level
    if levels and not 1 <= default <= levels:
        refusal = f"default_priority_level {default} is outside 1..{levels}"
        return Outlook("Requests without a priority need one of the levels.", needs="refused", refusal=refusal)
    told = f"{counted(levels, 'queue')} by priority" if levels else "One queue for all"
    return Outlook(
        f"{told}: with a queue, requests of level 1 overtake the others, which wait longer.",
        SAME,
        Trend("same", "either", "up" if levels else "down"),
        callers="A request says its level, or gets the default one." if levels else "",
    )


RULES: dict[str, Callable[[Case], Outlook]] = {
    "dynamic_batching": _batching,
    "dynamic_batching.max_queue_delay_microseconds": _delay,
    "dynamic_batching.preferred_batch_size": _preferred,
    "dynamic_batching.preserve_ordering": _ordering,
    "dynamic_batching.priority_levels": _priorities,
    "dynamic_batching.default_priority_level": _priorities,
}
