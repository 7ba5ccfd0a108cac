import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engineroom.errors import ServerNotInstalled
from engineroom.serve.embedded import embedded_server, installed_server
from engineroom.serve.install import install
from engineroom.serve.status import server_status


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ENGINEROOM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """pip finds nothing: an empty folder is its only source."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))


def test_a_failed_download_tells_pips_last_words_and_leaves_nothing(cache, offline):
    told = []
    with pytest.raises(
        ServerNotInstalled, match=r"(?s)pip could not install nvidia-pytriton==.*No matching distribution"
    ):
        install(told.append)
    assert told == [f"making an environment with Python {embedded_server().interpreter.version}"]
    assert [path.suffix for path in (cache / "server").iterdir()] == [".lock"]


def test_processes_that_install_at_once_wait_for_each_other(cache, offline):
    program = "from engineroom.serve.install import install; install(lambda step: print(step, flush=True))"
    with ThreadPoolExecutor(3) as pool:
        ran = list(
            pool.map(
                lambda _: subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False),
                range(3),
            )
        )
    assert all("No matching distribution" in process.stderr for process in ran)
    assert [path.suffix for path in (cache / "server").iterdir()] == [".lock"]


def test_a_cache_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ENGINEROOM_CACHE", str(tmp_path / "file"))
    with pytest.raises(ServerNotInstalled, match=r"cannot be written \(Not a directory\).*ENGINEROOM_CACHE"):
        install(print)


def test_an_absent_server_says_how_to_get_it(cache):
    with pytest.raises(ServerNotInstalled, match=r"Run: engineroom server install$"):
        installed_server()
    assert server_status()["missing"] == ["everything: run engineroom server install"]


def test_a_damaged_installation_names_what_is_gone(cache):
    server = embedded_server()
    server.binary.parent.mkdir(parents=True)
    server.binary.touch()
    with pytest.raises(ServerNotInstalled, match=r"lacks environment/bin/python3 and 5 more. Run: .* --force$"):
        installed_server()
    assert "environment/bin/python3" in server_status()["missing"]


def test_other_pins_are_another_installation(cache, monkeypatch):
    before = embedded_server().folder
    monkeypatch.setattr("engineroom.serve.embedded.PINS", ("nvidia-pytriton==0.0.0",))
    assert embedded_server().folder != before
    assert Path(embedded_server().folder).parent == cache / "server"
