"""Position of substructure: the peak of a map, and its distance from the truth.

Two maps are used: the significance of the residual of the best smooth lens, and the gradient of
a network's answer with respect to the image. Positions are in arcsec, the centre of the map at
(0, 0).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from captum.attr import Saliency
from jaxtyping import Bool, Float, Int
from scipy.ndimage import convolve1d, gaussian_filter1d
from scipy.stats import binomtest
from torch import Tensor

from lenspinn.models.classifier import Classifier, Image

__all__ = [
    "Peaks",
    "find_peaks",
    "gradient_map",
    "heaviest_clump",
    "localization_score",
    "significance_map",
]

FWHM_TO_SIGMA = 1 / np.sqrt(8 * np.log(2))
MATCH_RADIUS = 0.2
"""Distance from the true position within which a clump counts as found, arcsec."""
SIGNIFICANT = 5.0
"""Significance from which a peak is believed, standard deviations."""

Maps = Float[np.ndarray, "batch y x"]
PerImage = Float[np.ndarray, " batch"]
Clumps = Float[np.ndarray, "batch clumps"]


@dataclass(frozen=True, eq=False)
class Peaks:
    """Highest pixel of each map."""

    x: PerImage
    """Position of the pixel along x, arcsec, as `y`."""
    y: PerImage
    height: PerImage
    """Value of the pixel, in the unit of the map."""

    def distance(self, x: PerImage, y: PerImage) -> PerImage:
        """Distance to a position in each map, arcsec."""
        return np.hypot(self.x - x, self.y - y)


def significance_map(residual: Maps, pixel_scale: float, *, fwhm: float) -> Maps:
    """Turn residuals into the significance of their excess around each pixel.

    Parameters
    ----------
    residual : (batch, y, x)
        Data minus model in units of the noise of each pixel.
    pixel_scale
        Arcsec per pixel.
    fwhm
        FWHM of the Gaussian with which the squares are averaged, arcsec: that of the PSF, or the
        size of the largest deflection looked for.

    Returns
    -------
    (batch, y, x)
        ``sum(k (r^2 - 1)) / sqrt(2 sum(k^2))``: where the residual is white noise its mean is 0 and
        its variance 1, at the border too, with a longer tail upwards than a normal distribution
        where the Gaussian covers few pixels.

    Notes
    -----
    Squares are averaged because a clump shifts an arc: the residual is positive on one side of the
    arc and negative on the other. A filter of the residual itself would cancel the two; the clump
    lies half-way between them.
    """
    kernel = _kernel(fwhm / pixel_scale)
    excess = _smooth(residual.astype(np.float64) ** 2 - 1, kernel)
    variance = _smooth(np.ones((1, *residual.shape[1:])), kernel**2)
    return excess / np.sqrt(2 * variance)


def gradient_map(
    model: Classifier,
    image: Image,
    *,
    fwhm: float,
    target: Int[Tensor, " batch"] | None = None,
) -> Maps:
    """Map the gradient of the network's score of one class with respect to each pixel.

    Parameters
    ----------
    model
        Model in evaluation mode.
    image : (batch, 1, y, x), in the unit the model takes
    fwhm
        FWHM of the Gaussian with which the map is smoothed, arcsec.
    target : (batch,), optional
        Index of the class; by default each image's most probable one.

    Returns
    -------
    (batch, y, x)
        ``|d logit / d pixel|``, smoothed. Its unit has no meaning: only the position of its peak
        counts.

    References
    ----------
    Simonyan, Vedaldi & Zisserman (2013), arXiv:1312.6034, section 3.
    """
    if target is None:
        with torch.no_grad():
            target = model(image).argmax(dim=1)
    tracked = image.detach().clone().requires_grad_()
    with torch.enable_grad():
        slope = Saliency(model).attribute(tracked, target=target)
    kernel = _kernel(fwhm / model.pixel_scale)
    return _smooth(slope[:, 0].detach().cpu().double().numpy(), kernel)


def find_peaks(maps: Maps, pixel_scale: float) -> Peaks:
    """Find the highest pixel of each map; its centre is right to half a pixel."""
    num_y, num_x = maps.shape[1:]
    flat = maps.reshape(len(maps), -1)
    row, column = np.divmod(flat.argmax(axis=1), num_x)
    return Peaks(
        x=(column - (num_x - 1) / 2) * pixel_scale,
        y=(row - (num_y - 1) / 2) * pixel_scale,
        height=flat.max(axis=1).astype(np.float64),
    )


def heaviest_clump(x: Clumps, y: Clumps, mass: Clumps) -> tuple[PerImage, PerImage, PerImage]:
    """Return position and mass of the most massive clump of each image.

    Parameters
    ----------
    x, y, mass : (batch, clumps)
        Positions in arcsec and masses in solar masses; a place without a clump has mass 0 or NaN.

    Returns
    -------
    x, y, mass : (batch,)
        Where an image has no clump the mass is 0 and the position NaN.
    """
    known = np.nan_to_num(mass, nan=0.0)
    rows, which = np.arange(len(known)), known.argmax(axis=1)
    heaviest = known[rows, which]
    x_there, y_there = (np.where(heaviest > 0, place[rows, which], np.nan) for place in (x, y))
    return x_there, y_there, heaviest


def localization_score(
    distance: PerImage, counted: Bool[np.ndarray, " batch"], *, radius: float = MATCH_RADIUS
) -> dict[str, Any]:
    """Return the share of clumps that were found.

    Parameters
    ----------
    distance : (batch,)
        Distance from the peak to the true position, arcsec.
    counted : (batch,)
        Images that count, such as those with a clump above a mass whose peak is `SIGNIFICANT`.
    radius
        Arcsec within which a clump is found.

    Returns
    -------
    dict
        Ready for JSON: ``n``, ``found`` with its 95 % interval (Wilson) as ``found_low`` and
        ``found_high``, and ``median_distance_arcsec``; None where no image counts.
    """
    distances = distance[counted]
    number, found = len(distances), int((distances <= radius).sum())
    if number == 0:
        names = ("found", "found_low", "found_high", "median_distance_arcsec")
        return {"n": 0, **dict.fromkeys(names)}
    interval = binomtest(found, number).proportion_ci(0.95, method="wilson")
    return {
        "n": number,
        "found": found / number,
        "found_low": float(interval.low),
        "found_high": float(interval.high),
        "median_distance_arcsec": float(np.median(distances)),
    }


def _kernel(fwhm_pixels: float) -> Float[np.ndarray, " k"]:
    """Gaussian along one axis, cut at 4 standard deviations."""
    sigma = fwhm_pixels * FWHM_TO_SIGMA
    half = int(np.ceil(4 * sigma))
    delta = np.zeros(2 * half + 1)
    delta[half] = 1.0
    kernel: np.ndarray = gaussian_filter1d(delta, sigma, mode="constant")
    return kernel


def _smooth(maps: Maps, kernel: Float[np.ndarray, " k"]) -> Maps:
    """Convolve along y and x; beyond the border there is nothing."""
    along_y = convolve1d(maps, kernel, axis=1, mode="constant")
    smoothed: np.ndarray = convolve1d(along_y, kernel, axis=2, mode="constant")
    return smoothed
