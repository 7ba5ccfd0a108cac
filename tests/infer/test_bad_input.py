"""Bad files: one clear error each, before anything is sent; bad rows: an error of their own."""

import json

import numpy as np
import pytest

from engineroom.client import BadInput, Client, FunctionTransport, ModelMetadata, TensorMetadata
from engineroom.errors import InferError
from engineroom.infer.places import outputs_of
from engineroom.infer.record import errors_path
from engineroom.infer.run import Wish, infer_files, planned


def archive(**arrays):
    return lambda path: np.savez(path, **arrays)


def array(value):
    return lambda path: np.save(path, value, allow_pickle=True)


def text(content):
    return lambda path: path.write_bytes(content.encode() if isinstance(content, str) else content)


def parquet(**columns):
    def write(path):
        from pyarrow import parquet, table

        parquet.write_table(table(columns), path)

    return write


ONES = np.ones((3, 2), np.float32)
FILES = [
    ("x.npy", text("no array"), "x.npy: cannot be read as an array"),
    ("x.npy", text(""), "x.npy: cannot be read as an array"),
    ("x.npy", array(ONES[:0]), "x.npy: holds no rows"),
    ("x.npy", array(np.float32(1)), "x.npy: holds no rows"),
    ("x.npy", array(np.array([{}])), "x.npy: cannot be read as an array"),
    ("x.npy", array(ONES.astype(np.float64)), r"x.npy: double: input 'x' has dtype float64, the model takes FP32"),
    ("x.npy", array(ONES.repeat(2, 1)), r"x.npy: double: input 'x' has shape \(1, 4\), the model takes \(1..4, 2\)"),
    ("x.npz", text("no archive"), "x.npz: cannot be read as .npz"),
    ("x.npz", archive(z=ONES), "x.npz: has no column 'x' for input 'x' of double, it has: z. Say --input x=COLUMN"),
    ("x.npz", archive(x=ONES[:0]), "x.npz: the arrays must have as many rows each, and at least one: x has 0"),
    ("x.npz", archive(x=ONES.astype(np.int32)), "x.npz: double: input 'x' has dtype int32"),
    ("x.npz", archive(x=np.asfortranarray(ONES)), "x.npz: .*array 'x' is stored column by column"),
    ("x.csv", text(""), "x.csv: holds no rows"),
    ("x.csv", text("x.0,x.1\n"), "x.csv: holds no rows"),
    ("x.csv", text("a,b\n1,2\n"), "x.csv: has no column 'x' for input 'x' of double, it has: a, b"),
    ("x.csv", text("x.0,x.0\n1,2\n"), "x.csv: two columns are called 'x.0'"),
    ("x.csv", text(b"x.0,x.1\n1,\xff\n"), "x.csv: cannot be read as CSV"),
    ("x.jsonl", text("\n\n"), "x.jsonl: holds no rows"),
    ("x.jsonl", text("{x: 1}"), "x.jsonl, line 1: is no JSON"),
    ("x.jsonl", text("[1, 2]"), "x.jsonl, line 1: is no JSON object"),
    ("x.jsonl", text('{"xx": [1, 2]}'), "x.jsonl: has no column 'x' .* Did you mean --input x=xx"),
    ("x.parquet", text("no table"), "x.parquet: cannot be read as Parquet"),
    ("x.parquet", parquet(x=[]), "x.parquet: holds no rows"),
    ("x.parquet", parquet(y=[1.0]), "x.parquet: has no column 'x'"),
    ("x.xlsx", text("sheet"), r"x.xlsx: is of no format that is known here \(.csv .jsonl .npy"),
    ("x.png", text("pixels"), r"x.png|takes FP32 \(1..4, 2\), not images"),
]


@pytest.mark.parametrize(("name", "write", "message"), FILES, ids=range(len(FILES)))
def test_a_file_that_cannot_be_asked_is_refused_at_once(infer, transport, tmp_path, name, write, message):
    write(tmp_path / name)
    with pytest.raises(BadInput, match=message):
        infer(tmp_path / "y.jsonl", tmp_path / name)
    assert transport.requests == []
    assert not (tmp_path / "y.jsonl").exists()


