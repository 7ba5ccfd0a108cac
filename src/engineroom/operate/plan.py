"""What a change will do to the files, before anything is done: the texts, the versions, the check."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from engineroom.errors import RepositoryError, ServerError
from engineroom.operate.control import Control, served_config
from engineroom.recipe import Recipe
from engineroom.repository.config import config_from_text, text_from_config
from engineroom.repository.history import Change, history, last_applied, operator, texts_of
from engineroom.repository.layout import ModelFolder
from engineroom.repository.lint.lint import lint_model
from engineroom.repository.policy import served_versions

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


def served(
    model: ModelFolder, changes: Mapping[str, Change], servers: tuple[Control, ...]
) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """The versions that each changed configuration serves, before and after.

    Before is what the first server has loaded: where a configuration names no version, one that was published since is
    the newest in the folder, and served by nobody.

    Args:
        model: The model.
        changes: Its configurations, by path inside the model's folder.
        servers: Servers of it.

    Raises:
        RepositoryError: A text cannot be parsed.
        ServerError: A server does not answer.
    """
    loaded = servers[0].versions(model.name) if servers else ()
    return {
        name: (loaded or _by_policy(model, name, change.before), _by_policy(model, name, change.after))
        for name, change in changes.items()
    }


def _by_policy(model: ModelFolder, name: str, text: str | None) -> tuple[int, ...]:
    if text is None:
        return ()
    return served_versions(config_from_text(text, model.path / name, unknown=True), model.versions)
