"""Is all there that a store's current head points to?"""

from dataclasses import dataclass

from engineroom.errors import StoreError
from engineroom.store.documents import Blob, Head
from engineroom.store.store import Store, blob_name
from engineroom.store.transfer import all_at_once, damage
from engineroom.store.watching import Watch, silent


@dataclass(frozen=True)
class Checked:
    """What was found.

    Attributes:
        url: The store.
        head: The head that was checked.
        blobs: How many contents it needs.
        size_bytes: Their size.
        problems: What is wrong, a sentence each; none where all is well.
    """

    url: str
    head: Head
    blobs: int
    size_bytes: int
    problems: tuple[str, ...]


def check(
    store: Store, number: int | None = None, *, quick: bool = False, jobs: int = 4, watch: Watch = silent
) -> Checked:
    """Check that a head, its snapshot and every blob are there and whole.

    Args:
        store: The store.
        number: The head; the current one by default.
        quick: Believe the sizes, and read no content.
        jobs: Transfers at a time.
        watch: Shows progress.

    Raises:
        StoreError: There is no store, or its head or snapshot cannot be read.
    """
    head = current(store, number)
    snapshot = store.snapshot(head)
    owners: dict[str, list[str]] = {}
    for name, model in snapshot.models.items():
        for digest in model.blobs():
            owners.setdefault(digest, []).append(name)
    blobs = list(snapshot.blobs().values())
    total_bytes = sum(blob.size_bytes for blob in blobs)
    with watch("check", total_bytes) as advance:

        def look(blob: Blob) -> str:
            wrong = damage(store, blob, quick=quick)
            advance(blob.size_bytes)
            return f"{blob_name(blob)} of {', '.join(owners[blob.sha256])} is {wrong}." if wrong else ""

        problems = tuple(filter(None, all_at_once(jobs, look, blobs)))
    return Checked(store.url, head, len(blobs), total_bytes, problems)


def log(store: Store, count: int) -> list[Head]:
    """The latest heads, newest first.

    Raises:
        StoreError: There is no store, or a head cannot be read.
    """
    current(store)
    heads = all_at_once(4, store.head, store.numbers()[::-1][:count])
    return [head for head in heads if head is not None]


def current(store: Store, number: int | None = None) -> Head:
    """A head of a store.

    Args:
        store: The store.
        number: Which; the current one by default.

    Raises:
        StoreError: Nothing was ever pushed to this address, or there is no such head.
    """
    head = store.head(number)
    if head is None:
        raise StoreError(
            f"{store.url}: nothing was ever pushed here, or there is no such place. Check the address, or run: "
            f"engineroom push --to {store.url}"
        )
    return head
