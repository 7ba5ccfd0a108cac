"""The few questions that starting and operating a server takes, over Triton's HTTP endpoint."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import quote

from engineroom.errors import StartupFailed

TIMEOUT_S = 10.0

LOAD_S = 900.0
"""Time for loading a model: an engine of several GB on a cold disk."""


def is_ready(address: str, headers: Mapping[str, str] | None = None) -> bool:
    """Whether the server answers and every model it was started with is loaded.

    Args:
        address: `host:port`.
        headers: Sent along, such as the key of a restricted API.
    """
    try:
        return ask(address, "GET", "/v2/health/ready", headers)[0] == HTTPStatus.OK
    except (OSError, HTTPException):
        return False


def loaded_versions(address: str, headers: Mapping[str, str] | None = None) -> dict[str, list[int]]:
    """Versions that are loaded, ascending, by model.

    Args:
        address: `host:port`.
        headers: Sent along, such as the key of a restricted API.

    Raises:
        StartupFailed: The server does not answer.
    """
    versions: dict[str, list[int]] = {}
    for entry in _json(address, "POST", "/v2/repository/index", headers):
        if entry.get("state") == "READY":
            versions.setdefault(entry["name"], []).append(int(entry["version"]))
    return {model: sorted(numbers) for model, numbers in versions.items()}


def backend_of(address: str, model: str, version: int, headers: Mapping[str, str] | None = None) -> str:
    """The backend of a loaded version, or its platform.

    Args:
        address: `host:port`.
        model: Its name.
        version: The version.
        headers: Sent along.

    Raises:
        StartupFailed: The server does not answer.
    """
    config = _json(address, "GET", f"/v2/models/{model}/versions/{version}/config", headers)
    return str(config.get("backend") or config.get("platform"))


def load_model(address: str, model: str, headers: Mapping[str, str] | None = None) -> str:
    """Ask a running Triton to load a model, or to load it anew; what it served before is served until then.

    Args:
        address: `host:port`.
        model: Its name.
        headers: Sent along, such as the key of a restricted API.

    Returns:
        Why it did not load, in Triton's words; empty where it did.

    Raises:
        OSError, HTTPException: The server does not answer.
    """
    return _repository(address, model, "load", headers)


def unload_model(address: str, model: str, headers: Mapping[str, str] | None = None) -> str:
    """Ask a running Triton to unload a model; the same answers as of `load_model`."""
    return _repository(address, model, "unload", headers)


def _repository(address: str, model: str, verb: str, headers: Mapping[str, str] | None) -> str:
    path = f"/v2/repository/models/{quote(model, safe='')}/{verb}"
    status, body = ask(address, "POST", path, headers, timeout_s=LOAD_S)
    if status == HTTPStatus.OK:
        return ""
    try:
        return str(json.loads(body)["error"]).strip()
    except (ValueError, KeyError, TypeError):
        return f"status {status}: {body.decode(errors='replace')[:300]}"


def _json(address: str, method: str, path: str, headers: Mapping[str, str] | None) -> Any:
    try:
        status, body = ask(address, method, path, headers)
    except (OSError, HTTPException) as error:
        raise StartupFailed(f"Triton became ready and does not answer {path} ({error}).") from error
    if status != HTTPStatus.OK:
        raise StartupFailed(f"Triton became ready and answers {path} with status {status}: {body.decode()[:300]}")
    return json.loads(body)


def ask(
    address: str, method: str, path: str, headers: Mapping[str, str] | None = None, timeout_s: float = TIMEOUT_S
) -> tuple[int, bytes]:
    """Send one request without a body.

    Args:
        address: `host:port`.
        method: `GET` or `POST`.
        path: Such as `/v2/health/ready`.
        headers: Sent along.
        timeout_s: Time for the answer.

    Returns:
        Status and body.

    Raises:
        OSError, HTTPException: The server does not answer.
    """
    connection = HTTPConnection(address, timeout=timeout_s)
    try:
        connection.request(method, path, headers=dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
