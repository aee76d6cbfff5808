"""Names of the networks, without the networks: what is listed before torch is needed."""

from collections.abc import Callable
from typing import Any

__all__ = ["FACTORIES", "MODULES", "list_models"]

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
"""The module that registers each network of ours, imported when the network is made."""

FACTORIES: dict[str, Callable[..., Any]] = {}
"""Registered so far, others' networks too: `lenspinn.models.registry.register_model`."""


def list_models() -> list[str]:
    """Names of all networks, ours and registered ones, sorted."""
    return sorted(MODULES.keys() | FACTORIES.keys())
