"""A transport for each server's address; imports tritonclient."""

from collections.abc import Sequence
from inspect import iscoroutinefunction
from typing import TypeVar

from engineroom.client.protocol.async_transport import AsyncTransport
from engineroom.client.protocol.transport import Address, Connecting, Transport, address_from_url
from engineroom.errors import BadInput

Given = TypeVar("Given")


def addresses_from_urls(urls: str | Sequence[str], connecting: Connecting) -> list[Address]:
    """Read the URLs of a client's servers.

    Raises:
        BadInput: One of them is no URL, or there is none.
    """
    given = [urls] if isinstance(urls, str) else list(urls)
    if not given:
        raise BadInput("no server address is given.")
    return [address_from_url(url, connecting) for url in given]


def given_transports(transport: Given | Sequence[Given] | None, waits: bool) -> list[Given]:
    """One or several transports that a caller brings, as a list; empty for none.

    Args:
        transport: What was given.
        waits: Whether their methods shall be coroutines.

    Raises:
        BadInput: They are, or are not.
    """
    if transport is None:
        return []
    given = list(transport) if isinstance(transport, Sequence) else [transport]
    if any(iscoroutinefunction(getattr(one, "infer", None)) != waits for one in given):
        raise BadInput(
            "AsyncClient takes an AsyncTransport, such as AsyncFunctionTransport; Client takes the other kind."
        )
    return given


def transport_from_address(address: Address) -> Transport:
    """A transport that blocks."""
    if address.protocol == "http":
        from engineroom.client.protocol.over_http import HttpTransport

        return HttpTransport(address)
    from engineroom.client.protocol.over_grpc import GrpcTransport

    return GrpcTransport(address)


def async_transport_from_address(address: Address) -> AsyncTransport:
    """A transport for an event loop; connects nowhere before its first call."""
    if address.protocol == "http":
        from engineroom.client.protocol.over_http_async import AsyncHttpTransport

        return AsyncHttpTransport(address)
    from engineroom.client.protocol.over_grpc_async import AsyncGrpcTransport

    return AsyncGrpcTransport(address)
