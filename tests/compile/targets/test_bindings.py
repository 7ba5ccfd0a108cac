"""TensorRT's bindings and its libraries come from two places in the container."""

import pytest

from engineroom.compile.targets.bindings import check_versions
from engineroom.errors import CompileError


@pytest.mark.parametrize(("bindings", "library"), [("11.2.1.2", "11.2.1"), ("10.16.1.11", "10.16.1")])
def test_same_versions_agree(bindings: str, library: str) -> None:
    check_versions(bindings, library)


@pytest.mark.parametrize("library", ["11.3.0", "11.2.0", "10.16.1"], ids=["minor", "patch", "major"])
def test_another_version_is_refused(library: str) -> None:
    with pytest.raises(CompileError, match=r"tensorrt_bindings is 11\.2\.1\.2, the TensorRT libraries here are 1\d\."):
        check_versions("11.2.1.2", library)
