"""How long the queue may grow, and how long a request may stand in it."""

from collections.abc import Callable

from engineroom.repository.explain.case import Case, largest_formed, promise
from engineroom.repository.explain.figures import counted, time_said
from engineroom.repository.explain.memory import instances
from engineroom.repository.explain.outlook import SAME, Outlook, Trend

SHORTER = Trend("same", "down", "down")
"""Whoever is let in waits less; whoever is not is told at once."""


def _size(case: Case) -> Outlook:
    before, after = case.numbers
    if not after:
        return Outlook(
            "The queue has no end: under overload every request waits longer than the one before.",
            SAME,
            Trend("same", "up", "up"),
            callers="Nobody is turned away; under overload, answers come too late instead.",
        )
    told = (
        f"At most {counted(after, 'request')} may wait; one more is refused at once, and nobody waits for more "
        f"than {after} others."
    )
    if after < instances(case.new) * largest_formed(case.new):
        told += " That is less than all instances take in one round: batches stay smaller."
        busy = Trend("either", "either", "down" if not before or after < before else "either")
    else:
        busy = SHORTER if not before or after < before else Trend("same", "up", "up")
    return Outlook(
        told,
        SAME,
        busy,
        callers="Under overload a request may be refused (UNAVAILABLE): try again later, or elsewhere.",
    )


def _timeout(case: Case) -> Outlook:
    before, after = case.numbers
    if not after:
        return Outlook("A request waits as long as it takes.", SAME, Trend("same", "up", "up"))
    rejected = _action(case) == "REJECT"
    then = "is refused" if rejected else "goes behind all others"
    told = f"A request that has waited {time_said(after)} {then}{promise(case.facts, after)}."
    callers = "Under overload a request may be refused (UNAVAILABLE, timeout expired)." if rejected else ""
    busy = Trend("either", "down", "down") if not before or after < before else Trend("either", "up", "up")
    # Put behind the others, the ones that waited longest wait longer still.
    return Outlook(told, SAME, busy if rejected else Trend("same", "either", "up"), callers=callers)


def _timeout_action(case: Case) -> Outlook:
    if _action(case) == "REJECT":
        callers = "Under overload a request may be refused (UNAVAILABLE, timeout expired)."
        return Outlook("A request whose time is over is refused, not answered late.", SAME, SHORTER, callers=callers)
    return Outlook(
        "A request whose time is over goes behind all others, and is answered late.",
        SAME,
        Trend("same", "either", "up"),
    )


def _override(case: Case) -> Outlook:
    if case.after:
        return Outlook("A caller may give a request less time than the configuration does.")
    return Outlook(
        "What a caller says of a request's time is not heeded.", callers="A timeout sent along counts no more."
    )


def _by_priority(case: Case) -> Outlook:
    told = f"Requests of priority {case.difference.key} have a queue policy of their own: {case.after or 'no longer'}."
    return Outlook(told, SAME, Trend("same", "either", "either"))


def _action(case: Case) -> str:
    policy = case.new.dynamic_batching.default_queue_policy
    return str(policy.DESCRIPTOR.enum_types_by_name["TimeoutAction"].values_by_number[policy.timeout_action].name)


POLICY = "dynamic_batching.default_queue_policy"

RULES: dict[str, Callable[[Case], Outlook]] = {
    POLICY: lambda _: Outlook("The policy sets nothing of its own: the queue has no end, and no request a time limit."),
    f"{POLICY}.max_queue_size": _size,
    f"{POLICY}.default_timeout_microseconds": _timeout,
    f"{POLICY}.timeout_action": _timeout_action,
    f"{POLICY}.allow_timeout_override": _override,
    "dynamic_batching.priority_queue_policy[]": _by_priority,
}
