"""JSON documents that carry the version of their form: manifests, results of measurements."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from engineroom.errors import EngineRoomError


def document_from_file(
    path: Path,
    schema: int,
    error: type[EngineRoomError],
    *,
    lacking: str,
    mend: str,
    newer: type[EngineRoomError] | None = None,
) -> dict[str, Any]:
    """Read a document, if this engineroom can.

    Args:
        path: The file.
        schema: The newest version of its form that can be read.
        error: What to raise.
        lacking: What to call a file without a `schema`, such as `is not a manifest`.
        mend: What to do about a file that is missing or broken.
        newer: What to raise of a form that is newer; `error` by default.

    Returns:
        The document; its `schema` is a number that is not above the one given.
    """
    try:
        content = path.read_bytes()
    except OSError as cause:
        raise error(f"{path}: cannot be read ({cause.strerror}). {mend}") from cause
    form = Form(str(path), schema, error, lacking, mend, newer or error)
    return document_from_bytes(content, form)


@dataclass(frozen=True)
class Form:
    """What a document must be, and what to say where it is not.

    Attributes:
        where: Its file or address.
        schema: The newest version of its form that can be read.
        error: What to raise.
        lacking: What to call a document without a `schema`, such as `is not a manifest`.
        mend: What to do about a broken one.
        newer: What to raise of a form that is newer.
    """

    where: str
    schema: int
    error: type[EngineRoomError]
    lacking: str
    mend: str
    newer: type[EngineRoomError]


def document_from_bytes(content: bytes, form: Form) -> dict[str, Any]:
    """Read a document from its text.

    Args:
        content: JSON in UTF-8.
        form: What it must be.

    Returns:
        The document; its `schema` is a number that is not above the form's.
    """
    try:
        raw = json.loads(content)
    except ValueError as cause:
        raise form.error(f"{form.where}: is not JSON ({cause}). {form.mend}") from cause
    if not isinstance(raw, dict) or not isinstance(raw.get("schema"), int):
        raise form.error(f"{form.where}: {form.lacking}, it has no 'schema'. {form.mend}")
    if raw["schema"] > form.schema:
        raise form.newer(
            f"{form.where}: has schema {raw['schema']}, this engineroom reads up to {form.schema}. Update engineroom."
        )
    return raw


def known(form: Any, raw: dict[str, Any]) -> dict[str, Any]:
    """The entries of `raw` that a dataclass has a field for; later additions to a schema are ignored."""
    names = {item.name for item in fields(form)}
    return {name: value for name, value in raw.items() if name in names}
