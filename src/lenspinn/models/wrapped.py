"""Networks of other authors as networks of lenspinn: from `torch.nn.Module` to `Classifier`."""

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from lenspinn.errors import ModelError
from lenspinn.models.classifier import Classifier, ImageOptions

__all__ = ["WrappedNetwork", "wrap"]

DEFAULT_TRANSFORM = "min_max"


class WrappedNetwork(Classifier):
    """Classifier around a module of another author, made by `wrap`."""

    def __init__(
        self, module: nn.Module, images: ImageOptions, *, transform: str, cam_layer: str
    ) -> None:
        super().__init__(images, transform=transform, cam_layer=cam_layer)
        self.module = module

    def forward_features(self, image: Tensor) -> Tensor:
        """Logits of the module, as its features: its inner layers are unknown."""
        pixels = self.preprocess(image)
        try:
            logits = self.module(pixels)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, TypeError) as error:  # of layers that do not fit together
            reason = " ".join(str(error).split())[:200]
            raise ModelError(
                f"the wrapped network cannot be given {tuple(pixels.shape)} (images, channels, y, "
                f"x): {reason}; it must take that, or have another transform"
            ) from error
        wanted = (len(image), len(self.classes))
        if not isinstance(logits, Tensor):
            raise ModelError(
                f"the wrapped network gives a {type(logits).__name__}: it must give logits alone, "
                f"a tensor of shape {wanted}"
            )
        if tuple(logits.shape) != wanted:
            raise ModelError(
                f"the wrapped network gives {tuple(logits.shape)} for {len(image)} images of "
                f"{len(self.classes)} classes: it must give logits of shape {wanted}"
            )
        return logits

    def forward_head(self, features: Tensor) -> Tensor:
        """Return logits as they are."""
        return features


def wrap(
    module: nn.Module,
    images: ImageOptions | None = None,
    *,
    transform: str = DEFAULT_TRANSFORM,
    cam_layer: str | None = None,
) -> WrappedNetwork:
    """Make a classifier of any network from images to logits.

    Registered by `register_model` on a factory that returns it, the classifier can be trained,
    evaluated, explained and applied as the networks of lenspinn are.

    Parameters
    ----------
    module
        Module from (batch, channels, y, x) to (batch, classes), without softmax; as many channels
        as `transform` has names.
    images
        Images that the module takes; by default the defaults of `ImageOptions`.
    transform
        Preprocessing, a key of `lenspinn.data.transforms.TRANSFORMS`, or several joined by "+".
    cam_layer
        Dotted name, in ``module``, of the layer that Grad-CAM explains; by default its last
        convolution.

    Returns
    -------
    WrappedNetwork

    Raises
    ------
    ModelError
        If it has no such layer, or none is named and there is no convolution; if it has lazy layers
        that have seen no image; if there is no such transform.
    """
    if any(map(is_lazy, [*module.parameters(), *module.buffers()])):
        raise ModelError(
            f"{type(module).__name__} has lazy layers, whose weights do not exist yet: give it "
            "images once, such as torch.zeros(1, 1, num_pix, num_pix), before wrapping it"
        )
    layers = dict(module.named_modules())
    if cam_layer is None:
        convolutions = [name for name, layer in layers.items() if isinstance(layer, nn.Conv2d)]
        if not convolutions:
            raise ModelError(
                f"{type(module).__name__} has no convolution for Grad-CAM to look at: name a layer "
                "of it that gives (batch, channels, y, x) by cam_layer"
            )
        cam_layer = convolutions[-1]
    if cam_layer not in layers:
        raise ModelError(
            f"{type(module).__name__} has no layer '{cam_layer}' for cam_layer: it has "
            f"{', '.join(name for name in list(layers)[:20] if name)}"
        )
    inner = f"module.{cam_layer}" if cam_layer else "module"
    return WrappedNetwork(module, images or ImageOptions(), transform=transform, cam_layer=inner)