ROWS = [
    ("csv", "x.0,x.1\n1,2\n3\n5,6\n", "line 3: has 1 cells, the heading has 2"),
    ("csv", "x.0,x.1\n1,2\n3,four\n5,6\n", "line 3, column 'x.1': 'four' is no FP32"),
    ("csv", "x.0,x.1\n1,2\n3,\n5,6\n", "line 3, column 'x.1': '' is no FP32"),
    ("csv", 'x\n"[1,2]"\n"[3]"\n"[5,6]"\n', r"line 3: double: input 'x' has shape \(1, 1\)"),
    ("csv", 'x\n"[1,2]"\n"[3,"\n"[5,6]"\n', r"line 3, column 'x': '\[3,' is no FP32"),
    ("jsonl", '{"x":[1,2]}\n{"x":[3\n{"x":[5,6]}', "line 2: is no JSON"),
    ("jsonl", '{"x":[1,2]}\n{"x":[3]}\n{"x":[5,6]}', r"line 2: double: input 'x' has shape \(1, 1\)"),
    ("jsonl", '{"x":[1,2]}\n{"x":[3,[4]]}\n{"x":[5,6]}', "line 2: double: input 'x' cannot be made an array"),
    ("jsonl", '{"x":[1,2]}\n{"x":["3","4"]}\n{"x":[5,6]}', "line 2: double: input 'x' holds text"),
    ("jsonl", '{"x":[1,2]}\n{"y":[3,4]}\n{"x":[5,6]}', "line 2: has no 'x' for input 'x'"),
    ("parquet", [[1.0, 2.0], [3.0], [5.0, 6.0]], r"row 1: double: input 'x' has shape \(1, 1\)"),
    ("parquet", [[1.0, 2.0], None, [5.0, 6.0]], "row 1: double: input 'x' holds objects such as None"),
]


@pytest.mark.parametrize(("suffix", "content", "message"), ROWS, ids=range(len(ROWS)))
def test_a_row_that_cannot_be_asked_fails_and_others_are_answered(infer, tmp_path, suffix, content, message):
    source = tmp_path / f"x.{suffix}"
    (parquet(x=content) if suffix == "parquet" else text(content))(source)
    record = infer(tmp_path / "y.npz", source)
    assert (record.answered, record.failed) == (2, 1)
    (failed,) = map(json.loads, errors_path(tmp_path / "y.npz").read_text().splitlines())
    assert failed["row"] == 1
    with pytest.raises(BadInput, match=message):
        raise BadInput(failed["error"])
    assert np.load(tmp_path / "y.npz")["y"][[0, 2]].tolist() == [[2, 4], [10, 12]]


def test_a_file_of_bad_rows_alone_is_no_endless_batch(infer, transport, tmp_path):
    (tmp_path / "x.csv").write_text("x.0,x.1\n" + "1\n" * 3000)
    assert infer(tmp_path / "y.csv", tmp_path / "x.csv").failed == 3000
    assert transport.requests == []


def flipped(path):
    """One bit of an archive is wrong, behind its beginning."""
    content = bytearray(path.read_bytes())
    content[70_000] ^= 1
    path.write_bytes(content)


def halved(path, keep):
    path.write_bytes(path.read_bytes()[:keep])


def no_text(path, keep):
    path.write_bytes(path.read_bytes()[:keep] + b"\xff" * 1000)


@pytest.mark.parametrize("compressed", [True, False], ids=["compressed", "stored"])
def test_an_archive_that_is_broken_inside_keeps_what_was_read(infer, tmp_path, compressed):
    x = np.random.default_rng(0).random((10_000, 2), np.float32)
    (np.savez_compressed if compressed else np.savez)(tmp_path / "x.npz", x=x)
    flipped(tmp_path / "x.npz")
    with pytest.raises(InferError, match=r"x\.npz: cannot be read any further .* of 10,000 rows are done and kept"):
        infer(tmp_path / "y.npy", tmp_path / "x.npz", outputs=("y",))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("x.csv", halved, "has become shorter since it was opened"),
        ("x.jsonl", halved, "has become shorter since it was opened"),
        ("x.csv", no_text, "cannot be read any further"),
        ("x.jsonl", no_text, "cannot be read any further"),
    ],
)
def test_a_file_that_is_changed_while_it_is_read_is_one_error(client, file_of, tmp_path, name, change, message):
    source = file_of(name, np.ones((3000, 2)))
    job = planned(client, Wish("double", (source,), tmp_path / "y.csv"))
    change(source, 20_000)
    with pytest.raises(InferError, match=rf"{name}: {message}.* of 3,000 rows are done and kept"):
        infer_files(client, job)


