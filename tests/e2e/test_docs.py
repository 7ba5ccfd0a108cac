"""The documentation is true: its links lead somewhere, its commands run, its Python runs."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from engineroom.repository.layout import Repository
from engineroom.serve.server import ServerOptions, running

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+?)(?:#[^)]*)?\)")

NOT_RUN = {
    "docker": "needs a container engine",
    "make": "the whole suite, or the whole demo: their targets are checked instead",
    "engineroom config set": "changes the repository: test_operating_page runs it in a copy",
    "engineroom config apply": "as above",
    "engineroom config rollback": "as above",
    "engineroom models promote": "as above",
    "engineroom models rollback": "as above",
    "engineroom models retire": "as above",
    "engineroom new": "writes a project: tests/scaffold makes one, and uses it",
    "engineroom registry": "needs an MLflow server: tests/registry runs the page's commands against one",
    "engineroom serve": "runs until it is interrupted: the other commands talk to one",
}
"""Beginnings of commands that are not executed here, and why."""

CHANGES = {"engineroom config set", "engineroom config apply", "engineroom models promote"}
"""Those that change the repository, unless it is a dry run."""


def blocks(language: str) -> list[tuple[str, str]]:
    """Fenced blocks of a language, as (page, text)."""
    return [
        (str(page.relative_to(ROOT)), text)
        for page in PAGES
        for found, text in FENCE.findall(page.read_text(encoding="utf-8"))
        if found == language
    ]


def commands() -> list[tuple[str, str]]:
    """Lines of `sh` blocks, as (page, command); a backslash continues a line."""
    return [
        (page, line)
        for page, text in blocks("sh")
        for line in text.replace("\\\n", " ").splitlines()
        if line.strip() and not line.startswith("#")
    ]


class Kept:
    """A server, and another one in its place where this machine has spoiled it.

    A Triton (2.51) whose process stood still for a second, as virtual machines do now and then, gives up stubs of its
    Python backend, and may end. What the pages say is not wrong for that.
    """

    def __init__(self, options: ServerOptions) -> None:
        self.options, self.stack = options, ExitStack()
        self.start()

    def start(self) -> None:
        self.stack.close()
        self.server = self.stack.enter_context(running(self.options))

    def is_spoiled(self, said: str) -> bool:
        """Whether a command that said so had no server to speak of."""
        return self.server.process.poll() is not None or "is not healthy" in said + self.server.log.read_text()

    def run(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command that asks it; once more where it could not answer."""
        done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
        if done.returncode and self.is_spoiled(done.stdout + done.stderr):
            self.start()
            return subprocess.run(command, capture_output=True, text=True, check=False, **options)
        return done


@pytest.fixture(scope="module")
def server(built: Repository, server_installation: object, own_ports: None) -> Iterator[Kept]:
    """A server on the ports that the pages speak of."""
    kept = Kept(ServerOptions(built.path, http_port=8000, grpc_port=8001, metrics_port=8002))
    with kept.stack:
        yield kept


def environment() -> dict[str, str]:
    """The environment of somebody who has activated the virtual one."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    local = [link for link in LINK.findall(text) if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_make_targets_exist() -> None:
    asked = {line.split()[1] for _, line in commands() if line.startswith("make ")}
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"demo", "test"} <= asked <= known


def is_run(command: str) -> bool:
    """Whether a command is run here; a dry run changes nothing."""
    left_out = {beginning for beginning in NOT_RUN if command.startswith(beginning)}
    return not left_out or ("--dry-run" in command and left_out <= CHANGES)


@pytest.mark.parametrize(
    ("page", "command"),
    [one for one in commands() if is_run(one[1])],
    ids=lambda text: text[:60],
)
def test_command_runs(page: str, command: str, server: Kept, tmp_path: Path) -> None:
    done = server.run(["bash", "-c", command], cwd=ROOT, env=environment(), timeout=200)
    assert done.returncode == 0, f"{page}: {command}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize(("page", "text"), blocks("python"), ids=[page for page, _ in blocks("python")])
def test_python_runs(page: str, text: str, server: Kept) -> None:
    done = server.run([sys.executable, "-W", "error", "-c", text])
    assert done.returncode == 0, f"{page}\n{text}\n{done.stderr}"


def test_readme_recipe_builds(server_installation: object, tmp_path: Path) -> None:
    """The recipe that docs/recipes.md shows is complete: it builds as it stands."""
    (recipe,) = [text for page, text in blocks("python") if page == "docs/recipes.md"]
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "tiny.py").write_text(recipe, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "engineroom", "build", "tiny", "--target", "openvino"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "model_repository" / "tiny" / "1" / "model.xml").is_file()
