"""Pull: versions appear whole, then the configurations that serve them are written."""

from collections.abc import Mapping
from dataclasses import dataclass

from engineroom.errors import RepositoryError, StoreConflict, StoreError
from engineroom.repository.files import exclusive
from engineroom.repository.layout import Repository
from engineroom.store.arrive import INCOMING, arrive
from engineroom.store.base import base_from_folder
from engineroom.store.changes import Difference, text_diffs
from engineroom.store.check import current
from engineroom.store.documents import Blob, Head, ModelState, Snapshot
from engineroom.store.local import Selection
from engineroom.store.plan import PullPlan, pull_plan, with_served
from engineroom.store.push import ALL
from engineroom.store.store import Store, blob_name
from engineroom.store.transfer import Advance, all_at_once, fetch
from engineroom.store.watching import Watch, silent


@dataclass(frozen=True)
class PullOptions:
    """What to pull, and how.

    Attributes:
        names: The models; all of the store where empty.
        selection: Their versions; those that a new configuration serves always come along.
        head: Number of the head; the current one by default.
        take: Whose file wins where both sides changed it: `theirs`, `ours`, or neither where empty.
        jobs: Transfers at a time.
        dry_run: Say what would be done, and do nothing.
    """

    names: tuple[str, ...] = ()
    selection: Selection = ALL
    head: int | None = None
    take: str = ""
    jobs: int = 4
    dry_run: bool = False


@dataclass(frozen=True)
class Pulled:
    """What a pull did.

    Attributes:
        url: The store.
        head: The head that was pulled.
        models: What changed here, by model.
        kept: Files that stay as they were edited here, as MODEL/PATH.
        size_bytes: Size of what was needed.
    """

    url: str
    head: Head
    models: tuple[Difference, ...]
    kept: tuple[str, ...]
    size_bytes: int


def pull(repository: Repository, store: Store, options: PullOptions, watch: Watch = silent) -> Pulled:
    """Bring models here.

    Args:
        repository: Where to.
        store: Where they are.
        options: Which, and how.
        watch: Shows progress.

    Raises:
        StoreConflict: A file was edited here and changed in the store, or a version is another one; nothing was done.
        StoreError: The store cannot be reached or read, or what it holds is damaged.
        RepositoryError: The repository cannot be read or written, or somebody else holds a model.
    """
    head = current(store, options.head)
    snapshot = store.snapshot(head)
    try:
        plans = [_plan(repository, store, name, model, options) for name, model in _wanted(snapshot, options, head)]
    except OSError as error:
        raise RepositoryError(f"cannot read {error.filename}: {error.strerror}.") from error
    _refuse(store, plans)
    texts = {plan.model.name: _contents(store, plan.files) for plan in plans}
    plans = [with_served(plan, texts[plan.model.name]) for plan in plans]
    needed = sum(blob.size_bytes for plan in plans for blob in plan.blobs().values())
    if not options.dry_run:
        with watch("pull", needed) as advance:
            for plan in plans:
                _pull(store, plan, head, options, advance)
    kept = tuple(f"{plan.model.name}/{path}" for plan in plans for path in plan.kept)
    told = tuple(_difference(plan, texts[plan.model.name]) for plan in plans if not plan.empty)
    return Pulled(store.url, head, told, kept, needed)


def _wanted(snapshot: Snapshot, options: PullOptions, head: Head) -> list[tuple[str, ModelState]]:
    for name in options.names:
        if name not in snapshot.models:
            known = ", ".join(snapshot.models) or "nothing"
            raise StoreError(f"{name}: no such model in head {head.number}. It holds: {known}.")
    if options.selection.numbers:
        lacking = {name: options.selection.numbers - {*snapshot.models[name].versions} for name in options.names}
        for name, numbers in lacking.items():
            if numbers:
                raise StoreError(f"{name}: head {head.number} has no version {min(numbers)}.")
    return [(name, snapshot.models[name]) for name in options.names or snapshot.models]


def _plan(repository: Repository, store: Store, name: str, model: ModelState, options: PullOptions) -> PullPlan:
    folder = repository.model(name)
    return pull_plan(folder, model, base_from_folder(folder, store.url), options.selection, options.take)


def _refuse(store: Store, plans: list[PullPlan]) -> None:
    for plan in plans:
        name = plan.model.name
        if plan.others:
            number = plan.others[0]
            raise StoreConflict(
                f"{name}: version {number} here is another one than version {number} in {store.url}. Nothing was "
                f"changed. Rename the folder {plan.model.version(number)} to a number above both repositories' latest, "
                "then pull again."
            )
        if plan.edited:
            texts = _contents(store, {path: plan.theirs.files.get(path) for path in plan.edited})
            raise StoreConflict(
                f"{name}: {', '.join(plan.edited)} changed both here and in the store. Nothing was changed. Say "
                f"--theirs to take the store's, or --ours to keep yours and push it then.\n"
                f"{text_diffs(plan.edited, plan.before, texts)}"
            )


def _contents(store: Store, files: Mapping[str, Blob | None]) -> dict[str, bytes]:
    """Content of files outside the versions, which are small."""
    return {path: store.read(blob_name(blob)) for path, blob in files.items() if blob is not None}


def _pull(store: Store, plan: PullPlan, head: Head, options: PullOptions, advance: Advance) -> None:
    """Fetch what one model needs, then let it arrive.

    Raises:
        RepositoryError: It cannot be written.
    """
    incoming = plan.model.path / INCOMING
    try:
        plan.model.path.mkdir(parents=True, exist_ok=True)
        with exclusive(plan.model.path / f"{INCOMING}.lock"):
            incoming.mkdir(exist_ok=True)
            blobs = list(plan.blobs().values())
            all_at_once(options.jobs, lambda blob: fetch(store, blob, incoming, advance), blobs)
            arrive(store.url, plan, head, incoming)
    except OSError as error:
        place = error.filename2 or error.filename or plan.model.path
        raise RepositoryError(
            f"{plan.model.name}: cannot write {place}: {error.strerror or error}. What was there "
            "still serves, and what was fetched is kept. Free space or mend the rights of the folder, then pull again."
        ) from error


def _difference(plan: PullPlan, texts: Mapping[str, bytes]) -> Difference:
    files = tuple(plan.files)
    return Difference(plan.model.name, files, (*plan.new,), (*plan.grown,), (), text_diffs(files, plan.before, texts))
