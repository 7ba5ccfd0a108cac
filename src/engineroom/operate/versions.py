"""Versions of a model: promote one, go back to the one before, retire old ones.

Which version is served stands in the configurations (`version_policy`), so that a restart serves the same one; a new
build waits until it is promoted. Triton serves the old version until the new one is ready, and finishes the old one's
requests, so nothing is dropped.
"""

import os
import shutil
from contextlib import suppress
from dataclasses import replace

from engineroom.errors import RepositoryError
from engineroom.operate.apply import Options, apply, put_in_order
from engineroom.operate.control import Control
from engineroom.operate.plan import Request, Texts
from engineroom.operate.told import told
from engineroom.repository.config import config_from_text
from engineroom.repository.files import sync_folder
from engineroom.repository.history import Record, add, history, record, undone
from engineroom.repository.journal import held
from engineroom.repository.layout import MANIFEST, ModelFolder, Repository
from engineroom.repository.passport import passport_from_file
from engineroom.repository.pbtxt.edit import edited
from engineroom.repository.policy import asked_versions, served_by
from engineroom.repository.verdict import changed, damage
from engineroom.repository.wiring import read

RETIRED = ".retired-"
"""Prefix of a version that is being removed. Triton and git look past it."""


def promote(model: ModelFolder, version: int, request: Request, options: Options) -> Record:
    """Serve one version, and no other.

    Args:
        model: The model.
        version: One of its versions.
        request: Who and why; the rest is filled in.
        options: How.

    Returns:
        Its line in the history.

    Raises:
        RepositoryError: There is no such version, it is damaged, or a configuration cannot be edited.
        ModelHeld, ChangeTakenBack, ServerError: As `apply`.
    """
    intact(model, version)
    return apply(model, replace(request, action=f"promote {version}", texts=serving_only((version,))), options)


def rollback(model: ModelFolder, request: Request, options: Options) -> Record:
    """Serve again what was served before the last promotion that stands; once more goes one further back.

    Args:
        model: The model.
        request: Who and why; the rest is filled in.
        options: How.

    Returns:
        Its line in the history.

    Raises:
        RepositoryError: Nothing was promoted, or the version before is gone.
        ModelHeld, ChangeTakenBack, ServerError: As `apply`.
    """
    last, versions = before_promotion(model)
    for version in versions:
        intact(model, version)
    said = f"rollback to {' and '.join(map(str, versions))}"
    again = replace(request, action=said, texts=serving_only(versions), undoes=(last.number,))
    return apply(model, again, options)


def before_promotion(model: ModelFolder) -> tuple[Record, tuple[int, ...]]:
    """The last change of the served versions that stands, and the versions before it.

    Raises:
        RepositoryError: There is none.
    """
    records = history(model)
    gone = undone(records)
    for one in reversed(records):
        moved = [before for before, after in one.versions.values() if before != after and before]
        if one.stands and not one.undoes and one.number not in gone and moved:
            return one, moved[0]
    raise RepositoryError(
        f"{model.name}: its history tells of no version that was served before. "
        f"Name one: engineroom models promote {model.name} VERSION"
    )


def serving_only(versions: tuple[int, ...]) -> Texts:
    """What makes every configuration of a model serve these versions and no other."""
    change = {"version_policy.specific.versions": f"[{', '.join(map(str, versions))}]"}
    return lambda texts: {path: edited(text, path, change) for path, text in texts.items()}


def intact(model: ModelFolder, version: int) -> None:
    """Refuse a version that is not there, or whose files are not those of its manifest.

    Raises:
        RepositoryError: It is so.
    """
    if version not in model.versions:
        held_here = ", ".join(map(str, model.versions)) or "none"
        raise RepositoryError(f"{model.name}: there is no version {version} in {model.path}. It holds: {held_here}.")
    folder = model.version(version)
    if not (folder / MANIFEST).exists():
        return
    passport = passport_from_file(folder / MANIFEST)
    found = {name: changed(passport, folder, name) for name in passport.files}
    found |= {one.file: damage(one, folder) for one in passport.artefacts}
    for name, damaged in found.items():
        if damaged:
            raise RepositoryError(
                f"{model.name}: version {version} cannot be served: {name} is {damaged}. Build it again, or pull it."
            )


