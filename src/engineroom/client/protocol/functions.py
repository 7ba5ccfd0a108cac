"""Functions instead of a server, for an application's tests."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from engineroom.client.metadata import ModelMetadata
from engineroom.client.protocol.transport import Arrays, Request
from engineroom.errors import ModelNotFound

Answering = Callable[[Arrays], Arrays] | Callable[[Arrays], Iterable[Arrays]]
"""What answers for a model, and for a decoupled one."""


class FunctionTransport:
    """Answers from functions in this process; the client checks, splits and joins as with a real server.

    The function of a decoupled model gives an iterable of answers.

        x, y = TensorMetadata("x", "FP32", (3,)), TensorMetadata("y", "FP32", (3,))
        double = ModelMetadata("double", inputs=(x,), outputs=(y,), max_batch_size=8)
        client = Client(transport=FunctionTransport({double: lambda arrays: {"y": arrays["x"] * 2}}))

    Args:
        models: What each model takes and gives, and the function that answers: from input arrays by name to output
            arrays by name. It may raise any `CallError`.

    Attributes:
        requests: Every request so far, in order of arrival.
    """

    address = "functions in this process"

    def __init__(self, models: Mapping[ModelMetadata, Answering]) -> None:
        self.requests: list[Request] = []
        self._models = {model.name: (model, function) for model, function in models.items()}
        self._lock = threading.Lock()

    def ready(self, model: str, version: str) -> bool:  # noqa: ARG002 - the seam's signature
        """Whether there is a function of that name; always true of the whole."""
        return not model or model in self._models

    def metadata(self, model: str, version: str) -> ModelMetadata:  # noqa: ARG002 - the seam's signature
        """What the model takes and gives."""
        return self._model(model)[0]

    def loaded(self) -> tuple[tuple[str, str], ...]:
        """Name and version of every model."""
        return tuple((name, model.version or "1") for name, (model, _) in self._models.items())

    def infer(self, request: Request) -> Arrays:
        """Answer one request."""
        return wanted_of(request, self._answer(request))

    def stream(self, request: Request) -> Iterator[Arrays]:
        """Answers to one request of a decoupled model."""
        yield from self._answer(request)

    def close(self) -> None:
        """Nothing to give back."""

    def _answer(self, request: Request) -> Any:
        """What the model's function gives, whatever was wanted of it."""
        with self._lock:
            self.requests.append(request)
        return self._model(request.model)[1]({tensor.name: tensor.array for tensor in request.inputs})

    def _model(self, name: str) -> tuple[ModelMetadata, Answering]:
        if name not in self._models:
            raise ModelNotFound(f"no function is called '{name}'")
        return self._models[name]


def wanted_of(request: Request, answer: Arrays) -> Arrays:
    """The outputs that were asked for, ranked where that was asked for."""
    return {
        output.name: _ranked(answer[output.name], output.class_count) if output.class_count else answer[output.name]
        for output in request.outputs
    } or answer


def _ranked(scores: npt.NDArray[Any], count: int) -> npt.NDArray[Any]:
    """What the classification extension answers, without labels."""
    best = np.argsort(-scores, axis=-1, kind="stable")[..., :count]
    pairs = zip(np.take_along_axis(scores, best, axis=-1).flat, best.flat, strict=True)
    ranked = (f"{score:f}:{index}".encode() for score, index in pairs)
    return np.fromiter(ranked, dtype=object, count=best.size).reshape(best.shape)
