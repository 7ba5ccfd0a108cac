"""The golden input: a stored question whose answer is known, asked through the wire before a model counts as ready."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engineroom.errors import GoldenMismatch, ParityError, StartupFailed
from engineroom.repository.agreement import Agreement, agreement
from engineroom.repository.layout import GOLDEN, MANIFEST, ModelFolder
from engineroom.repository.passport import passport_from_file

Arrays = dict[str, npt.NDArray[Any]]


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


def check_model(client: Any, model: ModelFolder, version: int) -> ServedModel:
    """Ask a loaded model its golden input.

    Args:
        client: A `tritonclient.http.InferenceServerClient`.
        model: Its folder.
        version: The version loaded.

    Raises:
        GoldenMismatch: The answer misses the tolerance of the manifest.
        StartupFailed: The model does not answer.
    """
    from tritonclient.utils import InferenceServerException

    folder = model.version(version)
    try:
        config = client.get_model_config(model.name, str(version))
        backend = config.get("backend") or config["platform"]
        if not (folder / GOLDEN).exists() or not (folder / MANIFEST).exists():
            return ServedModel(model.name, version, backend)
        question, reference = golden_from_file(folder / GOLDEN)
        answer = _ask(client, model.name, version, question, list(reference), config["max_batch_size"])
    except InferenceServerException as error:
        raise StartupFailed(
            f"{model.name}: version {version} is loaded and does not answer its golden input: {error.message()}"
        ) from error
    return ServedModel(model.name, version, backend, _judge(folder, model.name, reference, answer))


def golden_from_file(path: Path) -> tuple[Arrays, Arrays]:
    """Read a golden file.

    Args:
        path: A `golden.npz` with arrays `input.NAME` and `output.NAME`, first axis: rows.

    Returns:
        Inputs and outputs by tensor name.

    Raises:
        StartupFailed: The file is damaged.
    """
    try:
        with np.load(path) as arrays:
            named = {kind: {n.split(".", 1)[1]: arrays[n] for n in arrays.files if n.startswith(f"{kind}.")}
                     for kind in ("input", "output")}  # fmt: skip
    except (OSError, ValueError, EOFError) as error:
        raise StartupFailed(f"{path}: cannot be read ({error}). Build the model again.") from error
    return named["input"], named["output"]


def _ask(client: Any, name: str, version: int, question: Arrays, outputs: list[str], batch: int) -> Arrays:
    from tritonclient.http import InferInput, InferRequestedOutput
    from tritonclient.utils import np_to_triton_dtype

    parts = []
    for rows in _chunks(question, batch):
        inputs = []
        for tensor, array in rows.items():
            inputs.append(InferInput(tensor, list(array.shape), np_to_triton_dtype(array.dtype)))
            inputs[-1].set_data_from_numpy(array)
        wanted = [InferRequestedOutput(output) for output in outputs]
        parts.append(client.infer(name, inputs, str(version), outputs=wanted))
    return {output: np.concatenate([part.as_numpy(output) for part in parts]) for output in outputs}


def _chunks(question: Arrays, batch: int) -> Iterator[Arrays]:
    rows = len(next(iter(question.values())))
    for start in range(0, rows, batch or rows):
        yield {name: array[start : start + (batch or rows)] for name, array in question.items()}


def _judge(folder: Path, name: str, reference: Arrays, answer: Arrays) -> dict[str, Agreement]:
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
                f"{name}: version {folder.name} answers its golden input wrongly, output '{output}': "
                f"{'; '.join(misses)}. Build the model again: engineroom build {name}"
            )
    return found
