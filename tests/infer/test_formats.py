"""Every format in, every format out: the same numbers."""

import csv
import json
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from engineroom.client import Client, FunctionTransport, ModelMetadata, TensorMetadata
from engineroom.infer.npz import NpzSource
from engineroom.infer.run import Wish, infer_files, planned

FORMATS = ["npy", "npz", "csv", "jsonl", "parquet"]


def read_csv(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def read_jsonl(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def read_parquet(path):
    from pyarrow import parquet

    return parquet.read_table(path).to_pylist()


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_is_read(infer, file_of, numbers, tmp_path, suffix):
    record = infer(tmp_path / "y.npz", file_of(f"x.{suffix}", numbers(11)))
    assert (record.rows, record.answered, record.failed) == (11, 11, 0)
    with np.load(tmp_path / "y.npz") as found:
        np.testing.assert_array_equal(found["y"], 2 * numbers(11))
        np.testing.assert_array_equal(found["n"], np.arange(11)[:, np.newaxis])
        assert found["answered"].all()


def test_files_of_several_formats_are_one_sequence(infer, file_of, numbers, tmp_path):
    x = numbers(15)
    files = [file_of(f"{start}.{suffix}", x[start : start + 3]) for start, suffix in enumerate(FORMATS)]
    x = np.concatenate([x[start : start + 3] for start in range(5)])
    infer(tmp_path / "y.csv", *files)
    rows = read_csv(tmp_path / "y.csv")
    assert [(row["file"], int(row["row"])) for row in rows] == [(str(file), row) for file in files for row in range(3)]
    assert [[float(row["y.0"]), float(row["y.1"])] for row in rows] == (2 * x).tolist()


@pytest.fixture
def with_a_failure(infer, file_of, tmp_path):
    """Writes answers to three rows, the second of which fails."""

    def write(name, **wished):
        source = file_of("x.npy", [[1, 2], [-1, 0], [3, 4]])
        record = infer(tmp_path / name, source, **wished)
        assert (record.answered, record.failed) == (2, 1)
        return tmp_path / name, str(source)

    return write


def test_npy_is_written(with_a_failure):
    path, _ = with_a_failure("y.npy", outputs=("y",))
    np.testing.assert_array_equal(np.load(path), [[2, 4], [np.nan, np.nan], [6, 8]])


def test_npz_is_written(with_a_failure):
    path, _ = with_a_failure("y.npz")
    with np.load(path) as found:
        assert found["answered"].tolist() == [True, False, True]
        assert found["n"].tolist() == [[1], [0], [3]]


def test_csv_is_written(with_a_failure):
    path, source = with_a_failure("y.csv")
    rows = read_csv(path)
    assert rows[0] == {"file": source, "row": "0", "y.0": "2.0", "y.1": "4.0", "n": "1", "error": ""}
    assert rows[1] == {"file": source, "row": "1", "y.0": "", "y.1": "", "n": "", "error": rows[1]["error"]}
    assert rows[1]["error"] == "double: negative"


def test_jsonl_is_written(with_a_failure):
    path, source = with_a_failure("y.jsonl")
    assert read_jsonl(path) == [
        {"file": source, "row": 0, "y": [2, 4], "n": [1]},
        {"file": source, "row": 1, "error": "double: negative"},
        {"file": source, "row": 2, "y": [6, 8], "n": [3]},
    ]


def test_parquet_is_written(with_a_failure):
    path, source = with_a_failure("y.parquet")
    assert read_parquet(path) == [
        {"file": source, "row": 0, "y": [2, 4], "n": 1, "error": None},
        {"file": source, "row": 1, "y": None, "n": None, "error": "double: negative"},
        {"file": source, "row": 2, "y": [6, 8], "n": 3, "error": None},
    ]


TOKENS = ModelMetadata(
    "tokens",
    (TensorMetadata("ids", "INT64", (-1,)), TensorMetadata("flag", "BOOL", (1,)), TensorMetadata("who", "BYTES", (1,))),
    (TensorMetadata("ids", "INT64", (-1,)), TensorMetadata("flag", "BOOL", (1,)), TensorMetadata("who", "BYTES", (1,))),
    4,
)
ROWS = [
    {"ids": [1], "flag": True, "who": "é"},
    {"ids": [1, 2], "flag": False, "who": 'a,"b\n'},
    {"ids": [3, 4], "flag": True, "who": ""},
]


@pytest.fixture
def tokens(tmp_path):
    """A file of rows that differ in shape, with truth and text in them."""

    def write(suffix):
        path = tmp_path / f"rows.{suffix}"
        if suffix == "jsonl":
            path.write_text("\n".join(map(json.dumps, ROWS)))
        elif suffix == "csv":
            with path.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(
                    [["ids", "flag", "who"], *([str(row["ids"]), row["flag"], row["who"]] for row in ROWS)]
                )
        else:
            from pyarrow import Table, parquet

            parquet.write_table(Table.from_pylist(ROWS), path)
        return path

    return write


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("written", ["csv", "jsonl", "parquet"])
def test_text_truth_and_varying_shapes_arrive_unchanged(tokens, tmp_path, suffix, written):
    output = tmp_path / f"y.{written}"
    with Client(transport=FunctionTransport({TOKENS: dict})) as client:
        infer_files(client, planned(client, Wish("tokens", (tokens(suffix),), output)))
    found = {"csv": read_csv, "jsonl": read_jsonl, "parquet": read_parquet}[written](output)
    if written == "csv":
        found = [{"ids": json.loads(row["ids"]), "flag": row["flag"] == "True", "who": row["who"]} for row in found]
    if written == "jsonl":
        found = [{"ids": row["ids"], "flag": row["flag"][0], "who": row["who"][0]} for row in found]
    assert [{name: row[name] for name in ROWS[0]} for row in found] == ROWS


def test_columns_are_chosen_by_name_and_by_pattern(infer, tmp_path):
    (tmp_path / "x.csv").write_text("left,id,right\n1,7,2\n")
    infer(tmp_path / "a.npy", tmp_path / "x.csv", inputs={"x": "left,right"}, outputs=("y",))
    infer(tmp_path / "b.npy", tmp_path / "x.csv", inputs={"x": "*t"}, outputs=("y",))
    assert np.load(tmp_path / "a.npy").tolist() == np.load(tmp_path / "b.npy").tolist() == [[2, 4]]


def shades(arrays):
    return {"m": arrays["image"].mean(axis=(1, 2, 3), dtype=np.float32)[:, np.newaxis]}


@pytest.mark.parametrize("shape", [(4, 6, 3), (3, 4, 6)], ids=["channels last", "channels first"])
def test_images_become_pixels_of_the_input_s_shape(tmp_path, shape):
    model = ModelMetadata("mean", (TensorMetadata("image", "UINT8", shape),), (TensorMetadata("m", "FP32", (1,)),), 8)
    transport = FunctionTransport(
        {model: lambda arrays: {"m": arrays["image"].mean(axis=(1, 2, 3), dtype=np.float32)[:, None]}}
    )
    (tmp_path / "photos" / "more").mkdir(parents=True)
    for name, shade in (("a.png", 10), ("more/b.jpg", 200), ("c.tiff", 30)):
        Image.new("RGB", (40, 20), (shade,) * 3).save(tmp_path / "photos" / name)
    (tmp_path / "photos" / "d.png").write_bytes(b"no image")
    with Client(transport=transport) as client:
        record = infer_files(client, planned(client, Wish("mean", (tmp_path / "photos",), tmp_path / "y.jsonl")))
    assert (record.answered, record.failed) == (3, 1)
    rows = read_jsonl(tmp_path / "y.jsonl")
    assert [row["file"].rpartition("photos/")[2] for row in rows] == ["a.png", "c.tiff", "d.png", "more/b.jpg"]
    assert "cannot be read as an image" in rows[2]["error"]
    assert [round(row["m"][0]) for row in rows if "m" in row] == [10, 30, 200]
    assert transport.requests[0].inputs[0].array.shape[1:] == shape


def test_a_model_without_a_batch_axis_is_asked_row_by_row(tmp_path, file_of, numbers):
    model = ModelMetadata("single", (TensorMetadata("x", "FP32", (2,)),), (TensorMetadata("y", "FP32", (2,)),), 0)
    with Client(transport=FunctionTransport({model: lambda arrays: {"y": arrays["x"] * 3}})) as client:
        wish = Wish("single", (file_of("x.npz", numbers(5)),), tmp_path / "y.npy", batch=7)
        infer_files(client, planned(client, wish))
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), 3 * numbers(5))


def test_an_archive_is_not_read_into_memory(tmp_path):
    wide = ModelMetadata("wide", (TensorMetadata("x", "FP32", (1000,)),), (), 1)
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros((10_000, 1000), np.float32))
    source = NpzSource(tmp_path / "x.npz", wide, {})
    tracemalloc.start()
    assert sum(1 for _ in source.rows(5_000)) == 5_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000
