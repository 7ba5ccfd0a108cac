"""Apply: a change of configuration goes live, or is taken back by itself.

It is checked, rehearsed beside the served model, written down, written into the files, loaded by every server, and
proven with golden inputs through the wire. Where a step fails, the texts before it stand again, and the servers load
them. Callers are answered throughout: Triton serves what it served until the new is ready.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace

from engineroom.errors import (
    CallError,
    ChangeTakenBack,
    EngineRoomError,
    GoldenMismatch,
    LoadRefused,
    RepositoryError,
    ServerError,
)
from engineroom.operate.control import Control
from engineroom.operate.effect import observe
from engineroom.operate.plan import Request, check, planned, served
from engineroom.operate.rehearsal import rehearse
from engineroom.operate.told import told
from engineroom.recipe import Recipe
from engineroom.repository.config import backend_of, config_from_text
from engineroom.repository.golden import golden_from_file
from engineroom.repository.history import Change, Effect, Outcome, Record, record
from engineroom.repository.journal import begin, finish, held, recover, restore, write_texts
from engineroom.repository.layout import GOLDEN, ModelFolder
from engineroom.repository.policy import served_versions

Show = Callable[[str], AbstractContextManager[None]]
"""Shows a step for as long as it runs: `with show("rehearse"): ...`."""


@dataclass(frozen=True)
class Options:
    """How a change is applied.

    Attributes:
        servers: Where to; with none the files alone are changed.
        recipe: The model's recipe, for the check; None where there is none.
        rehearse: Load it beside the served model first.
        observe_s: How long the model is watched before and after, in seconds; 0 to leave that out.
        show: Shows the steps.
    """

    servers: tuple[Control, ...] = ()
    recipe: Recipe | None = None
    rehearse: bool = True
    observe_s: float = 1.0
    show: Show = lambda _: nullcontext()


def apply(model: ModelFolder, request: Request, options: Options) -> Record:
    """Apply a change to a model's configurations, on every server and in the files.

    Args:
        model: The model.
        request: The change.
        options: How.

    Returns:
        Its line in the history.

    Raises:
        ModelHeld: Somebody else is changing the model.
        RepositoryError: The new texts have errors, or nothing can be written; nothing has changed.
        ChangeTakenBack: A server does not load it, or answers wrongly; what was before is served again.
        ServerError: A server does not answer.
    """
    with told(model), held(model, request.action, request.by):
        put_in_order(model, options.servers)
        return _apply(model, request, options)


def put_in_order(model: ModelFolder, servers: tuple[Control, ...]) -> Record | None:
    """Take back, or enter, a change that ended in the middle, and have the servers load what stands.

    Args:
        model: The model; it must be held.
        servers: Servers of it.

    Returns:
        The change; None where there was none.
    """
    found = recover(model)
    if found is not None and found.outcome == "taken back":
        for server in servers:
            server.load(model.name)
    return found


def _apply(model: ModelFolder, request: Request, options: Options) -> Record:
    changes = planned(model, request, options.servers)
    check(model, changes, options.recipe)
    where = {"servers": tuple(map(str, options.servers)), "versions": served(model, changes, options.servers)}
    unproven = record(
        request.action, "taken back", request.by, request.why, changes=changes, undoes=request.undoes, **where
    )
    before = _effects(model, options)
    _rehearsed(model, unproven, options)
    begin(model, unproven)
    silent = _live(model, unproven, options)
    figures = (("before", before), ("after", _effects(model, options)))
    effect = {when: one for when, one in figures if one is not None}
    outcome: Outcome = "applied" if options.servers else "written"
    done = replace(unproven, outcome=outcome, effect=effect, unproven=silent)
    begin(model, done)
    return finish(model, done)


def _live(model: ModelFolder, unproven: Record, options: Options) -> tuple[int, ...]:
    """Write the texts and have every server load them and answer; the versions that have no golden answer.

    Raises:
        ChangeTakenBack: Something failed, and what was before stands again.
    """
    silent: set[int] = set()
    try:
        write_texts(model, unproven.changes)
        touch(model, unproven.changes)
        for server in options.servers:
            with options.show(f"load and prove on {server}"):
                server.load(model.name)
                silent.update(server.prove(model))
    except (EngineRoomError, OSError) as error:
        raise _taken_back(model, unproven, options, error) from error
    return tuple(sorted(silent))


def touch(model: ModelFolder, changes: Mapping[str, Change]) -> None:
    """Have the next load start every copy of a model anew, where its backend needs that.

    Where only the instances change, Triton adds or ends copies of the running model. Those of our OpenVINO backend
    share the cores out when they start, so the ones that stay would keep too few threads, or too many. A version whose
    files look changed is loaded as after a restart.

    Args:
        model: The model.
        changes: Its configurations, by path inside the model's folder.

    Raises:
        OSError: A version cannot be touched.
    """
    texts = [text for change in changes.values() for text in (change.before, change.after) if text is not None]
    configs = [config_from_text(text, model.path, unknown=True) for text in texts]
    if any(backend_of(config) == "openvino" for config in configs):
        for version in {version for config in configs for version in served_versions(config, model.versions)}:
            for path in sorted(model.version(version).iterdir())[:1]:
                os.utime(path)


def _rehearsed(model: ModelFolder, unproven: Record, options: Options) -> None:
    if not options.rehearse:
        return
    texts = {model.path / name: one.after for name, one in unproven.changes.items() if one.after is not None}
    for server in options.servers:
        with options.show(f"rehearse on {server}"):
            try:
                rehearse(model, texts, server)
            except (LoadRefused, GoldenMismatch, ServerError) as error:
                raise _refused(model, unproven, error) from error


def _refused(model: ModelFolder, unproven: Record, error: EngineRoomError) -> ChangeTakenBack:
    """A change that failed in rehearsal: what is served was never touched; texts edited by hand go back."""
    begin(model, unproven)
    restore(model, unproven.changes)
    done = finish(model, replace(unproven, reason=str(error)))
    return ChangeTakenBack(
        f"{model.name}: not applied, it failed in rehearsal; callers met nothing of it. {error}\n"
        f"What it was is kept in the history: engineroom config history {model.name} --show {done.number}"
    )


def _taken_back(model: ModelFolder, unproven: Record, options: Options, error: Exception) -> ChangeTakenBack:
    restore(model, unproven.changes)
    touch(model, unproven.changes)
    told = [str(error)]
    for server in options.servers:
        with options.show(f"take back on {server}"):
            try:
                server.load(model.name)
                server.prove(model)
            except EngineRoomError as again:
                told.append(f"Taking it back failed too: {again}")
    done = finish(model, replace(unproven, reason=" ".join(told)))
    return ChangeTakenBack(
        f"{model.name}: taken back, what was before stands again. {' '.join(told)}\n"
        f"What it was is kept in the history: engineroom config history {model.name} --show {done.number}"
    )


def _effects(model: ModelFolder, options: Options) -> Effect | None:
    """What the model does on the first server; None where that is not asked for, or cannot be measured."""
    if not options.observe_s or not options.servers:
        return None
    server = options.servers[0]
    with options.show(f"watch for {options.observe_s:g} s"), suppress(ServerError, CallError, RepositoryError):
        versions = server.versions(model.name)
        path = model.version(versions[-1]) / GOLDEN if versions else None
        if path is not None and path.exists():
            return observe(server, golden_from_file(path, model.name), versions[-1], options.observe_s)
    return None
