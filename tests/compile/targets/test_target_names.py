"""Names of targets as people write them on a command line."""

import pytest

from engineroom.compile.targets import target_names


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ((), ()),
        (("openvino",), ("openvino",)),
        (("tensorrt-rtx:sm80,sm89", "openvino"), ("tensorrt-rtx:sm80", "tensorrt-rtx:sm89", "openvino")),
        (("openvino,tensorrt-rtx:sm80,sm89",), ("openvino", "tensorrt-rtx:sm80", "tensorrt-rtx:sm89")),
        (("tensorrt-rtx:sm80,tensorrt,openvino",), ("tensorrt-rtx:sm80", "tensorrt", "openvino")),
        (("tensorrt-rtx:sm80,sm80", "tensorrt-rtx:sm80"), ("tensorrt-rtx:sm80",)),
        (("openvino,sm89",), ("openvino", "sm89")),
    ],
    ids=["none", "one", "several GPUs", "two kinds", "three kinds", "twice", "detail of nothing"],
)
def test_names_after_a_comma_belong_to_the_kind_before(given: tuple[str, ...], names: tuple[str, ...]) -> None:
    assert target_names(given) == names
