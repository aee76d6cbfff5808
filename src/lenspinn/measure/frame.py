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
"""Share of the lensed source by which a Sersic source is wrong, in each pixel."""
PEAK_SMOOTHING = 2.0
"""Standard deviation, pixels, before the brightest pixel is taken for the centre of the lens."""
LEAST_SHARE = 0.25
"""Of the pixels around one, weighed, that must count for it to be the brightest."""
SKY = 0.1
"""Of the pixels in rising order: the sky, which a pedestal may lift."""
LEAST_PIXELS = 10
"""From the centre to the border of a frame."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """A square of odd side, its middle pixel that of the lens."""

    image: Pixels
    sigma: Pixels
    """``inf`` leaves a pixel out."""
    pixel_scale: float
    psf: Float[np.ndarray, "v u"] | None
    light: Pixels
    """About that of the lens, for its share in `weighed_sigma`."""
    arcs: Pixels
    """About the light of the lensed source, likewise."""
    noise_factor: Pixels
    """Of all that, by which models are wrong beyond it: `lenspinn.measure.model_error`."""
    middle: tuple[float, float]
    """x and y of the middle pixel from the centre of the whole image, arcsec."""

    @property
    def radius(self) -> Pixels:
        """Of each pixel from the middle, arcsec."""
        half = len(self.image) // 2
        y, x = np.indices(self.image.shape) - half
        return np.hypot(x, y) * self.pixel_scale

    @property
    def weighed_sigma(self) -> Pixels:
        """Noise, and what models of lens light and source are wrong by."""
        return self._believed_sigma * self.noise_factor

    @property
    def light_sigma(self) -> Pixels:
        """Noise, and what no sum of ellipses can say about the light of a galaxy."""
        return np.hypot(self.sigma, MODEL_ERROR * np.clip(self.light, 0, None))

    @property
    def _believed_sigma(self) -> Pixels:
        return np.hypot(self.light_sigma, ARC_ERROR * self.arcs)

    def with_arcs(self, arcs: Pixels) -> "Frame":
        """Return the frame with a better idea of the light of the lensed source."""
        return replace(self, arcs=np.clip(ndimage.median_filter(arcs, 3), 0, None))

    def with_models(
        self, lens_light: Pixels, source_image: Pixels, *, first_look: bool = False
    ) -> "Frame":
        """Return the frame with the noise that such models of its light call for.

        Parameters
        ----------
        lens_light, source_image
            Models, in the unit of the image.
        first_look
            Whether they are those of a first look, whose coarseness is part of what they leave: the
            noise is raised by the root of the factor alone. With all of it, a fit that begins in
            the right valley wanders off where arcs are faint, as in SLACS J1432+6317.
        """
        frame = self.with_arcs(source_image)
        used = np.isfinite(frame.sigma)
        sigma = np.where(used, frame._believed_sigma, 1.0)
        left = np.where(used, frame.image - lens_light - source_image, 0.0) / sigma
        factor = noise_factor(left, source_image / sigma, used)
        return replace(frame, noise_factor=np.sqrt(factor) if first_look else factor)

    def lit(self, light: Pixels) -> "Frame":
        """Return the frame with a better idea of the light of the lens."""
        return replace(self, light=light)

    def covering(self, radius: float) -> "Frame":
        """Return the frame with pixels that are left out around it, up to a radius in arcsec."""
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
        """Return the frame with some light taken away; its noise stays."""
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
        As of `Frame`.
    within
        Pixels from the middle, along each axis; by default the middle half of the image.
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

    Where the lens does not shine, no pixel is given up for its place: the frame reaches as far as
    the border that is farthest from a given centre, and what lies beyond another is left out.

    Parameters
    ----------
    image, sigma
        As in `Frame`, of any shape.
    pixel_scale : arcsec.
    psf : as in `Frame`.
    centre
        Row and column of the middle; None for that of the image.
    radius : arcsec.
    lit
        Whether the lens shines.

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
    """Return about the light of a galaxy: what is there without single pixels and the sky."""
    used = np.isfinite(sigma)
    sky = np.quantile(image[used], SKY) if used.any() else 0.0
    return ndimage.median_filter(image, 3) - sky
