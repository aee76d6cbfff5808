"""The light of a lens galaxy as a sum of elliptical Gaussians, blurred by the PSF.

With no negative Gaussians (`lenspinn.fitting.gaussians`) the sum can be no ring: it leaves the arcs
of a lens alone.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import least_squares, nnls

from lenspinn.fitting.gaussians import light_templates
from lenspinn.lensing.psf import convolve_kernel

Pixels = Float[np.ndarray, "y x"]

MODEL_ERROR = 0.02
"""Share of the lens light by which the best sum of ellipses is wrong, in each pixel."""
ARC = 3.0
"""Sigmas above the lens light from which a pixel is taken for an arc."""
CLIPS = 3
"""Rounds of fitting the lens light and leaving out arcs."""
EVALUATIONS = 12
"""Of the derivatives, at most, in each round."""
MOST_ELLIPTICITY = 0.6
TWISTS = ((0.0, 0.0, 0.0, 0.0), (0.1, 0.0, -0.1, 0.0), (0.0, 0.1, 0.0, -0.1))
"""Ellipticities of the two groups at which a fit begins where no shape is known. Groups that begin
alike part by chance, and may end far above the best sum."""


class LensLight(NamedTuple):
    """Lens light fitted to an image."""

    basis: Float[np.ndarray, "terms y x"]
    """The Gaussians that are needed, blurred, and a constant sky, the last."""
    model: Pixels
    """Their best sum."""
    shape: np.ndarray
    """Centre (arcsec), and ellipticity (e1, e2) of each group."""
    sky: float
    """Of the model, in each pixel."""

    @property
    def galaxy(self) -> Pixels:
        """The model without the sky."""
        return self.model - self.sky


def fit_lens_light(
    image: Pixels,
    sigma: Pixels,
    *,
    pixel_scale: float,
    psf: Float[np.ndarray, "v u"] | None,
    shape: np.ndarray | None = None,
    clip: bool = True,
) -> LensLight:
    """Fit the light of the galaxy at the centre of an image.

    Parameters
    ----------
    image, sigma : (y, x)
        Image and its noise in one unit; ``inf`` leaves a pixel out.
    pixel_scale
        Arcsec.
    psf
        In pixels of the image, sum 1; None for none.
    shape
        Where the fit of `LensLight.shape` begins; by default at each of `TWISTS`, and the best is
        followed.
    clip
        Whether to leave out what lies above the fit: arcs. Not if they are already subtracted.

    References
    ----------
    Cappellari (2002), MNRAS 333, 400.
    """
    starts = [np.array([0, 0, *twist]) for twist in TWISTS] if shape is None else [shape]
    used = np.isfinite(sigma)
    for _ in range(CLIPS if clip else 1):
        error = np.where(used, sigma, np.inf)

        def misfit(at: np.ndarray, error: Pixels = error) -> np.ndarray:
            return _solved(_gaussians(at, image, pixel_scale, psf), image, error)[1].ravel()

        starts = [_best_shape(misfit, starts, pixel_scale)]
        basis = _gaussians(starts[0], image, pixel_scale, psf)
        amplitudes, _ = _solved(basis, image, error)
        model = np.tensordot(amplitudes, basis, axes=1)
        used = np.isfinite(sigma) & (image - model < ARC * sigma)
    needed = amplitudes != 0
    needed[-1] = True
    return LensLight(basis[needed], model, starts[0], float(amplitudes[-1] * basis[-1, 0, 0]))


def _best_shape(
    misfit: Callable[[np.ndarray], np.ndarray], starts: list[np.ndarray], pixel_scale: float
) -> np.ndarray:
    """Return the shape that fits best of those found from each start."""
    bound = np.array([3 * pixel_scale] * 2 + [MOST_ELLIPTICITY] * 4)
    fits = [
        least_squares(
            misfit,
            np.clip(start, -0.9 * bound, 0.9 * bound),
            bounds=(-bound, bound),
            x_scale=[pixel_scale] * 2 + [0.1] * 4,
            diff_step=1e-3,
            max_nfev=EVALUATIONS,
            loss="soft_l1",
        )
        for start in starts
    ]
    return min(fits, key=lambda fit: fit.cost).x


def only_sky(image: Pixels, sigma: Pixels) -> LensLight:
    """Return a constant sky as all the lens light there is: the median of the pixels that count."""
    basis = np.full((1, *image.shape), 1.0 / image.size)
    sky = float(np.median(image[np.isfinite(sigma)]))
    return LensLight(basis, np.full_like(image, sky), np.zeros(6), sky)


def _gaussians(
    shape: np.ndarray, image: Pixels, pixel_scale: float, psf: np.ndarray | None
) -> Float[np.ndarray, "terms y x"]:
    """Blurred, each with a flux of 1."""
    templates = light_templates(torch.from_numpy(shape)[None], len(image), pixel_scale)[0]
    if psf is not None:
        templates[:-1] = convolve_kernel(templates[:-1], torch.from_numpy(psf))
    return (templates / templates.sum(dim=(1, 2), keepdim=True)).numpy()


def _solved(basis: np.ndarray, image: Pixels, sigma: Pixels) -> tuple[np.ndarray, np.ndarray]:
    """Return the best amplitudes, those of Gaussians not negative, and the misfit in sigmas."""
    columns = (basis / sigma).reshape(len(basis), -1)
    target = (image / sigma).ravel()
    both = np.concatenate([columns, -columns[-1:]])  # the sky may be negative
    scale = np.sqrt((both**2).sum(axis=1)).clip(min=1e-30)
    normal = (both @ both.T) / np.outer(scale, scale)
    # Non-negative least squares by the normal equations: 22 rows instead of one a pixel.
    factor = np.linalg.cholesky(normal + 1e-9 * np.eye(len(normal)))
    right = np.linalg.solve(factor, (both @ target) / scale)
    solution, _ = nnls(factor.T, right, maxiter=50 * len(both))
    solution = solution / scale
    amplitudes = solution[:-1].copy()
    amplitudes[-1] -= solution[-1]
    return amplitudes, (target - amplitudes @ columns).reshape(image.shape)
