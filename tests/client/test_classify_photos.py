import re

import numpy as np
import pytest
from PIL import Image

from engineroom.client import Client, FunctionTransport, ModelMetadata, TensorMetadata

PHOTOS = ModelMetadata(
    "photos", (TensorMetadata("image", "UINT8", (8, 8, 3)),), (TensorMetadata("p", "FP32", (3,)),), max_batch_size=2
)
TOKENS = ModelMetadata("tokens", (TensorMetadata("ids", "INT64", (-1,)),), (TensorMetadata("e", "FP32", (3,)),), 2)

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def colours(arrays):
    """Scores of red, green and blue: the share of each."""
    return {"p": arrays["image"].mean(axis=(1, 2), dtype=np.float32) / 255}


@pytest.fixture(scope="module")
def photos(program):
    return program("classify_photos")


def options(photos, **changed):
    given = {
        "paths": (),
        "url": "",
        "model": "photos",
        "top": 1,
        "batch": 0,
        "crop": 1.0,
        "form": "csv",
        "output": None,
    }
    return photos.Options(**{**given, **changed})


def inner(pixels):
    """Without the border, where bicubic filters see what lies outside the square."""
    return pixels[1:-1, 1:-1]


@pytest.fixture
def stripes(tmp_path):
    """A wide picture: a red square between two blue ones."""
    picture = np.zeros((40, 120, 3), np.uint8)
    picture[:, :] = BLUE
    picture[:, 40:80] = RED
    Image.fromarray(picture).save(tmp_path / "stripes.png")
    return tmp_path / "stripes.png"


def test_the_central_square_is_taken(photos, stripes):
    pixels = photos.pixels_from_image(stripes, (8, 8))
    assert pixels.shape == (8, 8, 3)
    assert pixels.dtype == np.uint8
    assert (inner(pixels) == RED).all()


def test_less_of_the_square_can_be_taken(photos, tmp_path):
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:, :] = BLUE
    picture[16:48, 16:48] = RED
    Image.fromarray(picture).save(tmp_path / "square.png")
    assert not (inner(photos.pixels_from_image(tmp_path / "square.png", (8, 8))) == RED).all()
    assert (inner(photos.pixels_from_image(tmp_path / "square.png", (8, 8), crop=0.5)) == RED).all()


def test_a_photo_is_turned_upright(photos, tmp_path):
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:16], picture[16:] = RED, GREEN
    image = Image.fromarray(picture)
    exif = image.getexif()
    exif[0x0112] = 3  # held upside down
    image.save(tmp_path / "turned.png", exif=exif)
    pixels = photos.pixels_from_image(tmp_path / "turned.png", (8, 8))
    assert (pixels[:3] == GREEN).all()
    assert (pixels[-3:] == RED).all()


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "CMYK"])
def test_every_kind_of_image_becomes_rgb(photos, tmp_path, mode):
    Image.new("RGB", (20, 20), (255, 255, 255)).convert(mode).save(tmp_path / "white.tif")
    pixels = photos.pixels_from_image(tmp_path / "white.tif", (8, 8))
    assert pixels.shape == (8, 8, 3)
    assert (pixels == 255).all()


def test_folders_are_searched_and_nothing_is_taken_twice(photos, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "folder.png").mkdir()
    for name in ("b.JPG", "a.png", "deep/c.webp", "notes.txt"):
        (tmp_path / name).touch()
    found = photos.images_in([tmp_path, tmp_path / "a.png", tmp_path / "notes.txt"])
    assert [str(path.relative_to(tmp_path)) for path in found] == ["a.png", "b.JPG", "deep/c.webp", "notes.txt"]


def test_what_cannot_be_read_is_named_and_the_others_are_answered(photos, stripes, tmp_path):
    (tmp_path / "broken.png").write_bytes(stripes.read_bytes()[:50])
    (tmp_path / "notes.txt").write_text("not a photo")
    paths = [tmp_path / "broken.png", tmp_path / "notes.txt", stripes]
    with Client(transport=FunctionTransport({PHOTOS: colours})) as client:
        records, unread = photos.classify(client, paths, options(photos))
    assert [(record["photo"], record["rank"], record["index"]) for record in records] == [(str(stripes), 1, 0)]
    assert [line.split(": ")[0] for line in unread] == [str(path) for path in paths[:2]]


@pytest.mark.parametrize(
    ("batch", "sizes"),
    [pytest.param(0, [2, 2, 1], id="the model's largest"), pytest.param(1, [1] * 5, id="one by one")],
)
def test_photos_are_sent_in_batches(photos, tmp_path, batch, sizes):
    paths = [tmp_path / f"{index}.png" for index in range(5)]
    for index, path in enumerate(paths):
        Image.new("RGB", (9, 9), (RED, GREEN, BLUE)[index % 3]).save(path)
    transport = FunctionTransport({PHOTOS: colours})
    with Client(transport=transport) as client:
        records, _ = photos.classify(client, paths, options(photos, batch=batch))
    assert [record["index"] for record in records] == [0, 1, 2, 0, 1]
    assert [len(request.inputs[0].array) for request in transport.requests] == sizes


def test_a_model_that_takes_no_photos_is_refused(photos, stripes):
    import click

    expected = re.escape("tokens: takes ids (INT64, (1..2, any)), not photos")
    with (
        Client(transport=FunctionTransport({TOKENS: colours})) as client,
        pytest.raises(click.ClickException, match=expected),
    ):
        photos.classify(client, [stripes], options(photos, model="tokens"))


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        pytest.param(["."], 1, "no photos in .", id="no photos"),
        pytest.param(
            ["stripes.png", "--url", "127.0.0.1:1"], 1, "no Triton answers at grpc://127.0.0.1:1", id="no server"
        ),
        pytest.param(["stripes.png", "--url", "ftp://x"], 1, "'ftp://x' is no server address", id="no address"),
        pytest.param(["nothing.png"], 2, "does not exist", id="no such file"),
        pytest.param(["stripes.png", "--output", "x.xml"], 2, "x.xml must end in .csv or .json", id="no such form"),
        pytest.param([], 2, "Missing argument 'PATHS...'", id="nothing given"),
    ],
)
def test_mistakes_end_with_a_message_and_a_status(photos, tmp_path, monkeypatch, arguments, status, message):
    from click.testing import CliRunner

    monkeypatch.chdir(tmp_path)
    if arguments != ["."]:
        Image.new("RGB", (9, 9)).save("stripes.png")
    result = CliRunner().invoke(photos.main, arguments)
    assert result.exit_code == status
    assert message in result.output
    assert "Traceback" not in result.output
