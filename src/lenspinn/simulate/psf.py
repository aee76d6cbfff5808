"""Point-spread functions read from files."""

import functools

import torch
from jaxtyping import Float
from torch import Tensor

from lenspinn.errors import ConfigError
from lenspinn.simulate.maps import read_map

__all__ = ["load_psf"]


@functools.lru_cache
def load_psf(path: str, pixel_scale: float) -> Float[Tensor, "v u"]:
    """Read a PSF in pixels of the image.

    Parameters
    ----------
    path
        FITS or .npy file: square, of odd size, the source in the middle of the central pixel.
    pixel_scale
        Pixel scale of the instrument, arcsec.

    Returns
    -------
    (v, u) float64, with sum 1

    Raises
    ------
    ConfigError
        If the file cannot be read (see `read_map`), or its sum is not positive.
    """
    kernel = read_map(path, pixel_scale, "instrument.psf_kernel")
    if not kernel.sum() > 0:
        raise ConfigError(f"instrument.psf_kernel: the values of {path} have no positive sum")
    return torch.from_numpy(kernel / kernel.sum())
