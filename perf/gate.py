"""How the parity gate does: honest builds that it refuses, and faults that it lets through.

python perf/gate.py                              twenty seeds of every recipe, minutes each
python perf/gate.py --recipe digits --seeds 5

Honest builds differ by seed: digits is trained anew, the photographs are cropped, mirrored and darkened otherwise, the
sentences are drawn from the recipe's words. Each is judged as a build judges it. Some are spoiled afterwards: one
fault in one random weight of the FP16 graph. Figures are in units of what is allowed: above 1 is refused.
"""

import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from engineroom.cli import run as run_command
from engineroom.compile.cache.inputs import libraries
from engineroom.compile.graph.export import onnx_from_module
from engineroom.compile.graph.precision import graph_from_fp32
from engineroom.compile.recipes import recipe_from_name
from engineroom.compile.targets import Runner
from engineroom.compile.targets.openvino import OpenVINO
from engineroom.compile.targets.rounding import rounding_runner
from engineroom.compile.truth.evidence import Evidence
from engineroom.compile.truth.limits import limits
from engineroom.compile.truth.reference import Reference, evidence_from_reference
from engineroom.compile.verify import Measured, judged, measured
from engineroom.errors import ParityError
from engineroom.load.conditions import conditions_of_now
from engineroom.project import Project
from engineroom.recipe import Arrays, Recipe

Seeded = Callable[[Recipe, np.random.Generator], Recipe]


def other_training(recipe: Recipe, rng: np.random.Generator) -> Recipe:
    """digits, trained from another seed on another order of the data."""
    names = recipe.module.__globals__
    names["SEED"] = int(rng.integers(1_000_000))
    names["digits"].cache_clear()
    return recipe


def other_photos(recipe: Recipe, rng: np.random.Generator) -> Recipe:
    """The photographs moved, mirrored and darkened at random."""
    (group,) = recipe.samples()

    def samples() -> list[Arrays]:
        made = [darkened(mirrored(moved(photo, rng), rng), rng) for photo in group["image"]]
        return [{"image": np.stack(made)}]

    made = samples()
    return replace(recipe, samples=lambda: made)


def moved(photo: Any, rng: np.random.Generator) -> Any:
    """The photograph shifted by up to a fifth of its side, round the edge."""
    return np.roll(photo, rng.integers(-44, 45, size=2), axis=(0, 1))


def mirrored(photo: Any, rng: np.random.Generator) -> Any:
    """The photograph, or its mirror image."""
    return photo[:, ::-1] if rng.random() < 0.5 else photo


def darkened(photo: Any, rng: np.random.Generator) -> Any:
    """The photograph at half to full brightness."""
    return (photo * rng.uniform(0.5, 1.0)).astype(np.uint8)


def other_sentences(recipe: Recipe, rng: np.random.Generator) -> Recipe:
    """Eight sentences, and eight paragraphs, of words drawn from the recipe's own."""
    names = recipe.samples.__globals__
    words = " ".join([*names["QUESTIONS"], names["PARAGRAPH"]]).split()

    def drawn(least: int, most: int) -> Arrays:
        found: Arrays = names["tokens"]([" ".join(rng.choice(words, rng.integers(least, most))) for _ in range(8)])
        return found

    made = [drawn(3, 12), drawn(15, 50)]
    return replace(recipe, samples=lambda: made)


SEEDED: dict[str, Seeded] = {
    "digits": other_training,
    "efficientnet_lite0": other_photos,
    "minilm": other_sentences,
}


@dataclass(frozen=True)
class Verdict:
    """One artefact judged.

    Attributes:
        what: What was judged, such as `openvino bf16`.
        share: The largest figure in units of what is allowed.
        criterion: The criterion that it belongs to.
        refused: Why it was refused; empty where it was not.
    """

    what: str
    share: float
    criterion: str
    refused: str


def verdict(recipe: Recipe, evidence: Evidence, what: str, runner: Runner) -> Verdict:
    """Judge a runner, and find the criterion that it came nearest to."""
    found = measured(recipe, evidence, runner)
    share, criterion = max(shares(recipe, evidence, found))
    try:
        judged(recipe, evidence, found)
    except ParityError as error:
        return Verdict(what, share, criterion, str(error))
    return Verdict(what, share, criterion, "")


def shares(recipe: Recipe, evidence: Evidence, found: Measured) -> Iterator[tuple[float, str]]:
    """Every criterion of every comparison, in units of what is allowed."""
    for one in found.findings:
        allowed, have = limits(evidence, one.output, found.kind, recipe.tolerance), one.agreement
        if have.not_finite:
            yield float("inf"), "not finite"
        for name in ("max_abs", "p99_abs", "rms"):
            yield getattr(have, name) / getattr(allowed, name), name
        yield (1 - have.cosine) / (1 - (allowed.cosine or 0)), "cosine"
        yield (2.0 if have.top1 < (allowed.top1 or 0) else 0.0), "top1"


