"""A protobuf text as a tree of fields that know where they stand.

Protobuf's own parser forgets lines and comments. This one knows no schema: it takes any field, also one that the schema
lacks, so that what is wrong with a configuration can be said with its place. What it accepts is the text format's
grammar (protobuf.dev/reference/protobuf/textformat-spec).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from engineroom.errors import ConfigSyntax

TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n\f\v]+|\#[^\n]*)
      | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<number>-?\s*(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[fF]?)(?![A-Za-z_]))
      | (?P<word>-?\s*[A-Za-z_][A-Za-z0-9_]*)
      | (?P<mark>[{}<>\[\]:,;])""",
    re.VERBOSE,
)

CLOSING = {"{": "}", "<": ">"}


@dataclass(frozen=True)
class Token:
    """A piece of text.

    Attributes:
        kind: `string`, `number`, `word`, `mark`, or `end`.
        text: As it is written.
        start: Offset of its first character.
        end: Offset behind its last.
    """

    kind: str
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Value:
    """One value of a field.

    Attributes:
        start: Offset of its first character.
        end: Offset behind its last.
        line: Line of its first character, from 1.
        column: Column of it, from 1.
        text: As it is written; of a message, everything between and with its braces.
        fields: The fields of a message; None where the value is a scalar.
    """

    start: int
    end: int
    line: int
    column: int
    text: str
    fields: "tuple[Field, ...] | None" = None

    @property
    def scalar(self) -> str:
        """A scalar without its quotes: `8`, `TYPE_FP32`, `image`."""
        pieces = re.findall(r'"((?:[^"\\\n]|\\.)*)"|\'((?:[^\'\\\n]|\\.)*)\'', self.text)
        return "".join(double or single for double, single in pieces) if self.text[:1] in "\"'" else self.text


@dataclass(frozen=True)
class Field:
    """A field as it stands in the text. A field that is repeated by writing it again is as many of these.

    Attributes:
        name: Its name.
        start: Offset of its name's first character.
        end: Offset behind its value.
        line: Line of its name, from 1.
        column: Column of it, from 1.
        values: Its value; several, or none, where they are written as a list in brackets.
        listed: Whether they are.
    """

    name: str
    start: int
    end: int
    line: int
    column: int
    values: tuple[Value, ...]
    listed: bool = False

    @property
    def fields(self) -> "tuple[Field, ...]":
        """The fields of its messages, in order; empty for scalars."""
        return tuple(field for value in self.values for field in value.fields or ())


def fields_from_text(text: str) -> tuple[Field, ...]:
    """Every field of a text, as a tree.

    Args:
        text: Protobuf text.

    Raises:
        ConfigSyntax: It is none; `line` and `column` say where.
    """
    return _Reader(text).fields("")


def walk(fields: tuple[Field, ...], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Field]]:
    """Every field of a tree with its path of names, the ones above before the ones inside."""
    for field in fields:
        path = (*above, field.name)
        yield path, field
        yield from walk(field.fields, path)


def named(fields: tuple[Field, ...], *path: str) -> tuple[Field, ...]:
    """The fields at a path of names, such as `"dynamic_batching", "preferred_batch_size"`, in the order of the text."""
    for depth, name in enumerate(path):
        inside = fields if depth == 0 else tuple(one for field in fields for one in field.fields)
        fields = tuple(field for field in inside if field.name == name)
    return fields


def place(text: str, offset: int) -> tuple[int, int]:
    """Line and column of an offset, both from 1."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


class _Reader:
    """Reads tokens, one ahead."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = self._tokens()
        self.ahead = next(self.tokens)
        self.last = Token("end", "", 0, 0)

    def _tokens(self) -> Iterator[Token]:
        offset = 0
        while offset < len(self.text):
            match = TOKEN.match(self.text, offset)
            if match is None:
                what = "a string that does not end in its line" if self.text[offset] in "\"'" else "a character"
                raise self._wrong(f"{what}: {self.text[offset : offset + 20].splitlines()[0]!r}", offset)
            if match.lastgroup != "space":
                yield Token(str(match.lastgroup), match.group(), offset, match.end())
            offset = match.end()
        yield Token("end", "", offset, offset)

    def _wrong(self, what: str, offset: int) -> ConfigSyntax:
        return ConfigSyntax(what, *place(self.text, offset))

    def take(self, *texts: str) -> Token | None:
        """The next token, if it is one of these texts; of any text where none is given."""
        if texts and self.ahead.text not in texts:
            return None
        self.last = self.ahead
        if self.ahead.kind != "end":
            self.ahead = next(self.tokens)
        return self.last

    def expect(self, *texts: str) -> Token:
        token = self.take(*texts)
        if token is None:
            found = self.ahead.text or "the end of the file"
            raise self._wrong(f"{' or '.join(map(repr, texts))} is missing before {found!r}", self.ahead.start)
        return token

    def fields(self, closing: str) -> tuple[Field, ...]:
        """Fields up to a closing brace, or to the end of the text."""
        found: list[Field] = []
        while self.ahead.text != closing or (not closing and self.ahead.kind != "end"):
            if self.ahead.kind == "end":
                raise self._wrong(f"{closing!r} is missing before the end of the file", self.ahead.start)
            found.append(self.field())
            self.take(",", ";")
        return tuple(found)

    def field(self) -> Field:
        first = self.ahead
        name = self._name()
        colon = self.take(":")
        listed = self.take("[") is not None
        if listed:
            values = self._list()
        elif colon or self.ahead.text in CLOSING:
            values = (self.value(),)
        else:
            raise self._wrong(f"':' is missing behind {name!r}", first.end)
        line, column = place(self.text, first.start)
        return Field(name, first.start, self.last.end, line, column, values, listed)

    def _name(self) -> str:
        token = self.ahead
        if token.kind != "word" or token.text.startswith("-"):
            found = token.text or "the end of the file"
            raise self._wrong(f"the name of a field is expected, not {found!r}", token.start)
        self.take()
        return token.text

    def _list(self) -> tuple[Value, ...]:
        values: list[Value] = []
        while self.take("]") is None:
            values.append(self.value())
            if self.ahead.text != "]":
                self.expect(",")
        return tuple(values)

    def value(self) -> Value:
        first = self.ahead
        line, column = place(self.text, first.start)
        value = Value(first.start, first.end, line, column, first.text)
        if self.take(*CLOSING):
            inside = self.fields(CLOSING[first.text])
            self.take()
            return replace(value, end=self.last.end, text=self.text[first.start : self.last.end], fields=inside)
        if first.kind in ("mark", "end"):
            raise self._wrong(f"a value is expected before {first.text or 'the end of the file'!r}", first.start)
        self.take()
        # Strings that follow one another are one.
        while first.kind == "string" and self.ahead.kind == "string":
            self.take()
        return replace(value, end=self.last.end, text=self.text[first.start : self.last.end])
