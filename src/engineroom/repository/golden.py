"""Golden answers: a few rows of real samples and the module's answers, kept beside the artefacts (`golden.npz`).

Every copy of a version must answer them wherever it is served; load tests send them and check what comes back.
"""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engineroom.errors import GoldenMismatch, RepositoryError
from engineroom.recipe import Arrays
from engineroom.repository.agreement import Limits
from engineroom.repository.files import write_atomically
from engineroom.repository.layout import GOLDEN, MANIFEST, Repository
from engineroom.repository.passport import passport_from_file
from engineroom.repository.policy import current_version

BY_HAND = Limits(max_abs=0.05, cosine=0.999)
"""What is allowed where a golden file stands without the manifest that says it: FP16 for outputs of order 1."""


@dataclass(frozen=True)
class Golden:
    """Inputs with the answers they must get, rows on the first axis.

    Attributes:
        model: The model's name.
        inputs: Arrays by input name.
        outputs: Arrays by output name.
        limits: How far an answer may be off, by output; `BY_HAND` for outputs of which nothing is said.
    """

    model: str
    inputs: Arrays
    outputs: Arrays
    limits: Mapping[str, Limits] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows there are."""
        return min(len(array) for array in (*self.inputs.values(), *self.outputs.values()))

    def batch(self, start: int, count: int) -> "Golden":
        """`count` rows from `start` on, round and round where there are fewer."""
        picked = np.arange(start, start + count) % self.rows
        return Golden(
            self.model,
            {name: np.ascontiguousarray(array[picked]) for name, array in self.inputs.items()},
            {name: np.ascontiguousarray(array[picked]) for name, array in self.outputs.items()},
            self.limits,
        )

    def batches(self, count: int) -> tuple["Golden", ...]:
        """A batch of `count` rows for every row to begin with, so that neighbours differ."""
        return tuple(self.batch(start, count) for start in range(self.rows))

    def limit(self, output: str) -> Limits:
        """How far an answer may be off in one output."""
        return self.limits.get(output, BY_HAND)

    def check(self, answer: Arrays) -> None:
        """Pass where an answer is right. Cheap enough for every answer of a load test.

        Args:
            answer: Arrays by output name.

        Raises:
            GoldenMismatch: An output is missing, has another shape, or is further off than the tolerance allows.
        """
        for name, expected in self.outputs.items():
            got = answer.get(name)
            if got is None or got.shape != expected.shape:
                shape = "is missing" if got is None else f"has shape {got.shape}"
                raise GoldenMismatch(f"{self.model}: output '{name}' {shape}, golden has {expected.shape}.")
            error = float(np.max(np.abs(got.astype(np.float64) - expected), initial=0.0))
            # Written so that NaN is a miss too.
            most = self.limit(name).max_abs
            if not (np.isfinite(error) if most is None else error <= most):
                raise GoldenMismatch(
                    f"{self.model}: output '{name}' is {error:.3g} off its golden answer, "
                    f"{'anything finite' if most is None else format(most, '.3g')} is allowed."
                )


def golden_from_repository(repository: Repository, model: str, version: int | None = None) -> Golden:
    """Golden inputs and answers of a model.

    Args:
        repository: The repository.
        model: The model's name.
        version: The version that a server has loaded; where it is not given, or not here, the one that the
            configurations serve.

    Raises:
        RepositoryError: The model is unknown, has no version, or its golden file is missing or broken.
    """
    (folder,) = repository.published((model,))
    number = version if version in folder.versions else current_version(folder)
    assert number is not None, "published() answers models with a version only"  # noqa: S101
    manifest = folder.version(number) / MANIFEST
    limits = passport_from_file(manifest).limits if manifest.exists() else {}
    return golden_from_file(folder.version(number) / GOLDEN, model, limits)


def golden_from_file(path: Path, model: str, limits: Mapping[str, Limits] | None = None) -> Golden:
    """Read a golden file: arrays called `input.NAME` and `output.NAME`.

    Raises:
        RepositoryError: The file is missing, broken, or has no rows.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            inputs, outputs = _named(arrays, "input."), _named(arrays, "output.")
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise RepositoryError(f"{path}: cannot be read ({error}). Run: engineroom build {model}") from error
    if not inputs or not outputs:
        raise RepositoryError(f"{path}: holds no golden inputs and outputs. Run: engineroom build {model}")
    golden = Golden(model, inputs, outputs, limits or {})
    if golden.rows == 0:
        raise RepositoryError(f"{path}: holds no rows. Run: engineroom build {model}")
    return golden


def golden_to_file(inputs: Arrays, outputs: Arrays, path: Path) -> None:
    """Write a golden file.

    Args:
        inputs: Arrays by input name, shape (rows, ...).
        outputs: The module's answers by output name, shape (rows, ...).
        path: The file to write.
    """
    named = {f"input.{name}": array for name, array in inputs.items()}
    named |= {f"output.{name}": array for name, array in outputs.items()}
    buffer = io.BytesIO()
    np.savez(buffer, **named)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())


def _named(arrays: Arrays, prefix: str) -> dict[str, npt.NDArray[Any]]:
    return {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}
