"""Two histories of one model's configuration made one: nobody's lines are lost."""

import json
from typing import Any

from engineroom.errors import StoreError


def merged(theirs: bytes, ours: bytes, where: str) -> bytes:
    """The lines of both, theirs first; those of ours that they lack follow under new numbers.

    Args:
        theirs: A `history.jsonl`.
        ours: Another.
        where: Whose they are, for the message.

    Raises:
        StoreError: One of them is no history.
    """
    first, second = _lines(theirs, where), _lines(ours, where)
    numbers = {_mark(line): line["number"] for line in first}
    renumbered: dict[int, int] = {}
    added: list[dict[str, Any]] = []
    for line in second:
        mark = _mark(line)
        if mark not in numbers:
            numbers[mark] = len(first) + len(added) + 1
            undoes = [renumbered.get(number, number) for number in line.get("undoes", [])]
            added.append({**line, "number": numbers[mark], "undoes": undoes})
        renumbered[line["number"]] = numbers[mark]
    whole = theirs[: theirs.rfind(b"\n") + 1]
    return whole + b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in added)


def _lines(content: bytes, where: str) -> list[dict[str, Any]]:
    try:
        lines = [json.loads(line) for line in content.split(b"\n")[:-1]]
        return [{**line, "number": int(line["number"])} for line in lines]
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{where}: a history.jsonl has a line that is no record ({error}). Mend it by hand."
        ) from error


def _mark(line: dict[str, Any]) -> str:
    """What makes two lines the same, whatever their numbers."""
    return json.dumps({key: value for key, value in line.items() if key not in ("number", "undoes")}, sort_keys=True)
