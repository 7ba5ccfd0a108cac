"""Runs that are broken off go on where they stopped."""

import fcntl
import json
import os

import numpy as np
import pytest

from engineroom.client import Client, ModelMetadata, ServerUnavailable, TensorMetadata
from engineroom.errors import InferError
from engineroom.infer import parts
from engineroom.infer.parts import parts_in
from engineroom.infer.record import errors_path, parts_folder, record_path
from engineroom.infer.run import Wish, infer_files, planned


@pytest.fixture
def outage(transport):
    """Lets the server answer so many more requests, and no further one."""

    def after(count):
        last = len(transport.requests) + count

        def before(request):
            if len(transport.requests) >= last:
                raise ServerUnavailable("nobody answers")

        transport.before = before

    return after


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(parts, "MOST_ROWS", 8)


def whole(output):
    """The output is there, and nothing else is left."""
    beside = {path.name for path in output.parent.iterdir() if path.name.startswith((output.name, "."))}
    return beside == {output.name, f"{output.name}.run.json"}


def test_a_run_that_lost_its_server_goes_on(infer, transport, outage, file_of, numbers, tmp_path):
    source, output = file_of("x.npy", numbers(50)), tmp_path / "y.npz"
    for _ in range(3):
        outage(3)
        with pytest.raises(InferError, match=r"nobody answers .* of 50 rows are done and kept: run the same command"):
            infer(output, source, window=1)
        assert not output.exists()
    transport.before = lambda request: None
    assert infer(output, source, window=1).answered == 50
    np.testing.assert_array_equal(np.load(output)["y"], 2 * numbers(50))
    assert transport.rows == 50
    assert whole(output)


def test_what_is_finished_is_not_asked_again(infer, transport, file_of, numbers, tmp_path):
    source, output = file_of("x.csv", numbers(9)), tmp_path / "y.csv"
    first = infer(output, source)
    assert infer(output, source) == first
    assert transport.rows == 9
    output.unlink()
    infer(output, source)
    assert transport.rows == 18
    assert whole(output)


def test_a_kill_after_the_last_step_leaves_nothing_for_ever(infer, file_of, numbers, tmp_path):
    source, output = file_of("x.csv", numbers(9)), tmp_path / "y.csv"
    infer(output, source)
    parts_folder(output).mkdir()
    (parts_folder(output) / "000000000000-000000000009.npz").write_bytes(b"not removed yet")
    assert infer(output, source).answered == 9
    assert whole(output)


@pytest.mark.usefixtures("small_parts")
def test_rows_that_failed_are_asked_again_and_no_others(infer, transport, file_of, tmp_path):
    x = np.ones((40, 2), np.float32)
    x[[3, 4, 21, 39]] = -1
    source, output = file_of("x.npy", x), tmp_path / "y.npz"
    record = infer(output, source)
    assert (record.answered, record.failed) == (36, 4)
    failed = [json.loads(line) for line in errors_path(output).read_text().splitlines()]
    assert [(line["file"], line["row"], line["error"]) for line in failed] == [
        (str(source), row, "double: negative") for row in (3, 4, 21, 39)
    ]
    transport.requests.clear()
    transport._models["double"] = (transport._models["double"][0], mended)
    assert infer(output, source).failed == 0
    assert transport.rows == 4
    assert np.load(output)["y"].ravel().tolist() == [2.0 * abs(value) for value in x.ravel()]
    assert whole(output)


def mended(arrays):
    return {"y": np.abs(arrays["x"]) * 2, "n": arrays["x"][:, :1].astype(np.int64)}


def test_a_bad_row_does_not_take_its_batch_with_it(infer, file_of, numbers, tmp_path):
    x = numbers(8)
    x[2] = -1
    infer(tmp_path / "y.npz", file_of("x.npy", x), batch=4)
    assert np.load(tmp_path / "y.npz")["answered"].tolist() == [True, True, False, *[True] * 5]


@pytest.mark.usefixtures("small_parts")
def test_a_part_that_is_gone_or_half_is_asked_again(infer, transport, outage, file_of, numbers, tmp_path):
    source, output = file_of("x.npy", numbers(64)), tmp_path / "y.npy"
    outage(10)
    with pytest.raises(InferError):
        infer(output, source, outputs=("y",), window=1)
    first, second, *_ = parts_in(parts_folder(output))
    (parts_folder(output) / f".{first.path.name}.abcdef").write_bytes(b"half of a part that a kill has left")
    second.path.unlink()
    transport.before = lambda request: None
    infer(output, source, outputs=("y",))
    np.testing.assert_array_equal(np.load(output), 2 * numbers(64))
    assert whole(output)


