"""What tests of compile/ share: the stand-ins for TensorRT."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engineroom.compile.targets import tensorrt


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what a test's TensorRT measures out of the user's cache folder."""
    monkeypatch.setenv("ENGINEROOM_CACHE", str(tmp_path / "users-cache"))


@pytest.fixture(scope="session")
def tensorrt_double() -> Any:
    """The module `tensorrt_double.py` beside this file; `.double("tensorrt-11.4")` makes a stand-in."""
    name = "tensorrt_double"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def as_tensorrt(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Any]:
    """Makes a stand-in the module that both kinds of target load."""

    def stand_in(double: Any) -> Any:
        monkeypatch.setattr(tensorrt, "load", lambda kind: double)
        return double

    return stand_in
