"""A server that stops for known times: what a load tool says about it can be held against the truth.

python perf/stall_server.py --stall-ms 200 --every-ms 2000 --http-port 8000 --grpc-port 8001

It speaks as much of the KServe v2 protocol as load tools ask for, over HTTP and gRPC, and has one model, `stall`,
which gives back what it gets. Whenever the machine's monotonic clock, modulo `--every-ms`, is below `--stall-ms`, the
whole process stands still: the truth about a request needs nothing but the time at which it was due.
"""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from tritonclient.grpc import service_pb2, service_pb2_grpc

MODEL = "stall"
ROW = 8
CONFIG: dict[str, Any] = {
    "name": MODEL,
    "platform": "stall",
    "max_batch_size": 8,
    "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [ROW]}],
    "output": [{"name": "y", "data_type": "TYPE_FP32", "dims": [ROW]}],
}
METADATA = {
    "name": MODEL,
    "versions": ["1"],
    "platform": "stall",
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, ROW]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, ROW]}],
}
SERVER = {"name": "stall", "version": "1", "extensions": ["binary_tensor_data", "statistics"]}


@dataclass(frozen=True)
class Stalls:
    """When the server stands still.

    Attributes:
        every_s: From one stall's begin to the next one's.
        length_s: How long one is.
    """

    every_s: float
    length_s: float

    def left_s(self, now_s: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """What is left of the stall at each monotonic time; 0 between stalls."""
        left: npt.NDArray[np.float64] = np.maximum(self.length_s - now_s % self.every_s, 0)
        return left

    def answered_s(self, due_s: npt.NDArray[np.float64], service_s: float) -> npt.NDArray[np.float64]:
        """When a server with these stalls answers, one request after the other.

        Args:
            due_s: When each request comes, monotonic seconds, ascending.
            service_s: Time that the server needs for each.
        """
        answered, free_s = [], 0.0
        for one_s in due_s.tolist():
            begin_s = max(one_s, free_s)
            free_s = begin_s + max(self.length_s - begin_s % self.every_s, 0) + service_s
            answered.append(free_s)
        return np.array(answered)

    def wait(self) -> None:
        """Stand still to the end of a stall, with everything that runs in this thread."""
        while (left_s := self.length_s - time.monotonic() % self.every_s) > 0:
            time.sleep(left_s)


class Counter:
    """Inferences so far, in the form of Triton's statistics: load tools ask for them."""

    def __init__(self) -> None:
        self.count = 0

    def statistics(self) -> dict[str, Any]:
        """The answer to a request for statistics. Times are all 0: nothing is measured here."""
        parts = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output")
        spent = {name: {"count": 0 if name == "fail" else self.count, "ns": 0} for name in parts}
        model = {"name": MODEL, "version": "1", "inference_count": self.count, "execution_count": self.count}
        return {"model_stats": [{**model, "inference_stats": spent}]}


class HttpConnection(asyncio.Protocol):
    """One connection: requests are answered in the order in which they come."""

    def __init__(self, stalls: Stalls, counter: Counter) -> None:
        self.stalls, self.counter, self.pending = stalls, counter, b""
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole by now."""
        self.stalls.wait()
        self.pending += data
        while (end := self.pending.find(b"\r\n\r\n")) >= 0:
            first, *lines = self.pending[:end].decode("latin-1").split("\r\n")
            fields = {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in lines)}
            length = int(fields.get("content-length", 0))
            if len(self.pending) < end + 4 + length:
                return
            body, self.pending = self.pending[end + 4 : end + 4 + length], self.pending[end + 4 + length :]
            self.transport.write(self.answer(first.split(" ")[1], fields, body))

    def answer(self, path: str, fields: dict[str, str], body: bytes) -> bytes:
        """The bytes of an answer."""
        if path in {f"/v2/models/{MODEL}/infer", f"/v2/models/{MODEL}/versions/1/infer"}:
            self.counter.count += 1
            return inferred(fields, body)
        known: dict[str, Callable[[], Any]] = {
            "/v2": lambda: SERVER,
            "/v2/health/live": dict,
            "/v2/health/ready": dict,
            f"/v2/models/{MODEL}": lambda: METADATA,
            f"/v2/models/{MODEL}/ready": dict,
            f"/v2/models/{MODEL}/config": lambda: CONFIG,
            f"/v2/models/{MODEL}/stats": self.counter.statistics,
            "/v2/models/stats": self.counter.statistics,
        }
        found = known.get(path.partition("?")[0].replace("/versions/1", ""))
        if found is None:
            return http_answer(404, json.dumps({"error": f"{path} is not known here"}).encode())
        return http_answer(200, json.dumps(found()).encode())


def inferred(fields: dict[str, str], body: bytes) -> bytes:
    """The answer to an inference: the input, as the output."""
    split = int(fields.get("inference-header-content-length", len(body)))
    asked = json.loads(body[:split])
    given = asked["inputs"][0]
    raw = body[split:] or np.array(given["data"], np.float32).tobytes()
    output = {"name": "y", "datatype": "FP32", "shape": given["shape"], "parameters": {"binary_data_size": len(raw)}}
    told: dict[str, Any] = {"model_name": MODEL, "model_version": "1", "outputs": [output]}
    if "id" in asked:
        told["id"] = asked["id"]
    head = json.dumps(told).encode()
    return http_answer(200, head + raw, f"Inference-Header-Content-Length: {len(head)}\r\n")


def http_answer(status: int, body: bytes, further: str = "") -> bytes:
    """An answer with its head."""
    head = f"HTTP/1.1 {status} {'OK' if status == 200 else 'Error'}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n{further}\r\n".encode("latin-1") + body


class GrpcService(service_pb2_grpc.GRPCInferenceServiceServicer):
    """The same model over gRPC."""

    def __init__(self, stalls: Stalls, counter: Counter) -> None:
        self.stalls, self.counter = stalls, counter

    async def ServerLive(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802, D102 - the protocol's words
        return service_pb2.ServerLiveResponse(live=True)

    async def ServerReady(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802, D102
        return service_pb2.ServerReadyResponse(ready=True)

    async def ModelReady(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802, D102
        return service_pb2.ModelReadyResponse(ready=True)

    async def ServerMetadata(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802, D102
        return service_pb2.ServerMetadataResponse(**SERVER)

    async def ModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802, D102
        return service_pb2.ModelMetadataResponse(**METADATA)

    async def ModelConfig(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802, D102
        return service_pb2.ModelConfigResponse(config=CONFIG)

    async def ModelStatistics(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802, D102
        return service_pb2.ModelStatisticsResponse(**self.counter.statistics())

    async def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802, D102
        self.stalls.wait()
        self.counter.count += 1
        answer = service_pb2.ModelInferResponse(model_name=MODEL, model_version="1", id=request.id)
        answer.outputs.add(name="y", datatype="FP32", shape=request.inputs[0].shape)
        answer.raw_output_contents.append(request.raw_input_contents[0])
        return answer


async def serve(stalls: Stalls, http_port: int, grpc_port: int) -> None:
    """Serve both protocols on this machine, for ever; port 0 is a free one. Both are printed."""
    from grpc import aio

    counter = Counter()
    loop = asyncio.get_running_loop()
    # During a stall nobody accepts: the system does, as many as the queue holds.
    http = await loop.create_server(lambda: HttpConnection(stalls, counter), "127.0.0.1", http_port, backlog=4096)
    grpc = aio.server()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(GrpcService(stalls, counter), grpc)
    port = grpc.add_insecure_port(f"127.0.0.1:{grpc_port}")
    await grpc.start()
    click.echo(json.dumps({"http": http.sockets[0].getsockname()[1], "grpc": port}))
    await http.serve_forever()


@click.command()
@click.option("--stall-ms", default=200.0, show_default=True, help="Length of a stall.")
@click.option("--every-ms", default=2000.0, show_default=True, help="From one stall's begin to the next one's.")
@click.option("--http-port", default=8000, show_default=True)
@click.option("--grpc-port", default=8001, show_default=True)
def main(stall_ms: float, every_ms: float, http_port: int, grpc_port: int) -> None:
    """Serve until interrupted."""
    asyncio.run(serve(Stalls(every_ms / 1000, stall_ms / 1000), http_port, grpc_port))


if __name__ == "__main__":
    main()
