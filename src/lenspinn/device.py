"""Choice of the device, GPU or CPU, on which tensors are computed."""

import torch

__all__ = ["best_device"]


def best_device() -> torch.device:
    """Return the GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
