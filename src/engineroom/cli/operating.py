"""What the commands that change a running model share: their options, and how a change is shown."""

import json
from collections.abc import Callable
from dataclasses import asdict
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from engineroom.cli.progress import watch
from engineroom.errors import RecipeError
from engineroom.project import Project

if TYPE_CHECKING:
    from engineroom.operate.apply import Options
    from engineroom.operate.plan import Request
    from engineroom.recipe import Recipe
    from engineroom.repository.history import Change, Record
    from engineroom.repository.layout import ModelFolder

Command = TypeVar("Command", bound=Callable[..., Any])

REPOSITORY = click.option(
    "--repository", type=click.Path(path_type=Path), help="Model repository. [default: the project's]"
)
DRY_RUN = click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
WHO = (
    click.option("--by", default="", help="Who changes it. [default: USER@HOST]"),
    click.option("--why", default="", help="The reason, for the history."),
)
SERVERS = (
    click.option("--url", "urls", multiple=True, help="http://HOST:PORT of a Triton. [default: those that run here]"),
    click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="Sent along, such as an admin key."),
    click.option("--offline", is_flag=True, help="Change the files alone, whatever runs."),
)
HOW = (
    click.option(
        "--rehearsal/--no-rehearsal", default=True, help="Load it beside the served one first. [default: yes]"
    ),
    click.option(
        "--observe-s", default=1.0, show_default=True, type=click.FloatRange(0, 600), help="Watch before and after."
    ),
)


def with_options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator, in the order of the help."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


OPERATING = with_options(REPOSITORY, *SERVERS, *WHO, *HOW, DRY_RUN, JSON)
"""Options of every command that changes what is served; they arrive as `**given`."""


def model_of(name: str, repository: Path | None) -> "ModelFolder":
    """A model of the repository, with a configuration.

    Raises:
        RepositoryError: There is none of that name.
    """
    from engineroom.errors import RepositoryError
    from engineroom.repository.layout import Repository

    known = Repository(repository or Project.find().repository)
    if name not in {model.name for model in known.models}:
        held = ", ".join(model.name for model in known.models) or "nothing"
        raise RepositoryError(f"{name}: no such model in {known.path}. It holds: {held}.")
    return known.model(name)


def options_from(model: "ModelFolder", given: dict[str, Any], *, needed: bool = True) -> "Options":
    """How a change is applied, from the command line.

    Args:
        model: The model.
        given: The options of `OPERATING`.
        needed: Whether a server must be there.

    Raises:
        ServerError: None is.
        BadInput: A URL is none.
    """
    from engineroom.operate.apply import Options
    from engineroom.operate.control import controls, serving

    find = serving if needed else controls
    headers = headers_from(given["headers"])
    servers = () if given["offline"] else find(model.path.parent, given["urls"], headers)
    show = (lambda _: _Silent()) if given["as_json"] else watch(model.name)
    return Options(servers, recipe_of(model), given["rehearsal"], given["observe_s"], show)


def request_from(action: str, given: dict[str, Any], **rest: Any) -> "Request":
    """A change that somebody asks for, from the command line."""
    from engineroom.operate.plan import Request
    from engineroom.repository.history import operator

    return Request(action, by=given["by"] or operator(), why=given["why"], **rest)


def headers_from(words: tuple[str, ...]) -> dict[str, str]:
    """Headers given as `NAME=VALUE`.

    Raises:
        UsageError: A word is not of that form.
    """
    pairs = [word.partition("=") for word in words]
    for name, equals, _ in pairs:
        if not name or not equals:
            raise click.UsageError("--header: write NAME=VALUE, such as admin-key=SECRET.")
    return {name: value for name, _, value in pairs}


def recipe_of(model: "ModelFolder") -> "Recipe | None":
    """The model's recipe, where the project has the repository and a recipe; one that does not import is told."""
    from engineroom.compile.recipes import recipe_from_name

    project = Project.find()
    own = project.repository.resolve() == model.path.parent.resolve()
    if not own or not (project.recipes / f"{model.name}.py").is_file():
        return None
    try:
        return recipe_from_name(project, model.name)
    except RecipeError as error:
        click.echo(f"note: {model.name} is checked without its recipe: {error}", err=True)
        return None


def diff(changes: "dict[str, Change]") -> str:
    """Changes as a unified diff, with colours on a terminal."""
    lines: list[str] = []
    for name, change in changes.items():
        before, after = ((text or "").splitlines() for text in (change.before, change.after))
        lines += unified_diff(before, after, name, name, n=2, lineterm="")
    return "\n".join(click.style(line, fg=_COLOURS.get(line[:1])) for line in lines)


_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def told(record: "Record", model: str, as_json: bool, **more: Any) -> str:
    """A change that was made, for people, or as JSON with what else there is to say."""
    if as_json:
        return json.dumps({"model": model, **asdict(record), **more}, indent=2)
    lines = [f"{model}: change {record.number}: {record.action}, {record.outcome}"]
    if record.outcome == "written":
        lines[0] += "; a server serves it from its next start, or after: engineroom config apply " + model
    lines += [f"  version {one} has no golden answer: loaded, and compared with nothing" for one in record.unproven]
    return "\n".join((*lines, *effect_lines(record)))


def effect_lines(record: "Record") -> list[str]:
    """What a model did before and after a change, a line each figure; empty where it was not measured."""
    before, after = record.effect.get("before"), record.effect.get("after")
    if after is None:
        return []
    lines = [f"  {'':<22}{'before':>10}{'after':>10}"]
    for name, title in _FIGURES.items():
        was = "-" if before is None else f"{getattr(before, name):g}"
        lines.append(f"  {title:<22}{was:>10}{getattr(after, name):>10g}")
    return lines


_FIGURES = {
    "golden_p50_ms": "golden input p50, ms",
    "golden_p99_ms": "golden input p99, ms",
    "queue_us": "in the queue, us",
    "compute_us": "computing, us",
    "rows_per_batch": "rows a batch",
    "requests_per_s": "requests a second",
    "failed": "failed requests",
}


class _Silent:
    def __enter__(self) -> None:
        """Show nothing."""

    def __exit__(self, *_: object) -> None:
        """Show nothing."""
