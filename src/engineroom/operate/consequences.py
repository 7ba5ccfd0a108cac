"""What a change of configuration needs and moves, setting by setting."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from engineroom.errors import RepositoryError
from engineroom.repository.config import config_from_text
from engineroom.repository.history import Change
from engineroom.repository.layout import ModelFolder


def consequences(model: ModelFolder, changes: Mapping[str, Change]) -> list[str]:
    """A sentence for each setting that changes: what that needs, and where throughput and latency should go.

    Args:
        model: The model.
        changes: Its configurations, by path inside the model's folder; what cannot be parsed is left out.
    """
    from engineroom.repository.explain.effects import changes as effects
    from engineroom.repository.explain.facts import facts_from_folder

    facts, sentences = replace(facts_from_folder(model), anew=True), []
    for name, change in changes.items():
        path = model.path / name
        with suppress(RepositoryError):
            before, after = (config_from_text(text or "", path, unknown=True) for text in (change.before, change.after))
            sentences += [one.sentence for one in effects(before, after, facts=facts)]
    return sentences
