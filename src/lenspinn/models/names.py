"""Names of the networks, without the networks: they are listed without importing torch."""

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["FACTORIES", "MODULES", "NETWORKS", "Network", "list_models"]

MODULES = {
    name: f"lenspinn.models.{module}"
    for module, names in {
        "baselines": (
            *("cait", "cait_patch8", "efficientnet_b0", "efficientnet_lite0", "mobilenetv3"),
            *("resnet18", "resnet18_stride1"),
        ),
        "lens_fit": ("lenspinn_fit",),
        "lensformer": ("lensformer", "lensformer_patch8"),
        "lenspinn": ("lenspinn_large", "lenspinn_small"),
        "vit": ("vit", "vit_patch8", "vitsd", "vitsd_patch8"),
    }.items()
    for name in names
}
"""Module that registers each network of lenspinn, imported when the network is made."""


class Network(NamedTuple):
    """Description of a network where networks are listed."""

    parameters: int
    """Number of parameters with the default options of the network."""
    summary: str


NETWORKS = {
    "cait": Network(13_766_739, "CaiT: class attention, patches of 32 pixels"),
    "cait_patch8": Network(13_654_437, "CaiT with patches of 8 pixels"),
    "efficientnet_b0": Network(4_010_815, "EfficientNet-B0"),
    "efficientnet_lite0": Network(3_374_275, "EfficientNet-Lite0: no squeeze and excitation"),
    "lenspinn_fit": Network(6_699_310, "solves the lens, reads image and residual"),
    "lenspinn_large": Network(14_551_412, "LensPINN: source, image and edges, EfficientNet-B0"),
    "lenspinn_small": Network(7_161_340, "LensPINN: source, image and edges, MobileNetV3"),
    "lensformer": Network(15_788_259, "Lensformer: the same as tokens, patches of 32 pixels"),
    "lensformer_patch8": Network(15_678_131, "Lensformer with patches of 8 pixels"),
    "mobilenetv3": Network(571_011, "MobileNetV3 small at half width"),
    "resnet18": Network(11_171_779, "ResNet-18, 7 x 7 stem of stride 2"),
    "resnet18_stride1": Network(11_169_219, "ResNet-18, 3 x 3 stem of stride 1"),
    "vit": Network(13_725_731, "ViT, patches of 32 pixels"),
    "vit_patch8": Network(13_649_027, "ViT with patches of 8 pixels"),
    "vitsd": Network(13_733_955, "ViT for small datasets: shifted patches, of 32 pixels"),
    "vitsd_patch8": Network(13_747_891, "ViT for small datasets, patches of 8 pixels"),
}
"""Networks of lenspinn by name, each with a summary of one line."""

FACTORIES: dict[str, Callable[..., Any]] = {}
"""Factories registered so far, with those of other packages; see
`lenspinn.models.registry.register_model`."""


def list_models() -> list[str]:
    """Names of all networks, ours and registered ones, sorted."""
    return sorted(MODULES.keys() | FACTORIES.keys())
