"""Following the registry's champion: what `engineroom registry follow` does, once or again and again."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from engineroom.cli.operating import options_from, request_from, told
from engineroom.errors import EngineRoomError

if TYPE_CHECKING:
    from engineroom.registry.server import Server
    from engineroom.registry.standing import Champion
    from engineroom.repository.layout import ModelFolder


@dataclass
class Follower:
    """Makes a repository serve what a registry calls champion.

    Attributes:
        model: The model.
        server: The registry.
        given: The options of `OPERATING`.
        refused: The champion that could not be promoted: it is not tried again until the alias moves.
    """

    model: "ModelFolder"
    server: "Server"
    given: dict[str, Any]
    refused: int = 0

    def look(self) -> str:
        """Compare, and promote where the champion is not what is served.

        Returns:
            What was found or done, for people.

        Raises:
            EngineRoomError: The registry does not answer, or the champion cannot be served; what was served still is.
        """
        from engineroom.registry.standing import champion

        found = champion(self.model, self.server)
        if found.follows:
            return f"{self.model.name}: version {found.version}, the champion, is served"
        if self.given["dry_run"]:
            return f"{self.model.name}: version {found.version}, the champion, would be promoted"
        if found.version == self.refused:
            return f"{self.model.name}: version {found.version}, the champion, is not tried again until the alias moves"
        return self._promote(found)

    def _promote(self, found: "Champion") -> str:
        from engineroom.operate.versions import promote

        options = options_from(self.model, self.given)
        why = self.given["why"] or f"the champion at {self.server.address}"
        request = request_from(f"promote {found.version}", {**self.given, "why": why})
        try:
            return told(promote(self.model, found.version, request, options), self.model.name, self.given["as_json"])
        except EngineRoomError:
            self.refused = found.version
            raise

    def watch(self, every_s: float) -> None:
        """Look until Ctrl-C, and print what is new.

        Args:
            every_s: Time between two looks, in seconds.
        """
        said = ""
        try:
            while True:
                said = _print_news(self.look, said)
                time.sleep(every_s)
        except KeyboardInterrupt:
            click.echo("stopped", err=True)


def _print_news(look: Callable[[], str], said: str) -> str:
    try:
        found = look()
    except EngineRoomError as error:
        found = f"error: {error}"
    if found != said:
        click.echo(found, err=found.startswith("error: "))
    return found
