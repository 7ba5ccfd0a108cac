"""The tree of a configuration: every field with its place, whatever the schema says of it."""

import pytest

from engineroom.errors import ConfigSyntax
from engineroom.repository.pbtxt.tree import fields_from_text, named, place, walk

TEXT = """\
# A comment { that is not read
name: "digits"
max_batch_size: 8   # rows
input [
  { name: "a" data_type: TYPE_FP32 dims: [ -1, 8 ] },
  { name: 'b', data_type: TYPE_FP32; dims: 3 dims: 4 }
]
dynamic_batching < preferred_batch_size: [] max_queue_delay_microseconds: 0x10 >
parameters: { key: "x" value { string_value: "one " "two" } }
future_field { depth: -1.5e3f }
"""


def test_every_field_knows_its_line_and_column() -> None:
    places = {".".join(path): (field.line, field.column) for path, field in walk(fields_from_text(TEXT))}
    assert places["name"] == (2, 1)
    assert places["input"] == (4, 1)
    assert places["dynamic_batching.max_queue_delay_microseconds"] == (8, 45)
    assert places["future_field.depth"] == (10, 16)


def test_text_between_start_and_end_is_the_field() -> None:
    (depth,) = named(fields_from_text(TEXT), "future_field", "depth")
    assert TEXT[depth.start : depth.end] == "depth: -1.5e3f"
    (value,) = depth.values
    assert TEXT[value.start : value.end] == value.text == "-1.5e3f"


def test_a_field_written_twice_is_two_and_one_in_brackets_has_many_values() -> None:
    fields = fields_from_text(TEXT)
    (inputs,) = named(fields, "input")
    assert inputs.listed
    assert len(inputs.values) == 2
    first, *rest = named(fields, "input", "dims")
    assert [value.scalar for value in first.values] == ["-1", "8"]
    assert [value.scalar for field in rest for value in field.values] == ["3", "4"]
    (preferred,) = named(fields, "dynamic_batching", "preferred_batch_size")
    assert preferred.listed
    assert preferred.values == ()


def test_strings_side_by_side_are_one() -> None:
    (text,) = named(fields_from_text(TEXT), "parameters", "value", "string_value")
    assert text.values[0].scalar == "one two"


@pytest.mark.parametrize(
    ("text", "line", "column", "what"),
    [
        ('name: "a', 1, 7, "a string that does not end in its line"),
        ("input {\n  name: 'a'\n", 3, 1, "'}' is missing before the end of the file"),
        ("a: 1\n}", 2, 1, "the name of a field is expected, not '}'"),
        ("max_batch_size 8", 1, 15, "':' is missing behind 'max_batch_size'"),
        ("dims: [1 2]", 1, 10, "',' is missing before '2'"),
        ("dims: [1, 2", 1, 12, "',' is missing before 'the end of the file'"),
        ("a: ", 1, 4, "a value is expected before 'the end of the file'"),
        ("a = 1", 1, 3, "a character: '= 1'"),
        ("a: 8ms", 1, 4, "a character: '8ms'"),
    ],
)
def test_what_is_no_protobuf_text_is_refused_with_its_place(text: str, line: int, column: int, what: str) -> None:
    with pytest.raises(ConfigSyntax, match=what) as refused:
        fields_from_text(text)
    assert (refused.value.line, refused.value.column) == (line, column)


def test_place_counts_from_one() -> None:
    assert place("ab\nc", 0) == (1, 1)
    assert place("ab\nc", 3) == (2, 1)
