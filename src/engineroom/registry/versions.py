"""The versions that a registry knows of a model, and which of the repository's they are."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engineroom.registry.record import FINGERPRINT, PASSPORT, VERSION, Record

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION, CHALLENGER = "champion", "challenger"
"""Aliases: what is served, and what is next."""


@dataclass(frozen=True)
class Registered:
    """One version of a registered model.

    Attributes:
        number: MLflow's number, which counts what was registered and not what was built.
        version: Its number in the repository; 0 where engineroom did not log it.
        fingerprint: What it was made from.
        passport: Digest of its passport when it was logged.
        run: The run that holds its record.
        aliases: Names that point at it.
    """

    number: str
    version: int
    fingerprint: str
    passport: str
    run: str
    aliases: tuple[str, ...] = field(default=())

    def same(self, record: Record) -> bool:
        """Whether it is this version of the repository; an engine added later does not make it another."""
        return (self.version, self.fingerprint) == (record.version, record.passport.fingerprint)


def registered_versions(client: "MlflowClient", model: str) -> tuple[Registered, ...]:
    """What the registry knows of a model, oldest first; empty where it does not know it.

    Args:
        client: From `Server.asked`.
        model: The model's name.
    """
    found = client.search_model_versions(f"name='{model}'")
    if not found:
        return ()
    # A search leaves the aliases out.
    aliases = client.get_registered_model(model).aliases
    return tuple(sorted((_registered(one, aliases) for one in found), key=lambda one: int(one.number)))


def pointed_at(versions: tuple[Registered, ...], alias: str) -> Registered | None:
    """The version that an alias points at."""
    return next((one for one in versions if alias in one.aliases), None)


def _registered(found: "ModelVersion", aliases: dict[str, str]) -> Registered:
    number, version = str(found.version), found.tags.get(VERSION, "0")
    return Registered(
        number=number,
        version=int(version) if version.isdecimal() else 0,
        fingerprint=found.tags.get(FINGERPRINT, ""),
        passport=found.tags.get(PASSPORT, ""),
        run=found.run_id or "",
        aliases=tuple(sorted(alias for alias, at in aliases.items() if str(at) == number)),
    )
