"""Plausible pixel scales of images of lenses."""

from lenspinn.errors import ImageError

__all__ = ["check_pixel_scale", "is_plausible"]

PLAUSIBLE_SCALE = (1e-3, 10.0)
"""Range of pixel scales, arcsec per pixel. Numbers outside are no pixel scale of a lens image, e.g.
the CDELT of 1 that programs write where they know none."""


def check_pixel_scale(scale: float) -> float:
    """Return a pixel scale given by the user, arcsec, if it is plausible.

    Raises
    ------
    ImageError
        If the value is outside of `PLAUSIBLE_SCALE`.
    """
    if not is_plausible(scale):
        low, high = PLAUSIBLE_SCALE
        raise ImageError(
            f"pixel_scale is {scale}; it must be positive, from {low:g} to {high:g} arcsec per "
            "pixel"
        )
    return float(scale)


def is_plausible(scale: float) -> bool:
    """Return whether a lens can be seen with pixels of that size in arcsec."""
    low, high = PLAUSIBLE_SCALE
    return bool(low <= scale <= high)
