"""The judge of a build: has runners measured, and holds what they did against the recipe's limits.

Measuring is a stage, so that a limit that changes needs nothing to run again. Judging is done anew in every build.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from engineroom.compile import stages
from engineroom.compile.plan import PROOF, ROUNDING, VERIFY
from engineroom.compile.results import Results
from engineroom.compile.targets import Runners
from engineroom.compile.targets.onnx_runtime import runner_from_onnx
from engineroom.compile.targets.rounding import rounding_runner
from engineroom.compile.truth.evidence import Evidence
from engineroom.compile.verify import judged
from engineroom.errors import ExportError, ParityError
from engineroom.recipe import Recipe
from engineroom.repository.passport import Parity

ADVICE = (
    "Wrong at one size only means a size frozen by the export. Otherwise --find-islands searches for the nodes that "
    "must stay FP32, and a longer precision in the recipe (fp16 for int8, fp32 for fp16) keeps them all so."
)


@dataclass(frozen=True)
class Judge:
    """Judges one build.

    Attributes:
        recipe: Says the limits.
        evidence: What the module answered.
        results: The build's results.
    """

    recipe: Recipe
    evidence: Evidence
    results: Results

    def export(self, exported: Path) -> None:
        """The FP32 graph answers as the module does.

        Raises:
            ExportError: It does not.
        """
        try:
            self._proven(PROOF, (("fp32", partial(runner_from_onnx, exported, "fp32")),))
        except ParityError as error:
            raise ExportError(
                f"{error} The FP32 graph already differs, so the export changed the module: most often a size that it "
                "takes for a constant, or code that depends on Python values. "
                "Use x.shape[0] where a number of rows is needed."
            ) from error

    def graph(self, graph: Path) -> None:
        """The graph answers as the module does where a GPU would round, before anything is compiled for one.

        Raises:
            ParityError: It does not.
        """
        precision = self.recipe.precision
        if precision != "fp32":
            self._published(ROUNDING, ((precision, partial(rounding_runner, graph, precision)),))

    def target(self, name: str, runners: Runners) -> dict[str, Parity]:
        """An artefact answers as the module does; proofs by element type.

        Args:
            name: The target.
            runners: What can prove it. The first type must pass; a further one that misses is noted and not used.

        Raises:
            ParityError: The first one misses.
        """
        return self._published(VERIFY.format(name), runners)

    def _published(self, stage: str, runners: Runners) -> dict[str, Parity]:
        try:
            return self._proven(stage, runners)
        except ParityError as error:
            raise ParityError(f"{error} Nothing was published. {ADVICE}") from error

    def _proven(self, stage: str, runners: Runners) -> dict[str, Parity]:
        entry = self.results.of(stage, partial(stages.proof, self.recipe, self.evidence, runners))
        proofs: dict[str, Parity] = {}
        notes = [entry.made.note] if entry.made.note else []
        for kind, found in stages.measured_from(entry).items():
            try:
                proofs[kind] = judged(self.recipe, self.evidence, found)
            except ParityError as error:
                if not proofs:
                    raise
                notes.append(f"{kind} is not used: {error}")
        self.results.log.judged(tuple(proofs.values()), "; ".join(notes))
        return proofs
