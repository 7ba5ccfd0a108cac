"""One configuration file as rules see it: its text, its tree, its message, and what the schema does not allow."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engineroom.errors import ConfigSyntax, RepositoryError
from engineroom.repository.config import config_from_text
from engineroom.repository.lint.finding import edited
from engineroom.repository.lint.schema import Problem, problems, repaired, repairs
from engineroom.repository.pbtxt.tree import Field, fields_from_text

BOMS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
"""Byte order marks, by the encodings they stand for."""


@dataclass(frozen=True)
class Source:
    """A configuration's text and what it says.

    Attributes:
        path: Where it stands.
        text: Its text; what could not be decoded is replaced.
        encoding: `utf-8`, or another that it was found in; `unknown` where none fits.
        unreadable: Why the file cannot be read; empty where it can.
        syntax: Why it is no protobuf text; None where it is.
        fields: Its tree, slips in names taken for what was meant.
        problems: What the schema does not allow.
        config: A `ModelConfig` message of all that could be read.
    """

    path: Path
    text: str
    encoding: str = "utf-8"
    unreadable: str = ""
    syntax: ConfigSyntax | None = None
    fields: tuple[Field, ...] = ()
    problems: tuple[Problem, ...] = ()
    config: Any = None


def source_from_path(path: Path, texts: Mapping[Path, str] | None = None) -> Source:
    """Read one configuration; whatever is wrong with it is told by what comes back.

    Args:
        path: Where it stands.
        texts: Contents to take instead of what stands in the files.
    """
    if texts is not None and path in texts:
        return source_from_text(texts[path], path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        return Source(path, "", unreadable=str(error.strerror or error), config=_empty())
    text, encoding = _decoded(raw)
    return source_from_text(text, path, encoding)


def source_from_text(text: str, path: Path, encoding: str = "utf-8") -> Source:
    """A configuration's text and what it says.

    Args:
        text: The text.
        path: Where it stands.
        encoding: What it was decoded from.
    """
    config = _empty()
    try:
        fields = fields_from_text(text)
    except ConfigSyntax as error:
        return Source(path, text, encoding, syntax=error, config=config)
    found = tuple(problems(fields, config.DESCRIPTOR))
    try:
        config = config_from_text(edited(text, repairs(text, found)), path, unknown=True)
    except RepositoryError as error:
        return Source(path, text, encoding, syntax=_refusal(error.__cause__, text), problems=found, config=config)
    return Source(path, text, encoding, fields=repaired(fields, found), problems=found, config=config)


def _refusal(error: BaseException | None, text: str) -> ConfigSyntax:
    """What protobuf's own parser refuses; its message begins with line and column."""
    told = re.match(r"(\d+):(\d+)\s*: (.*)", str(error), re.DOTALL)
    if told is None:
        return ConfigSyntax(f"protobuf refuses it ({error})", 1, 1)
    return ConfigSyntax(told[3].split(" : ")[-1].rstrip("."), min(int(told[1]), text.count("\n") + 1), int(told[2]))


def _decoded(raw: bytes) -> tuple[str, str]:
    for mark, encoding in BOMS.items():
        if raw.startswith(mark):
            try:
                return raw.decode(encoding), encoding
            except UnicodeDecodeError:
                return raw.decode("utf-8", errors="replace"), "unknown"
    try:
        return raw.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return raw.decode("latin-1"), "unknown"


def _empty() -> Any:
    from tritonclient.grpc import model_config_pb2

    return model_config_pb2.ModelConfig()
