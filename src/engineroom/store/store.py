"""One store: its layout, and patience with what fails for the moment."""

import hashlib
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from engineroom.errors import NotInStore, StoreError
from engineroom.store.documents import (
    MARK,
    SNAPSHOT,
    Blob,
    Head,
    Snapshot,
    content_from_document,
    document_from_content,
    head_from_raw,
    snapshot_from_raw,
)
from engineroom.store.failures import explained, failure
from engineroom.store.shelf import Found, Shelf

MARKER = "store.json"
"""Says that this is a store."""

HEAD = re.compile(r"(\d{8})\.json")

CHUNK_BYTES = 8 << 20
"""What is read at once: a cut connection costs no more than this."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Retry:
    """How patient to be with a store that is busy or cannot be reached.

    Attributes:
        attempts: Tries of each request, at least 1.
        first_wait_s: Pause before the second try, in seconds; each further one is twice as long, up to 10 s.
    """

    attempts: int = 5
    first_wait_s: float = 0.5


@dataclass(frozen=True)
class Store:
    """A store.

    Attributes:
        shelf: What holds its objects.
        retry: How often to try what fails for the moment.
    """

    shelf: Shelf
    retry: Retry = Retry()

    @property
    def url(self) -> str:
        """Its address."""
        return self.shelf.url

    def numbers(self) -> list[int]:
        """Numbers of its heads, ascending; none where nothing was ever pushed.

        Raises:
            StoreError: It cannot be read.
        """
        names = self._patiently("list its heads", lambda: self.shelf.names("heads"))
        return sorted(int(match[1]) for match in map(HEAD.fullmatch, names) if match)

    def head(self, number: int | None = None) -> Head | None:
        """One head; None where nothing was pushed yet.

        Args:
            number: Which; by default the highest, which is current.

        Raises:
            NotInStore: There is none of that number.
            StoreError: It cannot be read.
        """
        if number is None:
            numbers = self.numbers()
            if not numbers:
                return None
            number = numbers[-1]
        name = head_name(number)
        content = self.read(name)
        return head_from_raw(document_from_content(content, f"{self.url}/{name}"), f"{self.url}/{name}")

    def snapshot(self, head: Head) -> Snapshot:
        """What a head points to, its digest checked.

        Raises:
            StoreError: It is missing, damaged, or cannot be read.
        """
        name = snapshot_name(head.snapshot)
        where = f"{self.url}/{name}"
        older = f"Pull an older one (engineroom store log {self.url}), or push again from a repository that has it all."
        try:
            content = self.read(name)
        except NotInStore as error:
            raise StoreError(f"{where}: head {head.number} points to it, and it is not there. {older}") from error
        if hashlib.sha256(content).hexdigest() != head.snapshot:
            raise StoreError(f"{where}: is damaged, its content has another digest. {older}")
        return snapshot_from_raw(document_from_content(content, where), where)

    def is_one(self) -> bool:
        """Whether a store is here at all.

        Raises:
            StoreError: It cannot be asked.
        """
        return self.found(MARKER) is not None

    def mark(self) -> bool:
        """Say that this is a store, and find out whether it refuses to make an object twice.

        Returns:
            Whether it does: only then can of two operators one lose.

        Raises:
            StoreError: It cannot be written.
        """
        content = content_from_document(MARK)
        doing = f"write {MARKER}"
        self._patiently(doing, lambda: self.shelf.create(MARKER, content), missing=self._unmade(doing))
        return not self._patiently(doing, lambda: self.shelf.create(MARKER, content))

    def put_snapshot(self, snapshot: Snapshot) -> str:
        """Keep a snapshot.

        Returns:
            Its digest.

        Raises:
            StoreError: It cannot be written.
        """
        content = content_from_document({"schema": SNAPSHOT, **snapshot.to_raw()})
        digest = hashlib.sha256(content).hexdigest()
        self._patiently("write the snapshot", lambda: self.shelf.put(snapshot_name(digest), content))
        return digest

    def flip(self, head: Head) -> bool:
        """Make a head the current one.

        Returns:
            False where somebody else has made one of this number.

        Raises:
            StoreError: It cannot be written.
        """
        name, content = head_name(head.number), content_from_document(head.to_raw())
        if self._patiently("make the new head", lambda: self.shelf.create(name, content)):
            return True
        # A request can be carried out and its answer lost: then the head that is in the way is our own.
        return self.read(name) == content

    def found(self, name: str) -> Found | None:
        """What there is under a name; None where there is nothing.

        Raises:
            StoreError: It cannot be asked.
        """
        return self._patiently(f"look for {name}", lambda: self.shelf.found(name))

    def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """An object's bytes, or a part of them.

        Raises:
            NotInStore: There is none.
            StoreError: It cannot be read.
        """
        return self._patiently(f"read {name}", lambda: self.shelf.read(name, start, end))

    def put(self, name: str, content: bytes | Path) -> None:
        """Make or replace an object from bytes or a file.

        Raises:
            StoreError: It cannot be written.
        """
        if isinstance(content, Path):
            self._patiently(f"write {name}", lambda: self.shelf.put_file(name, content))
        else:
            self._patiently(f"write {name}", lambda: self.shelf.put(name, content))

    def remove(self, name: str) -> None:
        """Take away an object that arrived damaged.

        Raises:
            StoreError: It cannot be taken away.
        """
        self._patiently(f"remove {name}", lambda: self.shelf.remove(name))

    def _unmade(self, doing: str) -> str:
        return f"{self.url}: cannot {doing}: there is no such bucket. Make it, or mend the address."

    def _patiently(self, doing: str, work: Callable[[], Result], missing: str = "") -> Result:
        wait_s = self.retry.first_wait_s
        for left in range(self.retry.attempts - 1, -1, -1):
            try:
                return work()
            except Exception as error:
                kind = failure(error).kind
                if kind == "missing" and missing:
                    raise StoreError(missing) from error
                if kind != "passing" or not left:
                    raise explained(error, self.url, doing) from error
            # Not all at once: the store may be busy because everybody waited equally long.
            time.sleep(wait_s * random.uniform(0.75, 1.25))  # noqa: S311 - nothing secret
            wait_s = min(2 * wait_s, 10.0)
        raise StoreError(f"{self.url}: no attempt was allowed. Allow at least one.")


def blob_name(blob: Blob) -> str:
    """Where a blob lies."""
    return f"blobs/sha256/{blob.sha256[:2]}/{blob.sha256}"


def snapshot_name(digest: str) -> str:
    """Where a snapshot lies."""
    return f"snapshots/{digest}.json"


def head_name(number: int) -> str:
    """Where a head lies."""
    return f"heads/{number:08}.json"
