import numpy as np
import pytest
from PIL import Image

from engineroom.errors import LoadError
from engineroom.load.picture import picture_from_samples


@pytest.mark.parametrize(
    "samples_ms",
    [
        pytest.param(np.random.default_rng(0).lognormal(1.0, 0.5, 5000), id="many"),
        pytest.param(np.array([2.5]), id="one"),
        pytest.param(np.full(100, 3.0), id="all alike"),
    ],
)
def test_a_picture_is_drawn(result, samples_ms, tmp_path):
    path = tmp_path / "out" / "latency.png"
    picture_from_samples(samples_ms, result, path)
    with Image.open(path) as image:
        assert image.size == (1560, 702)
        assert len(np.unique(np.asarray(image.convert("L")))) > 20


def test_nothing_to_draw(result, tmp_path):
    with pytest.raises(LoadError, match="no samples to draw"):
        picture_from_samples(np.array([]), result, tmp_path / "latency.png")


def test_a_file_that_cannot_be(result, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LoadError, match="cannot be written"):
        picture_from_samples(np.ones(3), result, tmp_path / "file" / "latency.png")
