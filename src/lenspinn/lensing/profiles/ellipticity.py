"""Conversions between ellipticity and axis ratio."""

import torch

from lenspinn.lensing.grid import PerLens

MAX_ELLIPTICITY = 0.9999
"""Largest ellipticity; larger ones are clipped to it, as in lenstronomy. Its axis ratio is 5e-5."""


def ellipticity_to_axis_ratio(e1: PerLens, e2: PerLens) -> tuple[PerLens, PerLens]:
    """Axis ratio q = minor / major, and angle phi of the major axis (radians, from x towards y).

    The angle of a circle is undefined, and with it the gradient. An ellipticity smaller than the
    2/3 power of the machine epsilon (4e-11 in float64, 2e-5 in float32) is therefore moved along
    e1 by twice that much: this balances the error of the value against that of the gradient, both
    of which stay finite.

    See Also
    --------
    axis_ratio_to_ellipticity : the inverse.
    """
    smallest = torch.finfo(e1.dtype).eps ** (2 / 3)
    is_round = e1.square() + e2.square() < smallest**2
    e1 = torch.where(is_round, e1 + 2 * smallest, e1)
    e = torch.sqrt(e1.square() + e2.square()).clamp(max=MAX_ELLIPTICITY)
    return (1 - e) / (1 + e), torch.atan2(e2, e1) / 2


def axis_ratio_to_ellipticity(q: PerLens, phi: PerLens) -> tuple[PerLens, PerLens]:
    """Ellipticity ``e1, e2 = (1 - q) / (1 + q) * (cos 2 phi, sin 2 phi)``, phi in radians."""
    e = (1 - q) / (1 + q)
    return e * torch.cos(2 * phi), e * torch.sin(2 * phi)
