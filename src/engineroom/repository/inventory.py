"""The inventory: what stands in a model repository, version by version."""

from dataclasses import asdict, dataclass
from typing import Any

from engineroom.errors import RepositoryError
from engineroom.repository.layout import MANIFEST, ModelFolder, Repository
from engineroom.repository.passport import Passport, passport_from_file
from engineroom.repository.policy import served_by


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
        served: The versions that each configuration serves, by its path inside the model's folder; empty where one
            cannot be read.
    """

    model: str
    versions: tuple[Version, ...]
    served: dict[str, tuple[int, ...]]

    @property
    def current(self) -> tuple[int, ...]:
        """Every version that a configuration serves, ascending."""
        return tuple(sorted({version for versions in self.served.values() for version in versions}))

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
        return {"model": self.model, "advice": self.advice, "served": self.served, "versions": versions}


def inventory(repository: Repository) -> tuple[Entry, ...]:
    """Every model with a configuration, by name.

    Args:
        repository: The repository; it may be empty or missing.
    """
    return tuple(entry_of(model) for model in repository.models)


def entry_of(model: ModelFolder) -> Entry:
    """One model's entry."""
    try:
        served = served_by(model)
    except RepositoryError:
        # What is wrong with a configuration is the linter's to say.
        served = {}
    return Entry(model.name, tuple(_version(model, number) for number in model.versions), served)


def _version(model: ModelFolder, number: int) -> Version:
    manifest = model.version(number) / MANIFEST
    if not manifest.exists():
        return Version(number, None, "not built by engineroom: it has no manifest.json")
    try:
        return Version(number, passport_from_file(manifest))
    except RepositoryError as error:
        return Version(number, None, str(error))
