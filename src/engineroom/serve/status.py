"""What `engineroom server status` tells."""

from typing import Any

from engineroom.errors import ServerNotInstalled
from engineroom.hardware import has_gpu
from engineroom.serve.embedded import PINS, embedded_server
from engineroom.serve.triton import container_binary


def server_status() -> dict[str, Any]:
    """Which Triton would be started here, where it is, and what it lacks.

    Returns:
        `kind` (`container`, `embedded` or `none`), `folder` or `reason`, `missing` (empty where it can be started),
        and for the embedded server its `python` and `packages`.
    """
    binary = container_binary()
    if binary:
        return {"kind": "container", "folder": str(binary.parent.parent), "gpu": has_gpu(), "missing": []}
    try:
        server = embedded_server()
    except ServerNotInstalled as error:
        return {"kind": "none", "reason": str(error), "missing": ["a machine or a Python that can run it"]}
    missing = [str(path.relative_to(server.folder)) for path in server.missing]
    return {
        "kind": "embedded",
        "folder": str(server.folder),
        "python": f"{server.interpreter.executable} ({server.interpreter.version})",
        "packages": list(PINS),
        "missing": missing if server.folder.exists() else ["everything: run engineroom server install"],
    }
