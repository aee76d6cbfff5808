"""Preparation of a telescope image for a network that fits the lens: light, noise, PSF, pixels.

`lenspinn measure` subtracts the lens light and fits lens and source in the image as it is; the
network then sees the remaining light on its own pixels, with noise and PSF, and starts from this
fit.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lenspinn.data.background import background_sigma
from lenspinn.data.transforms import resample, resample_noise
from lenspinn.errors import ImageError
from lenspinn.fitting.gaussians import LightShape
from lenspinn.fitting.smooth import (
    SMOOTH_PARAMETERS,
    SmoothParameters,
    make_optics,
    smooth_image,
)
from lenspinn.lensing.psf import gaussian_kernel
from lenspinn.measure.arcs import LensLightMode, lensed_source
from lenspinn.measure.frame import Frame
from lenspinn.measure.image_fits import ImageFits
from lenspinn.measure.lens_light import LensLight
from lenspinn.measure.lens_measurement import LensMeasurement
from lenspinn.measure.noise_map import AnyPixels, robust_sigma
from lenspinn.measure.psf import TRUNCATION, instrument_psf, normalised_psf, resampled_psf
from lenspinn.models import LensFit, NetworkInput

__all__ = ["Prepared", "prepare"]

Pixels = Float[np.ndarray, "y x"]
Kernel = Float[np.ndarray, "_ _"]
NetworkPixels = Float[Tensor, "v u"]
"""Image on the pixels of a network."""

ASSUMED = "that of the training images, assumed"
SKY_QUANTILE = 0.1
"""Quantile of the noise of all pixels that is the noise of the sky."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """Image as a network that fits the lens takes it, and how it was prepared."""

    observed: NetworkInput
    """Image on the pixels of the network, without lens light, scaled so that the noise of its sky
    is that of the training images."""
    measured: LensMeasurement
    middle: tuple[float, float]
    """Centre of the network's field in the image, in the coordinates of `Frame.middle`."""
    light: Pixels | None
    """Lens light model around `middle`, in pixels of the image; None where it was not modelled."""
    light_mode: LensLightMode
    noise_from: str
    """Origin of the noise, in words."""
    psf_from: str
    psf_assumed: bool
    """Whether nothing is known of the PSF, and that of the training images is assumed."""
    sharpness: float
    """Share of the light of a point in its brightest pixel."""
    training_sharpness: float
    """Share of the light of a point in its brightest pixel, in the training images."""
    scatter: float
    """Scatter of the residual of the fit, in units of the noise; 1 where the noise is right."""
    left_out: float
    """Share of the network's pixels that are left out."""
    factor: float
    """Factor by which the image was multiplied."""

    def to_json(self) -> dict[str, Any]:
        """Return the preparation, and the fit to the image as delivered, as JSON can hold them."""
        return {
            "lens_light": self.light_mode,
            "noise": self.noise_from,
            "psf": self.psf_from,
            "scatter": self.scatter,
            "left_out": self.left_out,
            "factor": self.factor,
            "lens_fit": self.measured.to_json(),
        }


