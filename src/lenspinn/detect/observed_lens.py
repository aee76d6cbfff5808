"""One image of a lens as the search for dark clumps takes it: the door to `lenspinn.measure`.

All that the other modules of this package need of a measurement goes through this module, so that
reading an image, fitting its lens light and measuring its lens can change without them.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy import ndimage
from torch import Tensor

from lenspinn.errors import ImageError
from lenspinn.fitting.gaussians import light_templates
from lenspinn.fitting.smooth import Optics, blurred, smooth_image
from lenspinn.measure.arcs import FIELD, Arcs
from lenspinn.measure.frame import Frame
from lenspinn.measure.image_fits import FittedLens
from lenspinn.measure.joint_fit import frame_optics
from lenspinn.measure.lens_measurement import LensMeasurement

__all__ = ["ObservedLens", "observe_lens"]

Pixels = Float[np.ndarray, "y x"]
Mask = Bool[np.ndarray, "y x"]
Numbers = Float[np.ndarray, " some"] | Int[np.ndarray, " some"]

REACH = 1.75
"""Half side of the frame of a search, in units of theta_E: beyond it there are no arcs of this
source, and every pixel costs time."""
ARC_SIGMAS = 3.0
"""Least brightness of the lensed source in a pixel of the arcs, standard deviations of the
noise."""
AROUND_ARCS = 0.15
"""Largest distance from the arcs at which a clump is looked for, arcsec: the effect of one further
out is like that of shear or a multipole."""
LARGEST_SAMPLE, LEAST_SUPERSAMPLING = 0.025, 2
"""Largest distance of samples, arcsec, and least number of samples along a side of a pixel. Errors
of sampling a compact source at 0.04" look like clumps of up to 15 sigma in simulated lenses without
clumps; at 0.02", of up to 4 sigma."""
LEAST_ON_ARCS = 50
"""Least number of pixels on arcs in which a clump can be looked for."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ObservedLens:
    """Image, noise, PSF and smooth model of one lens, around the middle of a square frame."""

    measured: LensMeasurement
    image: Float[Tensor, "1 y x"]
    """Image with the lens light subtracted, in units of `unit`."""
    sigma: Float[Tensor, "1 y x"]
    """Noise that pixels are weighted with, in units of `unit`: that of the noise map and the error
    of the lens light model; ``inf`` leaves a pixel out."""
    noise: Float[Tensor, "1 y x"]
    """Noise of the noise map alone, in units of `unit`."""
    lens_light: Float[Tensor, "1 templates y x"]
    """Templates of lens light, the last the sky, whose amplitudes are free again in the search."""
    lens_light_image: Pixels
    """Lens light that was subtracted from `image`, in units of `unit`."""
    optics: Optics
    middle: tuple[float, float]
    """Position (x, y) of the middle of the frame from the centre of the whole image, arcsec."""
    unit: float
    """Unit of brightness, in the unit of the whole image."""
    psf_known: bool

    @property
    def pixel_scale(self) -> float:
        """Side of a pixel, arcsec."""
        return self.optics.pixel_scale

    @property
    def start(self) -> Float[Tensor, "1 14"]:
        """Measured smooth parameters, at which fits begin."""
        return self.measured.smooth_parameters

    @cached_property
    def source_image(self) -> Pixels:
        """Image of the measured Sersic source, lensed and blurred, in units of `unit`."""
        return smooth_image(self.start, self.optics)[0].double().numpy()

    @cached_property
    def arcs(self) -> Mask:
        """Mask of the pixels that count in which the lensed source stands out from the noise."""
        sigma = self.sigma[0].double().numpy()
        return (self.source_image > ARC_SIGMAS * sigma) & np.isfinite(sigma)

    @cached_property
    def region(self) -> Mask:
        """Mask of the pixels in which clumps are looked for: on the arcs and close to them."""
        distance = ndimage.distance_transform_edt(~self.arcs) * self.pixel_scale
        return (distance <= AROUND_ARCS) & np.isfinite(self.sigma[0].numpy())

    def position(self, rows: Numbers, columns: Numbers) -> tuple[Numbers, Numbers]:
        """Return x and y of pixels, numbered from 0, from the middle of the frame, arcsec."""
        middle = (self.image.shape[-1] - 1) / 2
        return (columns - middle) * self.pixel_scale, (rows - middle) * self.pixel_scale

    def with_optics(self, optics: Optics) -> "ObservedLens":
        """Return the observed lens with other optics, such as another PSF."""
        return replace(self, optics=optics)


def observe_lens(fitted: FittedLens) -> ObservedLens:
    """Return the part of a measured image that a search for clumps looks at.

    Raises
    ------
    ImageError
        If the lens is larger than that of a galaxy, or its arcs are too faint.
    """
    arcs, measured = fitted.arcs, fitted.measured
    if arcs.zoom > 1:
        raise ImageError(
            f'the ring has a radius of {arcs.guess:.2f}"; clumps are looked for in lenses of '
            "galaxies alone, so give theta_E_guess if that ring is none"
        )
    frame, shape = _frame_without_light(arcs, measured)
    lens = _observed(arcs, measured, frame, shape)
    num_on_arcs = int(lens.arcs.sum())
    if num_on_arcs < LEAST_ON_ARCS:
        raise ImageError(
            f"{num_on_arcs} pixels show arcs above {ARC_SIGMAS:g} sigma; at least {LEAST_ON_ARCS} "
            "are needed to look for clumps: give a deeper image, or theta_E_guess"
        )
    return lens


def _frame_without_light(arcs: Arcs, measured: LensMeasurement) -> tuple[Frame, np.ndarray | None]:
    frame, light = arcs.without_light(measured.smooth_parameters)
    shape = None if light is None or arcs.lens_light != "model" else light.shape
    return frame.narrowed(min(REACH, FIELD) * measured.theta_E), shape


def _observed(
    arcs: Arcs,
    measured: LensMeasurement,
    frame: Frame,
    shape: np.ndarray | None,
) -> ObservedLens:
    num_pix = len(frame.image)
    fine = max(LEAST_SUPERSAMPLING, math.ceil(frame.pixel_scale / LARGEST_SAMPLE - 1e-6))
    optics = frame_optics(frame, fine)
    # The error of a Sersic source is no noise here, because structure of the source is fitted too.
    image, sigma, noise = (
        torch.from_numpy(pixels).float()[None]
        for pixels in (frame.image, frame.light_sigma, frame.sigma)
    )
    templates = torch.ones_like(image)[:, None]
    if shape is not None:
        of_light = light_templates(
            torch.from_numpy(shape).float()[None], num_pix, frame.pixel_scale
        )
        templates = torch.cat([blurred(of_light[:, :-1], optics), templates], dim=1)
    whole, middle = arcs.frame, len(arcs.frame.image) // 2
    inner = slice(middle - num_pix // 2, middle + num_pix // 2 + 1)
    return ObservedLens(
        measured=measured,
        image=image,
        sigma=sigma,
        noise=noise,
        lens_light=templates,
        lens_light_image=whole.image[inner, inner] - frame.image,
        optics=optics,
        middle=frame.middle,
        unit=arcs.unit,
        psf_known=frame.psf is not None,
    )
