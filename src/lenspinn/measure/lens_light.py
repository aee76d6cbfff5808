"""The light of a lens galaxy as a sum of elliptical Gaussians, blurred by the PSF.

Without negative Gaussians (`lenspinn.fitting.gaussians`) the sum cannot be a ring, so it does not
fit the arcs of a lens.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import least_squares, nnls

from lenspinn.measure.blurred_gaussians import blurred_gaussians, shape_derivatives

Pixels = Float[np.ndarray, "y x"]

MODEL_ERROR = 0.02
"""Error of the best sum of ellipses in each pixel, as a share of the lens light."""
ARC = 3.0
"""Least brightness above the lens light at which a pixel is taken for an arc, in units of the
noise."""
CLIPS = 3
"""Number of rounds of fitting the lens light and leaving out arcs."""
EVALUATIONS = 12
"""Largest number of evaluations of the derivatives in each round."""
NEAR, EVERY = 25, 2
"""Radius, pixels, beyond which the shape is fitted to every second (`EVERY`) row and column
alone."""
RIDGE = 1e-9
"""Ridge of the normal equations, relative to their diagonal."""
MOST_ELLIPTICITY = 0.6
"""Largest e1 and e2, in absolute value, of a group of Gaussians."""
TWISTS = ((0.0, 0.0, 0.0, 0.0), (0.1, 0.0, -0.1, 0.0), (0.0, 0.1, 0.0, -0.1))
"""Ellipticities of the two groups at which a fit begins where no shape is known. Groups that begin
with equal ellipticities separate by chance, and chi^2 may end far above that of the best sum."""


class LensLight(NamedTuple):
    """Lens light fitted to an image."""

    basis: Float[np.ndarray, "terms y x"]
    """Blurred Gaussians of amplitude above 0, each of flux 1, and a constant sky as the last
    term."""
    model: Pixels
    """Best sum of the basis, in the unit of the image."""
    shape: np.ndarray
    """Centre (x, y, arcsec), and ellipticity (e1, e2) of each group."""
    sky: float
    """Sky of the model, in each pixel."""

    @property
    def galaxy(self) -> Pixels:
        """Model without the sky."""
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
        Side of a pixel, arcsec.
    psf
        PSF in pixels of the image, of sum 1; None for no blurring.
    shape
        Shape at which the fit of `LensLight.shape` begins; by default fits begin at each of
        `TWISTS`, and the best is continued.
    clip
        Whether to leave out pixels far above the fit, which are arcs; False where arcs are already
        subtracted.

    References
    ----------
    Cappellari (2002), MNRAS 333, 400.
    """
    starts = [np.array([0, 0, *twist]) for twist in TWISTS] if shape is None else [shape]
    num_pix, used = len(image), np.isfinite(sigma)
    seen: dict[str, Any] = {"num_pix": num_pix, "pixel_scale": pixel_scale, "psf": psf}
    every = np.indices(image.shape).reshape(2, -1) - num_pix // 2
    chosen = _telling(every)
    for _ in range(CLIPS if clip else 1):
        told = chosen & used.ravel()
        sums = _Sums(every[:, told], image.ravel()[told], sigma.ravel()[told], seen)
        best = _best_shape(sums, starts, pixel_scale)
        starts = [best]
        basis = _basis(best, every, **seen)
        error = np.where(used, sigma, np.inf).ravel()
        amplitudes, _ = _solved(basis / error, image.ravel() / error)
        model = (amplitudes @ basis).reshape(image.shape)
        used = np.isfinite(sigma) & (image - model < ARC * sigma)
    needed = amplitudes != 0
    needed[-1] = True
    return LensLight(
        basis=basis[needed].reshape(-1, *image.shape),
        model=model,
        shape=best,
        sky=float(amplitudes[-1] / num_pix**2),
    )


def _telling(places: Int[np.ndarray, "2 pixels"]) -> Bool[np.ndarray, " pixels"]:
    """Return a mask of the pixels that the shape is fitted to: all near the middle, few far off."""
    return (np.hypot(*places) < NEAR) | (places % EVERY == 0).all(axis=0)