def test_a_part_that_cannot_be_read_is_named(infer, outage, file_of, numbers, tmp_path):
    source, output = file_of("x.npy", numbers(20)), tmp_path / "y.npz"
    outage(2)
    with pytest.raises(InferError):
        infer(output, source, window=1)
    (part,) = parts_in(parts_folder(output))
    part.path.write_bytes(b"rubbish")
    with pytest.raises(InferError, match=r"000000000000-000000000008\.npz: cannot be read .* Remove it"):
        infer(output, source)


@pytest.fixture
def begun(infer, outage, transport, file_of, numbers, tmp_path):
    """An output of which a part is there, and its source."""
    source, output = file_of("x.npy", numbers(20)), tmp_path / "y.npz"
    outage(2)
    with pytest.raises(InferError):
        infer(output, source, window=1)
    transport.before = lambda request: None
    return output, source


def test_other_files_under_the_same_output_are_refused(infer, begun, file_of, numbers):
    output, _ = begun
    other = file_of("other.npy", numbers(20))
    with pytest.raises(InferError, match=r"y\.npz: was begun with files .*x\.npy, now given: .*other\.npy"):
        infer(output, other)


def test_files_that_were_changed_meanwhile_are_refused(infer, begun):
    output, source = begun
    os.utime(source, ns=(1, 1))
    with pytest.raises(InferError, match=r"was begun before these files were changed\. Give another"):
        infer(output, source)


@pytest.mark.parametrize(
    ("wished", "message"),
    [
        ({"outputs": ("y",)}, "with outputs y, n, now given: y"),
        ({"version": "2"}, "with version 1, now given: 2"),
    ],
    ids=["outputs", "version"],
)
def test_other_wishes_under_the_same_output_are_refused(client, begun, wished, message):
    output, source = begun
    with pytest.raises(InferError, match=message):
        planned(client, Wish("double", (source,), output, **wished))


def test_another_model_under_the_same_output_is_refused(transport, begun):
    output, source = begun
    other = ModelMetadata("other", (TensorMetadata("x", "FP32", (2,)),), (TensorMetadata("y", "FP32", (2,)),), 4)
    with (
        Client(transport=type(transport)(other)) as client,
        pytest.raises(InferError, match="with model double, now given: other"),
    ):
        planned(client, Wish("other", (source,), output))


def test_a_file_of_somebody_else_is_not_overwritten(infer, file_of, numbers, tmp_path):
    (tmp_path / "y.csv").write_text("mine")
    with pytest.raises(InferError, match=r"y\.csv: is there already, without its y\.csv\.run\.json"):
        infer(tmp_path / "y.csv", file_of("x.npy", numbers(2)))
    assert (tmp_path / "y.csv").read_text() == "mine"


def test_a_record_that_cannot_be_read_is_named(infer, begun):
    output, source = begun
    record_path(output).write_text("{")
    with pytest.raises(InferError, match=r"y\.npz\.run\.json: cannot be read"):
        infer(output, source)


def test_two_runs_do_not_write_the_same_output(infer, begun):
    output, source = begun
    handle = os.open(parts_folder(output), os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        with pytest.raises(InferError, match=r"y\.npz: another run is writing it"):
            infer(output, source)
    finally:
        os.close(handle)
    assert infer(output, source).answered == 20


def test_the_version_that_is_served_at_the_beginning_is_asked_to_the_end(infer, transport, begun):
    output, source = begun
    assert {request.version for request in transport.requests} == {"1"}
    transport.loaded = lambda: (("double", "2"), ("double", "10"), ("other", "99"))
    with pytest.raises(InferError, match="with version 1, now given: 10"):
        infer(output, source)
    assert infer(output, source, version="1").answered == 20


def test_ctrl_c_keeps_what_was_answered(client, transport, file_of, numbers, tmp_path):
    source, output = file_of("x.npy", numbers(40)), tmp_path / "y.npz"

    def told(done, failed):
        if done >= 12:
            raise KeyboardInterrupt

    job = planned(client, Wish("double", (source,), output, window=2))
    with pytest.raises(InferError, match=r"stopped\. 12 of 40 rows are done and kept: run the same command again"):
        infer_files(client, job, told)
    infer_files(client, job)
    np.testing.assert_array_equal(np.load(output)["y"], 2 * numbers(40))
    assert 40 <= transport.rows <= 40 + 3 * 4  # what was in flight is asked once more
