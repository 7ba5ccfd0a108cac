"""One rule a setting: what a change of it does, and where the figures move."""

from collections.abc import Callable

from engineroom.repository.explain.case import Case
from engineroom.repository.explain.outlook import EITHER, Outlook
from engineroom.repository.explain.rules import backend, batching, contract, files, instances, queue

Rule = Callable[[Case], Outlook]

RULES: dict[str, Rule] = {
    **batching.RULES,
    **queue.RULES,
    **instances.RULES,
    **contract.RULES,
    **files.RULES,
    **backend.RULES,
}
"""Rules by setting; one of a message stands for what it holds, too."""


def outlook(case: Case) -> Outlook:
    """What the rule of a setting foresees; of a setting without one, only that nothing is known of it."""
    setting = case.difference.setting
    while setting:
        if setting in RULES:
            return RULES[setting](case)
        setting = setting.rpartition(".")[0]
    return Outlook("What it does to this model is not known here.", EITHER, EITHER)
