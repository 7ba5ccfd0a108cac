"""Talking to MLflow: bounded in time, quiet, and with errors of our own."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engineroom.errors import RegistryError

if TYPE_CHECKING:
    from mlflow import MlflowClient

URI = "MLFLOW_TRACKING_URI"
"""MLflow's own variable: the address of its server."""

QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
"""Nothing is told to anybody but the server, and standard output belongs to the command."""

ASKING = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
"""How long a call may take, in seconds. MLflow's own defaults hold a build for minutes when nobody answers; and a call
that is sent again because its answer was late may register a version twice."""

SENDING = {**ASKING, "MLFLOW_HTTP_REQUEST_TIMEOUT": "120"}
"""The same for a file: the server answers when it has put it away."""

REASONS = {
    "Connection refused": "nobody listens there",
    "timed out": "no answer came in time",
    "Failed to resolve": "there is no such host",
}
"""What stands in the message when nobody answers, and what to say instead of its four nested texts."""

LONGEST = 400
"""Characters of MLflow's own message that are shown: a page of an unknown server can be long."""


@dataclass(frozen=True)
class Server:
    """An MLflow server.

    Attributes:
        uri: Its address, as `MLFLOW_TRACKING_URI` gives it.
    """

    uri: str

    @property
    def address(self) -> str:
        """The address as it may be shown and kept: without the name and password that may stand in it."""
        scheme, separator, rest = self.uri.partition("://")
        return f"{scheme}{separator}{rest.rpartition('@')[2]}"

    @contextlib.contextmanager
    def asked(self, settings: Mapping[str, str] = ASKING) -> Iterator["MlflowClient"]:
        """A client for some calls, which take `settings` where the environment does not say otherwise.

        Args:
            settings: `ASKING` or `SENDING`.

        Raises:
            RegistryError: MLflow is not installed, cannot be reached, does not answer in time, or refuses.
        """
        with _environment({**QUIET, **settings}):
            try:
                from mlflow import MlflowClient
                from mlflow.exceptions import MlflowException
            except ImportError as error:
                raise RegistryError(
                    f"{self.address}: MLflow's client is not installed ({error}). "
                    'Run: pip install "engineroom[mlflow]"'
                ) from error
            try:
                yield MlflowClient(tracking_uri=self.uri)
            except (MlflowException, OSError, ImportError, ValueError) as error:
                raise RegistryError(f"{self.address}: {_reason(error, self)}") from error


def server_from_environment() -> Server | None:
    """The server that `MLFLOW_TRACKING_URI` names, or None."""
    uri = os.environ.get(URI, "").strip()
    return Server(uri) if uri else None


@contextlib.contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    # MLflow reads these at every call; what somebody has set wins.
    added = {name: value for name, value in settings.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _reason(error: Exception, server: Server) -> str:
    text = " ".join(str(error).replace(server.uri, server.address).split()) or type(error).__name__
    for sign, told in REASONS.items():
        if sign in text:
            return f"{told}. Is an MLflow server running there? {URI} or --mlflow names it."
    return f"MLflow says: {text if len(text) <= LONGEST else text[:LONGEST] + '...'}"
