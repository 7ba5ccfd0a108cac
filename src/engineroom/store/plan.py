"""What a pull means for one model: which versions to fetch, which files to write, and what stands against it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from engineroom.errors import RepositoryError
from engineroom.repository.config import config_from_text
from engineroom.repository.history import HISTORY
from engineroom.repository.layout import ModelFolder
from engineroom.repository.policy import served_versions
from engineroom.store.base import Base
from engineroom.store.changes import NOTHING, grows
from engineroom.store.documents import Blob, Files, ModelState, blob_from_content
from engineroom.store.local import Selection, outside_versions, version_files


@dataclass(frozen=True)
class PullPlan:
    """What a pull does to one model.

    Attributes:
        model: Its folder.
        theirs: What the store has of it.
        new: Versions to fetch.
        grown: Versions that get engines; what each of them lacks.
        files: Files outside the versions to write; None where one goes.
        kept: Files that stay as they were edited here.
        edited: Files that were edited here and changed in the store: a pull refuses them, unless told whose to take.
        before: Content of the files outside the versions, as it was read.
        others: Versions of the same number with other content, which a pull never touches.
    """

    model: ModelFolder
    theirs: ModelState
    new: Mapping[int, Files] = field(default_factory=dict)
    grown: Mapping[int, Files] = field(default_factory=dict)
    files: Mapping[str, Blob | None] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()
    before: Mapping[str, bytes] = field(default_factory=dict)
    others: tuple[int, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do but, perhaps, to merge the histories."""
        return not (self.new or self.grown or {*self.files} - {HISTORY})

    def blobs(self) -> dict[str, Blob]:
        """What has to be fetched, by digest."""
        versions = [*self.new.values(), *self.grown.values()]
        wanted = [blob for files in versions for blob in files.values()]
        wanted += [blob for blob in self.files.values() if blob is not None]
        return {blob.sha256: blob for blob in wanted}


def pull_plan(model: ModelFolder, theirs: ModelState, base: Base | None, selection: Selection, take: str) -> PullPlan:
    """Find out what a pull has to do.

    Args:
        model: The model's folder; it may be missing.
        theirs: What the store has of it.
        base: The last common state.
        selection: The versions that are wanted.
        take: Whose file wins where both sides changed it: `theirs`, `ours`, or neither where empty.

    Raises:
        OSError: A file cannot be read.
    """
    before = {path: (model.path / path).read_bytes() for path in outside_versions(model)} if model.path.is_dir() else {}
    plan = _files(PullPlan(model, theirs, before=before), base, take)
    return _versions(plan, base, selection)


def _files(plan: PullPlan, base: Base | None, take: str) -> PullPlan:
    since = (base.state if base else NOTHING).files
    write: dict[str, Blob | None] = {}
    kept, edited = [], []
    for path in sorted(plan.theirs.files.keys() | since.keys()):
        there = plan.theirs.files.get(path)
        here = blob_from_content(plan.before[path]) if path in plan.before else None
        if here == there:
            continue
        if path == HISTORY:
            write |= {} if there is None else {path: there}
        elif here == since.get(path) or (take == "theirs" and there != since.get(path)):
            write[path] = there
        elif there == since.get(path) or take == "ours":
            kept.append(path)
        else:
            edited.append(path)
    return PullPlan(plan.model, plan.theirs, files=write, kept=(*kept,), edited=(*edited,), before=plan.before)


def _versions(plan: PullPlan, base: Base | None, selection: Selection) -> PullPlan:
    theirs, since = plan.theirs.versions, (base.state if base else NOTHING).versions
    new: dict[int, Files] = {}
    grown: dict[int, Files] = {}
    others = []
    here = frozenset(plan.model.versions)
    for number in sorted(selection.of(theirs)):
        if number not in here:
            new[number] = theirs[number]
            continue
        mine = version_files(plan.model.version(number), theirs[number])
        unchanged = mine == since.get(number)
        if mine == theirs[number] or (theirs[number] == since.get(number) and grows(theirs[number], mine)):
            continue
        if grows(mine, theirs[number]) and (unchanged or not grows(theirs[number], mine)):
            grown[number] = {path: blob for path, blob in theirs[number].items() if mine.get(path) != blob}
        elif not grows(theirs[number], mine):
            others.append(number)
    return PullPlan(plan.model, plan.theirs, new, grown, plan.files, plan.kept, plan.edited, plan.before, tuple(others))


def with_served(plan: PullPlan, texts: Mapping[str, bytes]) -> PullPlan:
    """The plan with every version that the configurations to be written serve, also where none asked for it.

    Args:
        plan: The plan.
        texts: Content of the configurations to be written.
    """
    numbers = tuple(sorted({*plan.theirs.versions, *plan.model.versions}))
    served: set[int] = set()
    for path, content in texts.items():
        if path.endswith(".pbtxt"):
            try:
                config = config_from_text(content.decode(), plan.model.path / path, unknown=True)
            except (RepositoryError, UnicodeDecodeError):
                continue
            served.update(served_versions(config, numbers))
    here = {*plan.model.versions, *plan.new}
    more = {number: files for number, files in plan.theirs.versions.items() if number in served - here}
    return PullPlan(**{**vars(plan), "new": {**plan.new, **more}})
