import re

import numpy as np
import pytest
from PIL import Image

from engineroom.client.check import checked
from engineroom.client.metadata import ModelMetadata, TensorMetadata
from engineroom.errors import BadInput

RED, GREY = (200, 10, 30), 77
ROTATED = 6
"""EXIF: the camera was turned by a quarter."""


def sent(value, shape=(2, 3, 3), dtype="UINT8", rows=8):
    model = ModelMetadata("photos", (TensorMetadata("image", dtype, shape),), (), rows)
    return checked(model, {"image": value})[0].array


def photo(mode="RGB", size=(3, 2), color=RED):
    """3 wide, 2 high."""
    return Image.new(mode, size, color)


def test_an_image_is_a_row_and_a_list_of_them_a_batch():
    assert np.array_equal(sent(photo()), np.full((1, 2, 3, 3), RED, np.uint8))
    assert sent([photo(), photo()]).shape == (2, 2, 3, 3)
    assert sent((photo(),)).shape == (1, 2, 3, 3)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        pytest.param((2, 3, 3), (1, 2, 3, 3), id="channels last"),
        pytest.param((3, -1, 3), (1, 3, 3, 3), id="three in front are rows, where three are behind"),
        pytest.param((-1, -1, 3), (1, 2, 3, 3), id="any size"),
        pytest.param((-1, -1, -1), (1, 2, 3, 3), id="any size and channels"),
        pytest.param((2, 3, 4), (1, 2, 3, 4), id="with transparency"),
        pytest.param((2, 3, 1), (1, 2, 3, 1), id="grey with an axis"),
        pytest.param((2, 3), (1, 2, 3), id="grey without"),
    ],
)
def test_channels_are_those_of_the_input(shape, expected):
    assert sent(photo(size=(3, expected[1])), shape).shape == expected


def test_channels_may_come_first():
    array = sent([photo(), photo(color=(1, 2, 3))], (3, 2, -1))
    assert array.shape == (2, 3, 2, 3)
    assert array[:, :, 0, 0].tolist() == [list(RED), [1, 2, 3]]


def test_without_batches_an_image_is_the_whole_input():
    assert sent(photo(), rows=0).shape == (2, 3, 3)
    assert sent([photo(), photo()], (-1, 2, 3, 3), rows=0).shape == (2, 2, 3, 3)
    with pytest.raises(BadInput, match=re.escape("has shape (2, 2, 3, 3), the model takes (2, 3, 3)")):
        sent([photo(), photo()], rows=0)


@pytest.mark.parametrize(
    ("image", "pixel"),
    [
        pytest.param(photo("L", color=GREY), [GREY] * 3, id="grey"),
        pytest.param(photo("RGBA", color=(*RED, 255)), list(RED), id="transparency"),
        pytest.param(photo("1", color=1), [255] * 3, id="black and white"),
        pytest.param(photo().quantize(4), list(RED), id="palette"),
    ],
)
def test_other_modes_become_the_inputs(image, pixel):
    assert sent(image)[0, 0, 0].tolist() == pixel


def test_a_photo_is_turned_upright():
    image = photo(size=(2, 3))
    image.putpixel((0, 2), (1, 2, 3))
    image.getexif()[0x0112] = ROTATED
    assert sent(image)[0, 0, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("value", "options", "message"),
    [
        pytest.param(
            photo(size=(640, 480)), {},
            "an image has 640 x 480 pixels, the model takes 3 x 2. Say PIL.ImageOps.fit(image, (3, 2)).", id="a size",
        ),
        pytest.param([photo(), photo(size=(3, 1))], {}, "an image has 3 x 1 pixels", id="one of two"),
        pytest.param([photo(), photo(size=(3, 1))], {"shape": (-1, 3, 3)}, "the images differ in size", id="two sizes"),
        pytest.param(photo(), {"dtype": "FP32"}, "is FP32 (1..8, 2, 3, 3), not pixels (UINT8)", id="scaled pixels"),
        pytest.param(photo(), {"shape": (6,)}, "is UINT8 (1..8, 6), not pixels", id="no image's axes"),
        pytest.param(photo(), {"shape": (2, 3, 7)}, "is UINT8 (1..8, 2, 3, 7), not pixels", id="no image's channels"),
        pytest.param(photo("I;16", color=9), {}, "an image has mode I;16, which 8 bits do not hold", id="16 bits"),
        pytest.param(photo("F", color=0.5), {}, "an image has mode F", id="fractions"),
        pytest.param([np.zeros((2, 3, 3), np.uint8), photo()], {}, "of images and of a ndarray", id="a mixture"),
    ],
)  # fmt: skip
def test_an_image_that_does_not_fit_is_refused(value, options, message):
    with pytest.raises(BadInput, match=re.escape(message)):
        sent(value, **options)
