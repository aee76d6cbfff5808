"""The part of an image that a lens is fitted to: a square around the peak of its light."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from lenspinn.errors import ImageError
from lenspinn.measure.lens_light import MODEL_ERROR
from lenspinn.measure.model_error import noise_factor

Pixels = Float[np.ndarray, "y x"]

ARC_ERROR = 0.3
"""Error of a Sersic source in each pixel, as a share of the lensed source."""
PEAK_SMOOTHING = 2.0
"""Standard deviation of the Gaussian that smooths an image before its brightest pixel is taken for
the centre of the lens, pixels."""
LEAST_SHARE = 0.25
"""Least weighted share of the pixels around a pixel that must count, for it to be the brightest."""
SKY = 0.1
"""Quantile of the pixels that is taken for the sky level, which may not be 0."""
LEAST_PIXELS = 10
"""Least distance from the centre to the border of a frame, pixels."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """A square part of an image, of odd side, with the lens in its middle pixel."""

    image: Pixels
    sigma: Pixels
    """Standard deviation of the noise, in the unit of `image`; ``inf`` leaves a pixel out."""
    pixel_scale: float
    psf: Float[np.ndarray, "v u"] | None
    light: Pixels
    """Approximate lens light, for its share of `weighted_sigma`."""
    arcs: Pixels
    """Approximate light of the lensed source, for its share of `weighted_sigma`."""
    noise_factor: Pixels
    """Factor on the noise and these model errors, 1 and more, for errors of the models beyond them;
    see `lenspinn.measure.model_error`."""
    middle: tuple[float, float]
    """Position (x, y) of the middle pixel from the centre of the whole image, arcsec."""

    @property
    def radius(self) -> Pixels:
        """Distance of each pixel from the middle, arcsec."""
        half = len(self.image) // 2
        y, x = np.indices(self.image.shape) - half
        return np.hypot(x, y) * self.pixel_scale

    @property
    def weighted_sigma(self) -> Pixels:
        """Noise with the errors of the models of lens light and source, times `noise_factor`."""
        return self._believed_sigma * self.noise_factor

    @property
    def light_sigma(self) -> Pixels:
        """Noise with the error of the lens light model, a sum of ellipses."""
        return np.hypot(self.sigma, MODEL_ERROR * np.clip(self.light, 0, None))

    @property
    def _believed_sigma(self) -> Pixels:
        return np.hypot(self.light_sigma, ARC_ERROR * self.arcs)

    def with_arcs(self, arcs: Pixels) -> "Frame":
        """Return the frame with a better estimate of the light of the lensed source."""
        return replace(self, arcs=np.clip(ndimage.median_filter(arcs, 3), 0, None))

    def with_models(
        self, lens_light: Pixels, source_image: Pixels, *, first_look: bool = False
    ) -> "Frame":
        """Return the frame with the noise raised by the errors of models of its light.

        Parameters
        ----------
        lens_light, source_image
            Models of lens light and lensed source, in the unit of the image.
        first_look
            Whether the models are those of a first look. Their residual is then larger because they
            are coarse, so the noise is raised by the square root of the factor. With the whole
            factor, a fit that begins near the right minimum leaves it where arcs are faint, as in
            SLACS J1432+6317.
        """
        frame = self.with_arcs(source_image)
        used = np.isfinite(frame.sigma)
        sigma = np.where(used, frame._believed_sigma, 1.0)
        left = np.where(used, frame.image - lens_light - source_image, 0.0) / sigma
        factor = noise_factor(left, source_image / sigma, used)
        return replace(frame, noise_factor=np.sqrt(factor) if first_look else factor)

    def lit(self, light: Pixels) -> "Frame":
        """Return the frame with a better estimate of the light of the lens."""
        return replace(self, light=light)

    def covering(self, radius: float) -> "Frame":
        """Return the frame padded with left-out pixels up to a radius in arcsec."""
        missing = int(np.ceil(radius / self.pixel_scale)) - len(self.image) // 2
        if missing <= 0:
            return self
        return replace(
            self,
            image=np.pad(self.image, missing),
            sigma=np.pad(self.sigma, missing, constant_values=np.inf),
            light=np.pad(self.light, missing),
            arcs=np.pad(self.arcs, missing),
            noise_factor=np.pad(self.noise_factor, missing, constant_values=1),
        )

    def minus(self, light: Pixels) -> "Frame":
        """Return the frame with a model of light subtracted; its noise stays the same."""
        return replace(self, image=self.image - light)

    def without(self, left_out: np.ndarray) -> "Frame":
        """Return the frame with more pixels left out."""
        return replace(self, sigma=np.where(left_out, np.inf, self.sigma))

    def narrowed(self, radius: float) -> "Frame":
        """Return the pixels within a radius in arcsec, in a square as small as can be."""
        half = len(self.image) // 2
        reach = min(half, max(LEAST_PIXELS, int(np.ceil(radius / self.pixel_scale))))
        inner = slice(half - reach, half + reach + 1)
        small = replace(
            self,
            image=self.image[inner, inner],
            sigma=self.sigma[inner, inner],
            light=self.light[inner, inner],
            arcs=self.arcs[inner, inner],
            noise_factor=self.noise_factor[inner, inner],
        )
        return small.without(small.radius > (reach + 0.5) * self.pixel_scale)


def light_peak(image: Pixels, sigma: Pixels, *, within: int | None = None) -> tuple[int, int]:
    """Return row and column of the brightest place near the middle of an image.

    Parameters
    ----------
    image, sigma : (y, x)
        Image and noise as in `Frame`.
    within
        Largest distance from the middle along each axis, pixels; by default the middle half of the
        image is searched.
    """
    used = np.isfinite(sigma).astype(float)
    share = ndimage.gaussian_filter(used, PEAK_SMOOTHING)
    smooth = ndimage.gaussian_filter(np.where(used > 0, image, 0), PEAK_SMOOTHING)
    smooth = np.where(share > LEAST_SHARE, smooth / np.maximum(share, LEAST_SHARE), -np.inf)
    rows, columns = image.shape
    top, left = (
        side // 4 if within is None else max(0, side // 2 - within) for side in (rows, columns)
    )
    middle = smooth[top : rows - top, left : columns - left]
    row, column = np.unravel_index(int(middle.argmax()), middle.shape)
    return int(row) + top, int(column) + left


def cut_frame(
    image: Pixels,
    sigma: Pixels,
    pixel_scale: float,
    psf: np.ndarray | None,
    *,
    centre: tuple[int, int] | None,
    radius: float,
    lit: bool,
) -> Frame:
    """Cut the largest frame within `radius` (arcsec) that fits into the image.

    Without lens light no pixel is given up to keep the centre in the middle: the frame reaches as
    far as the border that is farthest from the given centre, and its pixels outside of the image
    are left out.

    Parameters
    ----------
    image, sigma
        Image and noise as in `Frame`, of any shape.
    pixel_scale : side of a pixel, arcsec.
    psf : PSF in pixels of the image, or None.
    centre
        Row and column of the middle of the frame; None for the middle of the image.
    radius : half side of the frame at most, arcsec.
    lit
        Whether the lens galaxy shows.

    Raises
    ------
    ImageError
        If the centre is too near to the border of the image.
    """
    rows, columns = image.shape
    row, column = (rows // 2, columns // 2) if centre is None else centre
    room = min(row, column, rows - 1 - row, columns - 1 - column)
    if room < LEAST_PIXELS:
        raise ImageError(
            f"the lens is {room} pixels from the border of the image; it must be at least "
            f"{LEAST_PIXELS} from it"
        )
    far = max(row, column, rows - 1 - row, columns - 1 - column)
    reach = min(room if lit or centre is None else far, int(np.ceil(radius / pixel_scale)))
    beyond = max(0, reach - room)
    inner = tuple(slice(at + beyond - reach, at + beyond + reach + 1) for at in (row, column))
    cut = np.pad(image, beyond)[inner].astype(np.float64)
    noise = np.pad(sigma, beyond, constant_values=np.inf)[inner]
    light = _above_sky(cut, noise) if lit else np.zeros_like(cut)
    return Frame(
        image=cut,
        sigma=noise,
        pixel_scale=pixel_scale,
        psf=psf,
        light=light,
        arcs=np.zeros_like(cut),
        noise_factor=np.ones_like(cut),
        middle=(
            (column - (columns - 1) / 2) * pixel_scale,
            (row - (rows - 1) / 2) * pixel_scale,
        ),
    )


def _above_sky(image: Pixels, sigma: Pixels) -> Pixels:
    """Return the approximate light of a galaxy: the image above the sky, median-filtered."""
    used = np.isfinite(sigma)
    sky = np.quantile(image[used], SKY) if used.any() else 0.0
    return ndimage.median_filter(image, 3) - sky
