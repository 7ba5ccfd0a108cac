"""The golden input: a stored question whose answer is known, asked through the wire before a model counts as ready."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engineroom.client import Client
from engineroom.errors import CallError, GoldenMismatch, ParityError, RepositoryError, StartupFailed
from engineroom.repository.agreement import Agreement, agreement
from engineroom.repository.layout import GOLDEN, MANIFEST, ModelFolder
from engineroom.repository.passport import passport_from_file

Arrays = Mapping[str, npt.NDArray[Any]]

ANSWER_S = 300.0
"""Time for one model's golden answer: the first inference of a large model may take long."""


@dataclass(frozen=True)
class ServedModel:
    """One version of a model that the server has loaded.

    Attributes:
        name: The model.
        version: Its version.
        backend: The backend that runs it, or its platform.
        golden: Agreement with the golden answer by output; empty where the version has none to compare with.
    """

    name: str
    version: int
    backend: str
    golden: Mapping[str, Agreement] = field(default_factory=dict)


def ask_golden(client: Client, model: ModelFolder, version: int) -> dict[str, Agreement]:
    """Send a loaded version its golden input and judge the answer.

    Args:
        client: A client of the server.
        model: The model's folder.
        version: The version loaded.

    Returns:
        Agreement by output; empty where the version has no golden input or no manifest.

    Raises:
        GoldenMismatch: The answer misses the tolerance of the manifest.
        StartupFailed: The model does not answer.
        RepositoryError: The golden file or the manifest is damaged.
    """
    folder = model.version(version)
    if not (folder / GOLDEN).exists() or not (folder / MANIFEST).exists():
        return {}
    question, reference = golden_from_file(folder / GOLDEN)
    try:
        answer = client.infer(model.name, question, outputs=tuple(reference), version=str(version), timeout_s=ANSWER_S)
    except CallError as error:
        raise StartupFailed(f"version {version} is loaded and does not answer its golden input. {error}") from error
    tolerance = passport_from_file(folder / MANIFEST).tolerance
    found = {}
    for output, expected in reference.items():
        try:
            found[output] = agreement(expected, answer[output])
            misses = found[output].misses(tolerance)
        except ParityError as error:
            misses = (str(error),)
        if misses:
            raise GoldenMismatch(
                f"{model.name}: version {version} answers its golden input wrongly, output '{output}': "
                f"{'; '.join(misses)}. Build the model again: engineroom build {model.name}"
            )
    return found


def golden_from_file(path: Path) -> tuple[Arrays, Arrays]:
    """Read a golden file.

    Args:
        path: A `golden.npz` with arrays `input.NAME` and `output.NAME`, first axis: rows.

    Returns:
        Inputs and outputs by tensor name.

    Raises:
        RepositoryError: The file is damaged.
    """
    named: dict[str, dict[str, npt.NDArray[Any]]] = {"input": {}, "output": {}}
    try:
        with np.load(path) as arrays:
            for full_name in arrays.files:
                kind, name = full_name.split(".", 1)
                named[kind][name] = arrays[full_name]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise RepositoryError(f"{path}: is no golden file ({error}). Build the model again.") from error
    return named["input"], named["output"]
