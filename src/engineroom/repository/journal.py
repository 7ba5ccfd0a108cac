"""One operator at a time, and no change half-done: the journal of the change that is under way (`.pending.json`).

A change is written down with the texts before and after it, then done, then entered in the history. Where a process
ends in between, by `kill -9` or a power cut, the next command finds the journal and takes the change back, or enters it
where it was already proven.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from engineroom.errors import ModelHeld, RepositoryError
from engineroom.repository.files import release, sync_folder, write_atomically
from engineroom.repository.history import Change, Record, add, history, record_from_json
from engineroom.repository.layout import ModelFolder

PENDING = ".pending.json"
"""Name of the journal, in the model's folder. Triton and git look past it."""

HOLDER = ".holder"
"""Says who holds a model, or held it last, for the message to everybody else."""


@contextlib.contextmanager
def held(model: ModelFolder, action: str, by: str) -> Iterator[None]:
    """Hold a model, so that nobody else changes it; other machines that share the disk see the lock too.

    Args:
        model: The model; its folder must exist.
        action: What for, such as `promote 3`.
        by: Who.

    Raises:
        ModelHeld: Somebody else holds it; the message says who.
        RepositoryError: There is no such folder.
        OSError: It cannot be written.
    """
    try:
        handle = os.open(model.path, os.O_RDONLY)
    except OSError as error:
        raise RepositoryError(f"{model.name}: there is no folder {model.path} ({error.strerror}).") from error
    try:
        _lock(handle, model)
        (model.path / HOLDER).write_text(f"{by} ({action}, process {os.getpid()})", encoding="utf-8")
        yield
    finally:
        release(handle)


def _lock(handle: int, model: ModelFolder) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ModelHeld(
            f"{model.name}: {_holder(model)} is changing it. Nothing was done. Try again when that has ended."
        ) from error


def begin(model: ModelFolder, change: Record) -> None:
    """Write down a change before it is done. The model must be held.

    Args:
        model: The model.
        change: What will be entered in the history if all goes well; `taken back` where it is not yet proven.

    Raises:
        OSError: It cannot be written; nothing may be done then.
    """
    numbered = replace(change, number=len(history(model)) + 1)
    write_atomically(model.path / PENDING, json.dumps(asdict(numbered), ensure_ascii=False))


def finish(model: ModelFolder, change: Record) -> Record:
    """Enter a change in the history, and take the journal away.

    Returns:
        The record with its number.
    """
    done = add(model, change)
    (model.path / PENDING).unlink(missing_ok=True)
    sync_folder(model.path)
    return done


def recover(model: ModelFolder) -> Record | None:
    """Put in order what a process left that ended in the middle of a change. The model must be held.

    Returns:
        What was entered in the history: the change, where it was proven, or that it was taken back; None where there
        was nothing to do.

    Raises:
        RepositoryError: The journal or the history cannot be read, or written.
    """
    path = model.path / PENDING
    if not path.exists():
        return None
    try:
        change = record_from_json(path.read_bytes(), str(path))
        if change.number <= len(history(model)):
            path.unlink()
            return None
        if change.outcome != "taken back":
            return finish(model, change)
        restore(model, change.changes)
        return finish(model, replace(change, reason=f"the process of {change.by} ended in the middle of it"))
    except OSError as error:
        raise RepositoryError(f"{model.name}: cannot take back an unfinished change ({error}).") from error


def restore(model: ModelFolder, changes: dict[str, Change]) -> None:
    """Give files the texts that they had before a change; one that was edited since is left as it is.

    Raises:
        OSError: A file cannot be written.
    """
    for name, change in changes.items():
        path = model.path / name
        if _text(path) != change.after:
            continue
        if change.before is None:
            path.unlink(missing_ok=True)
        else:
            write_atomically(path.resolve(), change.before)


def pending(model: ModelFolder) -> bool:
    """Whether a change of the model is under way, or was left in the middle."""
    return (model.path / PENDING).exists()


def write_texts(model: ModelFolder, changes: dict[str, Change]) -> None:
    """Give files the texts that they have after a change.

    Raises:
        OSError: A file cannot be written.
    """
    for name, change in changes.items():
        if change.after is not None and change.after != _text(model.path / name):
            write_atomically((model.path / name).resolve(), change.after)


def recovered(model: ModelFolder, by: str) -> Record | None:
    """Hold a model and put it in order, as before it is served.

    Raises:
        ModelHeld: A change is under way.
        RepositoryError: It cannot be put in order.
    """
    if not pending(model):
        return None
    with held(model, "put in order", by):
        return recover(model)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _holder(model: ModelFolder) -> str:
    try:
        return (model.path / HOLDER).read_text(encoding="utf-8")
    except OSError:
        return "another process"
