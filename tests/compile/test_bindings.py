"""TensorRT's bindings and its libraries come from two places in the container."""

import pytest

from engineroom.compile.bindings import check_versions
from engineroom.errors import CompileError


@pytest.mark.parametrize(("bindings", "library"), [("11.2.1.2", 110201), ("10.16.1.11", 101601)])
def test_same_versions_agree(bindings: str, library: int) -> None:
    check_versions(bindings, library)


@pytest.mark.parametrize("library", [110300, 110200, 101601], ids=["minor", "patch", "major"])
def test_another_version_is_refused(library: int) -> None:
    with pytest.raises(CompileError, match=r"tensorrt_bindings is 11\.2\.1\.2, the TensorRT libraries here are 1\d\."):
        check_versions("11.2.1.2", library)
