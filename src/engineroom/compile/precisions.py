"""The same recipe in every precision, side by side: size, parity, task metric and speed on this CPU.

Nothing is published. Every variant goes through the steps and the gates of a build; one that is refused stays in the
table, with the reason.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engineroom.compile import verify
from engineroom.compile.graph.export import onnx_from_module
from engineroom.compile.graph.precision import graph_from_fp32
from engineroom.compile.report import Watch
from engineroom.compile.targets import Runner
from engineroom.compile.targets.openvino import OpenVINO
from engineroom.compile.truth.evidence import Evidence
from engineroom.compile.truth.pruning import check_pruning
from engineroom.compile.truth.reference import Reference, evidence_from_reference
from engineroom.errors import BuildError
from engineroom.hardware import has_amx
from engineroom.recipe import Precision, Recipe, Sparsity
from engineroom.repository.passport import Parity

KINDS = ("fp16", "bf16", "int8")
"""Element types whose rounding is measured on the module."""


@dataclass(frozen=True)
class Variant:
    """One way to compile a recipe.

    Attributes:
        name: What it is called in the table.
        precision: Of the graph.
        computes: What OpenVINO computes in where the graph does not say INT8: `f32` or `bf16`.
        sparsity: Of the weights.
    """

    name: str
    precision: Precision
    computes: str
    sparsity: Sparsity = ""


@dataclass(frozen=True)
class Row:
    """What was found of a variant.

    Attributes:
        name: The variant's name.
        computes: Its graph and what OpenVINO computed it in, such as `fp16 graph in bf16`.
        size_bytes: Size of OpenVINO's files.
        parity: How its answers compare with the module's: the pruned one's, where it is pruned.
        refused: Why a build would not publish it; empty where it would.
        rows_per_s: Median of the rounds, at the recipe's optimum batch.
        ratio: Its speed in units of the first variant's: median of the rounds, and its 95 % interval.
    """

    name: str
    computes: str
    size_bytes: int
    parity: Parity
    refused: str = ""
    rows_per_s: float = 0.0
    ratio: tuple[float, float, float] = (1.0, 1.0, 1.0)


def variants() -> tuple[Variant, ...]:
    """What is compared on this CPU: bf16 only where it has AMX."""
    fast = "bf16" if has_amx() else "f32"
    return (
        Variant("fp32", "fp32", "f32"),
        Variant("fp16", "fp16", "f32"),
        *([Variant("bf16", "fp16", "bf16")] if has_amx() else []),
        Variant("int8", "int8", fast),
        Variant("2:4", "fp16", fast, "2:4"),
        Variant("int8 2:4", "int8", fast, "2:4"),
    )


def rows_from_recipe(recipe: Recipe, folder: Path, seconds: float, watch: Watch) -> tuple[Row, ...]:
    """Compile a recipe in every variant, prove and time them.

    Args:
        recipe: The recipe; its own precision and sparsity do not count.
        folder: For intermediate files.
        seconds: Time that the speed of all variants together may take.
        watch: Shows progress.

    Raises:
        EngineRoomError: The module cannot be loaded or exported, or a variant cannot be compiled.
    """
    dense = Source(replace(recipe, sparsity=""), folder / "dense")
    sources = {"": dense, "2:4": Source(replace(recipe, sparsity="2:4"), folder / "sparse")}
    # A recipe may train its module.
    sources["2:4"].reference.dense = dense.reference.dense
    rows, runners = [], []
    for variant in variants():
        with watch(variant.name):
            row, runner = _built(variant, sources[variant.sparsity])
            rows.append(row)
            runners.append(runner)
    with watch("speed"):
        speeds = rows_per_s(runners, recipe.rows(dense.reference.groups[0], recipe.batch.opt), seconds)
    return tuple(
        replace(row, rows_per_s=float(np.median(mine)), ratio=median_and_interval(np.divide(mine, speeds[0])))
        for row, mine in zip(rows, speeds, strict=True)
    )


class Source:
    """A module, dense or sparse, its evidence and its FP32 graph: each made once.

    Args:
        recipe: The recipe.
        folder: For its files.
    """

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.recipe, self.folder = recipe, folder
        self.reference = Reference(recipe)

    @cached_property
    def evidence(self) -> Evidence:
        """What variants are judged by."""
        return evidence_from_reference(self.reference, KINDS)

    @cached_property
    def exported(self) -> Path:
        """`model.onnx`."""
        path = self.folder / "model.onnx"
        onnx_from_module(self.reference, path)
        return path

    @cached_property
    def refused(self) -> str:
        """Why pruning costs too much; empty where it does not."""
        return _reason(lambda: check_pruning(self.reference, self.evidence)) if self.recipe.sparsity else ""


def _built(variant: Variant, source: Source) -> tuple[Row, Runner]:
    recipe = replace(source.recipe, precision=variant.precision)
    folder = source.folder / variant.name.replace(":", "").replace(" ", "-")
    folder.mkdir()
    graph = folder / "model.graph.onnx"
    graph_from_fp32(recipe, source.exported, graph, source.evidence.requests(), recipe.islands)
    compiled = OpenVINO().compile(graph, recipe, folder)
    runner = dict(OpenVINO().runners(compiled, graph, recipe))[variant.computes]()
    found = verify.measured(recipe, source.evidence, runner)
    told = verify.summed_up(source.evidence, found)
    refused = source.refused or _reason(lambda: verify.judged(recipe, source.evidence, found))
    computes = f"{variant.precision} graph in {variant.computes}"
    return Row(variant.name, computes, compiled.size_bytes, told, refused), runner


def _reason(check: Callable[[], object]) -> str:
    try:
        check()
    except BuildError as error:
        return str(error)
    return ""


def median_and_interval(values: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    """A median and the two ends of its 95 % interval: bootstrap, percentile method, seeded.

    Args:
        values: Figures of the same thing.
    """
    draws = np.random.default_rng(0).choice(values, (2000, len(values)))
    low, high = np.percentile(np.median(draws, axis=1), (2.5, 97.5))
    return float(np.median(values)), float(low), float(high)


def rows_per_s(runners: list[Runner], request: Any, seconds: float) -> list[list[float]]:
    """How fast runners answer one request after the other, in rounds that take turns.

    Args:
        runners: What to time.
        request: Arrays by name, shape (batch, ...).
        seconds: Time for all of it, warm-up included; every runner gets five rounds at least.

    Returns:
        For each runner, rows per second of every round.
    """
    rows, turn = len(next(iter(request.values()))), seconds / (12 * len(runners))
    for runner in runners:
        _timed(runner, request, turn)
    rounds = list(_rounds(runners, request, turn, time.monotonic() + seconds - turn * len(runners)))
    return [[rows * one[index] for one in rounds] for index in range(len(runners))]


def _rounds(runners: list[Runner], request: Any, turn: float, until: float) -> Iterator[list[float]]:
    done = 0
    while done < 5 or time.monotonic() < until:
        yield [_timed(runner, request, turn) for runner in runners]
        done += 1


def _timed(runner: Runner, request: Any, turn: float) -> float:
    """Answers per second over about `turn` seconds."""
    began, answers = time.perf_counter(), 0
    while (spent := time.perf_counter() - began) < turn or not answers:
        runner.answer(request)
        answers += 1
    return answers / spent