def test_files_that_are_not_there_or_given_twice_are_refused(infer, file_of, tmp_path):
    source = file_of("x.npy", ONES)
    with pytest.raises(BadInput, match=r"missing\.npy: is not there"):
        infer(tmp_path / "y.csv", source, tmp_path / "missing.npy")
    with pytest.raises(BadInput, match=r"x\.npy: is given twice"):
        infer(tmp_path / "y.csv", source, tmp_path / "." / "x.npy")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="holds no images"):
        infer(tmp_path / "y.csv", tmp_path / "empty")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("y.txt", r"must end in one of \.csv \.jsonl \.npy \.npz \.parquet"),
        ("y.npy", r"\.npy holds one array, the model gives y, n\. Say --outputs NAME"),
        ("x.npy", r"\.npy holds one array|is read and written"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused_at_once(infer, transport, file_of, tmp_path, name, message):
    source = file_of("x.npy", ONES)
    with pytest.raises(InferError, match=message):
        infer(tmp_path / name, source)
    assert transport.requests == []


def test_an_output_over_its_own_input_is_refused(infer, file_of):
    source = file_of("x.npz", ONES)
    with pytest.raises(InferError, match=r"x\.npz: is read and written"):
        infer(source, source)


def test_a_folder_that_cannot_be_written_is_refused(infer, file_of, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InferError, match=r"y\.csv\.parts: cannot be made \(.*\)\. Give another --output"):
        infer(tmp_path / "file" / "y.csv", file_of("x.npy", ONES))


@pytest.mark.parametrize("suffix", ["npy", "npz"])
@pytest.mark.parametrize(("dtype", "shape"), [("BYTES", (1,)), ("FP32", (-1,))], ids=["text", "varying"])
def test_arrays_do_not_hold_text_or_varying_shapes(file_of, tmp_path, suffix, dtype, shape):
    model = ModelMetadata("m", (TensorMetadata("x", "FP32", (2,)),), (TensorMetadata("y", dtype, shape),), 4)
    wish = Wish("m", (file_of("x.npy", ONES),), tmp_path / f"y.{suffix}")
    with (
        Client(transport=FunctionTransport({model: dict})) as client,
        pytest.raises(InferError, match=r"output 'y' is .*, which arrays do not hold\. Use \.jsonl or \.parquet"),
    ):
        planned(client, wish)


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        (
            (8, 8, 3),
            "FP32",
            "how pixels become such numbers is not said anywhere, and a guess",
        ),
        ((-1, -1, 3), "UINT8", "not images: UINT8 of height, width, 3 or of 3, height, width"),
        ((8, 8), "UINT8", "not images"),
    ],
    ids=["normalised", "of any size", "grey"],
)
def test_images_are_not_guessed_at(tmp_path, shape, dtype, message):
    (tmp_path / "a.png").write_bytes(b"")
    model = ModelMetadata("m", (TensorMetadata("image", dtype, shape),), (TensorMetadata("y", "FP32", (1,)),), 4)
    wish = Wish("m", (tmp_path / "a.png",), tmp_path / "y.csv")
    with Client(transport=FunctionTransport({model: dict})) as client, pytest.raises(BadInput, match=message):
        planned(client, wish)


def test_a_nameless_array_does_not_feed_several_inputs(file_of, tmp_path):
    inputs = (TensorMetadata("a", "FP32", (2,)), TensorMetadata("b", "FP32", (2,)))
    model = ModelMetadata("m", inputs, (TensorMetadata("y", "FP32", (1,)),), 4)
    wish = Wish("m", (file_of("x.npy", ONES),), tmp_path / "y.csv")
    with (
        Client(transport=FunctionTransport({model: dict})) as client,
        pytest.raises(BadInput, match=r"m takes several inputs: a, b\. Use \.npz"),
    ):
        planned(client, wish)


def test_a_folder_gets_one_output_for_each_file(tmp_path):
    files = [tmp_path / "a.csv", tmp_path / "b.npy"]
    assert outputs_of(files, tmp_path / "out", "csv") == [
        ((files[0],), tmp_path / "out" / "a.csv"),
        ((files[1],), tmp_path / "out" / "b.csv"),
    ]


def test_two_files_of_one_name_do_not_share_an_output(tmp_path):
    with pytest.raises(InferError, match=r"a/x\.csv and b/x\.npy: both would be written to out/x\.csv"):
        outputs_of([*map(type(tmp_path), ("a/x.csv", "b/x.npy"))], type(tmp_path)("out"), "csv")


@pytest.mark.parametrize(("form", "message"), [("", "is a folder. Say --format"), ("csv", "is a file, and --format")])
def test_a_folder_goes_with_a_format(tmp_path, form, message):
    output = tmp_path if not form else tmp_path / "y.csv"
    (tmp_path / "y.csv").write_text("")
    with pytest.raises(InferError, match=message):
        outputs_of([tmp_path / "x.csv"], output, form)
