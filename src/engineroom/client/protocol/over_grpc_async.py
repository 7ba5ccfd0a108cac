"""gRPC in an event loop, through tritonclient."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from typing import Any

from engineroom.client.deadline import left_s, timeout_us
from engineroom.client.memory.placement import Placed
from engineroom.client.memory.pool import SharedMemory, is_tried
from engineroom.client.metadata import ModelMetadata, loaded_from_index, metadata_from_config
from engineroom.client.protocol.giving_up import LEFT_S, LeftTasks, bears_cancelling
from engineroom.client.protocol.loop_bound import LoopBound
from engineroom.client.protocol.outage import understood
from engineroom.client.protocol.over_grpc import GrpcTransport, channel_options, check_size, grpc_credentials
from engineroom.client.protocol.transport import Address, Arrays, Request
from engineroom.client.protocol.wire import arrays_from_grpc, wire_inputs, wire_outputs
from engineroom.client.stream import grpc_answers_in_loop


class AsyncGrpcTransport:
    """One channel of one event loop.

    Args:
        address: The server.
    """

    def __init__(self, address: Address) -> None:
        self._where = address
        self._blocking = GrpcTransport(address)  # says what an error means, in a thread: it may have to ask the server
        self._channel = LoopBound(self._connected)
        self._shared = SharedMemory(self, is_tried(address))
        self._calls = LeftTasks()

    @property
    def address(self) -> str:
        """The server's URL."""
        return self._where.url

    async def ready(self, model: str, version: str) -> bool:
        """Whether the model, or with an empty name the server, can answer."""
        client, quick = self._channel.get(), self._blocking.quick
        if model:
            return bool(await self._answer(client.is_model_ready(model, version, **quick)))
        return bool(await self._answer(client.is_server_ready(**quick)))

    async def metadata(self, model: str, version: str) -> ModelMetadata:
        """What the model takes and gives."""
        asked = self._channel.get().get_model_config(model, version, as_json=True, **self._blocking.quick)
        answer = await self._answer(asked)
        with understood(self._where):
            return metadata_from_config(answer["config"], version)

    async def loaded(self) -> tuple[tuple[str, str], ...]:
        """Name and version of every model that can answer."""
        asked = self._channel.get().get_model_repository_index(as_json=True, **self._blocking.quick)
        return loaded_from_index((await self._answer(asked)).get("models", ()))

    async def infer(self, request: Request) -> Arrays:
        """Answer one request."""
        return await self._shared.ask(request, self._infer)

    def stream(self, request: Request) -> AsyncGenerator[Arrays, None]:
        """Answers to one request of a decoupled model."""
        send = self._channel.get()._client_stub.ModelStreamInfer
        return grpc_answers_in_loop(send, request, self._where, self._blocking.error_of_stream)

    async def close(self) -> None:
        """Close the channel."""
        if self._channel.made is not None:
            await self._calls.close()
            await self._shared.close()
            await self._channel.made.close()
        self._blocking.close()

    async def register(self, name: str, size_bytes: int) -> None:
        """Have the server map a region of shared memory."""
        client = self._channel.get()
        await self._answer(client.register_system_shared_memory(name, f"/{name}", size_bytes, **self._blocking.quick))

    async def unregister(self, name: str) -> None:
        """Have it forget the region."""
        await self._answer(self._channel.get().unregister_system_shared_memory(name, **self._blocking.quick))

    async def registered(self) -> tuple[str, ...]:
        """Names of the regions that it knows."""
        asked = self._channel.get().get_system_shared_memory_status(as_json=True, **self._blocking.quick)
        return tuple((await self._answer(asked)).get("regions", ()))

    async def _infer(self, request: Request, placed: Placed | None) -> Arrays:
        from tritonclient import grpc

        check_size(request, placed)
        client, bears = self._channel.get(), await self._bears_cancelling()
        timeout_s = min(request.timeout_s, left_s())
        asked = client.infer(
            request.model,
            wire_inputs(grpc, request, placed),
            request.version,
            wire_outputs(grpc, request, placed),
            timeout=timeout_us(timeout_s),
            client_timeout=timeout_s if bears else timeout_s + LEFT_S,
            headers=self._blocking.headers,
        )
        result = await self._answer(asked if bears else self._calls.answer(asked, timeout_s), infers=True)
        with understood(self._where):
            return arrays_from_grpc(result, placed)

    async def _answer(self, asked: Awaitable[Any], infers: bool = False) -> Any:
        from tritonclient.utils import InferenceServerException

        try:
            answer = await asked
        except InferenceServerException as error:
            raise await asyncio.to_thread(self._blocking.meaning, error, infers) from error
        self._blocking.met = True
        return answer

    async def _bears_cancelling(self) -> bool:
        from tritonclient.utils import InferenceServerException

        bears = self._blocking.bears
        if bears is None:
            try:
                known = await self._channel.get().get_server_metadata(**self._blocking.quick)
                bears = bears_cancelling(known.version)
            except InferenceServerException as error:
                bears = await asyncio.to_thread(self._blocking.without_version, error)
            self._blocking.bears = bears
        return bears

    def _connected(self) -> Any:
        from tritonclient.grpc import aio

        where = self._where
        return aio.InferenceServerClient(
            where.netloc, creds=grpc_credentials(where), channel_args=channel_options(where)
        )
