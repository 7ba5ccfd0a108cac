"""What is set: every setting of a configuration, from top to bottom, with its line and what it does in this case."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from engineroom.repository.explain.case import Case
from engineroom.repository.explain.compare import Difference
from engineroom.repository.explain.facts import Facts
from engineroom.repository.explain.rules import outlook
from engineroom.repository.explain.settings import backend, batching, tensors, versions
from engineroom.repository.explain.settings.told import Told
from engineroom.repository.pbtxt.tree import Field, Value

SAYS: dict[str, Callable[[Told], str]] = {**tensors.SAYS, **batching.SAYS, **versions.SAYS, **backend.SAYS}
"""What says what a setting does, by setting; a message or an element that is named here is said as a whole."""


@dataclass(frozen=True)
class Setting:
    """One setting as it stands.

    Attributes:
        line: Its line in the file, from 1; 0 where it does not stand there.
        path: Such as `max_batch_size`, `input[image]` or `dynamic_batching.max_queue_delay_microseconds`.
        value: As it is written, on one line; empty where the sentence says it.
        does: What it does in this model's case.
    """

    line: int
    path: str
    value: str
    does: str


def settings(config: Any, fields: tuple[Field, ...], facts: Facts) -> tuple[Setting, ...]:
    """Every setting of a configuration, in the order of its text.

    Args:
        config: The `ModelConfig` message.
        fields: The tree of its text.
        facts: What is known of the model.
    """
    return tuple(_settings(config, config, fields, facts, ""))


def _settings(config: Any, message: Any, fields: tuple[Field, ...], facts: Facts, above: str) -> Iterator[Setting]:
    met: dict[str, int] = {}
    for field in fields:
        path = f"{above}.{field.name}" if above else field.name
        many = path in ("input", "output") or f"{path}[]" in SAYS
        if not many:
            yield from _one(config, message, field, facts, path)
            continue
        for value in field.values:
            index = met[field.name] = met.get(field.name, -1) + 1
            yield _element(config, getattr(message, field.name), index, value, facts, path)


def _one(config: Any, message: Any, field: Field, facts: Facts, path: str) -> Iterator[Setting]:
    text = ", ".join(value.scalar for value in field.values if value.fields is None)
    whole = path in SAYS or not field.fields
    if whole:
        told = Told(config, facts, getattr(message, field.name, None), text)
        written = "" if any(value.fields is not None for value in field.values) else text
        yield Setting(field.line, path, written, _said(path, path, told))
    part = getattr(message, field.name, None)
    if field.fields and (not whole or path == "dynamic_batching") and hasattr(part, "ListFields"):
        yield from _settings(config, part, field.fields, facts, path)


def _element(config: Any, elements: Any, index: int, value: Value, facts: Facts, path: str) -> Setting:
    key, told = str(index), Told(config, facts, None, "")
    if hasattr(elements, "keys"):
        # A map of Triton's protobuf: its entries stand as messages with a key and a value.
        scalars = {field.name: field.values[0].scalar for field in value.fields or () if field.values}
        key = scalars.get("key", "")
        told = Told(config, facts, elements.get(key), key)
    elif index < len(elements):
        key = getattr(elements[index], "name", "") or key
        told = Told(config, facts, elements[index], key)
    return Setting(value.line, f"{path}[{key}]", "", _said(f"{path}[]", f"{path}[{key}]", told))


def _said(setting: str, path: str, told: Told) -> str:
    if setting in SAYS:
        return SAYS[setting](told)
    # What a change to this value would do is what the value does.
    return outlook(Case(Difference(path, "", told.text or "{ }"), told.config, told.config, told.facts)).does