class _Sums:
    """The best sums of Gaussians of any shape, at some pixels of an image."""

    def __init__(
        self, places: np.ndarray, image: np.ndarray, sigma: np.ndarray, seen: dict[str, Any]
    ) -> None:
        self._places, self._image, self._sigma, self._seen = places, image, sigma, seen
        self._last: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None = None

    def _at(self, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return basis, best amplitudes and residual of a shape, in units of the noise."""
        if self._last is None or not np.array_equal(self._last[0], shape):
            columns = _basis(shape, self._places, **self._seen) / self._sigma
            self._last = (shape.copy(), columns, *_solved(columns, self._image / self._sigma))
        return self._last[1:]

    def misfit(self, shape: np.ndarray) -> Float[np.ndarray, " pixels"]:
        """Return the residual of the best sum, in units of the noise."""
        return self._at(shape)[2]

    def derivatives(self, shape: np.ndarray) -> Float[np.ndarray, "pixels 6"]:
        """Return the derivatives of the residual by the shape, amplitudes being solved for.

        The change of the span of the basis with the shape is neglected (Kaufman 1975, BIT 15, 49):
        the sum of squares has the same gradient.
        """
        columns, amplitudes, _ = self._at(shape)
        by_shape = shape_derivatives(shape, amplitudes[:-1], self._places, **self._seen)
        by_shape /= self._sigma
        free = columns[amplitudes != 0]
        normal = free @ free.T
        normal[np.diag_indices(len(free))] *= 1 + RIDGE
        made_up = np.linalg.solve(normal, free @ by_shape.T)
        return (made_up.T @ free - by_shape).T


def _best_shape(sums: _Sums, starts: list[np.ndarray], pixel_scale: float) -> np.ndarray:
    """Return the best of the shapes that are fitted from each start."""
    bound = np.array([3 * pixel_scale] * 2 + [MOST_ELLIPTICITY] * 4)
    fits = [
        least_squares(
            sums.misfit,
            np.clip(start, -0.9 * bound, 0.9 * bound),
            jac=sums.derivatives,
            bounds=(-bound, bound),
            x_scale=[pixel_scale] * 2 + [0.1] * 4,
            max_nfev=EVALUATIONS,
            loss="soft_l1",
        )
        for start in starts
    ]
    return min(fits, key=lambda fit: fit.cost).x


def only_sky(image: Pixels, sigma: Pixels) -> LensLight:
    """Return a constant sky in the place of lens light: the median of the pixels that count."""
    basis = np.full((1, *image.shape), 1.0 / image.size)
    sky = float(np.median(image[np.isfinite(sigma)]))
    return LensLight(basis, np.full_like(image, sky), np.zeros(6), sky)


def _basis(
    shape: np.ndarray, places: np.ndarray, num_pix: int, pixel_scale: float, psf: np.ndarray | None
) -> Float[np.ndarray, "terms pixels"]:
    """Return the Gaussians, each of flux 1, and the sky, of flux 1 in the image."""
    gaussians = blurred_gaussians(shape, places, num_pix, pixel_scale, psf)
    return np.concatenate([gaussians, np.full((1, places.shape[1]), 1 / num_pix**2)])


def _solved(columns: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the best amplitudes, not negative but for the sky, and the residual in sigmas."""
    both = np.concatenate([columns, -columns[-1:]])  # the sky may be negative
    scale = np.sqrt((both**2).sum(axis=1)).clip(min=1e-30)
    normal = (both @ both.T) / np.outer(scale, scale)
    # Non-negative least squares by the normal equations: 22 rows instead of one a pixel.
    factor = np.linalg.cholesky(normal + RIDGE * np.eye(len(normal)))
    right = np.linalg.solve(factor, (both @ target) / scale)
    solution, _ = nnls(factor.T, right, maxiter=50 * len(both))
    solution = solution / scale
    amplitudes = solution[:-1].copy()
    amplitudes[-1] -= solution[-1]
    return amplitudes, target - amplitudes @ columns