def in_use(model: ModelFolder, servers: tuple[Control, ...]) -> dict[int, list[str]]:
    """Versions that must not be touched, each with the reasons.

    Args:
        model: The model.
        servers: Servers of it.

    Raises:
        RepositoryError: A configuration cannot be read.
        ServerError: A server does not answer.
    """
    found = [(f"{server} has loaded it", server.versions(model.name)) for server in servers]
    found += [(f"{config} serves it", versions) for config, versions in served_by(model).items()]
    for path in model.configs:
        asked = asked_versions(config_from_text(read(path), path, unknown=True))
        found.append((f"{path.relative_to(model.path)} names it", tuple(set(asked) - set(model.versions))))
    found += _in_ensembles(model)
    with suppress(RepositoryError):
        found.append(("a rollback would serve it", before_promotion(model)[1]))
    if model.latest is not None:
        found.append(("it is the newest: the next build would take its number", (model.latest,)))
    reasons: dict[int, list[str]] = {}
    for reason, versions in found:
        for version in versions:
            reasons.setdefault(version, []).append(reason)
    return reasons


def refuse_in_use(model: ModelFolder, versions: tuple[int, ...], servers: tuple[Control, ...]) -> None:
    """Refuse to remove versions, where one is in use or not there.

    Raises:
        RepositoryError: One is; the message says by what.
        ServerError: A server does not answer.
    """
    used = in_use(model, servers)
    for version in versions:
        if version not in model.versions:
            raise RepositoryError(f"{model.name}: there is no version {version}. Nothing was removed.")
        if version in used:
            raise RepositoryError(
                f"{model.name}: version {version} is in use: {'; '.join(used[version])}. Nothing was removed."
            )


def _in_ensembles(model: ModelFolder) -> list[tuple[str, tuple[int, ...]]]:
    return [
        (f"the ensemble {other.name} names it", (int(step.model_version),))
        for other in Repository(model.path.parent).models
        for path in other.configs
        for step in config_from_text(read(path), path, unknown=True).ensemble_scheduling.step
        if step.model_name == model.name and step.model_version > 0
    ]


def retire(
    model: ModelFolder, versions: tuple[int, ...], request: Request, servers: tuple[Control, ...] = ()
) -> tuple[int, ...]:
    """Remove versions that nobody uses.

    Args:
        model: The model.
        versions: The versions.
        request: Who and why.
        servers: Servers of the model: what they have loaded is in use.

    Returns:
        The versions removed.

    Raises:
        RepositoryError: One is not there, or in use; nothing is removed then.
        ModelHeld: Somebody else is changing the model.
        ServerError: A server does not answer.
    """
    with told(model), held(model, f"retire {', '.join(map(str, versions))}", request.by):
        put_in_order(model, servers)
        sweep(model)
        refuse_in_use(model, versions, servers)
        if versions:
            said = f"retire {', '.join(map(str, versions))}"
            add(model, record(said, "written", request.by, request.why))
        for version in versions:
            model.version(version).rename(model.path / f"{RETIRED}{version}-{os.getpid()}")
        sync_folder(model.path)
        sweep(model)
    return versions


def superfluous(model: ModelFolder, keep: int, servers: tuple[Control, ...]) -> tuple[int, ...]:
    """Versions beyond the newest so many, without those in use.

    Args:
        model: The model.
        keep: How many of the newest stay.
        servers: Servers of the model.

    Raises:
        ServerError: A server does not answer.
    """
    used = in_use(model, servers)
    return tuple(version for version in model.versions[: -keep or None] if version not in used)


def sweep(model: ModelFolder) -> None:
    """Remove what is left of versions that were being removed. The model must be held."""
    for path in model.path.glob(f"{RETIRED}*"):
        shutil.rmtree(path, ignore_errors=True)
