"""A model whose Grad-CAM can be told in advance."""

import pytest
import torch
from torch import Tensor, nn

from lenspinn.models.classifier import Classifier, ImageOptions


class MeanClassifier(Classifier):
    """Logits (m, -m, 0) with m the mean of the image: positive pixels speak for the first class."""

    def __init__(self, cam_layer: str = "pixels") -> None:
        images = ImageOptions(num_pix=8, pixel_scale=0.5)
        super().__init__(images, transform="raw", cam_layer=cam_layer)
        self.pixels = nn.Conv2d(1, 1, 1, bias=False)
        self.mean = nn.AdaptiveAvgPool2d(1)
        nn.init.ones_(self.pixels.weight)

    def forward_features(self, image: Tensor) -> Tensor:
        return self.mean(self.pixels(self.preprocess(image))).flatten(1)

    def forward_head(self, features: Tensor) -> Tensor:
        return torch.cat([features, -features, 0 * features], dim=1)


@pytest.fixture
def mean_classifier() -> Classifier:
    return MeanClassifier()
