"""Islands: the nodes that must keep FP32 for a graph to pass its proof, found by halving.

Which nodes overflow on the samples is measured beforehand (`ranges`). What this finds is the rest: places where
rounding itself ruins the answer, such as the difference of two large values that are nearly equal.
"""

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from engineroom.compile import verify
from engineroom.compile.graph.precision import graph_from_fp32
from engineroom.compile.targets.rounding import rounding_runner
from engineroom.compile.truth.evidence import Evidence
from engineroom.errors import ParityError, PrecisionError
from engineroom.recipe import Recipe

Passes = Callable[[tuple[str, ...]], bool]
"""Whether a graph in which these nodes are FP32 passes its proof."""


def islands_for(recipe: Recipe, evidence: Evidence, source: Path) -> tuple[str, ...]:
    """Find nodes of an exported graph that, kept in FP32, let the rest pass; none of them can be left out.

    The search looks at one batch size; its result is judged by the whole proof, and where that still misses, the search
    goes on with the whole proof.

    Args:
        recipe: Says the precision, and the nodes that stay FP32 already.
        evidence: What the module answered.
        source: `model.onnx`, FP32.

    Returns:
        Names of nodes, in the graph's order.

    Raises:
        PrecisionError: Even with every node in FP32 the graph misses: precision is not what is wrong.
    """
    names = [name for name in _nodes(source) if name not in recipe.islands]
    quick = replace(evidence, batches=(min(recipe.batch.opt, max(evidence.batches)),), task={})
    found: tuple[str, ...] = ()
    for part, asked in ((quick, replace(recipe, task=None)), (evidence, recipe)):
        passes = _proof(asked, part, source)
        if passes(found):
            continue
        found = smallest(names, passes)
        if not passes(found):
            raise PrecisionError(
                f"{recipe.name}: no set of FP32 nodes makes the graph pass its proof. "
                "Say precision='fp32' in the recipe, and look whether that passes."
            )
    return found


def smallest(names: Sequence[str], passes: Passes) -> tuple[str, ...]:
    """A set of names that passes, and of which none can be left out.

    After QuickXplain (Junker, "QuickXplain: Preferred Explanations and Relaxations for Over-Constrained Problems",
    AAAI 2004): about 2 k log2(n / k) trials for k of n names.

    Args:
        names: All there are; together they pass.
        passes: Tells whether some of them pass. Whoever passes still passes with more.
    """

    def explain(given: tuple[str, ...], new: bool, among: tuple[str, ...]) -> tuple[str, ...]:
        if new and passes(given):
            return ()
        if len(among) == 1:
            return among
        first, second = among[: len(among) // 2], among[len(among) // 2 :]
        needed = explain(given + first, bool(first), second)
        return explain(given + needed, bool(needed), first) + needed

    return () if passes(()) else explain((), False, tuple(names))


def check_islands(recipe: Recipe, source: Path) -> None:
    """Refuse islands that the exported graph does not have.

    Raises:
        PrecisionError: There is one; the message names near ones.
    """
    names = _nodes(source)
    for name in recipe.islands:
        if name not in names:
            near = get_close_matches(name, names, n=3)
            raise PrecisionError(
                f"{recipe.name}: islands name the node '{name}', which the exported graph does not have. "
                f"{'Near ones: ' + ', '.join(near) + '. ' if near else ''}"
                "Take it out of the recipe, or let engineroom build --find-islands name them."
            )


def _proof(recipe: Recipe, evidence: Evidence, source: Path) -> Passes:
    requests = tuple(evidence.requests())

    def passes(islands: tuple[str, ...]) -> bool:
        with tempfile.TemporaryDirectory(prefix="engineroom-") as folder:
            graph = Path(folder) / "model.onnx"
            try:
                graph_from_fp32(recipe, source, graph, requests, (*recipe.islands, *islands))
                verify.parity(recipe, evidence, rounding_runner(graph, recipe.precision))
            except (ParityError, PrecisionError):
                return False
        return True

    return passes


def _nodes(source: Path) -> list[str]:
    import onnx

    nodes: Iterable[str] = (node.name for node in onnx.load(str(source), load_external_data=False).graph.node)
    return [name for name in nodes if name]
