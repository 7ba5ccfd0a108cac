"""Rollback: the configurations as they were before a change."""

from collections.abc import Mapping
from pathlib import Path

from engineroom.errors import RepositoryError
from engineroom.operate.plan import Texts
from engineroom.repository.history import Record, history, undone
from engineroom.repository.layout import ModelFolder


def taking_back(model: ModelFolder, to: int | None = None) -> tuple[Texts, tuple[int, ...]]:
    """What takes back the last change that stands, or every one after a number.

    Args:
        model: The model.
        to: Number of the last change that is to stand; 0 for none.

    Returns:
        What makes the texts, and the numbers of the changes that it takes back.

    Raises:
        RepositoryError: There is nothing to take back, or no such change.
    """
    records = history(model)
    if to is not None and to > len(records):
        raise RepositoryError(f"{model.name}: its history has {len(records)} changes, there is no {to}.")
    gone = undone(records)
    standing = [one for one in records if _moves(one) and not one.undoes and one.number not in gone]
    chosen = _last(standing) if to is None else [one for one in standing if one.number > to]
    if not chosen:
        raise RepositoryError(
            f"{model.name}: there is no change to take back. See: engineroom config history {model.name}"
        )
    texts: dict[Path, str] = {}
    for one in reversed(chosen):
        texts |= {model.path / name: change.before for name, change in one.changes.items() if change.before is not None}

    def again(_: Mapping[Path, str]) -> Mapping[Path, str]:
        return texts

    return again, tuple(one.number for one in chosen)


def _last(standing: list[Record]) -> list[Record]:
    """The last change; one that went live takes with it what was only written before it, which it made live."""
    start = len(standing) - 1
    if standing and standing[-1].outcome == "applied":
        while start > 0 and standing[start - 1].outcome == "written":
            start -= 1
    return standing[max(start, 0) :]


def _moves(record: Record) -> bool:
    return record.stands and any(change.before != change.after for change in record.changes.values())
