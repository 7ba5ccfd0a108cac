import stat
from pathlib import Path

import pytest

from engineroom.errors import ServerNotInstalled
from engineroom.serve import triton


@pytest.fixture
def binary_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "tritonserver"
    path.write_text("#!/bin/sh\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    return path


def test_the_container_serves_with_its_gpu(binary_on_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton, "has_gpu", lambda: True)
    found = triton.find_triton()
    assert found.binary == binary_on_path
    assert found.gpu
    assert not any("model-config-name" in option for option in found.options)


def test_the_container_without_a_gpu_says_how_to_mend_it(binary_on_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton, "has_gpu", lambda: False)
    with pytest.raises(ServerNotInstalled, match=r"no GPU.*--gpus all"):
        triton.find_triton()
