"""One call, from what the caller gives to what is sent. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engineroom.client.batch import parts_of
from engineroom.client.check import check_names, checked
from engineroom.client.classification import CLASSIFIABLE
from engineroom.client.metadata import ModelMetadata
from engineroom.client.protocol.transport import InputTensor, Request, RequestedOutput
from engineroom.errors import BadInput


@dataclass(frozen=True)
class Question:
    """What a caller asks of a model.

    Attributes:
        model: The model's name.
        version: Its version; empty for the one the server chooses.
        given: What the caller gave, by input name.
        outputs: The outputs wanted; all of them where empty.
        idempotent: Whether asking twice does no harm.
    """

    model: str
    version: str
    given: Mapping[str, Any]
    outputs: Sequence[str] = ()
    idempotent: bool = True

    @property
    def key(self) -> tuple[str, str]:
        """What tells the model from others: name and version."""
        return self.model, self.version


@dataclass(frozen=True)
class Prepared:
    """A question that fits its model.

    Attributes:
        question: What was asked.
        model: What the model takes and gives.
        tensors: The inputs, checked.
    """

    question: Question
    model: ModelMetadata
    tensors: tuple[InputTensor, ...]

    def parts(self) -> list[tuple[InputTensor, ...]]:
        """The inputs of each request."""
        return parts_of(self.model, self.tensors)

    def request(self, part: tuple[InputTensor, ...], timeout_s: float, top: int = 0) -> Request:
        """What is sent for one part.

        Args:
            part: Its inputs.
            timeout_s: Seconds until the caller stops waiting.
            top: Classes wanted of each row; 0 for tensors.
        """
        question = self.question
        outputs = tuple(RequestedOutput(name, top) for name in question.outputs)
        return Request(question.model, question.version, part, outputs, timeout_s, question.idempotent, self.model)


def prepared(question: Question, model: ModelMetadata) -> Prepared:
    """Compare a question with what its model takes and gives.

    Raises:
        BadInput: An input or output is not what the model has.
    """
    check_names(question.model, "output", question.outputs, [tensor.name for tensor in model.outputs])
    return Prepared(question, model, checked(model, question.given))


def ranked_output(asked: Prepared, top: int) -> str:
    """The name of the output to rank.

    Args:
        asked: Names one output at most.
        top: Classes wanted.

    Raises:
        BadInput: It cannot be ranked, or no class is wanted.
    """
    model = asked.model
    names = ", ".join(output.name for output in model.outputs)
    name = next(iter(asked.question.outputs), "")
    if not name and len(model.outputs) != 1:
        raise BadInput(f"{model.name}: say which output to rank, the model has: {names}.")
    output = next(output for output in model.outputs if name in ("", output.name))
    if output.dtype not in CLASSIFIABLE:
        raise BadInput(
            f"{model.name}: output '{output.name}' is {output.dtype}, which Triton's classification extension does not "
            "rank. Use infer, and sort."
        )
    if top < 1:
        raise BadInput(f"{model.name}: top is {top}, ask for 1 class or more.")
    return output.name
