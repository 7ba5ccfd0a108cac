"""A store in a bucket: S3, Google Cloud Storage or Azure Blob, through fsspec."""

import base64
import contextlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engineroom.store.shelf import Found

PLAIN_ETAG = re.compile(r'"?([0-9a-f]{32})"?')
"""S3's tag of an object that was sent in one part; it is the MD5, except under some kinds of encryption."""


@dataclass(frozen=True)
class Bucket:
    """A path in a bucket as a store. These stores show an object when it is whole, or not at all.

    Attributes:
        url: Its address.
        files: The file system, one of fsspec's.
        root: The bucket and the path in it.
    """

    url: str
    files: Any
    root: str

    def names(self, folder: str) -> list[str]:
        """Last parts of the names right below a folder; none where there is none."""
        try:
            listed = self.files.ls(f"{self.root}/{folder}", detail=False)
        except FileNotFoundError:
            return []
        return [path.rstrip("/").rpartition("/")[2] for path in listed]

    def found(self, name: str) -> Found | None:
        """What the store says of an object; None where there is none."""
        try:
            info = self.files.info(f"{self.root}/{name}")
        except FileNotFoundError:
            return None
        return Found(int(info["size"]), _md5(info))

    def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """A part of an object."""
        content: bytes = self.files.cat_file(f"{self.root}/{name}", start=start or None, end=end)
        return content

    def create(self, name: str, content: bytes) -> bool:
        """Make an object where there is none: `If-None-Match` on S3 and Azure, `ifGenerationMatch` on Google's."""
        try:
            self.files.pipe_file(f"{self.root}/{name}", content, mode="create")
        except FileExistsError:
            return False
        except Exception as error:
            if _status(error) in (409, 412):
                return False
            raise
        return True

    def put(self, name: str, content: bytes) -> None:
        """Make or replace an object."""
        self.files.pipe_file(f"{self.root}/{name}", content)

    def remove(self, name: str) -> None:
        """Take away an object that arrived damaged."""
        self.files.rm_file(f"{self.root}/{name}")

    def put_file(self, name: str, file: Path) -> None:
        """Make or replace an object from a file."""
        self.files.put_file(str(file), f"{self.root}/{name}")


def _status(error: BaseException) -> int:
    with contextlib.suppress(TypeError, ValueError):
        return int(getattr(error, "status_code", None) or getattr(error, "code", None) or 0)
    return 0


def _md5(info: dict[str, Any]) -> str:
    """The digest that a store knows of an object: Google's `md5Hash`, Azure's `content_md5`, S3's plain tag."""
    if info.get("md5Hash"):
        return base64.b64decode(info["md5Hash"]).hex()
    settings = info.get("content_settings") or {}
    if settings.get("content_md5"):
        return bytes(settings["content_md5"]).hex()
    plain = PLAIN_ETAG.fullmatch(info.get("ETag") or "")
    return plain[1] if plain else ""
