"""From two configurations to what every difference means."""

from typing import Any

from engineroom.repository.config import backend_of
from engineroom.repository.explain.case import Case
from engineroom.repository.explain.compare import Difference, differences
from engineroom.repository.explain.facts import Facts
from engineroom.repository.explain.memory import Estimate, served
from engineroom.repository.explain.outlook import Change, Needs, Outlook
from engineroom.repository.explain.rules import outlook
from engineroom.repository.passport import Passport

IN_PLACE = frozenset({"instance_group", "version_policy"})
"""What Triton changes in a running model without loading it anew, while nothing else changes (core,
model_config_utils.cc, `ConfigChangeRequiresReload`; tried on 2.51)."""


WEIGHTY = frozenset({"instance_group", "version_policy", "max_batch_size", "platform", "backend"})
"""What takes other memory, also where nobody knows how much."""


def changes(
    before: Any, after: Any, passport: Passport | None = None, facts: Facts | None = None
) -> tuple[Change, ...]:
    """What each difference of two configurations does, needs and moves.

    Args:
        before: The `ModelConfig` message that is served now.
        after: The message that shall be served.
        passport: Of the version that is served by default; without one less is known.
        facts: All that is known of the model, the passport among it; from `facts_from_folder`.

    Returns:
        One for each setting that is not the same, in the order of Triton's `ModelConfig`; empty where none is.
    """
    facts = facts or Facts(passport)
    found = differences(before, after)
    tops = {one.path.partition(".")[0].partition("[")[0] for one in found}
    in_place = tops <= IN_PLACE and not (facts.anew and backend_of(after) == "openvino")
    usual: Needs = "update" if in_place else "reload"
    memory = _memory(before, after, found, facts)
    return tuple(
        _change(one, outlook(Case(one, before, after, facts, in_place)), usual, memory[index])
        for index, one in enumerate(found)
    )


def _change(difference: Difference, seen: Outlook, usual: Needs, memory: Estimate) -> Change:
    return Change(
        path=difference.path,
        before=difference.before,
        after=difference.after,
        needs=seen.needs or usual,
        does=seen.does,
        quiet=seen.quiet,
        busy=seen.busy,
        callers=seen.callers,
        refusal=seen.refusal,
        memory=memory,
    )


def _memory(before: Any, after: Any, found: tuple[Difference, ...], facts: Facts) -> list[Estimate]:
    """What each difference adds, one after the other, so that the sum is what all of them add."""
    step = type(before)()
    step.CopyFrom(before)
    last, done, added = served(before, facts), set[str](), []
    for one in found:
        top = one.path.partition(".")[0].partition("[")[0]
        if top in done:
            added.append(Estimate())
            continue
        done.add(top)
        step.ClearField(top)
        _copy(step, after, top)
        now = served(step, facts)
        added.append(now.less(last) if now != last or top in WEIGHTY else Estimate())
        last = now
    return added


def _copy(step: Any, after: Any, top: str) -> None:
    part = type(after)()
    part.CopyFrom(after)
    for field, _ in after.ListFields():
        if field.name != top:
            part.ClearField(field.name)
    step.MergeFrom(part)
