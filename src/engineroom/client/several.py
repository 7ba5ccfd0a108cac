"""Calls with several answers: many requests, or one to a decoupled model."""

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Literal

from engineroom.client.asking import Asking
from engineroom.client.check import mapping
from engineroom.client.deadline import left_s
from engineroom.client.many import WINDOW, Many, answers_to
from engineroom.client.protocol.transport import Arrays, Request
from engineroom.client.question import Question
from engineroom.client.runner import finished
from engineroom.client.stream import in_thread
from engineroom.errors import BadInput, DeadlineExceeded, InferenceFailed, ModelNotFound


class Several:
    """What a client can do besides one answer to one call."""

    def infer_many(
        self: Any,
        model: str,
        items: Iterable[Mapping[str, Any]],
        *,
        window: int = WINDOW,
        ordered: bool = True,
        errors: Literal["raise", "yield"] = "raise",
        on_progress: Callable[[int, int], None] | None = None,
        **options: Any,
    ) -> Iterator[Any]:
        """Ask a model about every item of an iterable, which may be endless.

        At most `window` items are taken from the iterable ahead of the consumer, in the consumer's own thread: a slow
        consumer stops everything. Whoever stops early closes the iterator, or drops it; requests in flight then end
        by themselves.

        Args:
            model: Its name.
            items: For each call, arrays by input name.
            window: Most items that are taken and not yet given back.
            ordered: False gives (index, answer) pairs as they arrive.
            errors: `yield` gives an item's `CallError` in the place of its answer, and goes on.
            on_progress: Told, after each item, how many are done and how many of them failed.
            **options: As for `infer`, for every item: `timeout_s` holds for each, inputs are the same for all.

        Returns:
            An iterator of answers as `infer` gives them; of (index from 0, answer) where not ordered.

        Raises:
            BadInput: A word of this method is out of its range. What `infer` raises comes with the item.
        """
        many = Many(window, ordered, errors, on_progress)
        return answers_to(lambda item: self.infer(model, item, **options), items, many)

    def stream(
        self: Any,
        model: str,
        inputs: Mapping[str, Any] | None = None,
        /,
        *,
        outputs: Sequence[str] = (),
        version: str = "",
        timeout_s: float | None = None,
        idempotent: bool = True,
        **named: Any,
    ) -> Iterator[Arrays]:
        """Ask a decoupled model, over gRPC: it gives any number of answers to one request.

        The request is sent when the first answer is asked for. Whoever stops early closes the iterator, or drops it:
        the server is told. Before the first answer a request is repeated as in `infer`, afterwards never.

        Args:
            model: Its name.
            inputs: As for `infer`, at most one batch.
            outputs: The outputs wanted; all of them where empty.
            version: The model's version; empty for the one the server chooses.
            timeout_s: Seconds from this call to the final answer, instead of the client's.
            idempotent: Whether asking twice does no harm.
            **named: Inputs as keywords.

        Returns:
            An iterator of answers as `infer` gives them, up to the final one.

        Raises:
            CallError: As for `infer`, from this call or from the iterator.
        """
        question = Question(model, version, mapping(model, inputs, named), outputs, idempotent)
        timeout_s = self.timeout_s if timeout_s is None else timeout_s
        return in_thread(finished(begun_stream(self._asking, question, timeout_s)))


async def begun_stream(asking: Asking, question: Question, timeout_s: float) -> AsyncGenerator[Arrays, None]:
    """Check what is asked of a decoupled model; the request is sent with the first answer that is asked for.

    Args:
        asking: Of either client.
        question: What is asked.
        timeout_s: Seconds until the final answer.
    """
    with asking.in_time(question.model, timeout_s):
        asked = await asking.prepared(question)
        if len(asked.parts()) > 1:
            raise BadInput(f"{question.model}: a stream takes one batch, of at most {asked.model.max_batch_size} rows.")
        request = asked.request(asked.tensors, left_s())
    return _named(asking, question, request, asking.servers.stream(request))


async def _named(
    asking: Asking, question: Question, request: Request, answers: AsyncGenerator[Arrays, None]
) -> AsyncGenerator[Arrays, None]:
    try:
        async with aclosing(answers) as given:
            async for answer in given:
                yield answer
    except DeadlineExceeded as error:
        raise DeadlineExceeded(
            f"{question.model}: the stream from {asking.address} did not end within {request.timeout_s:.3g} s. "
            "Raise timeout_s."
        ) from error
    except (InferenceFailed, ModelNotFound) as error:
        raise await asking.named(question, error) from error
