"""Log a version: a run with its record, and a registered version that points at it."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from engineroom.errors import RegistryError
from engineroom.registry.pictures import NO_MATPLOTLIB, draw_pictures
from engineroom.registry.record import PASSPORT, Record
from engineroom.registry.server import SENDING, Server
from engineroom.registry.versions import CHALLENGER, CHAMPION, Registered, pointed_at, registered_versions

if TYPE_CHECKING:
    from mlflow import MlflowClient

FOLDER = "model"
"""Where a run keeps the graph, the golden answers and the passport: what the registered version points at."""


@dataclass(frozen=True)
class Logged:
    """What became of logging a version.

    Attributes:
        model: The model's name.
        version: Its number in the repository.
        number: Its number in MLflow.
        run: The run with its record.
        aliases: Names that point at it now.
        already: Whether it had been logged before, so that nothing was sent.
        note: What is missing, and why; empty where everything was sent.
    """

    model: str
    version: int
    number: str
    run: str
    aliases: tuple[str, ...]
    already: bool = False
    note: str = ""

    def __str__(self) -> str:
        """One line for people."""
        named = "".join(f", {alias}" for alias in self.aliases)
        said = "is in MLflow already" if self.already else "recorded in MLflow"
        note = f" ({self.note})" if self.note else ""
        return f"{self.model}: version {self.version} {said}, as version {self.number}{named}{note}"


@dataclass(frozen=True)
class Patience:
    """How long logging may take as a whole; a file that is on its way is waited for.

    Attributes:
        end_s: Monotonic time of its end; infinite for somebody who waits.
    """

    end_s: float = float("inf")

    @classmethod
    def of(cls, seconds: float) -> "Patience":
        """Patience that ends in some seconds."""
        return cls(time.monotonic() + seconds)

    def check(self, server: Server) -> None:
        """Pass while there is patience left.

        Raises:
            RegistryError: There is none.
        """
        if time.monotonic() > self.end_s:
            raise RegistryError(f"{server.address}: answers too slowly. What has not been sent yet can be sent later.")


def log_version(record: Record, server: Server, alias: str = "", patience: Patience | None = None) -> Logged:
    """Make sure that a registry has a version: twice logged is once there, and what was cut short is finished.

    Args:
        record: What to tell of it.
        server: The registry.
        alias: An alias to point at it. By default a version newer than all others becomes the challenger.
        patience: How long it may take; by default as long as it takes.

    Raises:
        RegistryError: The server cannot be reached, is too slow, or refuses.
    """
    patience = patience or Patience()
    with server.asked() as client:
        before = registered_versions(client, record.model)
        known = next((one for one in before if one.same(record)), None)
        already = known is not None and known.passport == record.digest
        note = ""
        if known is None or not already:
            run = known.run if known else _run(client, record)
            note = _tell(client, record, run, server, patience)
            known = _registered(client, record, run, known)
            newest = all(one.version < record.version for one in before)
            alias = alias or (CHALLENGER if newest else "")
        if alias and alias not in known.aliases:
            known = point(client, record.model, alias, known, before)
    return Logged(record.model, record.version, known.number, known.run, known.aliases, already, note)


def point(
    client: "MlflowClient", model: str, alias: str, at: Registered, versions: tuple[Registered, ...]
) -> Registered:
    """Let an alias point at a version; who becomes champion is challenger no longer.

    Args:
        client: From `Server.asked`.
        model: The model's name.
        alias: The alias.
        at: The version.
        versions: All of them, as they were.

    Returns:
        The version with its aliases.
    """
    client.set_registered_model_alias(model, alias, at.number)
    aliases = {*at.aliases, alias}
    challenger = pointed_at(versions, CHALLENGER)
    if alias == CHAMPION and challenger is not None and challenger.number == at.number:
        client.delete_registered_model_alias(model, CHALLENGER)
        aliases.discard(CHALLENGER)
    return replace(at, aliases=tuple(sorted(aliases)))


def _run(client: "MlflowClient", record: Record) -> str:
    """The run of a version: one that was cut short, or a new one."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or record.model
    experiment = client.get_experiment_by_name(name)
    number = experiment.experiment_id if experiment else client.create_experiment(name)
    tags = {name: value for name, value in record.tags.items() if name != PASSPORT}
    wanted = [f"tags.`{name}` = '{value}'" for name, value in {**tags, "engineroom.model": record.model}.items()]
    found = client.search_runs([number], " and ".join(wanted), max_results=1)
    if found:
        return str(found[0].info.run_id)
    told = {**record.tags, "engineroom.model": record.model, "mlflow.source.name": record.passport.command}
    return str(client.create_run(number, tags=told, run_name=f"{record.model} {record.version}").info.run_id)


def _tell(client: "MlflowClient", record: Record, run: str, server: Server, patience: Patience) -> str:
    """Send parameters, figures, files and pictures; says what could not be drawn."""
    from mlflow.entities import Metric, Param

    told = client.get_run(run).data.params
    now_ms = int(time.time() * 1000)
    client.log_batch(
        run,
        metrics=[Metric(name, value, now_ms, 0) for name, value in record.figures.items()],
        params=[Param(name, value) for name, value in record.parameters.items() if name not in told],
    )
    with _pictures(record) as pictures:
        files = [*((path, FOLDER) for path in record.files), *((path, "plots") for path in pictures)]
        for path, folder in files:
            patience.check(server)
            with server.asked(SENDING) as sending:
                sending.log_artifact(run, str(path), folder)
    client.set_tag(run, PASSPORT, record.digest)
    client.set_terminated(run)
    return "" if pictures else NO_MATPLOTLIB


@contextlib.contextmanager
def _pictures(record: Record) -> Iterator[tuple[Path, ...]]:
    with tempfile.TemporaryDirectory() as folder:
        yield draw_pictures(record, Path(folder))


def _registered(client: "MlflowClient", record: Record, run: str, known: Registered | None) -> Registered:
    if known is not None:
        client.set_model_version_tag(record.model, known.number, PASSPORT, record.digest)
        return replace(known, passport=record.digest)
    if not client.search_registered_models(f"name='{record.model}'"):
        client.create_registered_model(record.model, description="Built and proven by engineroom.")
    made = client.create_model_version(
        record.model, f"runs:/{run}/{FOLDER}", run, tags=record.tags, await_creation_for=0
    )
    return Registered(str(made.version), record.version, record.passport.fingerprint, record.digest, run)
