"""Standard deviations from what files hold instead: variances, and weights (1 / variance)."""

import astropy.units
import numpy as np
from jaxtyping import Float

from lenspinn.data.extensions import Role
from lenspinn.measure.noise_map import AnyPixels, border_of, robust_sigma

__all__ = ["kind_of_noise", "standard_deviations", "weights_fit"]

MOST_OFF = 2.0
"""Factor between the noise that weights give and what the image scatters by."""


def kind_of_noise(role: Role, unit: str | None, image_unit: str | None) -> Role:
    """Return what a noise map holds: "noise" (standard deviations), "variance" or "weight".

    Parameters
    ----------
    role
        What its name says.
    unit, image_unit
        BUNIT of the map and of the image. A name that says variance or weight counts more, for
        units are often copied from the image.
    """
    if role in ("variance", "weight"):
        return role
    power = _power(unit, image_unit)
    return "variance" if power == 2 else "weight" if power == -2 else "noise"


def standard_deviations(pixels: AnyPixels, kind: Role) -> Float[np.ndarray, "_ _"]:
    """Convert a noise map.

    Parameters
    ----------
    pixels : (y, x)
    kind
        "noise", "variance" or "weight".

    Returns
    -------
    (y, x) float64
        0 or ``inf`` where the map gives a pixel no weight; negative where the map is.
    """
    values = pixels.astype(np.float64)
    if kind == "noise":
        return values
    roots = np.sign(values) * np.sqrt(np.abs(values))
    if kind == "variance":
        return roots
    with np.errstate(divide="ignore"):
        return np.where(roots == 0, np.inf, 1 / np.where(roots == 0, np.inf, roots))


def weights_fit(image: AnyPixels, deviations: AnyPixels) -> bool:
    """Return whether the noise that weights give is that of the sky of an image.

    Weights of drizzled images are often exposure times, or relative. The noise that is seen lies
    between the scatter of neighbouring pixels, which correlation lowers, and that of the border,
    which light raises.
    """
    known = np.isfinite(image) & np.isfinite(deviations) & (deviations > 0)
    border = border_of(image.shape) & known
    if not border.any():
        return False
    steps = np.diff(np.where(known, image, np.nan).astype(np.float64), axis=1)
    least = robust_sigma(steps[np.isfinite(steps)]) / np.sqrt(2)
    most = robust_sigma(image[border].astype(np.float64))
    stated = float(np.median(deviations[border]))
    return bool(least / MOST_OFF <= stated <= most * MOST_OFF)


def _power(unit: str | None, image_unit: str | None) -> int | None:
    """Return to which power of the unit of an image that of its noise map is, if that can be told.

    Without a unit of the image, that whose powers are all 2 is a square.
    """
    found, flux = _parsed(unit), _parsed(image_unit)
    if found is None:
        return None
    if flux is not None:
        return next((power for power in (1, 2, -2) if found == flux**power), None)
    powers = {float(power) for power in found.powers}
    return int(powers.pop()) if powers in ({2.0}, {-2.0}) else None


def _parsed(unit: str | None) -> astropy.units.UnitBase | None:
    for text in (unit or "", (unit or "").lower().replace("electrons", "electron")):
        if text.strip():
            try:
                return astropy.units.Unit(text)
            except (ValueError, TypeError):
                continue
    return None
