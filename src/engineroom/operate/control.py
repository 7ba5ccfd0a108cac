"""A running Triton under our control: load, unload, ask, watch."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote

from engineroom.client import Client
from engineroom.client.protocol.transport import address_from_url
from engineroom.errors import BadInput, GoldenMismatch, LoadRefused, RepositoryError, ServerError
from engineroom.repository.layout import ModelFolder
from engineroom.serve.endpoint import ask, load_model, unload_model
from engineroom.serve.found import servers_of
from engineroom.serve.golden import ask_golden
from engineroom.serve.log import reasons


@dataclass(frozen=True)
class Control:
    """A Triton whose models are loaded and unloaded on request (`--model-control-mode=explicit`).

    Attributes:
        http: `host:port` of HTTP.
        headers: Sent with every request, such as the key of a restricted API.
        config: Name of the configurations that it reads, such as `cpu`; empty for `config.pbtxt`; None where that is
            not known.
        log: Its log, where it can be read: it alone says why a model did not load.
        texts: The configurations that it was started with, by model, where that is known.
    """

    http: str
    headers: Mapping[str, str] = field(default_factory=dict)
    config: str | None = None
    log: Path | None = None
    texts: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"http://{self.http}"

    def client(self) -> Client:
        """A client of it, to be closed by the caller."""
        return Client(str(self), headers=self.headers)

    def load(self, model: str) -> None:
        """Load a model, or load it anew.

        Raises:
            LoadRefused: Triton does not; what it served before, it serves still.
            ServerError: The server does not answer.
        """
        start = self.log.stat().st_size if self.log is not None and self.log.exists() else 0
        try:
            refusal = load_model(self.http, model, self.headers)
        except (OSError, HTTPException) as error:
            raise ServerError(f"{self} does not answer ({error}).") from error
        if refusal:
            told = reasons(self.log, start).strip() if self.log is not None and self.log.exists() else ""
            raise LoadRefused(f"{model}: {self} does not load it. {_plain(refusal, told)}")

    def unload(self, model: str) -> None:
        """Unload a model; requests in flight are finished first.

        Raises:
            ServerError: The server does not answer, or refuses.
        """
        try:
            refusal = unload_model(self.http, model, self.headers)
        except (OSError, HTTPException) as error:
            raise ServerError(f"{self} does not answer ({error}).") from error
        if refusal:
            raise ServerError(f"{model}: {self} does not unload it. {refusal}")

    def versions(self, model: str) -> tuple[int, ...]:
        """The versions of a model that it serves, ascending; empty where it has not loaded it.

        Raises:
            ServerError: The server does not answer.
        """
        index = self._json("POST", "/v2/repository/index")
        return tuple(
            sorted(int(one["version"]) for one in index if one["name"] == model and one.get("state") == "READY")
        )

    def rehearsed(self, prefix: str) -> tuple[str, ...]:
        """The models that it has loaded under names with a prefix.

        Raises:
            ServerError: The server does not answer.
        """
        index = self._json("POST", "/v2/repository/index")
        return tuple({one["name"] for one in index if one["name"].startswith(prefix) and one.get("state") == "READY"})

    def configuration(self, model: str) -> Any:
        """What it has loaded a model with, as a `ModelConfig` message; what nobody wrote is filled in.

        Raises:
            ServerError: The server does not answer, or has not loaded the model.
        """
        from google.protobuf import json_format
        from tritonclient.grpc import model_config_pb2

        raw = self._json("GET", f"/v2/models/{quote(model, safe='')}/config")
        return json_format.ParseDict(raw, model_config_pb2.ModelConfig(), ignore_unknown_fields=True)

    def statistics(self, model: str) -> dict[int, dict[str, Any]]:
        """Triton's own counts of a model, by version.

        Raises:
            ServerError: The server does not answer, or has not loaded the model.
        """
        answer = self._json("GET", f"/v2/models/{quote(model, safe='')}/stats")
        return {int(one["version"]): one for one in answer["model_stats"]}

    def prove(self, model: ModelFolder, name: str = "") -> tuple[int, ...]:
        """Have every served version answer its golden input.

        Args:
            model: The model's folder, for the golden answers.
            name: Its name on the server, where that is another one.

        Returns:
            The versions that have no golden answer to compare with.

        Raises:
            GoldenMismatch: An answer is wrong.
            ServerError: Nothing is served, or a version does not answer.
        """
        versions = self.versions(name or model.name)
        if not versions:
            raise GoldenMismatch(f"{model.name}: {self} serves no version of it.")
        with self.client() as client:
            return tuple(version for version in versions if not ask_golden(client, model, version, name))

    def _json(self, method: str, path: str) -> Any:
        try:
            status, body = ask(self.http, method, path, self.headers)
            answer = json.loads(body)
        except (OSError, HTTPException, ValueError) as error:
            raise ServerError(f"{self} does not answer {path} as Triton does ({error}).") from error
        if status != HTTPStatus.OK:
            key = " Give the key of the restricted API: --header NAME=VALUE." if status == HTTPStatus.FORBIDDEN else ""
            raise ServerError(f"{self} answers {path} with status {status}: {answer.get('error', answer)}.{key}")
        return answer


def controls(repository: Path, urls: tuple[str, ...], headers: Mapping[str, str]) -> tuple[Control, ...]:
    """The servers that a change of a repository goes to.

    Args:
        repository: The model repository.
        urls: `http://HOST:PORT` of each; where empty, every server that `engineroom serve` runs on it on this machine.
        headers: Sent with every request.

    Raises:
        BadInput: A URL is none.
        ServerError: None is given, and none runs here.
    """
    found = servers_of(repository)
    if not urls:
        return tuple(Control(one.http, headers, one.config, Path(one.log), one.texts) for one in found)
    known = {one.http: one for one in found}
    chosen = []
    for url in urls:
        address = address_from_url(url if "://" in url else f"http://{url}")
        if address.scheme != "http":
            raise BadInput(f"'{url}': models are loaded over HTTP. Give http://HOST:8000.")
        here = known.get(address.netloc)
        chosen.append(
            Control(address.netloc, headers)
            if here is None
            else Control(here.http, headers, here.config, Path(here.log), here.texts)
        )
    return tuple(chosen)


def serving(repository: Path, urls: tuple[str, ...], headers: Mapping[str, str]) -> tuple[Control, ...]:
    """As `controls`, but at least one.

    Raises:
        ServerError: None is given, and none runs here.
    """
    found = controls(repository, urls, headers)
    if not found:
        raise ServerError(
            f"no Triton is found that serves {repository}. Start one: engineroom serve. If it runs elsewhere, name it: "
            "--url http://HOST:8000. To change the files alone: --offline."
        )
    return found


def served_config(model: ModelFolder, control: Control) -> Path:
    """The configuration of a model that a server reads.

    Args:
        model: The model.
        control: The server.

    Raises:
        RepositoryError: The model has no configuration that the server could read.
    """
    if control.config is None:
        return _by_backend(model, control)
    variant = model.path / "configs" / f"{control.config}.pbtxt"
    path = variant if control.config and variant.exists() else model.config
    if not path.exists():
        raise RepositoryError(f"{model.name}: {control} reads {path}, which is not there.")
    return path


def _by_backend(model: ModelFolder, control: Control) -> Path:
    """Which configuration it must be, by the backend that the server has loaded the model with."""
    from engineroom.repository.config import backend_of, config_from_file

    paths = model.configs
    with suppress(ServerError):
        loaded = backend_of(control.configuration(model.name))
        paths = tuple(path for path in paths if backend_of(config_from_file(path)) == loaded)
    if not paths:
        raise RepositoryError(f"{model.name}: none of its configurations is the one that {control} has loaded.")
    return paths[0]


def _plain(refusal: str, told: str) -> str:
    # The API mostly answers "failed to poll"; the log says why.
    return told if told and ("failed to poll" in refusal or not refusal) else refusal.removeprefix("load ")
