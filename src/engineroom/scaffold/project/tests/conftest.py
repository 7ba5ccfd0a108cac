"""What the tests share: the recipe, and a server that serves what it builds."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from engineroom import Recipe
from engineroom.compile.recipes import recipe_from_name
from engineroom.project import Project
from engineroom.serve.server import Server, ServerOptions, running


@pytest.fixture(scope="session")
def project() -> Project:
    """This project."""
    return Project.find()


@pytest.fixture(scope="session")
def recipe(project: Project) -> Recipe:
    """The recipe of the model."""
    return recipe_from_name(project, "waveforms")


@pytest.fixture(scope="session")
def server(project: Project) -> Iterator[Server]:
    """The built model behind Triton, on free ports; a build that is up to date takes a second."""
    subprocess.run([sys.executable, "-m", "engineroom", "build", "waveforms"], cwd=project.root, check=True)
    with running(ServerOptions(project.repository, ("waveforms",))) as server:
        yield server
