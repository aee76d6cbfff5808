"""Residual lens light with free amplitudes, in the fit of a network."""

import torch
from jaxtyping import Float
from torch import Tensor

from lenspinn.fitting.gaussians import LightShape, light_templates
from lenspinn.fitting.smooth import Optics, blurred

__all__ = ["free_light", "some_free_light"]

Templates = Float[Tensor, "batch templates y x"]

LIT_SHARE = 0.5
"""Share of the training images that are fitted as if there was residual lens light."""
OFF_CENTRE, ELLIPTICITY = 0.5, 0.1
"""Standard deviations of the shape of the residual lens light: of its centre along x and y,
pixels, and of e1 and e2."""


def free_light(shape: LightShape, optics: Optics) -> Templates:
    """Return the blurred templates of lens light, (batch, 21, y, x).

    See `lenspinn.fitting.gaussians`.
    """
    num_pix = optics.theta_x.shape[-1] // optics.supersampling
    return blurred(light_templates(shape, num_pix, optics.pixel_scale), optics)


def some_free_light(num_images: int, optics: Optics, generator: torch.Generator) -> Templates:
    """Draw shapes of lens light near the centre, and return their templates, (batch, 21, y, x).

    The templates are 0 for half of the images, at random: those have no lens light.

    Parameters
    ----------
    num_images
    optics
    generator
        Generator on the CPU, so that the shapes do not depend on the device of the optics.
    """
    off_centre = OFF_CENTRE * optics.pixel_scale
    scatter = torch.tensor([off_centre] * 2 + [ELLIPTICITY] * 4)
    shape = torch.randn(num_images, len(scatter), generator=generator) * scatter
    shape = shape.to(optics.theta_x)
    lit = (torch.rand(num_images, generator=generator) < LIT_SHARE).to(shape)
    return free_light(shape, optics) * lit[:, None, None, None]
