import numpy as np
import pytest

from engineroom.errors import GoldenMismatch, RepositoryError
from engineroom.repository.agreement import Limits
from engineroom.repository.golden import golden_from_file, golden_from_repository
from engineroom.repository.layout import Repository


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "golden.npz"
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.savez(path, **{"input.x": x, "output.y": x * 2})
    return path


@pytest.fixture
def golden(path):
    return golden_from_file(path, "doubler", {"y": Limits(max_abs=0.01)})


def test_batches_go_round(golden):
    batch = golden.batch(2, 4)
    assert batch.inputs["x"][:, 0].tolist() == [8, 0, 4, 8]
    assert batch.outputs["y"][:, 0].tolist() == [16, 0, 8, 16]


def test_a_right_answer_passes(golden):
    golden.check({"y": golden.outputs["y"] + np.float32(0.005)})


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(lambda y: {"y": y + np.float32(0.02)}, "0.02 off its golden answer, 0.01 is allowed", id="off"),
        pytest.param(lambda y: {"y": np.full_like(y, np.nan)}, "nan off", id="not a number"),
        pytest.param(lambda y: {"y": y[:2]}, r"has shape \(2, 4\), golden has \(3, 4\)", id="other shape"),
        pytest.param(lambda y: {}, "'y' is missing", id="missing"),
    ],
)
def test_a_wrong_answer_is_told(golden, answer, expected):
    with pytest.raises(GoldenMismatch, match=expected):
        golden.check(answer(golden.outputs["y"]))


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        pytest.param({"input.x": np.ones((2, 3))}, "no golden inputs and outputs", id="no outputs"),
        pytest.param({"input.x": np.ones((0, 3)), "output.y": np.ones((0, 3))}, "no rows", id="no rows"),
    ],
)
def test_a_file_of_no_use(tmp_path, arrays, expected):
    np.savez(tmp_path / "golden.npz", **arrays)
    with pytest.raises(RepositoryError, match=expected):
        golden_from_file(tmp_path / "golden.npz", "doubler")


def test_a_broken_file_and_a_missing_one(path):
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RepositoryError, match="cannot be read"):
        golden_from_file(path, "doubler")
    with pytest.raises(RepositoryError, match="cannot be read"):
        golden_from_file(path.with_name("missing.npz"), "doubler")


def test_an_unknown_model(tmp_path):
    with pytest.raises(RepositoryError, match="doubler: no such model"):
        golden_from_repository(Repository(tmp_path), "doubler")
