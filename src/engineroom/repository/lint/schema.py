"""A tree of fields held against Triton's schema: what it does not know, and what it reads otherwise.

Protobuf's own parser stops at the first such place. Here all are found, and the rest of the configuration is still
read: a slip counts as what was meant, and what cannot be guessed is left out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from engineroom.repository.lint.finding import Edit
from engineroom.repository.lint.suggest import homes, like, nearest, nearest_value
from engineroom.repository.pbtxt.tree import Field, Value

Kind: TypeAlias = Literal["unknown field", "unknown value", "wrong type", "twice", "two of one"]

INTEGER = re.compile(r"-?\s*(0[xX][0-9a-fA-F]+|\d+)")
LIMITS = {"int32": (-(2**31), 2**31), "uint32": (0, 2**32), "int64": (-(2**63), 2**63), "uint64": (0, 2**64)}
BOOLS = ("true", "false", "True", "False", "t", "f", "1", "0")
UNITS = {"_ms": 1000, "_milliseconds": 1000, "_s": 1_000_000, "_seconds": 1_000_000, "_us": 1, "_micros": 1}


@dataclass(frozen=True)
class Problem:
    """A place that the schema does not allow.

    Attributes:
        kind: What is wrong.
        field: The field.
        value: Its value; None where the whole field is meant.
        reason: Why, a sentence without its full stop.
        mend: What to do, a sentence without its full stop.
        edit: The change that does it, where it is safe.
        name: The field's right name, where the edit renames it.
    """

    kind: Kind
    field: Field
    value: Value | None
    reason: str
    mend: str
    edit: Edit | None = None
    name: str = ""


def problems(fields: tuple[Field, ...], root: Any, descriptor: Any = None, above: str = "") -> Iterator[Problem]:
    """Everything in a tree that a message does not allow.

    Args:
        fields: The tree.
        root: The descriptor of the whole configuration.
        descriptor: The message's descriptor; by default the root.
        above: Name of the field that holds the message.
    """
    descriptor = descriptor or root
    seen: dict[str, Field] = {}
    for field in fields:
        known = descriptor.fields_by_name.get(field.name)
        if known is None:
            slip = _unknown(field, fields, (descriptor, above), root)
            yield slip
            known = descriptor.fields_by_name.get(slip.name)
            if slip.edit is None or slip.edit.text != slip.name:
                continue
        yield from _repeated(field, known, seen)
        for value in field.values:
            yield from _value(field, value, known, root)


def repaired(fields: tuple[Field, ...], found: tuple[Problem, ...]) -> tuple[Field, ...]:
    """The tree with slips taken for what was meant, and without what cannot be guessed.

    Args:
        fields: The tree.
        found: Its problems.
    """
    renamed = {problem.field.start: problem.name for problem in found if problem.name}
    gone = {problem.field.start for problem in found if problem.edit is None}
    return tuple(
        replace(
            field,
            name=renamed.get(field.start, field.name),
            values=tuple(
                value if value.fields is None else replace(value, fields=repaired(value.fields, found))
                for value in field.values
            ),
        )
        for field in fields
        if field.start not in gone
    )


def repairs(text: str, found: tuple[Problem, ...]) -> tuple[Edit, ...]:
    """The edits after which protobuf reads a text; what cannot be guessed becomes spaces."""
    blanks = (problem.field for problem in found if problem.edit is None)
    return (
        *(problem.edit for problem in found if problem.edit is not None),
        *(Edit(field.start, field.end, re.sub(r"[^\n]", " ", text[field.start : field.end])) for field in blanks),
    )


def _unknown(field: Field, beside: tuple[Field, ...], place: tuple[Any, str], root: Any) -> Problem:
    known, above = place[0].fields_by_name, place[1]
    holder = f"'{above}'" if above else "a configuration"
    reason = f"{holder} has no field '{field.name}'"
    if unit := _in_another_unit(field, known):
        return replace(unit, reason=reason)
    meant = nearest(field.name, known)
    if meant:
        taken = any(one.name == meant for one in beside) and not known[meant].is_repeated
        wrong = (problem for value in field.values for problem in _value(field, value, known[meant], root))
        fits = like(field.name, meant) and not taken and all(problem.edit is not None for problem in wrong)
        edit = Edit(field.start, field.start + len(field.name), meant) if fits else None
        return Problem("unknown field", field, None, reason, f"Write {meant}", edit, meant if edit else "")
    paths = homes(field.name, root)
    mend = f"It belongs in {paths[0].rpartition('.')[0]}" if paths else "Take it out; docs/lint.md says where to look"
    return Problem("unknown field", field, None, reason, mend)


def _in_another_unit(field: Field, known: Any) -> Problem | None:
    for ending, factor in UNITS.items():
        meant = f"{field.name.removesuffix(ending)}_microseconds"
        value = field.values[0].text if len(field.values) == 1 else ""
        if field.name.endswith(ending) and meant in known and re.fullmatch(r"\d+(\.\d+)?", value):
            text = f"{meant}: {round(float(value) * factor)}"
            edit = Edit(field.start, field.end, text)
            return Problem("unknown field", field, None, "", f"Write {text}", edit, meant)
    return None


def _repeated(field: Field, known: Any, seen: dict[str, Field]) -> Iterator[Problem]:
    first = seen.setdefault(field.name, field)
    if not known.is_repeated and first is not field:
        said = f"'{field.name}' stands in line {first.line} already"
        same = [one.text for one in first.values] == [one.text for one in field.values]
        edit = Edit(field.start, field.end, "") if same else None
        yield Problem("twice", field, None, said, "Keep one of the two", edit)
    elif not known.is_repeated and field.listed:
        text = field.values[0].text if len(field.values) == 1 else ""
        edit = Edit(field.start, field.end, f"{field.name}: {text}") if text else None
        yield Problem("wrong type", field, None, f"'{field.name}' takes one value, not a list", "Take one value", edit)
    if known.containing_oneof is not None:
        other = seen.setdefault(f"oneof {known.containing_oneof.name}", field)
        if other.name != field.name:
            said = f"'{field.name}' and '{other.name}' (line {other.line}) exclude each other"
            yield Problem("two of one", field, None, said, "Keep one of the two")


def _value(field: Field, value: Value, known: Any, root: Any) -> Iterator[Problem]:
    if known.message_type is not None:
        if value.fields is None:
            said = f"'{field.name}' takes fields in braces, not {value.text}"
            empty = value.text.lower() == "true" and not known.message_type.fields_by_name.get("enable")
            edit = Edit(field.start, field.end, f"{field.name} {{ }}") if empty else None
            yield Problem("wrong type", field, value, said, f"Write {field.name} {{ ... }}", edit)
        else:
            yield from problems(value.fields, root, known.message_type, field.name)
    elif value.fields is not None:
        said = f"'{field.name}' takes a value, not fields in braces"
        yield Problem("wrong type", field, value, said, f"Write {field.name}: VALUE")
    elif known.enum_type is not None:
        yield from _of_enum(field, value, known.enum_type)
    else:
        yield from _of_scalar(field, value, known)


def _of_enum(field: Field, value: Value, kind: Any) -> Iterator[Problem]:
    names = kind.values_by_name
    if value.text in names or (value.text.isdecimal() and int(value.text) in kind.values_by_number):
        return
    meant = nearest_value(value.text, names)
    edit = Edit(value.start, value.end, meant) if meant else None
    mend = f"Write {meant}" if meant else f"Write one of {', '.join(names)}"
    quoted = value.text[:1] in "\"'" and value.scalar in names
    said = "is no string: it takes a name without quotes" if quoted else f"knows no {value.text}"
    yield Problem("wrong type" if quoted else "unknown value", field, value, f"'{field.name}' {said}", mend, edit)


def _of_scalar(field: Field, value: Value, known: Any) -> Iterator[Problem]:
    wanted = SCALARS[known.type]
    bare = value.scalar
    if _fits(value.text, wanted):
        return
    meant = f'"{bare}"' if wanted == "string" else bare
    safe = _fits(meant, wanted) and (wanted != "string" or value.text[:1] not in "\"'")
    edit = Edit(value.start, value.end, meant) if safe else None
    mend = f"Write {field.name}: {meant}" if safe else _hint(field, bare, wanted)
    yield Problem("wrong type", field, value, f"'{field.name}' takes {WORDS[wanted]}, not {value.text}", mend, edit)


SCALARS = {1: "float", 2: "float", 3: "int64", 4: "uint64", 5: "int32", 8: "bool", 9: "string", 13: "uint32"}
"""Scalar types by protobuf's numbers for them (descriptor.proto), those that the schema uses."""

WORDS = {
    "float": "a number",
    "bool": "true or false",
    "string": "text in quotes",
    "int32": "a whole number",
    "int64": "a whole number",
    "uint32": "a whole number of 0 or more",
    "uint64": "a whole number of 0 or more",
}


def _fits(text: str, wanted: str) -> bool:
    if wanted == "string":
        return text[:1] in "\"'"
    if wanted == "bool":
        return text in BOOLS
    if wanted == "float":
        return re.fullmatch(r"-?\s*((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[fF]?|inf|infinity|nan)", text) is not None
    if INTEGER.fullmatch(text) is None:
        return False
    low, high = LIMITS[wanted]
    return low <= int(text.replace(" ", ""), 0 if "x" in text.lower() else 10) < high


def _hint(field: Field, bare: str, wanted: str) -> str:
    if field.name.endswith("_microseconds") and re.fullmatch(r"\d*\.\d+", bare):
        return f"It counts microseconds: {bare} ms are {round(float(bare) * 1000)}"
    return f"Write {WORDS[wanted]}"
