"""The servers that run here: each leaves its addresses in its run folder, so that an operator need not name them."""

import json
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from engineroom.repository.files import write_atomically
from engineroom.serve.leftovers import PREFIX, is_alive

SERVER = "server.json"
"""Name of the file in a server's run folder."""


@dataclass(frozen=True)
class Running:
    """A Triton that `engineroom serve` has started on this machine.

    Attributes:
        http: `host:port` of HTTP.
        grpc: `host:port` of gRPC.
        metrics: `host:port` of the metrics.
        pid: Process id of `tritonserver`.
        log: Triton's log.
        repository: The model repository, resolved.
        config: Name of the configurations that it reads, such as `cpu`; empty for `config.pbtxt`.
        texts: Those configurations as it was started with them, by model.
    """

    http: str
    grpc: str
    metrics: str
    pid: int
    log: str
    repository: str
    config: str
    texts: dict[str, str] = field(default_factory=dict)


def announce(run: Path, server: Running) -> None:
    """Leave a server's addresses in its run folder.

    Args:
        run: The folder, which goes with the server.
        server: The server.
    """
    write_atomically(run / SERVER, json.dumps(asdict(server)))


def servers_of(repository: Path) -> tuple[Running, ...]:
    """Servers of this machine that serve a repository, the oldest first.

    Args:
        repository: The model repository.
    """
    wanted, found = str(repository.resolve()), []
    for path in sorted(Path(tempfile.gettempdir()).glob(f"{PREFIX}*_*/{SERVER}"), key=_age):
        try:
            server = Running(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            # It has just ended, belongs to somebody else, or to another engineroom.
            continue
        if server.repository == wanted and is_alive(path.parent.name):
            found.append(server)
    return tuple(found)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