def prepare(
    fits: ImageFits,
    model: LensFit,
    *,
    instrument: str | None,
    lens_light: LensLightMode | None,
) -> Prepared:
    """Take the lens light away, fit the lens, and bring image, noise and PSF to a network's pixels.

    Parameters
    ----------
    fits
        Fits of the image, which may be in any unit; pixels that are not finite are left out.
    model
        Network that will see the image.
    instrument
        Instrument of the image in words, where it is known.
    lens_light
        Treatment of the lens light; see `lenspinn.measure.measure_lens`.

    Raises
    ------
    ImageError
        Noise, PSF or mask cannot be used, or the lens is too near to the border of the image.

    Notes
    -----
    Only ratios of image and noise matter to the network. So both are multiplied by the factor that
    makes the noise of the faintest pixels that of the training images: an image may be in any unit
    and of any depth. Subtracted lens light leaves its photon noise, and this factor makes the image
    fainter for it. Pixels that are left out show the fitted source to the network, and do not count
    in its fit.

    Light of the arcs that a Sersic source and a smooth lens cannot describe went into the lens
    light model that was subtracted. A network with free lens light (`FitOptions.free_light`) fits
    the amplitudes of this light again with its own, better source, and sees the image without it.

    The field of the network is centred on the pixel that the fitted lens is in: training images
    have their lens near the middle. The middle of a frame is a pixel, and that of a network with an
    even number of pixels is between four. Its field is centred half a pixel of the image aside;
    otherwise each of its pixels would be the mean of four, even where both have the same size.
    """
    pixel_scale = fits.pixel_scale
    psf, psf_from = _psf_of(fits.psf, instrument, pixel_scale, model)
    fitted = fits.fitted(psf=psf, lens_light=lens_light)
    arcs, measured = fitted.arcs, fitted.measured
    frame, taken = arcs.without_light(measured.smooth_parameters)
    modelled = taken if arcs.lens_light == "model" else None
    frame, left, columns, rows = _centred(frame, measured, model)
    first = 1 - model.num_pix % 2
    aside = (pixel_scale * (columns + first / 2), pixel_scale * (rows + first / 2))
    pixels, noise, scatter = _on_pixels_of(model, frame, left, first)
    out = noise.isinf()
    kernel = resampled_psf(psf, pixel_scale, model.pixel_scale)
    start = _seen_from(measured.smooth_parameters, *aside)
    shown = torch.where(out, _source(start, kernel, model), pixels)
    factor = model.background_sigma / _noise_of_faintest(shown, noise)
    start[0, -1] += math.log(factor)
    # Correlated noise scatters more on these pixels, and was raised for that: it is not wrong.
    scatter = min(scatter, max(1.0, robust_sigma(left[np.isfinite(frame.sigma)])))
    return Prepared(
        observed=NetworkInput(
            image=(shown * factor)[None, None],
            noise=(noise * factor)[None],
            psf=torch.from_numpy(kernel).float(),
            start=start,
            lens_light=_shape_from(modelled, *aside) if modelled and model.free_light else None,
        ),
        measured=fitted.measurement,
        middle=(arcs.frame.middle[0] + aside[0], arcs.frame.middle[1] + aside[1]),
        light=_around(modelled.model * arcs.unit, columns, rows) if modelled else None,
        light_mode=arcs.lens_light,
        noise_from="estimated from the image" if fits.noise is None else "the noise map",
        psf_from=psf_from,
        psf_assumed=psf_from == ASSUMED,
        sharpness=float(kernel.max()),
        training_sharpness=float(_training_psf(model, model.pixel_scale).max()),
        scatter=scatter,
        left_out=float(out.float().mean()),
        factor=factor / arcs.unit,
    )


def _psf_of(
    given: AnyPixels | None, instrument: str | None, pixel_scale: float, model: LensFit
) -> tuple[Kernel, str]:
    """Return the PSF in pixels of the image, and where it comes from."""
    if given is not None:
        return normalised_psf(given), "the file"
    found = instrument_psf(instrument, pixel_scale)
    if found is not None:
        kernel, name = found
        return kernel, f"a Gaussian as of {name}"
    return _training_psf(model, pixel_scale), ASSUMED


def _training_psf(model: LensFit, pixel_scale: float) -> Kernel:
    axis = gaussian_kernel(model.psf_fwhm / pixel_scale, TRUNCATION)
    return np.outer(axis, axis)


