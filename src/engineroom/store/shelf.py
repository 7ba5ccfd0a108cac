"""What a store must be able to do, whatever it is made of; names are paths below its root, with slashes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Found:
    """What a store says of one object.

    Attributes:
        size_bytes: Its size.
        md5: Digest of its content, in hexadecimal, where the store tells one; else empty.
    """

    size_bytes: int
    md5: str = ""


class Shelf(Protocol):
    """A place that holds objects. Its methods raise what the libraries below them raise.

    Attributes:
        url: Its address.
    """

    @property
    def url(self) -> str:
        """Its address."""

    def names(self, folder: str) -> list[str]:
        """Last parts of the names right below a folder; none where there is no such folder."""

    def found(self, name: str) -> Found | None:
        """What there is under a name; None where there is nothing."""

    def read(self, name: str, start: int, end: int | None) -> bytes:
        """An object's bytes from `start` up to, not including, `end`."""

    def create(self, name: str, content: bytes) -> bool:
        """Make an object that nobody has made yet: whole or not at all; False where it is there already."""

    def put(self, name: str, content: bytes) -> None:
        """Make or replace an object: whole or not at all."""

    def remove(self, name: str) -> None:
        """Take away an object that arrived damaged."""

    def put_file(self, name: str, file: Path) -> None:
        """Make or replace an object from a file: whole or not at all."""
