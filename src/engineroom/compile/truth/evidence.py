"""Evidence: what the PyTorch module answers, and how far rounding alone moves its answers. Made once, judged by often.

It holds arrays only and can be stored: artefacts are proven by it without PyTorch and without the module.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engineroom.errors import RepositoryError
from engineroom.recipe import Arrays
from engineroom.repository.files import write_atomically


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows of one size, and what the module answers to them.

    Attributes:
        model: The model's name.
        what: What was done to the recipe's samples, such as `sequence 256`; empty for the samples themselves.
        inputs: Arrays by name, shape (rows, ...).
        outputs: The module's answer in FP32.
        rounded: Its answer with every value rounded, by element type.
    """

    model: str
    what: str
    inputs: Arrays
    outputs: Arrays
    rounded: Mapping[str, Arrays]

    @property
    def rows(self) -> int:
        """Rows there are."""
        return len(next(iter(self.inputs.values())))

    def alone(self, within: int, most: int = 4) -> tuple["Case", ...]:
        """Requests of a single row each, some rows spread over the sample.

        Args:
            within: Only rows before this one.
            most: Rows taken.
        """
        picked = sorted({int(row) for row in np.linspace(0, min(self.rows, within) - 1, most)})
        return tuple(self.case(f"row {row} alone", np.array([row])) for row in picked)

    def case(self, at: str, rows: npt.NDArray[np.intp]) -> "Case":
        """One request made of some of the rows."""
        return Case(f"{at}, {self.what}" if self.what else at, self, rows)


@dataclass(frozen=True, eq=False)
class Case:
    """One request of the proof, and the module's answer.

    Attributes:
        at: What is special about it, such as `batch 8` or `batch 2, sequence 256`.
        sample: Where its rows come from.
        rows: Which rows, in order; a row may occur again.
    """

    at: str
    sample: Sample
    rows: npt.NDArray[np.intp]

    @property
    def batch(self) -> int:
        """Rows in this request."""
        return len(self.rows)

    @cached_property
    def inputs(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays by name, shape (batch, ...)."""
        return {name: np.ascontiguousarray(array[self.rows]) for name, array in self.sample.inputs.items()}

    @cached_property
    def outputs(self) -> dict[str, npt.NDArray[Any]]:
        """The module's answer by name, shape (batch, ...)."""
        return {name: array[self.rows] for name, array in self.sample.outputs.items()}


@dataclass(frozen=True, eq=False)
class Evidence:
    """What artefacts of a recipe are judged by.

    Attributes:
        model: The model's name.
        samples: The recipe's samples, and those that were stretched to further sizes of its axes.
        batches: Batch sizes of the proof.
        task: The module's answers to the data of the recipe's task; empty where it has none.
    """

    model: str
    samples: tuple[Sample, ...]
    batches: tuple[int, ...]
    task: Arrays = field(default_factory=dict)

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """The recipe's samples at every batch size of the proof, and the stretched ones as they are."""
        return tuple(
            sample.case(f"batch {size}", np.arange(size) % sample.rows)
            for sample in self.samples
            for size in ((sample.rows,) if sample.what else self.batches)
        )

    def golden(self, rows: int = 4) -> Case:
        """A small case to keep beside the artefacts; every published copy must answer it.

        Args:
            rows: Rows wanted; fewer where the recipe's largest batch is smaller.
        """
        size = min(rows, max(self.batches))
        return self.samples[0].case(f"batch {size}", np.arange(size) % self.samples[0].rows)

    def requests(self, rows: int = 4) -> Iterator[Arrays]:
        """The samples themselves, each row once, a few rows at a time.

        Args:
            rows: Rows of a request.
        """
        for sample in self.samples:
            for start in range(0, sample.rows, rows):
                yield {name: array[start : start + rows] for name, array in sample.inputs.items()}


def evidence_to_file(evidence: Evidence, path: Path) -> None:
    """Store evidence: equal evidence, equal bytes.

    Args:
        evidence: What to store.
        path: The `.npz` file to write.
    """
    arrays: dict[str, npt.NDArray[Any]] = {f"task/{name}": array for name, array in evidence.task.items()}
    for index, sample in enumerate(evidence.samples):
        parts = {"inputs": sample.inputs, "outputs": sample.outputs}
        parts |= {f"rounded/{kind}": rounded for kind, rounded in sample.rounded.items()}
        arrays |= {f"{index}/{part}/{name}": array for part, named in parts.items() for name, array in named.items()}
    told = {
        "model": evidence.model,
        "batches": evidence.batches,
        "samples": [{"what": sample.what, "kinds": list(sample.rounded)} for sample in evidence.samples],
    }
    buffer = io.BytesIO()
    np.savez(buffer, told=np.array(json.dumps(told, sort_keys=True)), **arrays)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())


def evidence_from_file(path: Path) -> Evidence:
    """Read what `evidence_to_file` has written.

    Raises:
        RepositoryError: The file is missing or broken.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = dict(stored)
        told = json.loads(str(arrays["told"]))
        samples = tuple(
            Sample(
                told["model"],
                one["what"],
                _below(arrays, f"{index}/inputs/"),
                _below(arrays, f"{index}/outputs/"),
                {kind: _below(arrays, f"{index}/rounded/{kind}/") for kind in one["kinds"]},
            )
            for index, one in enumerate(told["samples"])
        )
        return Evidence(told["model"], samples, tuple(told["batches"]), _below(arrays, "task/"))
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise RepositoryError(f"{path}: is no stored evidence ({error}). Build again with --force.") from error


def _below(arrays: Arrays, prefix: str) -> dict[str, npt.NDArray[Any]]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def in_batches(answer: Callable[[Arrays], Arrays], inputs: Arrays, size: int) -> Arrays:
    """Answer many rows in batches of a size, the last one smaller; rows stay in order.

    Args:
        answer: From inputs to outputs by name, shape (batch, ...).
        inputs: Arrays by name, shape (rows, ...).
        size: Rows of a batch.
    """
    rows = len(next(iter(inputs.values())))
    parts = [answer({name: array[at : at + size] for name, array in inputs.items()}) for at in range(0, rows, size)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
