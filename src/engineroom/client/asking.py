"""What both clients do, written once: knowing models, checking, sending in parts, saying what went wrong."""

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from engineroom.client.batch import joined
from engineroom.client.classification import Classification, classifications_from_array
from engineroom.client.deadline import left_s, within
from engineroom.client.metadata import ModelMetadata
from engineroom.client.protocol.transport import Arrays, InputTensor
from engineroom.client.question import Prepared, Question, prepared, ranked_output
from engineroom.client.runner import Runner
from engineroom.client.stream import check_one_answer
from engineroom.client.survival.failover import Failover
from engineroom.errors import BadInput, CallError, DeadlineExceeded, InferenceFailed, ModelNotFound, Rejected


class Asking:
    """Asks questions.

    Args:
        servers: Closed with this one.
        runner: Waits; closed with this one.

    Attributes:
        servers: Those that are asked.
    """

    def __init__(self, servers: Failover, runner: Runner) -> None:
        self.servers = servers
        self._runner = runner
        self._known: dict[tuple[str, str], ModelMetadata] = {}
        self._closed = False

    @property
    def address(self) -> str:
        """The server's URL, or all of them."""
        return self.servers.address

    async def ready(self, model: str, version: str) -> bool:
        """Whether a server, or one model, can answer."""
        self._check_open()
        return await self.servers.ready(model, version)

    async def metadata(self, model: str, version: str, timeout_s: float) -> ModelMetadata:
        """What a model takes and gives, asked once and remembered."""
        self._check_open()
        known = self._known.get((model, version))
        if known is None:
            try:
                with within(timeout_s):
                    known = self._known[model, version] = await self.servers.metadata(model, version)
            except ModelNotFound as error:
                raise await self._not_found(model, error) from error
        return known

    async def loaded(self, timeout_s: float) -> tuple[tuple[str, str], ...]:
        """Name and version of every model that can answer."""
        self._check_open()
        with within(timeout_s):
            return await self.servers.loaded()

    async def infer(self, question: Question, timeout_s: float) -> Arrays:
        """Answer a question."""
        with self.in_time(question.model, timeout_s):
            return await self._ask(await self.prepared(question))

    async def classify(self, question: Question, top: int, timeout_s: float) -> list[tuple[Classification, ...]]:
        """Rank one output of the answer, by the server."""
        with self.in_time(question.model, timeout_s):
            asked = await self.prepared(question)
            output = ranked_output(asked, top)
            answer = await self._ask(replace(asked, question=replace(question, outputs=(output,))), top)
        return classifications_from_array(answer[output])

    async def close(self) -> None:
        """Give connections and threads back. Closing twice does nothing."""
        if not self._closed:
            self._closed = True
            self._runner.close()
            await self.servers.close()

    def _check_open(self) -> None:
        if self._closed:
            raise CallError(f"this client of {self.address} is closed. Make a new one.")

    async def prepared(self, question: Question) -> Prepared:
        """Check a question; what the model takes is asked again before an input is refused."""
        remembered = question.key in self._known
        model = await self.metadata(*question.key, left_s())
        try:
            return prepared(question, model)
        except BadInput:
            if not remembered:
                raise
            self._known.pop(question.key, None)
            return prepared(question, await self.metadata(*question.key, left_s()))

    async def _ask(self, asked: Prepared, top: int = 0) -> Arrays:
        async def send(part: tuple[InputTensor, ...]) -> Arrays:
            waits_s = left_s()
            if not waits_s:
                raise DeadlineExceeded("no time left")
            return await self.servers.infer(asked.request(part, waits_s, top))

        check_one_answer(asked.model)
        parts = asked.parts()
        try:
            answers = [await send(parts[0])] if len(parts) == 1 else await self._runner.each(send, parts)
            return joined(asked.model, answers)
        except (InferenceFailed, ModelNotFound) as error:
            raise await self.named(asked.question, error) from error

    async def named(self, question: Question, error: CallError) -> CallError:
        """The error with the model's name; what a server has refused to answer is asked about anew."""
        if isinstance(error, Rejected):
            return Rejected(f"{question.model}: {error}", error.retry_after_s)
        self._known.pop(question.key, None)
        if isinstance(error, ModelNotFound):
            return await self._not_found(question.model, error)
        return InferenceFailed(f"{question.model}: {error}")

    async def _not_found(self, model: str, error: ModelNotFound) -> ModelNotFound:
        try:
            loaded = await self.servers.loaded()
        except CallError:  # the list is a kindness, and may be a restricted API
            return ModelNotFound(f"{model}: {self.address} has not loaded it ({error}).")
        listed = ", ".join(f"{name} (version {version})" for name, version in loaded) or "nothing"
        close = difflib.get_close_matches(model, [name for name, _ in loaded if name != model], n=1)
        meant = f" Did you mean '{close[0]}'?" if close else ""
        return ModelNotFound(f"{model}: {self.address} has not loaded it ({error}). Loaded: {listed}.{meant}")

    @contextmanager
    def in_time(self, model: str, timeout_s: float) -> Iterator[None]:
        """Give the block so many seconds."""
        try:
            with within(timeout_s):
                yield
        except DeadlineExceeded as error:
            raise DeadlineExceeded(
                f"{model}: no answer from {self.address} within {timeout_s:.3g} s. Raise timeout_s, or send fewer rows."
            ) from error
