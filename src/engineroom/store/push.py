"""Push: models go to a store; they count when the next head is made, which comes last."""

import contextlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from engineroom.errors import EngineRoomError, NotInStore, StoreConflict, StoreError
from engineroom.repository.history import HISTORY, now, operator
from engineroom.repository.layout import ModelFolder, Repository
from engineroom.store.base import Base, base_from_folder, keep_base
from engineroom.store.changes import NOTHING, Difference, difference, grows, outgoing, same, text_diffs
from engineroom.store.documents import Blob, Head, ModelState, Snapshot, blob_from_content
from engineroom.store.histories import merged
from engineroom.store.local import Local, Selection, local_model
from engineroom.store.store import MARKER, Store, blob_name
from engineroom.store.transfer import all_at_once, send
from engineroom.store.watching import Watch, silent

ALL = Selection()
"""Every version."""


@dataclass(frozen=True)
class PushOptions:
    """What to push, and how.

    Attributes:
        names: The models; all of the repository where empty.
        selection: Their versions.
        why: The reason, for the log.
        jobs: Transfers at a time.
        verify: Read back what the store tells no digest of.
        alone: Nobody else pushes now: a store that cannot keep two operators apart will do.
        dry_run: Say what would be done, and do nothing.
    """

    names: tuple[str, ...] = ()
    selection: Selection = ALL
    why: str = ""
    jobs: int = 4
    verify: bool = False
    alone: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Pushed:
    """What a push did.

    Attributes:
        url: The store.
        head: The head that it made; None where nothing was new, or nothing was to be done.
        models: What is new, by model.
        sent: Blobs that were sent.
        sent_bytes: Their size.
        there: Blobs that the store had already.
        after: The pushes of others that came first in the meantime, in words.
    """

    url: str
    head: Head | None
    models: tuple[Difference, ...]
    sent: int = 0
    sent_bytes: int = 0
    there: int = 0
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What a push means on top of one head.

    Attributes:
        head: The current head; None in an empty store.
        before: What it points to.
        after: What the next head will point to.
        models: What differs.
        texts: Contents that are in no file: merged histories, by digest.
    """

    head: Head | None
    before: Snapshot
    after: Snapshot
    models: tuple[Difference, ...]
    texts: Mapping[str, bytes] = field(default_factory=dict)


def push(repository: Repository, store: Store, options: PushOptions, watch: Watch = silent) -> Pushed:
    """Send models to a store.

    Args:
        repository: Where they are.
        store: Where to.
        options: Which, and how.
        watch: Shows progress.

    Raises:
        StoreConflict: Another operator has changed one of these models; nothing was recorded.
        StoreError: The store cannot be reached, read or written; its current head is as it was.
        RepositoryError: A model is unknown, or a version is not what its manifest says.
    """
    models = _models(repository, options.names)
    head = store.head()
    before = Snapshot() if head is None else store.snapshot(head)
    local = {one.name: local_model(one, options.selection, before.models.get(one.name)) for one in models}
    result, sent, after = Pushed(store.url, None, ()), set[str](), list[str]()
    guarded = options.dry_run
    while True:
        plan = _plan(store, head, before, local)
        result = replace(result, models=plan.models, after=tuple(after))
        if options.dry_run or not plan.models:
            break
        if not guarded:
            _guard(store, options.alone)
            guarded = True
        result = _send(store, plan, local, options, (result, sent, watch))
        made = _head(store, plan, options.why)
        if store.flip(made):
            result = replace(result, head=made)
            head, before = made, plan.after
            break
        head = store.head()
        before = Snapshot() if head is None else store.snapshot(head)
        after += [] if head is None else [head.told]
    if not options.dry_run and head is not None:
        _remember(store, head, before, local)
    return result


def _models(repository: Repository, names: tuple[str, ...]) -> tuple[ModelFolder, ...]:
    if not names and not repository.models:
        raise StoreError(f"there is no model in {repository.path} to push. Run: engineroom build NAME")
    known = {model.name: model for model in repository.models}
    if unknown := [name for name in names if name not in known]:
        raise StoreError(
            f"{unknown[0]}: no such model in {repository.path}. It holds: {', '.join(known) or 'nothing'}."
        )
    return tuple(known[name] for name in names) or tuple(known.values())


def _guard(store: Store, alone: bool) -> None:
    if not store.mark() and not alone:
        raise StoreError(
            f"{store.url}: this store makes an object twice without a word, so of two operators who push at once the "
            f"second would undo the first ({MARKER} was made again). Use a store with conditional writes "
            "(docs/stores.md), or say --alone where nobody else pushes now."
        )


def _plan(store: Store, head: Head | None, before: Snapshot, local: Mapping[str, Local]) -> Plan:
    after, models, texts = dict(before.models), [], {}
    for name, one in local.items():
        base, theirs = base_from_folder(one.model, store.url), before.models.get(name)
        state = outgoing(one, base, theirs)
        found = difference(name, theirs or NOTHING, state)
        if theirs is not None and found.empty:
            continue
        if head is not None and theirs is not None and (base is None or not same(theirs, base.state)):
            raise StoreConflict(_conflict(store, name, head, base))
        for number in found.changed:
            if theirs is not None and not grows(theirs.versions[number], state.versions[number]):
                raise StoreConflict(_other(store, name, number))
        state, history = _with_history(store, one, state, theirs)
        texts.update(history)
        diff = text_diffs(found.files, _texts(store, theirs, found.files), one.texts)
        after[name] = state
        models.append(replace(found, diff=diff))
    return Plan(head, before, Snapshot(after), tuple(models), texts)


def _conflict(store: Store, name: str, head: Head, base: Base | None) -> str:
    """Who changed the model: the latest head since the last common state that names it."""
    told = f"the store has it ({head.told}), and it was never pulled here"
    for number in range(head.number, 0 if base is None else base.head, -1):
        one = head if number == head.number else _head_or_none(store, number)
        if one is not None and name in one.models:
            told = f"{one.told} changed it, and you did, too" if base else f"the store has another ({one.told})"
            break
    return (
        f"{name}: {told}. Nothing of yours was recorded. Run: engineroom pull {name} --from {store.url}; look at what "
        "it says, then push again."
    )


def _other(store: Store, name: str, number: int) -> str:
    return (
        f"{name}: version {number} here is another one than version {number} in {store.url}. Nothing was recorded. "
        f"Give yours a number of its own: rename its folder to one above both repositories' latest, then push again."
    )


def _head_or_none(store: Store, number: int) -> Head | None:
    with contextlib.suppress(StoreError):
        return store.head(number)
    return None


def _with_history(
    store: Store, one: Local, state: ModelState, theirs: ModelState | None
) -> tuple[ModelState, dict[str, bytes]]:
    ours = one.texts.get(HISTORY)
    if ours is None:
        return state, {}
    there = (theirs or NOTHING).files.get(HISTORY)
    content = ours if there is None else merged(store.read(blob_name(there)), ours, one.model.name)
    blob = blob_from_content(content)
    return replace(state, files={**state.files, HISTORY: blob}), {blob.sha256: content}


def _texts(store: Store, theirs: ModelState | None, paths: tuple[str, ...]) -> dict[str, bytes]:
    """What the store has of files that change, for the diff; a blob that is gone is shown as nothing."""
    found = {}
    for path in paths:
        blob = (theirs or NOTHING).files.get(path)
        if blob is not None and path != HISTORY:
            with contextlib.suppress(NotInStore):
                found[path] = store.read(blob_name(blob))
    return found


def _send(
    store: Store, plan: Plan, local: Mapping[str, Local], options: PushOptions, so_far: tuple[Pushed, set[str], Watch]
) -> Pushed:
    """Send what the plan's models need and no earlier round has sent."""
    result, done, watch = so_far
    needed: dict[str, tuple[Blob, Local]] = {}
    for model in plan.models:
        one, old = local[model.model], plan.before.models.get(model.model, NOTHING).blobs()
        mine = {*one.state.blobs(), *plan.texts}
        for digest, blob in plan.after.models[model.model].blobs().items():
            # What only the store has, such as versions of others, is the store's to keep.
            if digest not in done and (digest in mine or digest not in old):
                needed[digest] = (blob, one)
    with watch("push", sum(blob.size_bytes for blob, _ in needed.values())) as advance:

        def put(item: tuple[Blob, Local]) -> int:
            blob, one = item
            source = plan.texts.get(blob.sha256) or one.source(blob)
            new = send(store, blob, source, verify=options.verify)
            advance(blob.size_bytes)
            return blob.size_bytes if new else -1

        sizes = all_at_once(options.jobs, put, needed.values())
    done.update(needed)
    new = [size for size in sizes if size >= 0]
    return replace(
        result,
        sent=result.sent + len(new),
        sent_bytes=result.sent_bytes + sum(new),
        there=result.there + len(sizes) - len(new),
    )


def _head(store: Store, plan: Plan, why: str) -> Head:
    number = 1 if plan.head is None else plan.head.number + 1
    return Head(
        number=number,
        snapshot=store.put_snapshot(plan.after),
        parent=number - 1,
        by=operator(),
        at=now(),
        why=why,
        models=tuple(model.model for model in plan.models),
        token=secrets.token_hex(8),
    )


def _remember(store: Store, head: Head, snapshot: Snapshot, local: Mapping[str, Local]) -> None:
    """Keep what is common now: models whose files stand here as they stand in the store."""
    for name, one in local.items():
        state = snapshot.models.get(name)
        with contextlib.suppress(EngineRoomError):
            # A base that is not kept costs a pull, no content.
            if state is not None and same(ModelState(state.files), ModelState(one.state.files)):
                here = one.versions & state.versions.keys()
                keep_base(one.model, store.url, Base(head.number, state, frozenset(here)))
