"""The registry beside the repository: which version has which alias, which is served, which is missing on a side."""

from dataclasses import dataclass

from engineroom.errors import RegistryError, RepositoryError
from engineroom.registry.record import record_from_version
from engineroom.registry.server import Server
from engineroom.registry.versions import CHAMPION, Registered, pointed_at, registered_versions
from engineroom.repository.layout import ModelFolder
from engineroom.repository.policy import served_by


@dataclass(frozen=True)
class Standing:
    """One version of a model, on both sides.

    Attributes:
        version: Its number in the repository.
        here: Whether the repository holds it.
        served: The configurations that serve it here.
        registered: MLflow's number; empty where it is not there.
        aliases: Its aliases there.
        problem: What does not fit; empty where all does.
    """

    version: int
    here: bool
    served: tuple[str, ...]
    registered: str
    aliases: tuple[str, ...]
    problem: str = ""


@dataclass(frozen=True)
class Champion:
    """What the registry wants served, beside what is.

    Attributes:
        model: The model's name.
        version: The champion's number in the repository.
        served: The version that is served here; None where none is, or two configurations serve two.
    """

    model: str
    version: int
    served: int | None

    @property
    def follows(self) -> bool:
        """Whether the repository serves the champion."""
        return self.version == self.served


def standings(model: ModelFolder, server: Server) -> tuple[Standing, ...]:
    """Every version that the repository or the registry knows, oldest first.

    Args:
        model: The model's folder; it may be missing, where only the registry knows the model.
        server: The registry.

    Raises:
        RegistryError: The server cannot be reached, or refuses.
        RepositoryError: A configuration cannot be read.
    """
    with server.asked() as client:
        known = registered_versions(client, model.name)
    served = _newest_served(model)
    found = []
    for number in sorted({*model.versions, *(one.version for one in known)}):
        there = [one for one in known if one.version == number]
        by = tuple(config for config, newest in served.items() if newest == number)
        problem, at = _compared(model, number, there)
        aliases = at.aliases if at else ()
        found.append(Standing(number, number in model.versions, by, at.number if at else "", aliases, problem))
    return tuple(found)


def champion(model: ModelFolder, server: Server) -> Champion:
    """The version that the registry wants served.

    Args:
        model: The model's folder.
        server: The registry.

    Raises:
        RegistryError: The server cannot be reached, knows no champion, or its champion is no version of here.
        RepositoryError: A configuration cannot be read.
    """
    with server.asked() as client:
        found = pointed_at(registered_versions(client, model.name), CHAMPION)
    if found is None:
        raise RegistryError(
            f"{model.name}: MLflow knows no {CHAMPION}. Run: engineroom registry log {model.name} --alias {CHAMPION}"
        )
    if not found.version:
        raise RegistryError(
            f"{model.name}: the {CHAMPION}, MLflow's version {found.number}, was not logged by engineroom, so which "
            f"version of {model.path} it is cannot be known. Point the alias at another."
        )
    problem, _ = _compared(model, found.version, [found])
    if problem:
        raise RegistryError(f"{model.name}: the {CHAMPION} is version {found.version}: {problem}.")
    served = set(_newest_served(model).values())
    return Champion(model.name, found.version, served.pop() if len(served) == 1 else None)


def _newest_served(model: ModelFolder) -> dict[str, int | None]:
    """By configuration, the version that answers a request that names none: the newest of those served."""
    return {config: versions[-1] if versions else None for config, versions in served_by(model).items()}


def _compared(model: ModelFolder, number: int, there: list[Registered]) -> tuple[str, Registered | None]:
    """What is wrong between the two sides, and the registered version that is this one, or else the newest."""
    if number not in model.versions:
        return "not in this repository; pull it, or build it again", there[-1]
    try:
        record = record_from_version(model, number)
    except RepositoryError as error:
        return str(error), there[-1] if there else None
    same = [one for one in there if one.same(record)]
    if same:
        return "", same[-1]
    if there:
        return "MLflow's is another build with the same number", there[-1]
    return f"not in MLflow: engineroom registry log {model.name} {number}", None
