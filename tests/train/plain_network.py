"""A network without dropout and batch norm; run as a script, `lenspinn` with that network."""

import sys
from dataclasses import dataclass

from torch import nn

from lenspinn.cli import main
from lenspinn.models import registry
from lenspinn.models.classifier import Classifier, Features, Image, ImageOptions, Logits


@dataclass(frozen=True, kw_only=True)
class PlainImages(ImageOptions):
    num_pix: int = 8


class PlainClassifier(Classifier):
    def __init__(self, images: ImageOptions) -> None:
        super().__init__(images, transform="min_max", cam_layer="cnn.0")
        self.cnn = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2), nn.Tanh(), nn.Flatten())
        self.head = nn.Linear(8 * ((self.num_pix - 1) // 2) ** 2, len(self.classes))

    def forward_features(self, image: Image) -> Features:
        return self.cnn(self.preprocess(image))

    def forward_head(self, features: Features) -> Logits:
        return self.head(features)


def plain_network(images: PlainImages) -> PlainClassifier:
    return PlainClassifier(images)


if __name__ == "__main__":
    registry.register_model(plain_network)
    sys.exit(main())
