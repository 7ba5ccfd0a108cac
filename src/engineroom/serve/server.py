"""A Triton on a model repository: started, proven ready, and ended without a trace."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from engineroom.client import Client
from engineroom.errors import ModelHeld, ServerError, StartupFailed
from engineroom.repository.history import operator
from engineroom.repository.journal import recovered
from engineroom.repository.layout import CPU_CONFIG, MANIFEST, ModelFolder, Repository
from engineroom.repository.policy import current_version
from engineroom.serve import leftovers
from engineroom.serve.endpoint import backend_of, is_ready, loaded_versions
from engineroom.serve.fitness import places, refuse_misfits
from engineroom.serve.found import Running, announce
from engineroom.serve.golden import ServedModel, ask_golden
from engineroom.serve.log import last_lines, reasons
from engineroom.serve.ports import Ports, choose_ports
from engineroom.serve.process import start, stop
from engineroom.serve.triton import Triton, find_triton

POLL_S = 0.02

GIVEN_UP = " Callers who cancel gRPC calls can do this to a Triton before 2.57: docs/calling.md, Deadlines."
"""What most often lets Triton end by a segmentation fault."""


@dataclass(frozen=True)
class ServerOptions:
    """What to serve, and how.

    Attributes:
        repository: The model repository.
        models: Models to load; every published one where empty.
        host: Address to listen on.
        http_port: Port of HTTP; None for a free one, as for the next two.
        grpc_port: Port of gRPC.
        metrics_port: Port of the Prometheus metrics.
        ready_timeout_s: Time for loading and for the golden inputs.
        drain_s: Time that requests in flight are given at the end; with 0 the server is killed.
        log: File for Triton's log; by default a temporary one that goes with the server.
        arguments: Further options of `tritonserver`, which win over ours.
        gpus: The GPUs in this machine, in a passport's words; where empty, plans are judged by TensorRT's version.
    """

    repository: Path
    models: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    http_port: int | None = None
    grpc_port: int | None = None
    metrics_port: int | None = None
    ready_timeout_s: float = 300.0
    drain_s: float = 30.0
    log: Path | None = None
    arguments: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True)
class Server:
    """A running Triton.

    Attributes:
        http: `host:port` of HTTP.
        grpc: `host:port` of gRPC.
        metrics: `host:port` of the metrics.
        log: Triton's log.
        process: Triton itself.
        drain_s: Time that requests in flight are given at the end.
        models: What it serves.
    """

    http: str
    grpc: str
    metrics: str
    log: Path
    process: subprocess.Popen[bytes]
    drain_s: float
    models: tuple[ServedModel, ...] = ()

    @property
    def pid(self) -> int:
        """Process id of `tritonserver`."""
        return self.process.pid

    def wait(self) -> None:
        """Wait until Triton ends by itself.

        Raises:
            ServerError: Always then: a server is ended by `stop`.
        """
        status = self.process.wait()
        hint = GIVEN_UP if status == -signal.SIGSEGV else ""
        raise ServerError(
            f"Triton ended by itself (exit status {status}).{hint} Its last lines:\n{last_lines(self.log)}"
        )

    def stop(self) -> None:
        """Let requests in flight finish, then end Triton and its stubs; harmless when it has ended."""
        stop(self.process, self.drain_s)


@contextmanager
def running(options: ServerOptions) -> Iterator[Server]:
    """Start Triton, give it when every model has answered its golden input, and end it.

    Nothing is left afterwards, neither processes nor shared memory; what earlier servers that were killed have
    left is removed first. Enter it from a thread that stays: the server ends with it.

    Args:
        options: What to serve, and how.

    Raises:
        ServerNotInstalled: There is no Triton.
        RepositoryError: There is nothing to serve, or a model is unknown.
        PortInUse: A port given is taken.
        StartupFailed: A version will not load here, Triton ended, or a model did not load; with the reason.
        GoldenMismatch: A model answers its golden input wrongly.
    """
    models = Repository(options.repository).published(options.models)
    triton = find_triton()
    put_in_order(models)
    refuse_misfits(models, places(triton, options.gpus))
    leftovers.sweep()
    ports = choose_ports(options.host, options.http_port, options.grpc_port, options.metrics_port)
    name = leftovers.new_name()
    run = leftovers.make_run_folder(name)
    try:
        log = options.log or run / "tritonserver.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        _link(run, options.repository, triton)
        process = start(triton, _arguments(options, models, ports, run), log)
        try:
            server = _server(options, ports, log, process)
            _wait_until_ready(server, options, run)
            server = _proven(server, models, restricted(options.arguments))
            _announce(server, options, run, triton)
            yield server
        finally:
            stop(process, options.drain_s)
    finally:
        leftovers.remove(name)


def put_in_order(models: tuple[ModelFolder, ...]) -> None:
    """Take back, or enter, the changes that somebody's process left in the middle; one that goes on now is left to it.

    Args:
        models: What is about to be served.

    Raises:
        RepositoryError: A model cannot be put in order.
    """
    for model in models:
        with suppress(ModelHeld):
            recovered(model, operator())


def _link(run: Path, repository: Path, triton: Triton) -> None:
    # Triton passes these paths through a shell without quoting them: the run folder's name needs none.
    (run / "models").symlink_to(repository.resolve())
    (run / "backends").mkdir()
    for backend in triton.backends:
        (run / "backends" / backend.name).symlink_to(backend)


def _arguments(options: ServerOptions, models: tuple[ModelFolder, ...], ports: Ports, run: Path) -> list[str]:
    ours = all((model.version(current_version(model) or 0) / MANIFEST).exists() for model in models)
    return [
        f"--model-repository={run / 'models'}",
        "--model-control-mode=explicit",
        *(f"--load-model={model.name}" for model in models),
        # Completing a configuration costs a second for each model; ours are complete.
        *(["--disable-auto-complete-config"] if ours else []),
        *([f"--backend-directory={run / 'backends'}"] if any((run / "backends").iterdir()) else []),
        f"--backend-config=python,shm-region-prefix-name={run.name}_",
        f"--http-address={options.host}",
        f"--grpc-address={options.host}",
        f"--metrics-address={options.host}",
        f"--http-port={ports.http}",
        f"--grpc-port={ports.grpc}",
        f"--metrics-port={ports.metrics}",
        "--metrics-config=histogram_latencies=true",
        f"--exit-timeout-secs={max(1, round(options.drain_s))}",
        *options.arguments,
    ]


def _server(options: ServerOptions, ports: Ports, log: Path, process: subprocess.Popen[bytes]) -> Server:
    http, grpc, metrics = (f"{options.host}:{port}" for port in (ports.http, ports.grpc, ports.metrics))
    return Server(http, grpc, metrics, log, process, options.drain_s)


def _announce(server: Server, options: ServerOptions, run: Path, triton: Triton) -> None:
    config = "" if triton.gpu else CPU_CONFIG
    folders = (ModelFolder(options.repository / model.name) for model in server.models)
    paths = {
        model.name: model.cpu_config if config and model.cpu_config.exists() else model.config for model in folders
    }
    texts = {name: path.read_text(encoding="utf-8", errors="replace") for name, path in paths.items() if path.exists()}
    place = str(server.log.resolve()), str(options.repository.resolve()), config
    announce(run, Running(server.http, server.grpc, server.metrics, server.pid, *place, texts))


def _wait_until_ready(server: Server, options: ServerOptions, run: Path) -> None:
    deadline = time.monotonic() + options.ready_timeout_s
    while not is_ready(server.http, restricted(options.arguments)):
        status = server.process.poll()
        if status is not None:
            told = reasons(server.log).replace(str(run / "models"), str(options.repository))
            raise StartupFailed(f"Triton ended before it was ready (exit status {status}):\n{told}")
        if time.monotonic() > deadline:
            raise StartupFailed(
                f"Triton was not ready within {options.ready_timeout_s:g} s. Its last lines:\n{last_lines(server.log)}"
            )
        time.sleep(POLL_S)


def restricted(arguments: tuple[str, ...]) -> dict[str, str]:
    """The keys of restricted APIs among a server's options (`--http-restricted-api=APIS:NAME=VALUE`), as headers."""
    prefix = "--http-restricted-api="
    pairs = (one.removeprefix(prefix).partition(":")[2].partition("=") for one in arguments if one.startswith(prefix))
    return {name: value for name, equals, value in pairs if equals}


def _proven(server: Server, models: tuple[ModelFolder, ...], headers: dict[str, str]) -> Server:
    loaded = loaded_versions(server.http, headers)
    served = []
    with Client(f"http://{server.http}", headers=headers) as client:
        for model in models:
            for version in loaded[model.name]:
                backend = backend_of(server.http, model.name, version, headers)
                served.append(ServedModel(model.name, version, backend, ask_golden(client, model, version)))
    return replace(server, models=tuple(served))
