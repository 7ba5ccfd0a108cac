"""Triton's schema of a configuration, as edits need it: what a path of names means, how a value is written."""

import difflib
import re
from dataclasses import dataclass
from typing import Any

from engineroom.errors import RepositoryError

STEP = re.compile(r"(?P<name>[A-Za-z_]\w*)(?:\[(?P<item>[^\]]+)\])?")


@dataclass(frozen=True)
class Step:
    """One name of a path.

    Attributes:
        field: The field's descriptor.
        item: Which one of a repeated field: its number from 0, or its name or key; None where the path says nothing.
    """

    field: Any
    item: str | None

    @property
    def is_called(self) -> bool:
        """Whether the item is named, not counted."""
        return self.item is not None and (self.key_field == "key" or not self.item.isdecimal())

    @property
    def key_field(self) -> str:
        """The field by which items are told apart: `key` in a map, else `name`."""
        return "key" if _is_map(self.field) else "name"


def steps_from_key(key: str, message: Any, *, whole: bool = False) -> tuple[Step, ...]:
    """A path of names, looked up in the schema.

    Args:
        key: Such as `instance_group[0].count`.
        message: Descriptor of the message that it begins in.
        whole: End at what the path names; else go on to the plain value of a map's entry, which people leave out.

    Raises:
        RepositoryError: A name is unknown, or the path ends too early or goes on too long.
    """
    steps: list[Step] = []
    names = _split(key)
    for depth, (name, item) in enumerate(names, 1):
        if message is None:
            raise RepositoryError(f"{key}: {steps[-1].field.name} is a plain value, nothing is inside it.")
        field = message.fields_by_name.get(name)
        if field is None:
            raise RepositoryError(f"{key}: {_unknown(name, message, steps)}")
        if item is not None and not _repeated(field):
            raise RepositoryError(f"{key}: there is one {name} only. Write it without [{item}].")
        steps.append(Step(field, item))
        if _is_map(field) and item is not None and not (whole and depth == len(names)):
            value = field.message_type.fields_by_name["value"]
            steps.append(Step(value, None))
            field = value
        message = field.message_type
    if not whole and steps[-1].field.message_type is not None and _only_string(steps[-1].field):
        steps.append(Step(steps[-1].field.message_type.fields_by_name["string_value"], None))
    return tuple(steps)


def literal(field: Any, value: str) -> str:
    """A value as the text format writes it.

    Args:
        field: The field's descriptor.
        value: What an operator wrote: quotes and brackets are optional.

    Raises:
        RepositoryError: It does not fit the field.
    """
    value = value.strip()
    if field.message_type is not None:
        if value[:1] not in ("{", "["):
            inside = ", ".join(one.name for one in field.message_type.fields)
            raise RepositoryError(f"{field.name}: is a message of {inside}. Name one of them, or write {{ ... }}.")
        return value
    if _repeated(field) and not _is_item(value):
        values = [one.strip() for one in value.strip("[]").split(",") if one.strip()]
        return f"[{', '.join(_scalar(field, one) for one in values)}]"
    return _scalar(field, value)


def named_field(step: Step) -> str:
    """The name of a step's field."""
    return str(step.field.name)


def nearest(word: str, known: list[str]) -> str:
    """The known word that is most like one, or the empty string."""
    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=0.5)), "")


def _is_item(value: str) -> bool:
    return value.startswith('"') and value.endswith('"') and "," not in value


def _scalar(field: Any, value: str) -> str:
    text = value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value
    if field.enum_type is not None:
        names = [one.name for one in field.enum_type.values]
        if text not in names:
            close = nearest(text.upper(), names)
            raise RepositoryError(
                f"{field.name}: '{text}' is none of {', '.join(names)}.{f' Did you mean {close}?' if close else ''}"
            )
        return text
    kind = field.cpp_type
    if kind == field.CPPTYPE_STRING:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if kind == field.CPPTYPE_BOOL:
        if text not in ("true", "false"):
            raise RepositoryError(f"{field.name}: takes true or false, not '{text}'.")
        return text
    return _number(field, text)


def _number(field: Any, text: str) -> str:
    real = field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE)
    if not re.fullmatch(r"-?\d+(\.\d+)?([eE][+-]?\d+)?" if real else r"-?\d+", text):
        wanted = "a number" if real else "a whole number"
        unit = " of microseconds" if field.name.endswith("microseconds") else ""
        raise RepositoryError(f"{field.name}: takes {wanted}{unit}, not '{text}'.")
    if text.startswith("-") and field.cpp_type in (field.CPPTYPE_UINT32, field.CPPTYPE_UINT64):
        raise RepositoryError(f"{field.name}: takes no number below 0, not '{text}'.")
    return text


def _split(key: str) -> list[tuple[str, str | None]]:
    parts = re.findall(r"[^.\[\]]+(?:\[[^\]]*\])?", key)
    matches = [STEP.fullmatch(part) for part in parts]
    if not parts or ".".join(parts) != key or None in matches:
        raise RepositoryError(
            f"'{key}' names no setting. Write its path, such as dynamic_batching.max_queue_delay_microseconds "
            "or instance_group[0].count."
        )
    return [(match["name"], match["item"]) for match in matches if match is not None]


def _unknown(name: str, message: Any, steps: list[Step]) -> str:
    known = [field.name for field in message.fields]
    where = steps[-1].field.name if steps else "a configuration"
    close = nearest(name, known)
    return f"{where} has no '{name}'. " + (f"Did you mean {close}?" if close else f"It has: {', '.join(known)}.")


def _repeated(field: Any) -> bool:
    return bool(field.is_repeated)


def _is_map(field: Any) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _only_string(field: Any) -> bool:
    return [one.name for one in field.message_type.fields] == ["string_value"]
