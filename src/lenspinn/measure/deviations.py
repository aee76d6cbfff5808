"""Standard deviations of noise from the variances or weights (1 / variance) of files."""

import astropy.units
import numpy as np
from jaxtyping import Float

from lenspinn.data.extensions import Role
from lenspinn.measure.noise_map import AnyPixels

__all__ = ["kind_of_noise", "standard_deviations"]


def kind_of_noise(role: Role, unit: str | None, image_unit: str | None) -> Role:
    """Return the kind of a noise map: "noise" (standard deviations), "variance" or "weight".

    Parameters
    ----------
    role
        Kind that the name of the map says.
    unit, image_unit
        BUNIT of the map and of the image. A name that says variance or weight counts more than
        units, which are often copied from the image.
    """
    if role in ("variance", "weight"):
        return role
    power = _power(unit, image_unit)
    return "variance" if power == 2 else "weight" if power == -2 else "noise"


def standard_deviations(pixels: AnyPixels, kind: Role) -> Float[np.ndarray, "_ _"]:
    """Return the standard deviations of a noise map.

    Parameters
    ----------
    pixels : (y, x)
        Values of the noise map.
    kind
        Kind of the values: "noise", "variance" or "weight".

    Returns
    -------
    (y, x) float64
        Standard deviations; 0 or ``inf`` where the map gives a pixel no weight, and negative where
        the map is negative.
    """
    values = pixels.astype(np.float64)
    if kind == "noise":
        return values
    roots = np.sign(values) * np.sqrt(np.abs(values))
    if kind == "variance":
        return roots
    with np.errstate(divide="ignore"):
        return np.where(roots == 0, np.inf, 1 / np.where(roots == 0, np.inf, roots))


def _power(unit: str | None, image_unit: str | None) -> int | None:
    """Return the power of the image's unit that the unit of its noise map is, None if unclear.

    Where the image has no unit, a unit whose powers are all 2 counts as a square.
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
