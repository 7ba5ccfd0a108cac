"""Several answers to one request: decoupled models, over gRPC's stream in both directions.

tritonclient's own streams are one a client, and leave a thread behind when they are cancelled; the generated stub
beneath them is neither.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Protocol, cast, runtime_checkable

from engineroom.client.deadline import within
from engineroom.client.metadata import ModelMetadata
from engineroom.client.protocol.async_transport import AsyncTransport, Blocking
from engineroom.client.protocol.outage import by_queue, refused, rejected, stranger, understood
from engineroom.client.protocol.transport import Address, Arrays, Request, arrays_from_result, wire_array
from engineroom.client.runner import Runner, finished
from engineroom.client.survival.course import Course
from engineroom.client.survival.endpoints import Endpoints
from engineroom.errors import BadInput, CallError, ModelNotFound

UNKNOWN = ("Request for unknown model", "is not ready")
"""What Triton says of a model that is not loaded, in a stream, where errors have no code (seen with 2.51)."""


@runtime_checkable
class Streaming(Protocol):
    """A transport that can carry several answers to one request."""

    def stream(self, request: Request) -> Iterator[Arrays]:
        """Answers to one request, as the model gives them; closing the iterator cancels the request.

        Raises:
            CallError: As `Transport.infer`.
        """


@runtime_checkable
class AsyncStreaming(Protocol):
    """The same of a transport that waits in an event loop."""

    def stream(self, request: Request) -> AsyncGenerator[Arrays, None]:
        """As `Streaming.stream`."""


class BlockingStream:
    """A `Streaming` in the form of the other: its iterator never waits for an event loop, and blocks its thread."""

    def __init__(self, transport: Streaming) -> None:
        self._transport = transport

    async def stream(self, request: Request) -> AsyncGenerator[Arrays, None]:
        """Answers to one request."""
        for answer in self._transport.stream(request):
            yield answer


def carrier_of(transport: AsyncTransport) -> AsyncStreaming | None:
    """How a transport streams; None where it does not."""
    if isinstance(transport, Blocking):
        return BlockingStream(transport.transport) if isinstance(transport.transport, Streaming) else None
    return transport if isinstance(transport, AsyncStreaming) else None


def check_one_answer(model: ModelMetadata) -> None:
    """Refuse a plain call of a decoupled model: Triton does not take it.

    Raises:
        BadInput: It is one.
    """
    if model.decoupled:
        raise BadInput(
            f"{model.name}: is decoupled, it gives any number of answers to one request. Use client.stream, over gRPC."
        )


def check_streams(endpoints: Endpoints, address: str) -> None:
    """Refuse a stream where no server of a client can carry one, as over HTTP.

    Raises:
        BadInput: There is none.
    """
    if not endpoints.all:
        raise BadInput(f"{address} carries no streams, only gRPC does. Use grpc://, port 8001 by default.")


async def surviving(course: Course, request: Request, runner: Runner) -> AsyncGenerator[Arrays, None]:
    """Answers of one server; of another one, or of the same again, only where none has given the first.

    Args:
        course: The way over the servers that can stream, at least one.
        request: What is asked.
        runner: Waits.
    """
    end = time.monotonic() + request.timeout_s
    while True:
        begun = False
        try:
            with course.attempt(limited=False) as transport:
                carrier = cast("AsyncStreaming", carrier_of(transport))
                asked = replace(request, timeout_s=end - time.monotonic())
                async with aclosing(carrier.stream(asked)) as answers:
                    async for answer in answers:
                        begun = True
                        yield answer
        except CallError as error:
            with within(end - time.monotonic()):
                pause_s = None if begun else course.pause_s(error)
            if pause_s is None:
                raise course.verdict(error) from error
        else:
            return
        await runner.sleep(pause_s)


def in_thread(answers: AsyncGenerator[Arrays, None]) -> Iterator[Arrays]:
    """The answers of an iterator that never waits for an event loop."""
    try:
        while True:
            yield finished(answers.__anext__())
    except StopAsyncIteration:
        return
    finally:
        finished(answers.aclose())


def grpc_answers(
    send: Callable[..., Any],
    request: Request,
    address: Address,
    error_from_code: Callable[[str, str], CallError],
) -> Iterator[Arrays]:
    """Send one request on a stream of its own, and read to the final answer.

    Args:
        send: `ModelStreamInfer` of the generated stub.
        request: What is asked; its `timeout_s` holds for the whole stream.
        address: The server.
        error_from_code: The error of a status code's name and its words.
    """
    import grpc

    call = _begun(send, request, address)
    try:
        for one in call:
            yield from _arrays(address, one)
            if _is_final(one):
                return
        raise _without_end(address)
    except grpc.RpcError as error:
        raise error_from_code(error.code().name, error.details() or error.code().name) from error
    finally:
        call.cancel()


async def grpc_answers_in_loop(
    send: Callable[..., Any],
    request: Request,
    address: Address,
    error_from_code: Callable[[str, str], CallError],
) -> AsyncGenerator[Arrays, None]:
    """As `grpc_answers`, with the stub of an event loop."""
    import grpc

    call = _begun(send, request, address)
    try:
        async for one in call:
            for answer in _arrays(address, one):
                yield answer
            if _is_final(one):
                return
        raise _without_end(address)
    except grpc.RpcError as error:
        told = error.code().name, error.details() or error.code().name
        raise await asyncio.to_thread(error_from_code, *told) from error  # may have to ask the server
    finally:
        call.cancel()


def _begun(send: Callable[..., Any], request: Request, address: Address) -> Any:
    headers = tuple((name.lower(), value) for name, value in address.headers.items())
    return send(iter((_message(request),)), metadata=headers, timeout=request.timeout_s)


def _is_final(one: Any) -> bool:
    return bool(one.infer_response.parameters["triton_final_response"].bool_param)


def _without_end(address: Address) -> CallError:
    return stranger(address, "a stream that ends without its final answer")


def _message(request: Request) -> Any:
    from tritonclient.grpc import service_pb2
    from tritonclient.utils import serialize_byte_tensor

    message = service_pb2.ModelInferRequest(model_name=request.model, model_version=request.version)
    # Otherwise a model that says that it is at its end only after its last answer leaves the end unmarked.
    message.parameters["triton_enable_empty_final_response"].bool_param = True
    for tensor in request.inputs:
        message.inputs.add(name=tensor.name, datatype=tensor.dtype, shape=tensor.array.shape)
        array = wire_array(tensor)
        message.raw_input_contents.append(
            b"".join(serialize_byte_tensor(array).flat) if tensor.dtype == "BYTES" else array.tobytes()
        )
    for output in request.outputs:
        message.outputs.add(name=output.name)
    return message


def _arrays(address: Address, one: Any) -> Iterator[Arrays]:
    """The answer in a message; none in one that only says that it is the last."""
    from tritonclient.grpc import InferResult

    if one.error_message:
        raise _error(address, one.error_message)
    names = [output.name for output in one.infer_response.outputs]
    if names:
        with understood(address):
            answer = arrays_from_result(InferResult(one.infer_response), names)
        yield answer


def _error(address: Address, message: str) -> CallError:
    if any(words in message for words in UNKNOWN):
        return ModelNotFound(message)
    return rejected(address, message) if by_queue(message) else refused(address, message)
