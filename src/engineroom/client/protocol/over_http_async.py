"""HTTP in an event loop: bodies by tritonclient, connections by aiohttp.

tritonclient's own asynchronous client limits no single request, and rereads errors in words of its own.
"""

import asyncio
import json
import os
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from engineroom.client.deadline import left_s, over
from engineroom.client.memory.placement import Placed
from engineroom.client.memory.pool import SharedMemory, is_tried
from engineroom.client.metadata import ModelMetadata, loaded_from_index, metadata_from_config
from engineroom.client.protocol.loop_bound import LoopBound
from engineroom.client.protocol.outage import nobody_answers, understood
from engineroom.client.protocol.over_http import HEADER_LENGTH, REGIONS, HttpTransport, Sent, path_of
from engineroom.client.protocol.tls import credentials_from_tls
from engineroom.client.protocol.transport import Address, Arrays, Request
from engineroom.errors import DeadlineExceeded


@dataclass(frozen=True)
class Answer:
    """What a server has sent.

    Attributes:
        status: HTTP status.
        headers: In any case of letters.
        data: The body.
    """

    status: int
    headers: Any
    data: bytes

    def json(self) -> Any:
        """The body, read.

        Raises:
            ValueError: It is no JSON.
        """
        return json.loads(self.data)


class AsyncHttpTransport:
    """A pool of connections of one event loop.

    Args:
        address: The server.
    """

    def __init__(self, address: Address) -> None:
        self._where = address
        self._blocking = HttpTransport(address)  # says what an answer means; in a thread where it may have to ask
        self._tls = credentials_from_tls(address.tls).context if address.secure else None
        self._session = LoopBound(self._connected)
        self._shared = SharedMemory(self, is_tried(address))

    @property
    def address(self) -> str:
        """The server's URL."""
        return self._where.url

    async def ready(self, model: str, version: str) -> bool:
        """Whether the model, or with an empty name the whole server, can answer."""
        path = f"{path_of(model, version)}/ready" if model else "/v2/health/ready"
        return (await self._send("GET", path)).status == 200

    async def metadata(self, model: str, version: str) -> ModelMetadata:
        """What the model takes and gives."""
        config = await self._json("GET", f"{path_of(model, version)}/config")
        with understood(self._where):
            return metadata_from_config(config, version)

    async def loaded(self) -> tuple[tuple[str, str], ...]:
        """Name and version of every model that can answer."""
        index = await self._json("POST", "/v2/repository/index")
        with understood(self._where):
            return loaded_from_index(index)

    async def infer(self, request: Request) -> Arrays:
        """Answer one request."""
        return await self._shared.ask(request, self._infer)

    async def close(self) -> None:
        """Close every connection."""
        if self._session.made is not None:
            await self._shared.close()
            await self._session.made.close()
        self._blocking.close()

    async def register(self, name: str, size_bytes: int) -> None:
        """Have the server map a region of shared memory."""
        asked = json.dumps({"key": f"/{name}", "offset": 0, "byte_size": size_bytes}).encode()
        await self._checked("POST", f"{REGIONS}/region/{name}/register", (asked, None))

    async def unregister(self, name: str) -> None:
        """Have it forget the region."""
        await self._checked("POST", f"{REGIONS}/region/{name}/unregister")

    async def registered(self) -> tuple[str, ...]:
        """Names of the regions that it knows."""
        status = await self._json("GET", f"{REGIONS}/status")
        with understood(self._where):
            return tuple(region["name"] for region in status)

    async def _infer(self, request: Request, placed: Placed | None) -> Arrays:
        path = f"{path_of(request.model, request.version)}/infer"
        sent = self._blocking.encoded(request, placed)
        return self._blocking.decoded(await self._checked("POST", path, sent, request.timeout_s), placed)

    async def _json(self, method: str, path: str) -> Any:
        return self._blocking.read_json(await self._checked(method, path))

    async def _checked(
        self, method: str, path: str, sent: Sent = (b"", None), timeout_s: float | None = None
    ) -> Answer:
        answer = await self._send(method, path, sent, timeout_s)
        if answer.status != 200:
            await asyncio.to_thread(self._blocking.check, answer)
        return answer

    async def _send(self, method: str, path: str, sent: Sent = (b"", None), timeout_s: float | None = None) -> Answer:
        import aiohttp

        quick_s = min(self._where.connect_timeout_s, left_s())
        whole_s = quick_s if timeout_s is None else timeout_s
        if min(quick_s, whole_s) <= 0:
            raise DeadlineExceeded("no time left")
        limit = aiohttp.ClientTimeout(total=whole_s, sock_connect=min(quick_s, whole_s))
        try:
            answer = await self._exchange(method, path, sent, limit)
        except aiohttp.ConnectionTimeoutError as error:
            raise nobody_answers(self._where, f"no connection within {quick_s:.3g} s") from error
        except asyncio.TimeoutError as error:
            if timeout_s is None and not over():
                raise nobody_answers(self._where, f"no answer within {quick_s:.3g} s") from error
            raise DeadlineExceeded(f"no answer within {whole_s:.3g} s") from error
        except aiohttp.ClientError as error:
            garbled = isinstance(error, aiohttp.ClientResponseError)
            raise await asyncio.to_thread(self._blocking.outage, _words(error), garbled) from error
        self._blocking.met = True
        return answer

    async def _exchange(self, method: str, path: str, sent: Sent, limit: Any) -> Answer:
        body, length = sent
        headers = {**self._where.headers, **({HEADER_LENGTH: str(length)} if length else {})}
        url = f"{self._where.url}{path}"
        name = self._where.tls.server_name or None
        session = self._session.get()
        async with session.request(
            method, url, data=BytesIO(body), headers=headers, timeout=limit, server_hostname=name
        ) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    def _connected(self) -> Any:
        import aiohttp

        connector = aiohttp.TCPConnector(limit=0, ssl=self._tls if self._tls is not None else True)
        return aiohttp.ClientSession(connector=connector, auto_decompress=True)


def _words(error: Exception) -> str:
    """What the system said, as it says it to everybody: the event loop puts it otherwise."""
    cause = getattr(error, "os_error", error)
    code = getattr(cause, "errno", None) or 0
    return f"[Errno {code}] {os.strerror(code)}" if code > 0 else str(cause)
