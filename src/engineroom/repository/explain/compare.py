"""Two configurations as the list of what differs, by path; elements of a list go by name where they have one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Difference:
    """One setting that is not the same.

    Attributes:
        path: Where it stands: `input[image].dims`, `instance_group[0].count`, `parameters[HINT_BF16]`.
        before: Its value as text; empty where it was not set.
        after: Its value now; empty where it is not set any more.
    """

    path: str
    before: str
    after: str

    @property
    def setting(self) -> str:
        """The path without what is in brackets: `input[].dims`."""
        return "".join(part.partition("[")[0] + ("[]" if "[" in part else "") + end for part, end in _parts(self.path))

    @property
    def key(self) -> str:
        """What stands in the first brackets of the path; empty where there are none."""
        return self.path.partition("[")[2].partition("]")[0]


WHOLE = frozenset({"version_policy", "sequence_batching", "reshape", "execution_accelerators", "rate_limiter"})
"""Messages that mean something as a whole only: each is one difference."""

TOLD = frozenset({"dynamic_batching"})
"""Messages that mean something by being there, besides what they hold."""


def differences(before: Any, after: Any) -> tuple[Difference, ...]:
    """What differs between two configurations, in the order of Triton's `ModelConfig`.

    An element that only one of two lists has is one difference, not one for each of its fields.

    Args:
        before: A `ModelConfig` message.
        after: Another.
    """
    return tuple(_of_messages("", before, after))


def text_of(value: Any, field: Any) -> str:
    """A value as a reader would write it: enum values by name, messages on one line, strings without quotes."""
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return str(known.name if known else value)
    if field.message_type is not None:
        return f"{{ {_one_line(value)} }}" if value.ListFields() else "{ }"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _of_messages(path: str, before: Any, after: Any) -> Iterator[Difference]:
    for field in before.DESCRIPTOR.fields:
        inside = f"{path}.{field.name}" if path else field.name
        one, other = getattr(before, field.name), getattr(after, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            yield from _of_maps(inside, field, one, other)
        elif field.is_repeated and field.message_type is not None:
            yield from _of_lists(inside, field, one, other)
        elif field.is_repeated:
            yield from _of_texts(inside, _listed(one, field), _listed(other, field))
        elif field.message_type is None:
            yield from _of_texts(inside, *(_scalar(message, field) for message in (before, after)))
        elif before.HasField(field.name) or after.HasField(field.name):
            yield from _of_fields(inside, field, before, after)


def _of_fields(path: str, field: Any, before: Any, after: Any) -> Iterator[Difference]:
    one, other = getattr(before, field.name), getattr(after, field.name)
    there = [message.HasField(field.name) for message in (before, after)]
    texts = [text_of(value, field) if has else "" for value, has in zip((one, other), there, strict=True)]
    if field.name in WHOLE:
        yield from _of_texts(path, *texts)
        return
    inside = tuple(_of_messages(path, one, other))
    if not all(there) and (field.name in TOLD or not inside):
        yield Difference(path, *("{ }" if has else "" for has in there))
    yield from inside


def _of_maps(path: str, field: Any, before: Any, after: Any) -> Iterator[Difference]:
    value = field.message_type.fields_by_name["value"]
    for key in sorted({*before, *after}, key=str):
        one, other = (_short(text_of(m[key], value)) if key in m else "" for m in (before, after))
        yield from _of_texts(f"{path}[{key}]", one, other)


def _of_lists(path: str, field: Any, before: Any, after: Any) -> Iterator[Difference]:
    old, new = _by_name(before), _by_name(after)
    for name in dict.fromkeys((*old, *new)):
        inside = f"{path}[{name}]"
        if name in old and name in new:
            yield from _of_messages(inside, old[name], new[name])
        else:
            yield from _of_texts(inside, *(text_of(m[name], field) if name in m else "" for m in (old, new)))
    if set(old) == set(new) and list(old) != list(new):
        yield Difference(path, ", ".join(old), ", ".join(new))


def _by_name(elements: Any) -> dict[str, Any]:
    names = [getattr(one, "name", "") or getattr(one, "model_name", "") for one in elements]
    unique = all(names) and len(set(names)) == len(names)
    return {
        (name if unique else str(index)): one for index, (name, one) in enumerate(zip(names, elements, strict=True))
    }


def _of_texts(path: str, before: str, after: str) -> Iterator[Difference]:
    if before != after:
        yield Difference(path, before, after)


def _scalar(message: Any, field: Any) -> str:
    value = getattr(message, field.name)
    return "" if value == field.default_value and not field.has_presence else text_of(value, field)


def _listed(values: Any, field: Any) -> str:
    return f"[{', '.join(text_of(value, field) for value in values)}]" if len(values) else ""


def _short(text: str) -> str:
    # A parameter's value stands in a message of its own, for no reader's benefit.
    return text.removeprefix('{ string_value: "').removesuffix('" }')


def _one_line(message: Any) -> str:
    from google.protobuf import text_format

    line: str = text_format.MessageToString(message, as_one_line=True, use_short_repeated_primitives=True)
    return line.strip()


def _parts(path: str) -> Iterator[tuple[str, str]]:
    # Names in brackets may hold dots: `cc_model_filenames[9.0]`.
    depth, part = 0, ""
    for letter in path:
        depth += (letter == "[") - (letter == "]")
        if letter == "." and depth == 0:
            yield part, "."
            part = ""
        else:
            part += letter
    yield part, ""
