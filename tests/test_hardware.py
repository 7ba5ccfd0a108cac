"""What the machine has. A library of TensorRT's name is compiled here: the loader and the call are the real ones."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ASK = "from engineroom.hardware import tensorrt_libraries; print(repr(tensorrt_libraries()))"


def told(folder: Path) -> str:
    """What a process is told whose loader looks into this folder first."""
    done = subprocess.run(
        [sys.executable, "-c", ASK], env={"LD_LIBRARY_PATH": str(folder)}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")
@pytest.mark.parametrize(
    ("major", "number", "version"), [(11, 110201, "11.2.1"), (10, 101601, "10.16.1")], ids=["11", "10"]
)
def test_library_of_tensorrt_tells_its_version(tmp_path: Path, major: int, number: int, version: str) -> None:
    source = tmp_path / "nvinfer.c"
    source.write_text(f"int getInferLibVersion(void) {{ return {number}; }}\n")
    library = tmp_path / f"libnvinfer.so.{major}"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True, timeout=60)
    assert told(tmp_path) == repr(version)


def test_library_that_cannot_be_loaded_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "libnvinfer.so.11").write_bytes(b"no library")
    (tmp_path / "libnvinfer.so.10").write_bytes(b"no library")
    assert told(tmp_path) == "''"
