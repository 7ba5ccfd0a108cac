"""Photographs: files and folders of them, one row each. Needs Pillow."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engineroom.client import Arrays, BadInput, ModelMetadata, TensorMetadata
from engineroom.errors import InferError
from engineroom.infer.binding import check_inputs, only_input

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""What is taken from folders."""


def images_in(paths: Sequence[Path]) -> list[Path]:
    """Image files: those named, and those in named folders and below, each once."""
    found: list[Path] = []
    for path in paths:
        inside = (
            sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
        )
        found += [file for file in inside if file.is_file()]
    return list(dict.fromkeys(found))


def pixels_from_image(path: Path, size: tuple[int, int], crop: float = 1.0) -> npt.NDArray[np.uint8]:
    """Read an image: upright, RGB, the largest part of its centre that has the wanted proportions, bicubic.

    The whole centre is what a recipe's samples show, so what parity was proven on. EfficientNet's authors evaluate on
    less of it, side / (side + 32) or 0.875 at 224 pixels (`CROP_PADDING` in their preprocessing.py,
    github.com/tensorflow/tpu, models/official/efficientnet), which loses what stands near the edges.

    Args:
        path: An image file.
        size: Width and height wanted, in pixels.
        crop: Share of the centre that is kept, by its edges.

    Returns:
        uint8 (height, width, 3).

    Raises:
        BadInput: Pillow cannot read it.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
        return np.asarray(ImageOps.fit(upright, size, Image.Resampling.BICUBIC, bleed=(1 - crop) / 2))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadInput(f"{path}: cannot be read as an image ({error})") from error


@dataclass(frozen=True)
class _Pixels:
    """How the model's input holds an image."""

    width: int
    height: int
    channels_first: bool


class ImageSource:
    """Images for the model's only input, of UINT8: pixels as they are, normalised by nobody.

    Args:
        paths: Image files and folders.
        model: What is fed.
        chosen: Must be empty: an image has no columns.

    Raises:
        BadInput: There are none, or what the model makes of pixels is not known.
    """

    def __init__(self, paths: Sequence[Path], model: ModelMetadata, chosen: Mapping[str, str]) -> None:
        check_inputs(model, chosen)
        self._files = images_in(paths)
        if not self._files:
            raise BadInput(f"{', '.join(map(str, paths))}: holds no images ({' '.join(sorted(SUFFIXES))}).")
        self._tensor = only_input(model, paths[0], "image")
        self._pixels = _pixels(model, self._tensor)
        try:
            import PIL  # noqa: F401 - said before the first row, not with each
        except ImportError as error:
            raise InferError(f"{paths[0]}: images need Pillow. Run: pip install 'engineroom[infer]'") from error

    def __len__(self) -> int:
        return len(self._files)

    def rows(self, start: int) -> Iterator[Arrays | BadInput]:
        """Each image from `start` on."""
        for path in self._files[start:]:
            try:
                pixels = pixels_from_image(path, (self._pixels.width, self._pixels.height))
            except BadInput as error:
                yield error
                continue
            array: npt.NDArray[Any] = pixels.transpose(2, 0, 1) if self._pixels.channels_first else pixels
            yield {self._tensor.name: array}

    def place(self, row: int) -> tuple[str, int]:
        """The image's own file; its only row."""
        return str(self._files[row]), 0


def _pixels(model: ModelMetadata, tensor: TensorMetadata) -> _Pixels:
    """What the input's shape dictates.

    Raises:
        BadInput: It is no image's, or its type leaves open how pixels are normalised.
    """
    shape = tensor.shape
    takes = f"{model.name}: input '{tensor.name}' takes {tensor.dtype} {model.accepted(tensor)}"
    if len(shape) != 3 or 3 not in (shape[0], shape[2]) or -1 in shape:
        raise BadInput(f"{takes}, not images: UINT8 of height, width, 3 or of 3, height, width. Send arrays (.npy).")
    if tensor.dtype != "UINT8":
        raise BadInput(
            f"{takes}: how pixels become such numbers is not said anywhere, and a guess would give wrong answers. "
            "Send arrays that are prepared as the model wants (.npy), or let the model take UINT8 and do it itself."
        )
    first = shape[2] != 3
    height, width = shape[1:] if first else shape[:2]
    return _Pixels(width, height, first)
