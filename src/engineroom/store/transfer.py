"""Blobs on their way: several at once, each checked."""

import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TypeVar

from engineroom.errors import NotInStore, StoreError
from engineroom.repository.files import sha256, sync_folder
from engineroom.store.documents import Blob, blob_from_content
from engineroom.store.store import CHUNK_BYTES, Store, blob_name

Item = TypeVar("Item")
Result = TypeVar("Result")

Advance = Callable[[int], None]
"""Told of bytes that are done."""


def all_at_once(jobs: int, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Do the same with every item, some at a time; the first failure ends it, and what has not begun is left.

    Args:
        jobs: How many at a time.
        work: What to do.
        items: With what.
    """
    pool = ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="store")
    try:
        futures = [pool.submit(work, item) for item in items]
        for future in as_completed(futures):
            future.result()
        return [future.result() for future in futures]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def send(store: Store, blob: Blob, source: Path | bytes, *, verify: bool = False) -> bool:
    """Make sure that a blob is in the store.

    Args:
        store: The store.
        blob: The blob.
        source: Its content, or the file that holds it.
        verify: Read it back, where the store tells no digest.

    Returns:
        Whether it had to be sent.

    Raises:
        StoreError: It cannot be written, changed meanwhile, or arrived otherwise than it was sent.
    """
    name = blob_name(blob)
    there = store.found(name)
    if there is not None and there.size_bytes == blob.size_bytes:
        return False
    content = _steady(blob, source)
    store.put(name, content)
    if wrong := _wrong(store, blob, content, verify):
        # The next push would take an object of the right size for the right one.
        store.remove(name)
        raise StoreError(f"{store.url}/{name}: {wrong}. Nothing points to it. Push again.")
    return True


def _wrong(store: Store, blob: Blob, content: Path | bytes, verify: bool) -> str:
    """What is wrong with a blob that has just arrived; empty where nothing is."""
    arrived = store.found(blob_name(blob))
    if arrived is None or arrived.size_bytes != blob.size_bytes:
        return f"arrived with {0 if arrived is None else arrived.size_bytes} of {blob.size_bytes} bytes"
    if isinstance(content, Path) and sha256(content) != blob.sha256:
        return f"{content} changed while it was being sent"
    if arrived.md5 and arrived.md5 == _md5(content):
        return ""
    # Under some kinds of encryption S3's tag is no MD5: then the content itself decides.
    return "arrived with another digest" if (verify or arrived.md5) and damage(store, blob) else ""


def _steady(blob: Blob, source: Path | bytes) -> Path | bytes:
    """A content that cannot change on its way, where it fits into memory."""
    if isinstance(source, bytes) or blob.size_bytes > CHUNK_BYTES:
        return source
    try:
        content = source.read_bytes()
    except OSError as error:
        raise StoreError(f"{source}: cannot be read any more ({error.strerror}). Push again.") from error
    if blob_from_content(content) != blob:
        raise StoreError(f"{source}: changed while it was being sent. Push again.")
    return content


def _md5(content: Path | bytes) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    if isinstance(content, bytes):
        digest.update(content)
        return digest.hexdigest()
    with content.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def damage(store: Store, blob: Blob, *, quick: bool = False) -> str:
    """How a blob in the store differs from what it should be, to follow "is"; empty where it does not.

    Args:
        store: The store.
        blob: The blob.
        quick: Look at the size alone.

    Raises:
        StoreError: The store cannot be read.
    """
    name = blob_name(blob)
    found = store.found(name)
    if found is None:
        return "missing"
    if found.size_bytes != blob.size_bytes:
        return f"{found.size_bytes} bytes long, not {blob.size_bytes}"
    if quick:
        return ""
    digest = hashlib.sha256()
    for start in range(0, blob.size_bytes, CHUNK_BYTES):
        digest.update(store.read(name, start, min(start + CHUNK_BYTES, blob.size_bytes)))
    return "" if digest.hexdigest() == blob.sha256 else "damaged: its content has another digest"


def fetch(store: Store, blob: Blob, folder: Path, advance: Advance = lambda _: None) -> Path:
    """Bring a blob here; one that was half brought is continued.

    Args:
        store: The store.
        blob: The blob.
        folder: Where to; the file is called by its digest as soon as it is whole.
        advance: Told of bytes that are here.

    Returns:
        The file.

    Raises:
        StoreError: It is missing or damaged in the store, or cannot be read.
        OSError: It cannot be written here.
    """
    whole, part = folder / blob.sha256, folder / f"{blob.sha256}.part"
    if whole.exists():
        advance(blob.size_bytes)
        return whole
    resumed = part.exists() and part.stat().st_size > 0
    good = _continue(store, blob, part, advance)
    if not good and resumed:
        # What an earlier pull left may be what is wrong.
        part.unlink()
        good = _continue(store, blob, part, advance)
    if not good:
        part.unlink(missing_ok=True)
        raise StoreError(
            f"{store.url}/{blob_name(blob)}: is damaged, its content has another digest. Nothing was changed here. "
            "Delete it and push again from a repository that has it."
        )
    part.replace(whole)
    sync_folder(folder)
    return whole


def _continue(store: Store, blob: Blob, part: Path, advance: Advance) -> bool:
    digest, have = hashlib.sha256(), 0
    with part.open("a+b") as file:
        file.seek(0)
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
            have += len(block)
        advance(have)
        while have < blob.size_bytes:
            try:
                block = store.read(blob_name(blob), have, min(have + CHUNK_BYTES, blob.size_bytes))
            except NotInStore as error:
                raise StoreError(
                    f"{store.url}/{blob_name(blob)}: is missing, and a head points to it. Pull an older one "
                    f"(engineroom store log {store.url}), or push again from a repository that has it."
                ) from error
            if not block:
                return False
            file.write(block)
            digest.update(block)
            have += len(block)
            advance(len(block))
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest() == blob.sha256
