"""Edits of a configuration that leave everything else in it as it stands: comments, order, spaces.

A setting is named by its path: `dynamic_batching.max_queue_delay_microseconds`, `instance_group[0].count`,
`input[image].dims`, `parameters[threads].string_value`. What comes out is read again: it must say what was asked for,
and nothing else may have changed.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engineroom.errors import RepositoryError
from engineroom.repository.config import config_from_text
from engineroom.repository.pbtxt.schema import Step, literal, named_field, steps_from_key
from engineroom.repository.pbtxt.tree import Field, Value, fields_from_text

Region = tuple[tuple[Field, ...], int, int]
"""Fields of a message, and the offsets between which they stand."""


def edited(text: str, path: Path, changes: Mapping[str, str]) -> str:
    """A configuration's text with some settings changed.

    Args:
        text: The configuration.
        path: Where it stands, for messages.
        changes: Values by path of names, as one writes them in the file, quotes optional; lists as `[8, 16]` or
            `8,16`, messages in braces. An empty value takes the setting out.

    Raises:
        RepositoryError: The text cannot be parsed, a setting is unknown, or a value does not fit.
    """
    for key, value in changes.items():
        before = config_from_text(text, path)
        steps = steps_from_key(key, before.DESCRIPTOR, whole=not value)
        text = _without_rivals(text, steps) if value else text
        text = _changed(text, steps, value)
        _prove(before, text, path, key, steps)
    return text


def _changed(text: str, steps: tuple[Step, ...], value: str) -> str:
    fields = fields_from_text(text)
    region: Region = (fields, 0, len(text))
    for depth, step in enumerate(steps[:-1]):
        inside = _message(region, step)
        if inside is None:
            return text if not value else _inserted(text, region, _nested(steps[depth:], value))
        region = inside
    return _set(text, region, steps[-1], value)


def _set(text: str, region: Region, step: Step, value: str) -> str:
    """The text with the last field of a path set, or taken out."""
    if step.item is not None:
        found = _message_value(region, step)
        if found is None:
            return text if not value else _inserted(text, region, _nested((step,), value))
        field, one = found
        if value:
            return text[: one.start] + literal(step.field, value) + text[one.end :]
        return _cut(text, field) if len(field.values) == 1 else _cut_from_list(text, field, one)
    there = [field for field in region[0] if field.name == step.field.name]
    if not there:
        return text if not value else _inserted(text, region, _nested((step,), value))
    first, *others = there
    for field in reversed(others):
        text = _cut(text, field)
    return _cut(text, first) if not value else _replaced(text, first, step, value)


def _replaced(text: str, field: Field, step: Step, value: str) -> str:
    # The name and its spaces stay as they are; a message needs no colon, a scalar had one.
    start = text.index("[", field.start + len(field.name)) if field.listed else field.values[0].start
    return text[:start] + literal(step.field, value) + text[field.end :]


def _without_rivals(text: str, steps: tuple[Step, ...]) -> str:
    """The text without the other choices of every `oneof` that a path goes through: one excludes the others."""
    for depth, step in enumerate(steps):
        oneof = step.field.containing_oneof
        for rival in oneof.fields if oneof is not None else ():
            if rival.name != step.field.name:
                text = _changed(text, (*steps[:depth], Step(rival, None)), "")
    return text


def _message(region: Region, step: Step) -> Region | None:
    found = _message_value(region, step)
    if found is None or found[1].fields is None:
        return None
    value = found[1]
    return value.fields or (), value.start + 1, value.end - 1


def _message_value(region: Region, step: Step) -> tuple[Field, Value] | None:
    """The value that a step means, with the field that it stands in; None where there is none yet.

    Raises:
        RepositoryError: There are several, and the step does not say which.
    """
    found = [(field, value) for field in region[0] if field.name == step.field.name for value in field.values]
    if step.item is None:
        if len(found) > 1:
            raise RepositoryError(
                f"{step.field.name}: there are {len(found)}. Say which: {step.field.name}[0] to "
                f"{step.field.name}[{len(found) - 1}], or by name where it has one."
            )
        return found[0] if found else None
    if step.item.isdecimal() and step.key_field != "key":
        number = int(step.item)
        if number > len(found):
            raise RepositoryError(
                f"{step.field.name}[{number}]: there are {len(found)}, the next one is {step.field.name}[{len(found)}]."
            )
        return found[number] if number < len(found) else None
    return next((pair for pair in found if _is_called(pair[1], step)), None)


def _is_called(value: Value, step: Step) -> bool:
    return any(
        field.name == step.key_field and [one.scalar for one in field.values] == [step.item]
        for field in value.fields or ()
    )


def _nested(steps: tuple[Step, ...], value: str) -> str:
    """Text of a field that is not there yet, with what stands between it and the value: two spaces a level."""
    step, *inner = steps
    name = step.field.name
    called = f'{step.key_field}: "{step.item}"' if step.is_called else ""
    if not inner:
        return f"{name}{' ' if value.startswith('{') else ': '}{literal(step.field, value)}"
    body = "\n".join(filter(None, (called, _nested(tuple(inner), value))))
    return f"{name} {{\n{_indented(body, '  ')}\n}}"


def _indented(text: str, by: str) -> str:
    return "\n".join(by + line for line in text.splitlines())


def _inserted(text: str, region: Region, new: str) -> str:
    """The text with a field behind the last of a region."""
    fields, start, end = region
    if end == len(text):
        break_line = "" if not text or text.endswith("\n") else "\n"
        # A block stands apart where the others do.
        apart = "\n" if "\n" in new and "\n\n" in text else ""
        return f"{text}{break_line}{apart}{new}\n"
    if "\n" not in text[start:end]:
        # A message on one line stays on it, unless what comes in needs several.
        one_line = re.sub(r"\s*\n\s*", " ", new)
        inside = text[start:end].strip()
        return f"{text[:start]} {inside}{' ' if inside else ''}{one_line} {text[end:]}"
    line = text.rfind("\n", 0, end) + 1
    closing = text[line:end]
    margin = closing if not closing.strip() else ""
    inner = text[text.rfind("\n", 0, fields[0].start) + 1 : fields[0].start] if fields else f"{margin}  "
    inner = inner if not inner.strip() else f"{margin}  "
    if closing.strip():
        return f"{text[:end]}\n{_indented(new, inner)}\n{text[end:]}"
    return f"{text[:line]}{_indented(new, inner)}\n{text[line:]}"


def _cut(text: str, field: Field) -> str:
    """The text without a field: with its line and the remark behind it, where it stands alone there."""
    end = re.compile(r"[ \t]*[,;]?").match(text, field.end).end()  # type: ignore[union-attr]
    line, rest = text.rfind("\n", 0, field.start) + 1, re.compile(r"[ \t]*(#[^\n]*)?(\n|$)").match(text, end)
    if not text[line : field.start].strip() and rest:
        return text[:line] + text[rest.end() :]
    return text[: field.start].rstrip(" \t") + text[end:] if rest else text[: field.start] + text[end:].lstrip(" \t")


def _cut_from_list(text: str, field: Field, value: Value) -> str:
    index = field.values.index(value)
    if index + 1 < len(field.values):
        return text[: value.start] + text[field.values[index + 1].start :]
    return text[: field.values[index - 1].end] + text[value.end :]


def _prove(before: Any, text: str, path: Path, key: str, steps: tuple[Step, ...]) -> None:
    """Pass where nothing changed but the field at the head of a path.

    Raises:
        RepositoryError: Something else did, or the text is no configuration any more.
    """
    after = config_from_text(text, path)
    rest = type(before)(), type(before)()
    for one, message in zip(rest, (before, after), strict=True):
        one.CopyFrom(message)
        one.ClearField(named_field(steps[0]))
    if rest[0] != rest[1]:
        raise RepositoryError(f"{path}: is written in a way that engineroom does not edit. Set {key} by hand.")
