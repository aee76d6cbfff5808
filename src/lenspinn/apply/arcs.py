"""A lens with its light taken away, before anything is known of what bends the arcs."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage

from lenspinn.apply.frame import Frame, cut_frame
from lenspinn.apply.lens_light import LensLight, fit_lens_light, only_sky
from lenspinn.apply.noise_map import AnyPixels, cosmic_rays, noise_of
from lenspinn.apply.psf import normalised_psf
from lenspinn.apply.ring import ring_radius
from lenspinn.errors import ImageError
from lenspinn.lensing.smooth import SmoothParameters, make_optics, smooth_image

Pixels = Float[np.ndarray, "y x"]
LensLightMode = Literal["model", "mask", "none"]

SEARCH_RADIUS = 4.0
"""Arcsec from the centre within which a ring is looked for."""
NEIGHBOURS = 1.6
"""What is bright beyond this many ring radii is taken for a neighbour and left out."""
NEIGHBOUR_SIGMAS = 5.0
INNERMOST = 4.0
"""Pixels: the smallest ring that is looked for."""
MASKED = 0.6
"""Ring radii within which lens light is left out where it is masked."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Arcs:
    """Where a lens is, its light, and the ring that is seen when that is taken away."""

    frame: Frame
    """Within `SEARCH_RADIUS`; neighbours, and lens light that is masked, are left out."""
    lens_light: LensLightMode
    light: LensLight | None
    """In the frame: modelled, or the sky alone where it is masked; None where there is none."""
    radius: float
    """Of the ring, arcsec: `lenspinn.apply.ring_radius`."""
    guess: float
    """Of theta_E, arcsec."""

    def light_of(
        self,
        frame: Frame,
        source_image: Pixels | None = None,
        start: LensLight | None = None,
    ) -> LensLight | None:
        """Fit the lens light of a part of the frame.

        Parameters
        ----------
        frame
            The part.
        source_image
            The lensed source, which is taken away first, where it is known.
        start
            Light whose shape the fit begins with; by default that of the whole frame.
        """
        if self.light is None:
            return None
        if self.lens_light == "mask":
            return only_sky(frame.image, frame.sigma)
        shape = self.light.shape if start is None else start.shape
        return _lens_light(frame, shape, source_image)

    def without_light(self, parameters: SmoothParameters) -> tuple[Frame, LensLight | None]:
        """Take the lens light away in the whole frame.

        Parameters
        ----------
        parameters : (1, 14)
            Of the fitted lens and source.

        Returns
        -------
        frame
            Its noise knows of the light that was there.
        light
            What was taken away; None if there was none.
        """
        light = self.light_of(self.frame, lensed_source(parameters, self.frame))
        if light is None:
            return self.frame, None
        lit = self.frame.lit(light.model) if self.lens_light == "model" else self.frame
        return lit.minus(light.model), light


def lensed_source(parameters: SmoothParameters, frame: Frame) -> Pixels:
    """Return the blurred image of a fitted source in a frame."""
    psf = (1.0,) if frame.psf is None else torch.from_numpy(frame.psf).float()
    optics = make_optics(len(frame.image), frame.pixel_scale, psf, supersampling=2)
    return smooth_image(parameters, optics)[0].double().numpy()


def find_arcs(
    image: Pixels,
    *,
    pixel_scale: float,
    noise: AnyPixels | None,
    psf: AnyPixels | None,
    mask: AnyPixels | None,
    theta_E_guess: float | None,
    lens_light: LensLightMode,
) -> Arcs:
    """Take the lens light away and look for a ring; parameters as of `lenspinn.apply.fit_lens`."""
    if not pixel_scale > 0:
        raise ImageError(f"pixel_scale is {pixel_scale}; it must be positive arcsec per pixel")
    kernel = None if psf is None else normalised_psf(psf)
    sigma = noise_of(image, noise, mask)
    if noise is None and kernel is not None:
        sigma[cosmic_rays(image, sigma, kernel)] = np.inf
    has_light = lens_light != "none"
    wide = cut_frame(image, sigma, pixel_scale, kernel, lens_light=has_light, radius=SEARCH_RADIUS)
    light = _lens_light(wide) if has_light else None
    wide = wide if light is None else wide.lit(light.model)
    arcs = wide.image - (0 if light is None else light.model)
    ring = ring_radius(
        arcs,
        wide.weighed_sigma,
        pixel_scale,
        inner=INNERMOST * pixel_scale,
        outer=len(arcs) * pixel_scale / 2,
    )
    guess = ring if theta_E_guess is None else theta_E_guess
    frame = _without_neighbours(wide, arcs, guess)
    if lens_light == "mask":
        frame = frame.without(frame.radius < MASKED * guess)
        light = only_sky(frame.image, frame.sigma)
    return Arcs(frame=frame, lens_light=lens_light, light=light, radius=ring, guess=guess)


def _lens_light(
    frame: Frame, shape: np.ndarray | None = None, source_image: Pixels | None = None
) -> LensLight:
    """Fit the lens light, of the image minus the source where that is known."""
    return fit_lens_light(
        frame.image if source_image is None else frame.image - source_image,
        frame.weighed_sigma,
        pixel_scale=frame.pixel_scale,
        psf=frame.psf,
        shape=shape,
        clip=source_image is None,
    )


def _without_neighbours(frame: Frame, arcs: Pixels, guess: float) -> Frame:
    """Leave out what is bright far outside of the ring."""
    significance = ndimage.uniform_filter(arcs / frame.weighed_sigma, 3)
    bright = (significance > NEIGHBOUR_SIGMAS) & (frame.radius > NEIGHBOURS * guess)
    return frame.without(ndimage.binary_dilation(bright, iterations=2))
