"""Stores to test against: a folder, and real servers of the protocols of S3, Google Cloud Storage and Azure Blob."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engineroom.repository.layout import Repository

sys.path.insert(0, str(Path(__file__).parent))

from counterparts import azurite as azurite_program
from store_places import Place, google_place, s3_place
from store_servers import Azurite, azure_server, google_server, s3_server


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """Address of an S3 server with the bucket `models`."""
    with s3_server() as address:
        yield address


@pytest.fixture(scope="session")
def google() -> Iterator[str]:
    """Address of a Google Cloud Storage server with the bucket `models`."""
    with google_server(conditional=True) as address:
        yield address


@pytest.fixture(scope="session")
def azure() -> Iterator[Azurite]:
    """An Azure Blob server with the container `models`."""
    program = azurite_program()
    if program is None:
        assert os.environ.get("CI") != "true", "CI must test against azurite, and npm is not installed"
        pytest.skip("npm is not installed, and azurite comes from it")
    with azure_server(program) as server:
        yield server


@pytest.fixture(params=["folder", "s3", "gs", "az"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A fresh store of every kind."""
    return _place(request.param, request, tmp_path, monkeypatch)


@pytest.fixture
def folder_store(tmp_path: Path) -> Place:
    """A fresh store in a folder."""
    return Place(str(tmp_path / "store"))


@pytest.fixture
def s3_store(s3: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A fresh store on S3."""
    return s3_place(s3, monkeypatch)


def _place(kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    if kind == "folder":
        return Place(f"file://{tmp_path / 'store'}")
    if kind == "s3":
        return s3_place(request.getfixturevalue("s3"), monkeypatch)
    if kind == "gs":
        return google_place(request.getfixturevalue("google"), monkeypatch)
    server: Azurite = request.getfixturevalue("azure")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", server.connection)
    return Place(f"az://models/{time.time_ns()}")


@pytest.fixture
def here(tmp_path: Path) -> Repository:
    """An operator's repository, empty."""
    return Repository(tmp_path / "here")


@pytest.fixture
def there(tmp_path: Path) -> Repository:
    """Another operator's repository, empty."""
    return Repository(tmp_path / "there")
