"""Converters from FP32 to FP16, side by side: on the three recipes and on small cases that are hard in FP16.

python perf/converters.py                                              everything, a quarter of an hour
python perf/converters.py --recipe minilm --converter engineroom       one of them by one of them

A converter that is not installed is named, with what installs it: best beside a copy of this project's environment,
they ask for other versions of its libraries. The graphs stay in the output folder.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import click
from converter_candidates import CANDIDATES, Candidate, Job, hushed
from converter_cases import HARD
from converter_judge import judged, rounded_error
from converter_tables import Finding, hard_table, problems, real_table

from engineroom.cli import run as run_command
from engineroom.compile.graph.export import onnx_from_module
from engineroom.compile.recipes import recipe_from_name
from engineroom.compile.truth.evidence import Evidence, Sample, evidence_from_file, evidence_to_file
from engineroom.compile.truth.reference import Reference, evidence_from_reference
from engineroom.compile.truth.samples import stretched
from engineroom.project import Project
from engineroom.recipe import Recipe

HERE = Path(__file__).parent
REAL = ("digits", "efficientnet_lite0", "minilm")
HARD_NAMES = tuple(recipe.name for recipe in HARD)
LIMIT_S = 600.0


@click.command()
@click.option("--recipe", "names", multiple=True, type=click.Choice(REAL + HARD_NAMES), help="Only these.")
@click.option("--converter", multiple=True, type=click.Choice([one.name for one in CANDIDATES]), help="Only these.")
@click.option("--output", default="out/converters", show_default=True, type=click.Path(path_type=Path))
@click.option("--worker", type=int, hidden=True, help="Convert with the converter of this number, and end.")
@click.option("--seed", default=0, hidden=True, help="Of the worker's hashes.")
def main(names: tuple[str, ...], converter: tuple[str, ...], output: Path, worker: int | None, seed: int) -> None:
    """Compare the converters and print Markdown tables."""
    recipes = [_recipe(name) for name in names or REAL + HARD_NAMES]
    if worker is not None:
        convert(CANDIDATES[worker], recipes, output, seed)
        return
    for recipe in recipes:
        prepare(recipe, output / recipe.name)
    asked = [one for one in CANDIDATES if not converter or one.name in converter]
    candidates = [one for one in asked if one.version]
    found = {one.name: findings(one, recipes, output) for one in candidates}
    for name in (recipe.name for recipe in recipes if recipe.name in REAL):
        own = rounded_error(evidence_from_file(output / name / "evidence.npz"))
        click.echo(f"\n{name}\n\n{real_table({one: of[name] for one, of in found.items()}, own)}")
    hard = [recipe.name for recipe in recipes if recipe.name in HARD_NAMES]
    if hard:
        click.echo(f"\n{hard_table(hard, found)}")
    click.echo(f"\n{problems(found)}\n")
    for one in candidates:
        click.echo(f"{one.name}: {one.package} {one.version}")
    for one in asked:
        if not one.version:
            click.echo(f"{one.name} is not installed, and not compared. Run: {one.install}")


def _recipe(name: str) -> Recipe:
    hard = {recipe.name: recipe for recipe in HARD}
    return hard[name] if name in hard else recipe_from_name(Project.find(HERE), name)


def prepare(recipe: Recipe, folder: Path) -> None:
    """Export the FP32 graph and let the module answer."""
    folder.mkdir(parents=True, exist_ok=True)
    reference = Reference(recipe)
    onnx_from_module(reference, folder / "model.onnx")
    # The module's own rounding is the measure for the real models.
    real = recipe.name in REAL
    evidence = evidence_from_reference(reference, ("fp16",)) if real else answers_from_reference(reference)
    evidence_to_file(evidence, folder / "evidence.npz")


def answers_from_reference(reference: Reference) -> Evidence:
    """The module's answers alone: PyTorch cannot round inside branches and loops, which the proof's evidence needs."""
    recipe = reference.recipe
    own = [("", group) for group in reference.groups]
    samples = tuple(
        Sample(recipe.name, what, inputs, reference.answer(inputs), {})
        for what, inputs in (*own, *stretched(recipe, reference.groups))
    )
    return Evidence(recipe.name, samples, batches=(1, 3, recipe.batch.max))


def convert(candidate: Candidate, recipes: Sequence[Recipe], output: Path, seed: int) -> None:
    """Convert every model, and note for each how long it took, or why not."""
    warnings.simplefilter("ignore")
    notes = {}
    for recipe in recipes:
        folder = output / recipe.name
        requests = list(evidence_from_file(folder / "evidence.npz").requests())
        path, began, failure = _graph(folder, candidate, seed), time.perf_counter(), ""
        path.unlink(missing_ok=True)
        try:
            with hushed():
                candidate.convert(Job(recipe, folder / "model.onnx", requests, path))
        except Exception as error:  # noqa: BLE001
            failure = f"{type(error).__name__}: {error}"
        notes[recipe.name] = {"failure": failure, "seconds": time.perf_counter() - began}
    _notes(output, candidate, seed).write_text(json.dumps(notes))


def findings(candidate: Candidate, recipes: Sequence[Recipe], output: Path) -> dict[str, Finding]:
    """Convert twice, each time in a process of its own, and judge what came out."""
    for seed in (0, 1):
        asked = [word for recipe in recipes for word in ("--recipe", recipe.name)]
        number = str(CANDIDATES.index(candidate))
        command = [sys.executable, __file__, *asked, "--output", str(output), "--worker", number, "--seed", str(seed)]
        # Converters keep names in sets; their order differs with the seed of the hashes.
        environment = {**os.environ, "PYTHONHASHSEED": str(seed + 1)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        if done.returncode:
            raise click.ClickException(f"{candidate.name} ended: {done.stderr.strip()[-500:]}")
    notes = json.loads(_notes(output, candidate, 0).read_text())
    return {recipe.name: _finding(candidate, recipe, output / recipe.name, notes[recipe.name]) for recipe in recipes}


def _finding(candidate: Candidate, recipe: Recipe, folder: Path, note: dict[str, object]) -> Finding:
    failure, seconds = str(note["failure"]), float(str(note["seconds"]))
    if failure:
        return Finding(failure, seconds)
    graph, again = (_graph(folder, candidate, seed) for seed in (0, 1))
    same = hashlib.sha256(graph.read_bytes()).digest() == hashlib.sha256(again.read_bytes()).digest()
    evidence = evidence_from_file(folder / "evidence.npz")
    return Finding("", seconds, same, judged(recipe, evidence, folder / "model.onnx", graph))


def _graph(folder: Path, candidate: Candidate, seed: int) -> Path:
    return folder / f"{CANDIDATES.index(candidate)}.{seed}.onnx"


def _notes(output: Path, candidate: Candidate, seed: int) -> Path:
    return output / f"{CANDIDATES.index(candidate)}.{seed}.json"


if __name__ == "__main__":
    run_command(main)
