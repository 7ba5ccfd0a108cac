"""Several servers, or one that fails now and then, as one transport."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from engineroom.client.budget import RetryBudget
from engineroom.client.course import Course
from engineroom.client.deadline import left_s, within
from engineroom.client.endpoints import Endpoints
from engineroom.client.metadata import ModelMetadata
from engineroom.client.retry import RetryPolicy
from engineroom.client.stream import Streaming, check_streams, surviving
from engineroom.client.transport import Address, Arrays, Connecting, Request, Transport, address_from_url
from engineroom.errors import BadInput, CallError, ServerUnavailable

Answer = TypeVar("Answer")


class Failover:
    """Asks the least loaded server, and another one, or the same again, where the policy allows it.

    Args:
        transports: One for each server; closed with this one.
        policy: When a request is repeated.
    """

    def __init__(self, transports: Sequence[Transport], policy: RetryPolicy) -> None:
        self._endpoints = Endpoints(transports)
        self._streaming = Endpoints([one for one in transports if isinstance(one, Streaming)])
        self._policy = policy
        self._budget = RetryBudget(policy.share)

    @property
    def address(self) -> str:
        """The servers' URLs."""
        return ", ".join(endpoint.transport.address for endpoint in self._endpoints.all)

    def ready(self, model: str, version: str) -> bool:
        """Whether the model, or with an empty name a whole server, can answer, at any server."""
        return any(self._ready(endpoint.transport, model, version) for endpoint in self._endpoints.all)

    def metadata(self, model: str, version: str) -> ModelMetadata:
        """What the model takes and gives."""
        return self._survive(lambda transport: transport.metadata(model, version))

    def loaded(self) -> tuple[tuple[str, str], ...]:
        """Name and version of every model that can answer, at one server."""
        return self._survive(lambda transport: transport.loaded())

    def infer(self, request: Request) -> Arrays:
        """Answer one request."""
        with within(request.timeout_s):
            return self._survive(
                lambda transport: transport.infer(replace(request, timeout_s=left_s())), request.idempotent
            )

    def stream(self, request: Request) -> Iterator[Arrays]:
        """Answers to one request of a decoupled model, from the servers that carry streams."""
        check_streams(self._streaming, self.address)
        course = Course(self._streaming, self._policy, self._budget, request.idempotent)
        return surviving(self._streaming, course, request)

    def close(self) -> None:
        """Give every server's connections back."""
        for endpoint in self._endpoints.all:
            endpoint.transport.close()

    def _survive(self, ask: Callable[[Transport], Answer], idempotent: bool = True) -> Answer:
        course = Course(self._endpoints, self._policy, self._budget, idempotent)
        while True:
            try:
                with self._endpoints.taken(course.tried) as endpoint:
                    answer = ask(endpoint.transport)
                course.answered()
                return answer
            except CallError as error:
                pause_s = course.pause_s(endpoint, error)
                if pause_s is None:
                    verdict = course.verdict(error)
                    if verdict is error:
                        raise
                    raise verdict from error
            time.sleep(pause_s)

    @staticmethod
    def _ready(transport: Transport, model: str, version: str) -> bool:
        try:
            return transport.ready(model, version)
        except ServerUnavailable:
            return False


def transports_from_urls(urls: str | Sequence[str], connecting: Connecting) -> list[Transport]:
    """A transport for each server; imports tritonclient.

    Raises:
        BadInput: One of them is no URL, or there is none.
    """
    given = [urls] if isinstance(urls, str) else list(urls)
    if not given:
        raise BadInput("no server address is given.")
    return [_transport_from_address(address_from_url(url, connecting)) for url in given]


def _transport_from_address(address: Address) -> Transport:
    if address.protocol == "http":
        from engineroom.client.over_http import HttpTransport

        return HttpTransport(address)
    from engineroom.client.over_grpc import GrpcTransport

    return GrpcTransport(address)
