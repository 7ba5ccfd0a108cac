"""What docs/registry.md shows runs, against a real server."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from engineroom.registry.log import log_version
from engineroom.registry.record import record_from_version
from engineroom.registry.server import Server
from engineroom.repository.layout import ModelFolder

PAGE = (Path(__file__).parents[2] / "docs" / "registry.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^```sh\nengineroom (.*)\n```", PAGE, re.MULTILINE)


def test_its_commands_are_found() -> None:
    assert [command.split()[1] for command in COMMANDS] == ["log", "follow", "status", "write"]


@pytest.mark.parametrize("command", COMMANDS)
def test_command_runs(
    engineroom: Callable[..., tuple[int, str, str]], server: Server, publish_tiny: Callable[..., ModelFolder],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("ENGINEROOM_PROJECT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    digits = publish_tiny(tmp_path / "model_repository", "digits")
    log_version(record_from_version(digits), server, "champion")
    status, _, problem = engineroom(*command.split())
    assert status == 0, problem
