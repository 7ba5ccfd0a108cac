import pytest

from engineroom.serve.log import last_lines, reasons

STAMP = "1122 00:51:44.189211 11339"
BROKEN = (
    f"E{STAMP} model_lifecycle.cc:642] \"failed to load 'm' version 1: Internal: TritonModelException: weights are "
    'gone\\n\\nAt:\\n  /backends/openvino/model.py(14): initialize\\n"'
)


@pytest.fixture
def log(tmp_path):
    def write(*lines):
        path = tmp_path / "log"
        path.write_text("\n".join(lines))
        return path

    return write


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([BROKEN], "  failed to load 'm' version 1: Internal: TritonModelException: weights are gone"),
        ([BROKEN, BROKEN], "  failed to load 'm' version 1: Internal: TritonModelException: weights are gone"),
        (
            [
                f'E{STAMP} server.cc:241] "CudaDriverHelper has not been initialized."',
                "error: creating server: Internal - x",
            ],
            "  creating server: Internal - x",
        ),
        (
            ["[libprotobuf ERROR /b/text_format.cc:337] Error parsing text-format: 8:4"],
            "  Error parsing text-format: 8:4",
        ),
        (["bash: line 1: stub: not found", "+---+", "| a |"], "  bash: line 1: stub: not found"),
    ],
    ids=["stack cut off", "told once", "noise is no reason", "protobuf", "last lines where no reason is known"],
)
def test_the_reason_is_found(log, lines, reason):
    assert reasons(log(*lines)) == reason


def test_only_the_end_of_a_log_is_told(log):
    assert last_lines(log(*map(str, range(100))), count=2) == "  98\n  99"