def faults(graph: Path, rng: np.random.Generator, folder: Path) -> Iterator[tuple[str, Path]]:
    """Copies of a graph with one fault each, in one random weight."""
    import onnx

    for name, spoil in FAULTS.items():
        model = onnx.load(str(graph))
        weights = [item for item in model.graph.initializer if len(item.dims) > 1 and min(item.dims) > 1]
        item = weights[rng.integers(len(weights))]
        array = onnx.numpy_helper.to_array(item)
        item.CopyFrom(onnx.numpy_helper.from_array(spoil(array.copy(), rng).astype(array.dtype), item.name))
        path = folder / f"{name.replace(' ', '-')}.onnx"
        onnx.save(model, str(path))
        yield name, path


def neighbours_swapped(array: Any, rng: np.random.Generator) -> Any:
    """Two neighbours along the first axis change places."""
    at = int(rng.integers(len(array) - 1))
    array[[at, at + 1]] = array[[at + 1, at]]
    return array


def channel_lost(array: Any, rng: np.random.Generator) -> Any:
    """One slice along the first axis is zero."""
    array[rng.integers(len(array))] = 0
    return array


FAULTS: dict[str, Callable[[Any, np.random.Generator], Any]] = {
    "all swapped": lambda array, _: array[::-1],
    "sign": lambda array, _: -array,
    "5 % too large": lambda array, _: array * 1.05,
    "one channel lost": channel_lost,
    "two neighbours swapped": neighbours_swapped,
}


def one_seed(recipe: Recipe, seed: int, folder: Path, *, spoil: bool) -> list[Verdict]:
    """Build honestly, and with every fault where that is asked for.

    Args:
        recipe: The recipe.
        seed: What makes it another one.
        folder: Where files go. An export that is there is of the same module, unless the module is trained.
        spoil: Whether to plant faults.
    """
    rng = np.random.default_rng(seed)
    recipe = SEEDED[recipe.name](recipe, rng)
    reference = Reference(recipe)
    exported, graph = folder / "model.onnx", folder / "model.graph.onnx"
    evidence = evidence_from_reference(reference)
    if not exported.exists() or recipe.name == "digits":
        onnx_from_module(reference, exported)
    graph_from_fp32(recipe, exported, graph, evidence.requests())
    target = OpenVINO()
    runners = target.runners(target.compile(graph, recipe, folder), graph, recipe)
    found = [verdict(recipe, evidence, "honest: fp16 rounding", rounding_runner(graph))]
    found += [verdict(recipe, evidence, f"honest: openvino {kind}", start()) for kind, start in runners]
    for fault, path in faults(graph, rng, folder) if spoil else ():
        found.append(verdict(recipe, evidence, fault, rounding_runner(path)))
    return found


@click.command()
@click.option("--recipe", "names", multiple=True, help="Which recipes; all of them without it.")
@click.option("--seeds", default=20, show_default=True, help="Honest builds of each.")
@click.option("--spoiled", default=5, show_default=True, help="How many of them are also spoiled, with every fault.")
def gate(names: tuple[str, ...], seeds: int, spoiled: int) -> None:
    """Judge seeded honest builds and planted faults."""
    project = Project.find()
    for name in names or tuple(SEEDED):
        verdicts: list[Verdict] = []
        with tempfile.TemporaryDirectory() as folder:
            for seed in range(seeds):
                recipe = recipe_from_name(project, name)
                verdicts += one_seed(recipe, seed, Path(folder), spoil=seed < spoiled)
                click.echo(f"{name}: seed {seed + 1} of {seeds}", err=True)
        click.echo(f"\n{name}, {seeds} seeds: figures in units of what is allowed")
        for what in dict.fromkeys(one.what for one in verdicts):
            click.echo(line(what, [one for one in verdicts if one.what == what]))
        for one in verdicts:
            if one.refused and one.what.startswith("honest"):
                click.echo(f"  refused: {one.refused}")
    versions = libraries(recipe_from_name(project, "minilm"))
    conditions = conditions_of_now(f"python perf/gate.py --seeds {seeds} --spoiled {spoiled}", versions)
    click.echo(f"\n{conditions.machine}, {conditions.cores} cores, {conditions.time}, {versions}")


def line(what: str, found: list[Verdict]) -> str:
    """One line of the table: smallest, median, largest; what was refused; the criteria that decided."""
    values = sorted(one.share for one in found)
    nearest = statistics.mode(one.criterion for one in found)
    return (
        f"  {what:<24} {values[0]:>9.3g} {statistics.median(values):>9.3g} {values[-1]:>9.3g}   "
        f"{sum(bool(one.refused) for one in found)} of {len(found)} refused, mostly nearest to {nearest}"
    )


if __name__ == "__main__":
    run_command(gate)
