"""`engineroom config explain` and `diff`: what settings do in a model's case, and what changes of them need."""

import json
import os
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engineroom.cli.operating import JSON, REPOSITORY, model_of, recipe_of

if TYPE_CHECKING:
    from engineroom.repository.explain.comparison import Comparison
    from engineroom.repository.explain.explanation import Explanation
    from engineroom.repository.explain.outlook import Change
    from engineroom.repository.explain.settings import Setting
    from engineroom.repository.layout import ModelFolder

WIDTH = 110
"""Columns that lines are broken at."""


@click.command()
@click.argument("name")
@click.option("--variant", metavar="NAME", help="cpu, gpu, or a file. [default: the one served here]")
@REPOSITORY
@JSON
def explain(name: str, variant: str | None, repository: Path | None, as_json: bool) -> None:
    """Say what each setting of NAME's configuration does, what it takes, and what changes would do.

    Figures are this model's own: from its newest version's passport and graph, its recipe's promise, and the cores of
    this machine.
    """
    from engineroom.repository.explain.explanation import explain as explained

    model = model_of(name, repository)
    found = explained(model, _path(model, variant), _promise(model))
    click.echo(json.dumps(found.to_dict(), indent=2) if as_json else _page(found))


@click.command("diff")
@click.argument("before", metavar="A")
@click.argument("after", metavar="[B]", required=False)
@REPOSITORY
@JSON
def compare(before: str, after: str | None, repository: Path | None, as_json: bool) -> None:
    """Compare two configurations: the lines that differ, and for each setting what going from A to B means.

    A and B are files, or NAME, NAME:gpu, NAME:cpu, or NAME@NUMBER: NAME after that change of its history. Without B,
    NAME@NUMBER is compared with NAME as it is now, and NAME's variant for the GPU with the one for the CPU. The exit
    status is 0 whether or not they differ.
    """
    found = _compared(before, after, repository)
    click.echo(json.dumps(found.to_dict(), indent=2) if as_json else _compared_page(found))


def _compared(before: str, after: str | None, repository: Path | None) -> "Comparison":
    from engineroom.hardware import has_gpu
    from engineroom.project import Project
    from engineroom.repository.explain.comparison import comparison
    from engineroom.repository.explain.explanation import facts_of
    from engineroom.repository.explain.sides import other_word, side_from_word
    from engineroom.repository.layout import Repository

    known = Repository(repository or Project.find().repository)
    default = "gpu" if has_gpu() else "cpu"
    words = (before, after) if after else other_word(before, default)
    (one, its), (other, others) = (side_from_word(word, known, default) for word in words)
    model = others or its
    facts = None if model is None else facts_of(model, other.config, _promise(model))
    return comparison(one, other, facts)


def _path(model: "ModelFolder", variant: str | None) -> Path:
    from engineroom.operate.variant import variant_path

    if variant is not None and Path(variant).is_file():
        return Path(variant)
    return variant_path(model, variant)


def _promise(model: "ModelFolder") -> float | None:
    """The latency that the model's recipe promises; None where the project has no recipe of it."""
    recipe = recipe_of(model)
    return None if recipe is None else recipe.slo.p99_ms


def _page(found: "Explanation") -> str:
    changes = [line for change in found.changes for line in ("", *_change(change))]
    return "\n".join(
        (
            f"{found.model}: {os.path.relpath(found.path)}\n",
            *map(_set, found.set),
            "\nNot set:",
            *map(_set, found.unset),
            "\nMemory, once it is loaded:",
            _wrapped(f"{found.memory.said}. While it is loaded anew, the old and the new are there at once.", 6),
            "\nWhat a change would do:",
            *changes[1:],
        )
    )


def _set(setting: "Setting") -> str:
    line = f"{setting.line:>4}" if setting.line else "    "
    value = f": {setting.value}" if setting.value else ""
    return f"{line}  {setting.path}{value}\n{_wrapped(setting.does, 6)}"


def _change(change: "Change") -> list[str]:
    lines = [f"      {change.headline}", _wrapped(f"{change.figures}.", 8), _wrapped(change.does, 8)]
    if change.callers:
        lines.append(_wrapped(f"Callers: {change.callers}", 8))
    if change.refusal:
        lines.append(_wrapped(f"Triton refuses it: {change.refusal}.", 8))
    return lines


def _amount(change: "Change") -> list[str]:
    return [_wrapped(f"Memory then: {change.memory.how}.", 8)] if change.memory_bytes else []


def _compared_page(found: "Comparison") -> str:
    paragraphs = ["\n".join((*_change(change), *_amount(change))) for change in found.changes]
    return "\n\n".join([*filter(None, [found.diff]), *paragraphs, found.summary])


def _wrapped(text: str, indent: int) -> str:
    space = " " * indent
    return textwrap.fill(text, WIDTH, initial_indent=space, subsequent_indent=space, break_on_hyphens=False)
