"""JSON documents that carry the version of their form: manifests, results of measurements."""

import json
from dataclasses import fields
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
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as cause:
        raise error(f"{path}: cannot be read ({cause.strerror}). {mend}") from cause
    except ValueError as cause:
        raise error(f"{path}: is not JSON ({cause}). {mend}") from cause
    if not isinstance(raw, dict) or not isinstance(raw.get("schema"), int):
        raise error(f"{path}: {lacking}, it has no 'schema'. {mend}")
    if raw["schema"] > schema:
        raise (newer or error)(
            f"{path}: has schema {raw['schema']}, this engineroom reads up to {schema}. Update engineroom."
        )
    return raw


def known(form: Any, raw: dict[str, Any]) -> dict[str, Any]:
    """The entries of `raw` that a dataclass has a field for; later additions to a schema are ignored."""
    names = {item.name for item in fields(form)}
    return {name: value for name, value in raw.items() if name in names}
