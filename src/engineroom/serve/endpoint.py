"""The few questions that starting a server takes, over Triton's HTTP endpoint."""

import json
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any

from engineroom.errors import StartupFailed

TIMEOUT_S = 10.0


def is_ready(address: str) -> bool:
    """Whether the server answers and every model it was started with is loaded.

    Args:
        address: `host:port`.
    """
    try:
        return _ask(address, "GET", "/v2/health/ready")[0] == HTTPStatus.OK
    except (OSError, HTTPException):
        return False


def loaded_versions(address: str) -> dict[str, list[int]]:
    """Versions that are loaded, ascending, by model.

    Args:
        address: `host:port`.

    Raises:
        StartupFailed: The server does not answer.
    """
    versions: dict[str, list[int]] = {}
    for entry in _json(address, "POST", "/v2/repository/index"):
        if entry.get("state") == "READY":
            versions.setdefault(entry["name"], []).append(int(entry["version"]))
    return {model: sorted(numbers) for model, numbers in versions.items()}


def backend_of(address: str, model: str, version: int) -> str:
    """The backend of a loaded version, or its platform.

    Args:
        address: `host:port`.
        model: Its name.
        version: The version.

    Raises:
        StartupFailed: The server does not answer.
    """
    config = _json(address, "GET", f"/v2/models/{model}/versions/{version}/config")
    return str(config.get("backend") or config.get("platform"))


def _json(address: str, method: str, path: str) -> Any:
    try:
        status, body = _ask(address, method, path)
    except (OSError, HTTPException) as error:
        raise StartupFailed(f"Triton became ready and does not answer {path} ({error}).") from error
    if status != HTTPStatus.OK:
        raise StartupFailed(f"Triton became ready and answers {path} with status {status}: {body.decode()[:300]}")
    return json.loads(body)


def _ask(address: str, method: str, path: str) -> tuple[int, bytes]:
    connection = HTTPConnection(address, timeout=TIMEOUT_S)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
