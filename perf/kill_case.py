"""What can be killed: a piece of work in a process of its own, and what may stand when it was killed."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from engineroom.errors import LoadError


@dataclass(frozen=True)
class Case(ABC):
    """Something that is killed.

    Attributes:
        folder: Where it works.
    """

    folder: Path

    @abstractmethod
    def prepare(self, number: int) -> None:
        """Make everything ready for one round, from 1: what is old is `number - 1`, what is new `number`."""

    @abstractmethod
    def work(self, number: int) -> None:
        """What is killed; run in a process of its own, and again to its end after every kill."""

    @abstractmethod
    def state(self, number: int) -> str:
        """What stands after a kill: `old` or `new`.

        Raises:
            LoadError: Neither, or something is half-done.
        """

    def end(self) -> None:
        """End what `prepare` has started."""
        return


def old_or_new(number: int, version: int) -> str:
    """Which state a version is: `old` for `number`, `new` for the one after.

    Raises:
        LoadError: Neither.
    """
    if version not in (number, number + 1):
        raise LoadError(f"round {number}: version {version} stands, neither {number} nor {number + 1}")
    return "new" if version == number + 1 else "old"
