"""What was fetched takes its place in a model's folder: versions first, the configurations that serve them after."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from engineroom.errors import StoreConflict, StoreError
from engineroom.repository.files import exclusive, sync_file, sync_folder, write_atomically
from engineroom.repository.history import HISTORY, Change, operator, record
from engineroom.repository.journal import begin, finish, held, recover, write_texts
from engineroom.repository.layout import MANIFEST, ModelFolder
from engineroom.repository.publish import publish_as
from engineroom.store.base import Base, keep_base
from engineroom.store.documents import Files, Head
from engineroom.store.histories import merged
from engineroom.store.plan import PullPlan

INCOMING = ".incoming"
"""Folder of what is being fetched, in the model's folder. Triton and git look past it; a pull that ends keeps it."""


def arrive(url: str, plan: PullPlan, head: Head, incoming: Path) -> None:
    """Put everything in place.

    Args:
        url: The store.
        plan: What to do.
        head: The head that is pulled.
        incoming: Folder with the blobs, by digest.

    Raises:
        StoreConflict: A file was edited while the pull ran.
        RepositoryError: Somebody else holds the model, or a version cannot be written.
        OSError: A file cannot be written.
    """
    model = plan.model
    for number, files in plan.new.items():
        publish_as(model, number, {path: incoming / blob.sha256 for path, blob in files.items()})
    for number, files in plan.grown.items():
        _grow(model.version(number), files, incoming)
    with held(model, f"pull head {head.number}", operator()):
        recover(model)
        _write(plan, f"head {head.number} of {url}{f': {head.why}' if head.why else ''}", incoming)
        keep_base(model, url, Base(head.number, plan.theirs, frozenset(model.versions) & plan.theirs.versions.keys()))
    shutil.rmtree(incoming)


def _grow(version: Path, files: Files, incoming: Path) -> None:
    """Add engines to a version: each appears in one step, and the manifest that lists them comes last."""
    with exclusive(version):
        for path, blob in sorted(files.items(), key=lambda item: item[0] == MANIFEST):
            (version / path).parent.mkdir(parents=True, exist_ok=True)
            copy = incoming / f"{blob.sha256}.copy"
            sync_file(Path(shutil.copyfile(incoming / blob.sha256, copy)))
            copy.replace(version / path)
            sync_folder((version / path).parent)


def _write(plan: PullPlan, why: str, incoming: Path) -> None:
    """Write the files outside the versions, and enter that in the history."""
    model = plan.model
    contents = {path: (incoming / blob.sha256).read_bytes() for path, blob in plan.files.items() if blob is not None}
    _unedited(plan)
    if history := contents.pop(HISTORY, b""):
        ours = _content(model, HISTORY) or b""
        write_atomically(model.path / HISTORY, merged(history, ours, model.name))
    changes = _changes(plan, contents)
    if all(change.before is None for change in changes.values()):
        # A model's first files have no state before them that anybody could go back to.
        changes = {}
    if changes:
        begin(model, record("pull", "taken back", why=why, changes=changes))
    for path in sorted(contents, key=_last_config):
        if path not in changes:
            write_atomically((model.path / path).resolve(), contents[path])
    if changes:
        write_texts(model, changes)
        finish(model, record("pull", "written", why=why, changes=changes))
    for path in plan.files.keys() - contents.keys() - {HISTORY}:
        (model.path / path).unlink(missing_ok=True)


def _last_config(path: str) -> tuple[bool, bool, str]:
    """The order to write files in: what a configuration names comes first, and config.pbtxt last."""
    return path == "config.pbtxt", path.endswith(".pbtxt"), path


def _unedited(plan: PullPlan) -> None:
    for path in plan.files:
        if path != HISTORY and _content(plan.model, path) != plan.before.get(path):
            raise StoreConflict(
                f"{plan.model.name}: {path} was edited while the pull ran. The versions are here, no file was written. "
                "Pull again."
            )


def _content(model: ModelFolder, path: str) -> bytes | None:
    try:
        return (model.path / path).read_bytes()
    except FileNotFoundError:
        return None


def _changes(plan: PullPlan, contents: Mapping[str, bytes]) -> dict[str, Change]:
    """The texts that change, in the order to write them."""
    found = {}
    for path in sorted(plan.files, key=_last_config):
        if path == HISTORY:
            continue
        try:
            before, after = (
                None if content is None else content.decode() for content in (plan.before.get(path), contents.get(path))
            )
        except UnicodeDecodeError as error:
            if path.endswith(".pbtxt"):
                raise StoreError(f"{plan.model.name}: {path} in the store is no UTF-8 text ({error}).") from error
            continue
        found[path] = Change(before, after)
    return found
