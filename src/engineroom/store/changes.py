"""What differs between two states of a model, and how that is told."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from engineroom.repository.history import HISTORY
from engineroom.repository.layout import MANIFEST
from engineroom.store.base import Base
from engineroom.store.documents import Files, ModelState
from engineroom.store.local import Local

NOTHING = ModelState()


@dataclass(frozen=True)
class Difference:
    """What a push or a pull changes in one model.

    Attributes:
        model: Its name.
        files: Paths outside the versions that change.
        added: Versions that appear.
        changed: Versions that get other files.
        removed: Versions that go.
        diff: The texts that change, as a unified diff.
    """

    model: str
    files: tuple[str, ...]
    added: tuple[int, ...]
    changed: tuple[int, ...]
    removed: tuple[int, ...]
    diff: str = ""

    @property
    def empty(self) -> bool:
        """Whether nothing changes but, at most, the history."""
        return not ({*self.files} - {HISTORY} or self.added or self.changed or self.removed)


def difference(model: str, before: ModelState, after: ModelState) -> Difference:
    """What leads from one state of a model to another."""
    paths = sorted(before.files.keys() | after.files.keys())
    both = before.versions.keys() & after.versions.keys()
    return Difference(
        model,
        tuple(path for path in paths if before.files.get(path) != after.files.get(path)),
        tuple(sorted(after.versions.keys() - before.versions.keys())),
        tuple(sorted(number for number in both if before.versions[number] != after.versions[number])),
        tuple(sorted(before.versions.keys() - after.versions.keys())),
    )


def text_diff(path: str, before: bytes, after: bytes | None) -> str:
    """The change of one file, as a unified diff; a word where it is no text."""
    try:
        old, new = ((content or b"").decode().splitlines() for content in (before, after))
    except UnicodeDecodeError:
        return f"{path}: changes, and is no text"
    name = "/dev/null" if after is None else path
    return "\n".join(difflib.unified_diff(old, new, path, name, lineterm=""))


def outgoing(local: Local, base: Base | None, theirs: ModelState | None) -> ModelState:
    """What the store should have of a model: its own state, with what was changed here since the last push or pull.

    The histories are left as the store has them: they are merged, see `histories`.
    """
    there, since = theirs or NOTHING, base.state if base else NOTHING
    files = dict(there.files)
    for path in sorted(local.state.files.keys() | since.files.keys()):
        mine = local.state.files.get(path)
        if path != HISTORY and mine != since.files.get(path):
            files.pop(path, None)
            files.update({} if mine is None else {path: mine})
    versions: dict[int, Files] = dict(there.versions)
    versions.update(
        {number: mine for number, mine in local.state.versions.items() if mine != since.versions.get(number)}
    )
    for number in (base.here if base else frozenset()) - local.versions:
        versions.pop(number, None)
    return replace(there, files=files, versions=versions)


def grows(old: Files, new: Files) -> bool:
    """Whether one version is another with engines added or compiled anew: nothing else may happen to a version.

    The graph and the golden answers stay; engines are compiled where they run, and the manifest lists them.
    """
    return all(
        path in new and (new[path] == blob or path == MANIFEST or path.endswith(".plan")) for path, blob in old.items()
    )


def same(one: ModelState, other: ModelState) -> bool:
    """Whether two states differ in nothing but their histories."""
    return difference("", one, other).empty


def text_diffs(paths: tuple[str, ...], before: Mapping[str, bytes], after: Mapping[str, bytes]) -> str:
    """The changes of several files; those that are new and the history are not shown."""
    shown = (text_diff(path, before[path], after.get(path)) for path in paths if path in before and path != HISTORY)
    return "\n".join(filter(None, shown))
