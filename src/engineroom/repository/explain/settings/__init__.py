"""What is set: every setting of a configuration, from top to bottom, with its line and what it does in this case."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from engineroom.repository.explain.case import Case
from engineroom.repository.explain.compare import WHOLE, Difference
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
        known = message.DESCRIPTOR.fields_by_name.get(field.name)
        if known is None:
            yield Setting(field.line, path, "", "It is not known here; a newer Triton may know it.")
        elif known.is_repeated and known.message_type is not None:
            for value in field.values:
                index = met[field.name] = met.get(field.name, -1) + 1
                yield _element(config, getattr(message, field.name), index, value, facts, path)
        elif known.message_type is None or path in SAYS or field.name in WHOLE:
            yield _one(config, message, field, facts, path)
        if known is not None and known.message_type is not None and not known.is_repeated and field.name not in WHOLE:
            yield from _settings(config, getattr(message, field.name), field.fields, facts, path)


def _one(config: Any, message: Any, field: Field, facts: Facts, path: str) -> Setting:
    text = ", ".join(value.scalar for value in field.values if value.fields is None)
    return Setting(field.line, path, text, _said(path, path, Told(config, facts, getattr(message, field.name), text)))


def _element(config: Any, elements: Any, index: int, value: Value, facts: Facts, path: str) -> Setting:
    if hasattr(elements, "keys"):
        # A map of Triton's protobuf: its entries stand as messages with a key and a value.
        scalars = {field.name: field.values[0].scalar for field in value.fields or () if field.values}
        key = scalars.get("key", "")
        told = Told(config, facts, elements.get(key), key)
    else:
        key = next(
            (name for name in map(elements[index].__getattribute__, _naming(elements[index])) if name), str(index)
        )
        told = Told(config, facts, elements[index], key)
    return Setting(value.line, f"{path}[{key}]", "", _said(f"{path}[]", f"{path}[{key}]", told))


def _naming(element: Any) -> list[str]:
    """Fields that name an element."""
    return [name for name in ("name", "model_name") if name in element.DESCRIPTOR.fields_by_name]


def _said(setting: str, path: str, told: Told) -> str:
    if setting in SAYS:
        return SAYS[setting](told)
    # What a change to this value would do is what the value does.
    return outlook(Case(Difference(path, "", told.text or "{ }"), told.config, told.config, told.facts)).does