def _on_pixels_of(
    model: LensFit, frame: Frame, left: Pixels, first: int
) -> tuple[NetworkPixels, NetworkPixels, float]:
    """Return image, noise and scatter of the residual on the pixels of a network.

    Rows and columns before the `first` are cut, so that the middle of the others is the network's.
    The residual `left` is in units of the noise, its scatter in units of uncorrelated noise.

    Noise of neighbouring pixels that is correlated, as in drizzled images, does not average out as
    white noise does: it is raised to the scatter of the residual on these pixels, except for the
    part by which the residual scattered too much in the original pixels.
    """
    grid = (frame.pixel_scale, model.pixel_scale, model.num_pix)
    image, sigma, left_there = (
        torch.from_numpy(pixels[first:, first:]).float()
        for pixels in (frame.image, frame.weighted_sigma, left)
    )
    out = sigma.isinf()
    pixels = resample(torch.where(out, 0, image), *grid)
    white = resample_noise(torch.where(out, torch.inf, 1.0), *grid)
    there = resample(torch.where(out, 0, left_there), *grid) / white
    if white.isinf().all():
        raise ImageError("noise map and mask leave out every pixel that the network would see")
    half = model.num_pix * model.pixel_scale / 2
    reach = (torch.arange(len(image)) - (len(image) - 1) / 2).abs() * frame.pixel_scale < half
    here = reach[:, None] & reach & ~out
    before = robust_sigma(left_there[here].numpy())
    after = robust_sigma(there[white.isfinite()].numpy())
    excess = max(1.0, after / max(1.0, before))
    return pixels, resample_noise(sigma, *grid) * excess, after


def _noise_of_faintest(pixels: NetworkPixels, noise: NetworkPixels) -> float:
    """Measure the background noise as `pixel_statistics` does; if it is 0, take the noise map's."""
    measured = float(background_sigma(pixels[None, None]))
    return measured or float(noise[noise.isfinite()].quantile(SKY_QUANTILE))


def _centred(
    frame: Frame, measured: LensMeasurement, model: LensFit
) -> tuple[Frame, Pixels, int, int]:
    """Centre a frame without lens light on the pixel of the fitted lens.

    Returns
    -------
    Frame
        Frame that covers the field of the network.
    (y, x)
        Residual of the fit in this frame, in units of the noise.
    int, int
        Columns and rows from the old middle to the new one.
    """
    columns, rows = (
        round(measured.parameters[name] / frame.pixel_scale) for name in ("center_x", "center_y")
    )
    field = model.num_pix * model.pixel_scale
    frame = frame.covering(field / 2 + frame.pixel_scale * max(abs(columns), abs(rows)))
    source = lensed_source(measured.smooth_parameters, frame)
    left = _around((frame.image - source) / frame.weighted_sigma, columns, rows)
    return _moved(frame, columns, rows), left, columns, rows


def _moved(frame: Frame, columns: int, rows: int) -> Frame:
    """Return a frame of the same size, shifted by columns and rows."""
    return replace(
        frame,
        image=_around(frame.image, columns, rows),
        sigma=_around(frame.sigma, columns, rows, beyond=np.inf),
        light=_around(frame.light, columns, rows),
    )


def _around(pixels: Pixels, columns: int, rows: int, beyond: float = 0.0) -> Pixels:
    """Cut a square of the same size out of an image, shifted by columns and rows."""
    reach = max(abs(columns), abs(rows))
    wide = np.pad(pixels, reach, constant_values=beyond)
    first_row, first_column = reach + rows, reach + columns
    size = len(pixels)
    return wide[first_row : first_row + size, first_column : first_column + size]


def _seen_from(parameters: SmoothParameters, x: float, y: float) -> SmoothParameters:
    """Return the same lens seen from another origin, arcsec."""
    moved = parameters.clone()
    p = dict(zip(SMOOTH_PARAMETERS, moved.unbind(dim=1), strict=True))  # views
    p["center_x"] -= x
    p["center_y"] -= y
    # Shear vanishes at the origin: where that is another one, the source is elsewhere.
    p["source_x"] += x * (p["gamma1"] - 1) + y * p["gamma2"]
    p["source_y"] += x * p["gamma2"] - y * (p["gamma1"] + 1)
    return moved


def _shape_from(light: LensLight, x: float, y: float) -> LightShape:
    """Return the shape of lens light seen from another origin, arcsec."""
    shape = torch.from_numpy(light.shape).float()[None]
    return shape - shape.new_tensor([x, y, *[0.0] * (shape.shape[1] - 2)])


def _source(parameters: SmoothParameters, psf: Kernel, model: LensFit) -> NetworkPixels:
    kernel = torch.from_numpy(psf).float()
    return smooth_image(parameters, make_optics(model.num_pix, model.pixel_scale, kernel))[0]
