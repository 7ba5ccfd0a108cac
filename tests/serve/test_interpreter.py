import platform
import sys
from pathlib import Path

import pytest

from engineroom.errors import ServerNotInstalled
from engineroom.serve import interpreter
from engineroom.serve.interpreter import Interpreter, ask_interpreter, find_interpreter


@pytest.fixture
def program(tmp_path):
    def write(script):
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path)

    return write


def test_the_python_found_has_a_shared_library_for_the_stub():
    found = find_interpreter()
    assert found.minor in interpreter.SUPPORTED
    assert (found.libraries / f"libpython{found.minor}.so.1.0").exists()
    assert Path(found.prefix).is_dir()


def test_the_running_python_is_preferred():
    if isinstance(ask_interpreter(sys.executable), Interpreter):
        assert find_interpreter().executable == Path(sys.executable)
    else:
        assert find_interpreter().executable != Path(sys.executable)


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("exit 127", "does not run as a Python (CalledProcessError)"),
        ("echo hello", "does not run as a Python (JSONDecodeError)"),
        (
            'echo \'{"version": "3.13.0", "prefix": "/", "folders": []}\'',
            "is Python 3.13.0, the server takes 3.12, 3.11, 3.10",
        ),
        (
            'echo \'{"version": "3.11.7", "prefix": "/", "folders": [null, "/no"]}\'',
            "has no shared libpython3.11.so.1.0",
        ),
    ],
    ids=["broken shim", "no Python", "version without numpy 1.26", "static Python"],
)
def test_a_python_that_does_not_fit_says_why(program, monkeypatch, script, complaint):
    path = program(script)
    monkeypatch.setenv(interpreter.VARIABLE, path)
    with pytest.raises(ServerNotInstalled) as caught:
        find_interpreter()
    assert f"{path}: {complaint}" in str(caught.value)
    assert interpreter.VARIABLE in str(caught.value)


@pytest.mark.parametrize(
    ("system", "machine", "libc", "complaint"),
    [
        ("Linux", "x86_64", ("glibc", "2.31"), "needs glibc 2.35 or newer, this machine has 2.31"),
        ("Linux", "aarch64", ("glibc", "2.36"), "is built for Linux x86_64 with glibc, this is Linux aarch64"),
        ("Darwin", "arm64", ("", ""), "this is Darwin arm64 with another libc"),
    ],
    ids=["old glibc", "ARM", "macOS"],
)
def test_a_machine_that_cannot_run_the_binary_is_sent_to_the_container(monkeypatch, system, machine, libc, complaint):
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "libc_ver", lambda: libc)
    with pytest.raises(ServerNotInstalled, match=rf"{complaint}.*Triton container"):
        find_interpreter()
