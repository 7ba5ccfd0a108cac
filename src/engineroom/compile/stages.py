"""The stages of a build: each reads files of those before it, writes its own, and says what it found out.

What a stage gives depends on its arguments alone, so that it can be kept; judging by the recipe's limits comes after.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engineroom.compile.cache.opened import opened, overlooked, unnamed
from engineroom.compile.cache.store import Entry, Made
from engineroom.compile.fallback import OnnxRuntime, compile_or_fall_back, lost
from engineroom.compile.graph.export import onnx_from_module
from engineroom.compile.graph.precision import graph_from_fp32
from engineroom.compile.islands import check_islands, islands_for
from engineroom.compile.plan import SAMPLES
from engineroom.compile.targets import Compiled, Runners, Target
from engineroom.compile.truth.evidence import Evidence, evidence_to_file
from engineroom.compile.truth.pruning import check_pruning
from engineroom.compile.truth.reference import Reference, evidence_from_reference
from engineroom.compile.verify import Finding, Measured, measured
from engineroom.errors import ParityError
from engineroom.recipe import Arrays, Recipe
from engineroom.repository.agreement import Agreement
from engineroom.repository.golden import golden_to_file
from engineroom.repository.layout import GOLDEN, GRAPH

EVIDENCE = "evidence.npz"
EXPORTED = "model.onnx"


def reference(module: Reference, named: Sequence[Path], folder: Path) -> Made:
    """Let the PyTorch module answer: `evidence.npz`, and `golden.npz` for the version."""
    with opened() as paths:
        evidence = evidence_from_reference(module)
    evidence_to_file(evidence, folder / EVIDENCE)
    golden = evidence.golden()
    golden_to_file(golden.inputs, golden.outputs, folder / GOLDEN)
    rows = sum(sample.rows for sample in evidence.samples)
    notes = [f"PyTorch answered {rows} rows of real samples", *map(overlooked, unnamed(paths, named)[:3])]
    return Made("; ".join(notes), {SAMPLES: _digest(evidence)})


def pruning(module: Reference, evidence: Evidence, folder: Path) -> Made:  # noqa: ARG001 - writes no file
    """Judge the pruned module beside the dense one."""
    return Made(check_pruning(module, evidence))


def export(module: Reference, folder: Path) -> Made:
    """Export the module: `model.onnx`, FP32."""
    return Made("; ".join(onnx_from_module(module, folder / EXPORTED)))


def islands(recipe: Recipe, evidence: Evidence, exported: Path, folder: Path) -> Made:  # noqa: ARG001 - writes no file
    """Find the nodes that must stay FP32, besides those that the recipe names."""
    found = islands_for(recipe, evidence, exported)
    note = f"write them into the recipe: islands={(*recipe.islands, *found)!r}" if found else "none are needed"
    return Made(note, {"islands": ", ".join(found)}, {"islands": found})


def precision(recipe: Recipe, evidence: Evidence, exported: Path, folder: Path) -> Made:
    """Put the precision into the graph: `model.graph.onnx`, which every target compiles."""
    check_islands(recipe, exported)
    return Made(graph_from_fp32(recipe, exported, folder / GRAPH, evidence.requests(), recipe.islands))


def compiled(target: Target, recipe: Recipe, graph: Path, fallback: str, folder: Path) -> Made:
    """Compile the graph for a target: its artefact. Where it refuses the graph, a fallback may stand in for it."""
    _, made, instead_of = compile_or_fall_back(target, graph, recipe, fallback, folder)
    layers = [f"{count} {name} layers" for name, count in sorted(made.precision.items())]
    told = (", ".join([made.built_with, *layers]), made.note, *map(lost, instead_of.values()))
    names = {"file": made.file.name, "companions": [path.name for path in made.companions]}
    about = {"compiled": {**asdict(made), **names}, "instead_of": instead_of}
    return Made("; ".join(filter(None, told)), {"made by": made.built_with}, about)


@dataclass(frozen=True)
class Outcome:
    """What became of a target.

    Attributes:
        target: The target, or the fallback that stands in for it.
        compiled: What was made.
        instead_of: The target that it stands in for, and its compiler's reason; empty where it stands in for none.
    """

    target: Target
    compiled: Compiled
    instead_of: dict[str, str]


def outcome_of(target: Target, entry: Entry, graph: Path) -> Outcome:
    """What `compiled` made for a target. The artefact of a fallback is the graph itself."""
    raw, instead_of = entry.made.facts["compiled"], entry.made.facts["instead_of"]
    file = entry.path(raw["file"]) if raw["file"] in entry.files else graph
    companions = tuple(file.parent / name for name in raw["companions"])
    made = Compiled(**{**raw, "file": file, "companions": companions})
    return Outcome(OnnxRuntime() if instead_of else target, made, instead_of)


def proof(recipe: Recipe, evidence: Evidence, runners: Runners, folder: Path) -> Made:  # noqa: ARG001 - writes no file
    """Measure runners against the module, one for each element type; the first must answer, the others may."""
    found: dict[str, Any] = {}
    refused = []
    for kind, start in runners:
        try:
            found[kind] = asdict(measured(recipe, evidence, start()))
        except ParityError as error:
            if not found:
                raise
            refused.append(f"{kind} is not used: {error}")
    return Made("; ".join(refused), facts=found)


def measured_from(entry: Entry) -> dict[str, Measured]:
    """What `proof` measured, by element type."""
    return {kind: _measured(raw) for kind, raw in entry.made.facts.items()}


def _measured(raw: Mapping[str, Any]) -> Measured:
    findings = (Finding(**{**one, "agreement": Agreement(**one["agreement"])}) for one in raw["findings"])
    return Measured(**{**raw, "findings": tuple(findings)})


def _digest(evidence: Evidence) -> str:
    digest = hashlib.sha256()
    for sample in evidence.samples:
        digest.update(_bytes(sample.inputs))
    return digest.hexdigest()


def _bytes(arrays: Arrays) -> bytes:
    parts = [f"{name} {array.dtype.str} {array.shape}".encode() + array.tobytes() for name, array in arrays.items()]
    return b"".join(parts)
