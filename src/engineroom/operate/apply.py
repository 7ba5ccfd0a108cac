"""Apply: a change of configuration goes live, or is taken back by itself.

It is checked, rehearsed beside the served model, written down, written into the files, loaded by every server, and
proven with golden inputs through the wire. Where a step fails, the texts before it stand again, and the servers load
them. Callers are answered throughout: Triton serves what it served until the new is ready.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from engineroom.errors import (
    CallError,
    ChangeTakenBack,
    EngineRoomError,
    GoldenMismatch,
    LoadRefused,
    RepositoryError,
    ServerError,
)
from engineroom.operate.control import Control, served_config
from engineroom.operate.effect import observe
from engineroom.operate.rehearsal import rehearse
from engineroom.operate.told import told
from engineroom.recipe import Recipe
from engineroom.repository.config import config_from_text, text_from_config
from engineroom.repository.golden import golden_from_file
from engineroom.repository.history import (
    Change,
    Effect,
    Outcome,
    Record,
    history,
    last_applied,
    operator,
    record,
    texts_of,
)
from engineroom.repository.journal import begin, finish, held, recover, restore, write_texts
from engineroom.repository.layout import GOLDEN, ModelFolder
from engineroom.repository.lint.lint import lint_model
from engineroom.repository.policy import served_versions

Show = Callable[[str], AbstractContextManager[None]]
"""Shows a step for as long as it runs: `with show("rehearse"): ...`."""

Texts = Callable[[Mapping[Path, str]], Mapping[Path, str]]
"""From a model's configurations, by path, to those to be applied; what it leaves out stays as it is."""


@dataclass(frozen=True)
class Request:
    """A change that somebody asks for.

    Attributes:
        action: Its name in the history: `apply`, `promote`, `rollback`.
        texts: Makes the new texts of the present ones, while the model is held.
        by: Who; whoever runs this by default.
        why: Their reason.
        undoes: Numbers of the changes that it takes back.
    """

    action: str
    texts: Texts = dict
    by: str = field(default_factory=operator)
    why: str = ""
    undoes: tuple[int, ...] = ()


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
    unproven = record(
        request.action, "taken back", request.by, request.why, changes=changes, versions=served(model, changes),
        servers=tuple(map(str, options.servers)), undoes=request.undoes,
    )  # fmt: skip
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
        for server in options.servers:
            with options.show(f"load and prove on {server}"):
                server.load(model.name)
                silent.update(server.prove(model))
    except (EngineRoomError, OSError) as error:
        raise _taken_back(model, unproven, options, error) from error
    return tuple(sorted(silent))


def check(model: ModelFolder, changes: Mapping[str, Change], recipe: Recipe | None) -> None:
    """Refuse new texts that have errors.

    Raises:
        RepositoryError: They have; each is named with its line.
    """
    texts = {model.path / name: one.after for name, one in changes.items() if one.after is not None}
    errors = [one for one in lint_model(model, recipe=recipe, texts=texts) if one.severity == "error"]
    if errors := [one for one in errors if one.file in texts]:
        raise RepositoryError(
            f"{model.name}: the new configuration has {len(errors)} error{'s' * (len(errors) > 1)}, nothing was "
            "changed:\n" + "\n".join(f"  {one.sentence}" for one in errors)
        )


def served(model: ModelFolder, changes: Mapping[str, Change]) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """The versions that each changed configuration serves, before and after.

    Raises:
        RepositoryError: A text cannot be parsed.
    """
    found = {}
    for name, change in changes.items():
        path = model.path / name
        before, after = (
            served_versions(config_from_text(text, path, unknown=True), model.versions) if text is not None else ()
            for text in (change.before, change.after)
        )
        found[name] = (before, after)
    return found


def planned(model: ModelFolder, request: Request, servers: tuple[Control, ...]) -> dict[str, Change]:
    """The files to be changed, by path inside the model's folder.

    One that was edited by hand since it was last applied is among them, with its text of then.

    Args:
        model: The model.
        request: The change.
        servers: Where to.

    Raises:
        RepositoryError: A configuration or the history cannot be read.
    """
    present, records = texts_of(model), history(model)
    wanted = {**present, **request.texts(present)}
    read = {served_config(model, server): server for server in servers}
    changes = {}
    for path, after in wanted.items():
        name, before = str(path.relative_to(model.path)), present.get(path)
        if before == after and path in read:
            before = last_applied(records, name) or _loaded(model, read[path])
        if before != after or path in read:
            changes[name] = Change(before, after)
    return changes


def _loaded(model: ModelFolder, server: Control) -> str | None:
    """A configuration as a server has loaded it: what there is to go back to where the history tells nothing."""
    if model.name in server.texts:
        return server.texts[model.name]
    with suppress(ServerError):
        return text_from_config(server.configuration(model.name), f"# As {server} had loaded it.\n")
    return None


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
