import os
import sys

import pytest

from engineroom.errors import ToolMissing
from engineroom.load.perf_analyzer import binary as perf_binary
from engineroom.load.perf_analyzer.binary import find_perf_analyzer, perf_analyzer_in


@pytest.fixture
def nothing_installed(tmp_path, monkeypatch):
    monkeypatch.setenv("ENGINEROOM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "")
    return tmp_path


def test_nothing_is_there(nothing_installed):
    with pytest.raises(ToolMissing, match=r"is not installed\. Run: engineroom load install-perf-analyzer"):
        find_perf_analyzer()


def test_the_placeholder_is_recognised(nothing_installed, monkeypatch):
    # What pip leaves of perf-analyzer 0.1.0: an empty package and its metadata.
    (nothing_installed / "perf_analyzer").mkdir()
    (nothing_installed / "perf_analyzer" / "__init__.py").touch()
    metadata = nothing_installed / "perf_analyzer-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.4\nName: perf-analyzer\nVersion: 0.1.0\n")
    monkeypatch.syspath_prepend(str(nothing_installed))
    with pytest.raises(ToolMissing, match=r"perf-analyzer 0\.1\.0 is a placeholder .* install-perf-analyzer"):
        find_perf_analyzer()


def test_a_script_of_that_name_is_not_the_program(nothing_installed, monkeypatch):
    script = nothing_installed / "perf_analyzer"
    script.write_text("#!/bin/sh\necho Perf Analyzer\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(nothing_installed))
    with pytest.raises(ToolMissing, match="is not installed"):
        find_perf_analyzer()


def test_a_program_that_does_not_start_is_named(nothing_installed):
    binary = nothing_installed / "cache" / "perf_analyzer" / perf_binary.VERSION / "perf_analyzer" / "bin"
    binary.mkdir(parents=True)
    (binary / "perf_analyzer").write_text("not a program")
    with pytest.raises(ToolMissing, match=r"does not run on this system \(it needs glibc 2\.38; here is glibc"):
        find_perf_analyzer()


def test_newer_libraries_stay_out_of_the_environment(tmp_path):
    assert perf_analyzer_in(tmp_path).command == (str(tmp_path / "perf_analyzer/bin/perf_analyzer"),)
    (tmp_path / "lib").mkdir()
    loader, option, libraries, _ = perf_analyzer_in(tmp_path).command
    assert (loader, option, libraries) == (f"{tmp_path}/lib/ld-linux-x86-64.so.2", "--library-path", f"{tmp_path}/lib")


def test_a_silent_program_does_not_count_as_running():
    assert not perf_binary.runs((sys.executable, "-c", "pass"))
    assert not perf_binary.runs((os.devnull,))
