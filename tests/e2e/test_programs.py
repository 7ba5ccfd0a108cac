"""The programs of `client/`, as they are typed, against the real models."""

import csv
import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]

PHOTOS = {"chelsea.png": "Egyptian cat", "coffee.png": "espresso", "rocket.jpg": "missile"}

SENTENCES = """\
The kitten is napping on the couch.
Markets dropped at the start of the week.

Stocks fell sharply on Monday.
A cat sleeps on the sofa.
"""


@pytest.fixture(scope="module")
def server(start_server, built):
    return start_server(built.path, "efficientnet_lite0", "minilm")


@pytest.fixture(scope="module")
def photos():
    from skimage import data

    return [Path(data.__file__).parent / name for name in PHOTOS]


@pytest.fixture(scope="module", params=["grpc", "http"])
def url(server, request):
    return f"{request.param}://{getattr(server, request.param)}"


def program(name, *arguments, text=None, status=0):
    """Run a program; gives what it printed and what it reported."""
    command = [sys.executable, "-W", "error", str(ROOT / "client" / name), *map(str, arguments)]
    done = subprocess.run(command, check=False, input=text, capture_output=True, text=True, timeout=120)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


def test_photographs_are_classified(url, photos):
    out, err = program("classify_photos.py", "--url", url, "--top", 2, "--format", "csv", *photos)
    rows = list(csv.DictReader(out.splitlines()))
    best = {Path(row["photo"]).name: row["class"] for row in rows if row["rank"] == "1"}
    assert best == PHOTOS
    assert len(rows) == 6
    assert all(0 < float(row["probability"]) < 1 for row in rows)
    assert err == "3 of 3 photos classified by efficientnet_lite0\n"


def test_the_probabilities_are_those_of_the_pytorch_module(url, photos, monkeypatch):
    import torch

    monkeypatch.syspath_prepend(str(ROOT / "client"))
    monkeypatch.syspath_prepend(str(ROOT / "build"))
    pixels = [importlib.import_module("classify_photos").pixels_from_image(photo, (224, 224)) for photo in photos]
    with torch.no_grad():
        expected = importlib.import_module("efficientnet_lite0").module()(torch.from_numpy(np.stack(pixels)))
    best, index = expected.max(dim=1)
    out, _ = program("classify_photos.py", "--url", url, "--top", 1, "--format", "json", *photos)
    rows = json.loads(out)
    assert [row["index"] for row in rows] == index.tolist()
    assert [row["probability"] for row in rows] == pytest.approx(best.tolist(), abs=0.05)


def test_a_folder_is_searched_and_what_is_no_photo_is_named(url, photos, tmp_path):
    for photo in photos:
        (tmp_path / photo.name).symlink_to(photo)
    (tmp_path / "broken.jpg").write_bytes(b"not a photo")
    table = tmp_path / "answers.json"
    out, err = program("classify_photos.py", "--url", url, "--batch", 2, "--output", table, tmp_path, status=1)
    assert out == ""
    assert f"Error: {tmp_path / 'broken.jpg'}: cannot be read as an image" in err
    assert "3 of 4 photos classified" in err
    assert {Path(row["photo"]).name for row in json.loads(table.read_text())} == set(PHOTOS)
    assert len(json.loads(table.read_text())) == 15


def test_a_model_that_takes_no_photos_is_refused(url, photos):
    _, err = program("classify_photos.py", "--url", url, "--model", "minilm", photos[0], status=1)
    assert err.startswith(
        "Error: minilm: takes input_ids (INT64, (1..32, any)), attention_mask (INT64, (1..32, any)), not"
    )


def test_every_line_finds_its_neighbour(url):
    out, err = program("embed_sentences.py", "--url", url, "--format", "csv", text=SENTENCES)
    rows = list(csv.DictReader(out.splitlines()))
    assert [int(row["line"]) for row in rows] == [5, 4, 2, 1]
    assert [row["query"] for row in rows] == [line for line in SENTENCES.splitlines() if line]
    assert err == "4 texts embedded by minilm\n"


def test_a_query_finds_the_nearest_sentences(url, tmp_path):
    (tmp_path / "text").write_text(SENTENCES)
    arguments = [
        "--query",
        "shares got cheaper",
        "--query",
        "sleepy pets",
        "--top",
        2,
        "--format",
        "json",
        tmp_path / "text",
    ]
    out, _ = program("embed_sentences.py", "--url", url, *arguments)
    rows = json.loads(out)
    assert [row["query"] for row in rows] == ["shares got cheaper"] * 2 + ["sleepy pets"] * 2
    assert [row["rank"] for row in rows] == [1, 2, 1, 2]
    assert [{row["line"] for row in rows[:2]}, {row["line"] for row in rows[2:]}] == [{2, 4}, {1, 5}]
    assert all(rows[index]["cosine"] >= rows[index + 1]["cosine"] for index in (0, 2))


def test_the_embeddings_are_written_in_every_form(url, tmp_path):
    found = {}
    for suffix in ("npz", "json", "csv"):
        program("embed_sentences.py", "--url", url, "--output", tmp_path / f"e.{suffix}", text=SENTENCES)
    with np.load(tmp_path / "e.npz") as archive:
        found["npz"] = archive["embedding"]
        assert archive["line"].tolist() == [1, 2, 4, 5]
        assert archive["sentence"].tolist() == [line for line in SENTENCES.splitlines() if line]
    found["json"] = np.array([row["embedding"] for row in json.loads((tmp_path / "e.json").read_text())])
    with (tmp_path / "e.csv").open(newline="") as file:
        found["csv"] = np.array([[float(row[f"e{i}"]) for i in range(384)] for row in csv.DictReader(file)])
    assert found["npz"].shape == (4, 384)
    np.testing.assert_allclose(np.linalg.norm(found["npz"], axis=1), 1, atol=1e-3)
    for suffix in ("json", "csv"):
        np.testing.assert_allclose(found[suffix], found["npz"], atol=1e-3)


def test_many_lines_of_every_length_keep_their_neighbours(url):
    """More lines than the largest batch: each text stands twice, and finds its twin whatever batch that was in."""
    texts = [f"{'very ' * (index % 7)}important message number {index}" for index in range(50)]
    out, _ = program("embed_sentences.py", "--url", url, "--format", "json", text="\n".join(texts + texts[::-1]))
    rows = json.loads(out)
    assert [row["sentence"] for row in rows] == texts + texts[::-1]
    assert all(row["cosine"] == pytest.approx(1, abs=0.01) for row in rows)


def test_a_long_text_is_cut_and_it_is_said(url):
    _, err = program("embed_sentences.py", "--url", url, text="word " * 400 + "\nshort\n")
    assert "1 of 2 texts were cut to their first 256 tokens" in err


def test_a_model_that_embeds_nothing_is_refused(url):
    _, err = program("embed_sentences.py", "--url", url, "--model", "efficientnet_lite0", text="a\nb", status=1)
    assert "efficientnet_lite0: " in err


@pytest.mark.parametrize("name", ["classify_photos.py", "embed_sentences.py"])
def test_help_tells_what_it_is_for(name):
    out, _ = program(name, "--help")
    assert "Exit status" in out
    assert "--url" in out
