"""The inventory: what stands in a model repository, version by version."""

from dataclasses import asdict, dataclass
from typing import Any

from engineroom.errors import RepositoryError
from engineroom.repository.layout import MANIFEST, ModelFolder, Repository
from engineroom.repository.passport import Passport, passport_from_file


@dataclass(frozen=True)
class Version:
    """One version of a model.

    Attributes:
        number: Its number.
        passport: Its manifest; None where it has none that can be read.
        problem: Why there is no passport; empty where there is one.
    """

    number: int
    passport: Passport | None
    problem: str = ""


@dataclass(frozen=True)
class Entry:
    """One model of the repository.

    Attributes:
        model: Its name.
        versions: Its versions, ascending; empty before the first build.
    """

    model: str
    versions: tuple[Version, ...]

    @property
    def advice(self) -> str:
        """What to do with a model that cannot be served yet; empty where it can."""
        return "" if self.versions else f"no version yet: engineroom build {self.model}"

    def to_dict(self) -> dict[str, Any]:
        """The entry as JSON's types."""
        versions = [
            {
                "version": version.number,
                "problem": version.problem,
                **({} if version.passport is None else asdict(version.passport)),
            }
            for version in self.versions
        ]
        return {"model": self.model, "advice": self.advice, "versions": versions}


def inventory(repository: Repository) -> tuple[Entry, ...]:
    """Every model with a configuration, by name.

    Args:
        repository: The repository; it may be empty or missing.
    """
    return tuple(
        Entry(model.name, tuple(_version(model, number) for number in model.versions)) for model in repository.models
    )


def _version(model: ModelFolder, number: int) -> Version:
    manifest = model.version(number) / MANIFEST
    if not manifest.exists():
        return Version(number, None, "not built by engineroom: it has no manifest.json")
    try:
        return Version(number, passport_from_file(manifest))
    except RepositoryError as error:
        return Version(number, None, str(error))
