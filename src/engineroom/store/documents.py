"""The documents of a store: heads and snapshots, and what is refused in those of strangers."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any

from engineroom.errors import StoreError
from engineroom.repository.documents import Form, document_from_bytes, known

SNAPSHOT = 1
"""Version of the form of all documents; raised when a reader of the old form would misread the new one."""

MARK: dict[str, Any] = {"schema": SNAPSHOT, "holds": "Triton model repositories, pushed by engineroom"}
"""The document that says: this is a store."""

DIGEST = re.compile(r"[0-9a-f]{64}")

NAME = re.compile(r"(?!\.)[^/\\\0]+")

NUMBER = re.compile(r"[1-9]\d*")


@dataclass(frozen=True)
class Blob:
    """A file's content.

    Attributes:
        sha256: Its digest, in hexadecimal.
        size_bytes: Its size.
    """

    sha256: str
    size_bytes: int


def blob_from_content(content: bytes) -> Blob:
    """The digest and size of a content."""
    return Blob(hashlib.sha256(content).hexdigest(), len(content))


Files = Mapping[str, Blob]
"""Path below a folder, with slashes, to what stands there."""


@dataclass(frozen=True)
class ModelState:
    """One model.

    Attributes:
        files: Configurations, labels and whatever else stands outside the versions.
        versions: Every version's files, by its number.
    """

    files: Files = field(default_factory=dict)
    versions: Mapping[int, Files] = field(default_factory=dict)

    def to_raw(self) -> dict[str, Any]:
        """The state as JSON's types."""
        return {
            "files": _raw_files(self.files),
            "versions": {str(number): _raw_files(files) for number, files in self.versions.items()},
        }

    def blobs(self) -> dict[str, Blob]:
        """Every content that it needs, by digest."""
        of_all = (self.files, *self.versions.values())
        return {blob.sha256: blob for files in of_all for blob in files.values()}


@dataclass(frozen=True)
class Snapshot:
    """Every model of a store at one moment.

    Attributes:
        models: The models, by name.
    """

    models: Mapping[str, ModelState] = field(default_factory=dict)

    def to_raw(self) -> dict[str, Any]:
        """The snapshot as JSON's types."""
        return {"models": {name: model.to_raw() for name, model in self.models.items()}}

    def blobs(self) -> dict[str, Blob]:
        """Every content that it needs, by digest."""
        return {digest: blob for model in self.models.values() for digest, blob in model.blobs().items()}


@dataclass(frozen=True)
class Head:
    """One push.

    Attributes:
        number: Its number, from 1.
        snapshot: Digest of what it points to.
        parent: The head that was current before; 0 for the first.
        by: Who, as `user@host`.
        at: UTC time, ISO 8601.
        why: Their reason; empty where they gave none.
        models: Names of the models that it changed.
        token: Tells it from another operator's of the same number.
        schema: Version of this form.
    """

    number: int
    snapshot: str
    parent: int
    by: str
    at: str
    why: str
    models: tuple[str, ...]
    token: str
    schema: int = SNAPSHOT

    def to_raw(self) -> dict[str, Any]:
        """The head as JSON's types."""
        return asdict(self)

    @property
    def told(self) -> str:
        """The head in a few words."""
        return f"head {self.number} by {self.by} at {self.at}{f' ({self.why})' if self.why else ''}"


def content_from_document(raw: dict[str, Any]) -> bytes:
    """A document's bytes; equal documents have equal ones."""
    return (json.dumps(raw, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def document_from_content(content: bytes, where: str) -> dict[str, Any]:
    """Read a document of a store.

    Raises:
        StoreError: It is none, or a newer engineroom wrote it.
    """
    mend = "Pull an older head, or push again."
    return document_from_bytes(
        content, Form(where, SNAPSHOT, StoreError, "is no document of a store", mend, StoreError)
    )


def head_from_raw(raw: dict[str, Any], where: str) -> Head:
    """Read a head.

    Raises:
        StoreError: A field is missing or is not what it must be.
    """
    try:
        head = Head(**{**known(Head, raw), "models": tuple(map(_checked_name, raw["models"]))})
        _digest(head.snapshot)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(f"{where}: lacks or misnames a field ({error}). Pull an older head, or push again.") from error
    return head


def snapshot_from_raw(raw: dict[str, Any], where: str) -> Snapshot:
    """Read a snapshot; a path that would leave the model's folder is refused.

    Raises:
        StoreError: A field is missing or is not what it must be.
    """
    try:
        return Snapshot({_checked_name(name): state_from_raw(model) for name, model in raw["models"].items()})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(f"{where}: is no snapshot ({error}). Pull an older head, or push again.") from error


def state_from_raw(raw: dict[str, Any]) -> ModelState:
    """Read one model of a snapshot.

    Raises:
        KeyError: A field is missing.
        ValueError: A path, a number or a digest is none.
    """
    versions = {}
    for number, files in raw["versions"].items():
        if not NUMBER.fullmatch(number):
            raise ValueError(f"'{number}' is no version")
        versions[int(number)] = _files(files)
    files = _files(raw["files"])
    if wrong := [path for path in files if NUMBER.fullmatch(path.partition("/")[0])]:
        raise ValueError(f"'{wrong[0]}' lies in a version's folder")
    return ModelState(files, versions)


def _raw_files(files: Files) -> dict[str, Any]:
    return {path: asdict(blob) for path, blob in files.items()}


def _files(raw: dict[str, Any]) -> Files:
    return {_path(path): Blob(_digest(blob["sha256"]), int(blob["size_bytes"])) for path, blob in raw.items()}


def _path(text: str) -> str:
    parts = text.split("/")
    if not all(map(NAME.fullmatch, parts)) or str(PurePosixPath(*parts)) != text:
        raise ValueError(f"'{text}' is no path below a model's folder")
    return text


def _checked_name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise ValueError(f"'{text}' is no name of a model")
    return text


def _digest(text: str) -> str:
    if not DIGEST.fullmatch(text):
        raise ValueError(f"'{text}' is no SHA-256 digest")
    return text
