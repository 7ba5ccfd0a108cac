"""Pillow's images as rows of an input of pixels."""

import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from engineroom.client.metadata import ModelMetadata, TensorMetadata
from engineroom.errors import BadInput

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Pillow's mode by the number of channels."""

BEYOND_UINT8 = ("I", "F")
"""Modes, or their beginnings, whose values Pillow would cut off."""


def has_images(value: Any) -> bool:
    """Whether this is a Pillow image, or a list with one. An application without Pillow has none."""
    pillow = sys.modules.get("PIL.Image")
    items = value if isinstance(value, (list, tuple)) else (value,)
    return pillow is not None and any(isinstance(item, pillow.Image) for item in items)


def array_from_images(model: ModelMetadata, tensor: TensorMetadata, value: Any) -> npt.NDArray[np.uint8]:
    """One image or several as (rows, …): upright as their EXIF says, in the channels of the input. One is one row.

    Args:
        model: For its name, and whether it has a batch axis.
        tensor: An input of UINT8: (height, width), (height, width, channels) or (channels, height, width).
        value: An image, or a list of them, of the input's size.

    Raises:
        BadInput: The input is none of pixels, or an image has another size.
    """
    where = f"{model.name}: input '{tensor.name}'"
    images = list(value) if isinstance(value, (list, tuple)) else [value]
    shape = tensor.shape if model.max_batch_size or len(tensor.shape) < 4 else tensor.shape[1:]
    first = len(shape) == 3 and shape[0] in MODES and shape[2] not in MODES
    height, width, channels = (*shape[1:], shape[0]) if first else (*shape, 1, 1, 1)[:3]
    if tensor.dtype != "UINT8" or len(shape) not in (2, 3) or channels not in (*MODES, -1):
        raise BadInput(
            f"{where} is {tensor.dtype} {model.accepted(tensor)}, not pixels (UINT8). Make an array of the image, as "
            "the model was trained."
        )
    rows = [_pixels(where, image, MODES.get(channels, "RGB")) for image in images]
    for row in rows:
        _check_size(where, row, (height, width))
    if len({row.shape for row in rows}) > 1:
        raise BadInput(f"{where}: the images differ in size. Send them one by one.")
    array = np.stack([np.moveaxis(row, -1, 0) if first else row.reshape(*row.shape[:2], *shape[2:3]) for row in rows])
    return array if model.max_batch_size or len(tensor.shape) == 4 or len(rows) > 1 else array[0]


def _pixels(where: str, image: Any, mode: str) -> npt.NDArray[np.uint8]:
    """(height, width, channels)."""
    from PIL import Image, ImageOps

    if not isinstance(image, Image.Image):
        raise BadInput(f"{where} is a list of images and of a {type(image).__name__}. Give either images or one array.")
    if image.mode.startswith(BEYOND_UINT8):
        raise BadInput(
            f"{where}: an image has mode {image.mode}, which 8 bits do not hold. Scale it, and give an array."
        )
    pixels = np.asarray(ImageOps.exif_transpose(image).convert(mode))
    return pixels.reshape(*pixels.shape[:2], -1)


def _check_size(where: str, pixels: npt.NDArray[np.uint8], wanted: tuple[int, int]) -> None:
    height, width = pixels.shape[:2]
    if any(size not in (-1, is_) for size, is_ in zip(wanted, (height, width), strict=True)):
        sizes = " x ".join("any" if size == -1 else str(size) for size in reversed(wanted))
        raise BadInput(
            f"{where}: an image has {width} x {height} pixels, the model takes {sizes}. "
            f"Say PIL.ImageOps.fit(image, ({wanted[1]}, {wanted[0]}))."
        )
