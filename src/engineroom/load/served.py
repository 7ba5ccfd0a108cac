"""What must be known of a served model before it is loaded, and what Triton counted while it was."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from engineroom.client import Client, ModelMetadata
from engineroom.client.protocol.over_grpc import close_once
from engineroom.client.protocol.transport import PORTS, Address, address_from_url
from engineroom.errors import BadInput, LoadError
from engineroom.load.result import ServerTime


def address_from_options(url: str | None, protocol: str | None) -> Address:
    """The server a user named.

    Args:
        url: `grpc://HOST:PORT`, `http://HOST:PORT` or `HOST:PORT`; None is this machine, on Triton's own port.
        protocol: `grpc` or `http`; the URL's own where None, and gRPC where neither says.

    Raises:
        BadInput: The URL is none, says another protocol, or asks for TLS.
    """
    if url and "://" in url:
        address = address_from_url(url)
        if address.secure:
            raise BadInput(f"{url}: load is sent without TLS. Give grpc:// or http://, and measure behind the proxy.")
        if protocol and address.scheme != protocol:
            raise BadInput(f"{url} is not for {protocol}. Say one of --url and --protocol, or make them agree.")
        return address
    scheme = protocol or "grpc"
    return address_from_url(f"{scheme}://{url or f'127.0.0.1:{PORTS[scheme]}'}")


@dataclass(frozen=True)
class ServedModel:
    """A model on a server that answers.

    Attributes:
        address: The server.
        metadata: What the model takes and gives.
        version: Its newest version there.
        server: Name and version of the server, such as `triton 2.51.0`.
    """

    address: Address
    metadata: ModelMetadata
    version: str
    server: str

    @property
    def name(self) -> str:
        """The model's name."""
        return self.metadata.name

    def check_batch(self, rows: int) -> None:
        """Pass where one request may have so many rows.

        Raises:
            BadInput: It may not.
        """
        most = self.metadata.max_batch_size
        if not 1 <= rows <= max(most, 1):
            raise BadInput(
                f"{self.name}: a request of {rows} rows, the server takes {f'1..{most}' if most > 1 else '1'}. "
                "Send fewer, or widen the recipe's batch."
            )


@dataclass(frozen=True)
class Spent:
    """Time all requests so far spent inside Triton, by its own counters.

    Attributes:
        requests: Requests answered.
        parts_ns: Sums of the queue, input, infer and output time.
    """

    requests: int
    parts_ns: tuple[int, ...]

    def since(self, before: "Spent") -> ServerTime | None:
        """Mean time of the requests answered since an earlier look; None where there were none."""
        count = self.requests - before.requests
        if count <= 0:
            return None
        parts = (now - then for now, then in zip(self.parts_ns, before.parts_ns, strict=True))
        return ServerTime(*(part / count / 1000 for part in parts))


def served_model(address: Address, name: str) -> ServedModel:
    """Ask a server for a model.

    Raises:
        ServerUnavailable: Nobody answers.
        ModelNotFound: The server does not know, or has not loaded, the model.
    """
    with Client(address.url) as client:
        metadata = client.metadata(name)
    with _asking(address) as (triton, options):
        versions = triton.get_model_metadata(name, **options)["versions"]
        server = triton.get_server_metadata(**options)
    return ServedModel(address, metadata, versions[-1], f"{server['name']} {server['version']}")


def time_spent(served: ServedModel) -> Spent:
    """Triton's counters of a model, over all its versions.

    Raises:
        LoadError: The server does not tell.
    """
    with _asking(served.address) as (triton, options):
        answer = triton.get_inference_statistics(served.name, **options)
    stats = [one.get("inference_stats", {}) for one in answer["model_stats"]]

    # gRPC's JSON leaves zeros out, and has 64-bit numbers as strings.
    def total(part: str, field: str) -> int:
        return sum(int(one.get(part, {}).get(field, 0)) for one in stats)

    parts = ("queue", "compute_input", "compute_infer", "compute_output")
    return Spent(total("success", "count"), tuple(total(part, "ns") for part in parts))


def spent_where_told(served: ServedModel) -> Spent | None:
    """Triton's counters; None where the server is gone, which the failed requests tell already."""
    try:
        return time_spent(served)
    except LoadError:
        return None


@contextlib.contextmanager
def _asking(address: Address) -> Iterator[tuple[Any, dict[str, Any]]]:
    """tritonclient, for what our client has no word for, with the options that make its answers dictionaries."""
    from tritonclient import grpc, http
    from tritonclient.utils import InferenceServerException

    over_grpc = address.scheme == "grpc"
    client = (grpc if over_grpc else http).InferenceServerClient(address.netloc)
    try:
        yield client, {"as_json": True, "client_timeout": 10.0} if over_grpc else {}
    except (InferenceServerException, OSError) as error:
        raise LoadError(f"{address.url} does not tell about its models: {error}. Is it still running?") from error
    finally:
        if over_grpc:
            close_once(client)
        else:
            client.close()
