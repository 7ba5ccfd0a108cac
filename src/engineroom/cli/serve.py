"""`engineroom serve`: Triton on the model repository, until Ctrl-C."""

import json
import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from engineroom.cli.models import run_engines
from engineroom.project import Project

if TYPE_CHECKING:
    from engineroom.serve.server import Server, ServerOptions

PORT = click.IntRange(0, 65535)


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--repository", type=click.Path(path_type=Path), help="Model repository. [default: the project's]")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--http-port", type=PORT, default=8000, show_default=True, help="0: any free one.")
@click.option("--grpc-port", type=PORT, default=8001, show_default=True, help="0: any free one.")
@click.option("--metrics-port", type=PORT, default=8002, show_default=True, help="0: any free one.")
@click.option("--drain-s", default=30.0, show_default=True, help="Time for requests in flight at the end, in seconds.")
@click.option("--log", type=click.Path(path_type=Path), help="Triton's log. [default: .engineroom/tritonserver.log]")
@click.option("--triton", "arguments", multiple=True, metavar="OPTION", help="An option for tritonserver; repeatable.")
@click.option("--engines", is_flag=True, help="First compile the TensorRT engines that this machine's GPU lacks.")
@click.option("--json", "as_json", is_flag=True, help="Print models and endpoints as one line of JSON.")
def serve(names: tuple[str, ...], engines: bool, as_json: bool, **given: Any) -> None:
    """Start Triton on the models named, or on all published ones, until Ctrl-C or SIGTERM.

    Every model must answer its golden input before the endpoints are printed.
    """
    from engineroom.compile.targets.gpu import gpus
    from engineroom.serve.server import ServerOptions

    project = Project.find()
    given["repository"] = given["repository"] or project.repository
    given["log"] = given["log"] or project.work / "tritonserver.log"
    signal.signal(signal.SIGTERM, _interrupt)
    _serve(ServerOptions(models=names, gpus=tuple(map(str, gpus())), **given), engines, as_json)


def _serve(options: "ServerOptions", engines: bool, as_json: bool) -> None:
    from engineroom.serve.server import running

    note = click.echo if not as_json else lambda _: None
    try:
        if engines:
            run_engines(options.models, options.repository)
        with running(options) as server:
            click.echo(json.dumps(_summary(server)) if as_json else _table(server))
            try:
                server.wait()
            except KeyboardInterrupt:
                note("stopping: requests in flight are finished first")
    except KeyboardInterrupt:
        note("stopped before it was ready")
        return
    note("stopped")


def _interrupt(signal_number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signal module's signature
    raise KeyboardInterrupt


def _summary(server: "Server") -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "http": server.http,
        "grpc": server.grpc,
        "metrics": server.metrics,
        "pid": server.pid,
        "log": str(server.log),
        "models": [asdict(model) for model in server.models],
    }


def _table(server: "Server") -> str:
    rows = [("MODEL", "VERSION", "BACKEND", "GOLDEN INPUT")]
    rows += [(model.name, str(model.version), model.backend, _verdict(model.golden)) for model in server.models]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "  ".join((*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3])) for row in rows
    ]
    lines += ["", f"gRPC     {server.grpc}", f"HTTP     http://{server.http}"]
    lines += [f"metrics  http://{server.metrics}/metrics", f"log      {server.log}", "ready; Ctrl-C ends it"]
    return "\n".join(lines)


def _verdict(golden: Any) -> str:
    if not golden:
        return "not checked: the version has no golden.npz and manifest.json"
    return ", ".join(
        f"{name}: max_abs {found.max_abs:.2g}, cosine {found.cosine:.5f}" for name, found in golden.items()
    )
