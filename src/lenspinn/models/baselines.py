"""Convolutional networks from timm, whole or as a part of other models; the only timm import."""

import timm
from safetensors import SafetensorError
from torch import nn

from lenspinn.errors import ModelError


def timm_cnn(
    name: str,
    *,
    in_chans: int = 1,
    num_classes: int = 1000,
    pretrained: bool | str = False,
) -> nn.Module:
    """Build a timm network, by default for one channel and with its 1000-way ImageNet head.

    Parameters
    ----------
    name : timm's name of the architecture.
    in_chans : channels of the images; timm adapts pretrained weights of the first layer to it.
    num_classes : length of the output.
    pretrained : True downloads timm's ImageNet weights (or takes them from the cache of an
        earlier download); a path reads them from a `.safetensors` file instead, for machines
        without network; False starts from random weights.

    Raises
    ------
    ModelError
        timm has no such network, or the weights cannot be had or do not fit.
    """
    if not timm.is_model(name):
        raise ModelError(f"timm has no network '{name}'")
    overlay = None
    if isinstance(pretrained, str):
        if not pretrained.endswith(".safetensors"):
            raise ModelError(f"pretrained weights '{pretrained}' are not a .safetensors file")
        overlay = {"file": pretrained}
    try:
        return timm.create_model(
            name,
            pretrained=bool(pretrained),
            pretrained_cfg_overlay=overlay,
            in_chans=in_chans,
            num_classes=num_classes,
        )
    except OSError as error:  # what huggingface_hub raises without network is an OSError too
        if overlay:
            raise ModelError(f"there are no weights of {name} at '{pretrained}'") from error
        raise ModelError(
            f"the pretrained weights of {name} could not be downloaded; connect to the network, "
            "or pass pretrained=FILE.safetensors, or pretrained=False to start from random weights"
        ) from error
    except (RuntimeError, SafetensorError) as error:
        raise ModelError(f"the weights in '{pretrained}' are not those of {name}") from error
