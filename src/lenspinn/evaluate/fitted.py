"""Ranges of the fitted lens parameters among the calibration images of a network.

For a lens outside these ranges nothing is known of the network's answer, even though the fit may
be right: a smooth lens away from the middle of its image was called `axion`.
"""

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float

from lenspinn.lensing.light import sersic_total_flux

__all__ = ["Ranges", "fit_ranges", "is_outside", "lens_coordinates", "lens_numbers"]

PerImage = Float[np.ndarray, " images"]
Ranges = dict[str, tuple[float, float]]

TAIL = 0.02
"""Share of the calibration images at each end of a range on which its tail is measured, with at
least `FEWEST` images."""
FEWEST = 10
ALARMS = 5e-4
"""Share of images like those of calibration that lie beyond one end of one range."""
AMOUNTS = {
    "offset from the middle": ("center_x", "center_y"),
    "ellipticity": ("e1", "e2"),
    "shear": ("gamma1", "gamma2"),
    "multipole of order 3": ("a3", "b3"),
    "multipole of order 4": ("a4", "b4"),
    "ellipticity of the source": ("source_e1", "source_e2"),
}
"""Amounts that are the length of two parameters, as the direction of a lens does not matter."""
PLAIN = {"theta_E": "theta_E", "density slope": "gamma"}
RATIOS = frozenset(
    {
        "size of the source",
        "Sersic index of the source",
        "flux of the source",
        "signal to noise",
    }
)
"""Positive numbers, whose logarithms are compared."""


def lens_numbers(fitted: Mapping[str, PerImage]) -> dict[str, PerImage]:
    """Return the numbers of fitted lenses that are compared, by name in words.

    Parameters
    ----------
    fitted
        Fitted parameters, `lenspinn.evaluate.predict.Outputs.fitted`; may be empty.

    Returns
    -------
    dict
        Numbers by name: lengths and sizes in arcsec, flux of the Sersic profile in the unit of the
        images. The position of the source is relative to the middle of the lens.
    """
    if not fitted:
        return {}
    numbers = {name: fitted[key] for name, key in PLAIN.items() if key in fitted}
    for name, (x, y) in AMOUNTS.items():
        if x in fitted:
            numbers[name] = np.hypot(fitted[x], fitted[y])
    numbers["offset of the source"] = np.hypot(
        fitted["source_x"] - fitted["center_x"], fitted["source_y"] - fitted["center_y"]
    )
    R_sersic, n_sersic, amplitude = (
        np.exp(fitted[f"log_{key}"].astype(np.float64))
        for key in ("R_sersic", "n_sersic", "amplitude")
    )
    return {
        **numbers,
        "size of the source": R_sersic,
        "Sersic index of the source": n_sersic,
        "flux of the source": np.asarray(sersic_total_flux(R_sersic, n_sersic, amplitude)),
        "signal to noise": fitted["signal_to_noise"],
    }


def lens_coordinates(fitted: Mapping[str, PerImage]) -> Float[np.ndarray, "images numbers"]:
    """Return the same numbers as coordinates: logarithms of `RATIOS`."""
    numbers = lens_numbers(fitted)
    return np.column_stack([_straight(name, values) for name, values in numbers.items()])


def fit_ranges(fitted: Mapping[str, PerImage]) -> Ranges:
    """Return the range of each number that images like these have.

    Parameters
    ----------
    fitted
        Fitted numbers of the calibration images.

    Notes
    -----
    An end is where a tail that falls as an exponential, measured beyond the quantile `TAIL`, leaves
    the share `ALARMS`: with few images it is beyond all of them, with many a fit that failed moves
    it little. For a number that cannot be negative the lower end is 0.
    """
    ranges = {}
    for name, values in lens_numbers(fitted).items():
        straight = _straight(name, values)
        if name in RATIOS:
            ranges[name] = (math.exp(-_upper_end(-straight)), math.exp(_upper_end(straight)))
        elif name in PLAIN:
            ranges[name] = (-_upper_end(-straight), _upper_end(straight))
        else:
            ranges[name] = (0.0, _upper_end(straight))
    return ranges


def is_outside(values: PerImage, low: float, high: float) -> Bool[np.ndarray, " images"]:
    """Return whether values lie outside of a range, or are not finite."""
    return ~((low <= values) & (values <= high))


def _straight(name: str, values: PerImage) -> Float[np.ndarray, " images"]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(values.astype(np.float64)) if name in RATIOS else values.astype(np.float64)


def _upper_end(values: PerImage) -> float:
    ordered = np.sort(values[np.isfinite(values)])[::-1]
    num = min(max(FEWEST, round(TAIL * len(ordered))), len(ordered) - 1)
    excess = float(np.mean(ordered[:num] - ordered[num]))
    return float(ordered[num]) + excess * math.log(num / len(ordered) / ALARMS)
