"""The golden input: a stored question whose answer is known, asked through the wire before a model counts as ready."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from engineroom.client import Client
from engineroom.errors import CallError, GoldenMismatch, ParityError, StartupFailed
from engineroom.repository.agreement import Agreement, agreement
from engineroom.repository.golden import golden_from_file
from engineroom.repository.layout import GOLDEN, MANIFEST, ModelFolder
from engineroom.repository.passport import passport_from_file

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


def ask_golden(client: Client, model: ModelFolder, version: int, name: str = "") -> dict[str, Agreement]:
    """Send a loaded version its golden input and judge the answer.

    Args:
        client: A client of the server.
        model: The model's folder.
        version: The version loaded.
        name: The model's name on the server, where that is another one.

    Returns:
        Agreement by output; empty where the version has no golden input or no manifest.

    Raises:
        GoldenMismatch: The answer misses the limits of the manifest.
        StartupFailed: The model does not answer.
        RepositoryError: The golden file or the manifest is damaged.
    """
    folder = model.version(version)
    if not (folder / GOLDEN).exists() or not (folder / MANIFEST).exists():
        return {}
    golden = golden_from_file(folder / GOLDEN, model.name, passport_from_file(folder / MANIFEST).limits)
    try:
        answer = client.infer(
            name or model.name, golden.inputs, outputs=tuple(golden.outputs), version=str(version), timeout_s=ANSWER_S
        )
    except CallError as error:
        raise StartupFailed(f"version {version} is loaded and does not answer its golden input. {error}") from error
    found = {}
    for output, expected in golden.outputs.items():
        try:
            found[output] = agreement(expected, answer[output])
            misses = found[output].misses(golden.limit(output))
        except ParityError as error:
            misses = (str(error),)
        if misses:
            raise GoldenMismatch(
                f"{model.name}: version {version} answers its golden input wrongly, output '{output}': "
                f"{'; '.join(misses)}. Build the model again: engineroom build {model.name}"
            )
    return found
