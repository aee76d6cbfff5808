"""The one pixel convention of the project, and the array types of its physics.

Angles are in arcsec. The last two axes of an array are (y, x): rows go up, columns go right. The
centre of the array is (0, 0), so that pixel ``i`` of ``n`` lies at ``(i - (n - 1) / 2)`` pixels.
"""

from functools import reduce
from operator import add

import torch
from jaxtyping import Float
from torch import Tensor

Map = Float[Tensor, "*#batch y x"]
"""Value at each position: (y, x), or one such plane for each lens of a batch."""

PerLens = Float[Tensor, "*#batch 1 1"]
"""One value for each lens, shaped to broadcast over the planes of a `Map`."""


def pixel_grid(
    num_pix: int,
    pixel_scale: float,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> tuple[Tensor, Tensor]:
    """Positions of the pixel centres of a square image.

    Parameters
    ----------
    num_pix
        Pixels a side.
    pixel_scale
        Side of a pixel, arcsec.
    dtype, device
        Type and device of the returned tensors.

    Returns
    -------
    theta_x, theta_y : (num_pix, num_pix), arcsec

    Raises
    ------
    ValueError
        If `num_pix` or `pixel_scale` is not positive.
    """
    if num_pix < 1:
        raise ValueError(f"num_pix must be at least 1, got {num_pix}")
    if not pixel_scale > 0:
        raise ValueError(f"pixel_scale must be positive (arcsec per pixel), got {pixel_scale}")
    index = torch.arange(num_pix, dtype=dtype, device=device)
    position = (index - (num_pix - 1) / 2) * pixel_scale
    theta_y, theta_x = torch.meshgrid(position, position, indexing="ij")
    return theta_x, theta_y


def block_mean(maps: Float[Tensor, "*batch y x"], side: int) -> Float[Tensor, "*batch v u"]:
    """Mean of each square block of pixels; a third of the time of `avg_pool2d` on a CPU.

    Parameters
    ----------
    maps : (..., side v, side u)
    side : side of a block, pixels.
    """
    rows = reduce(add, (maps[..., row::side, :] for row in range(side)))
    return reduce(add, (rows[..., column::side] for column in range(side))) / side**2
