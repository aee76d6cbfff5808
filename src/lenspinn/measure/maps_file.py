"""The maps of a measurement as a FITS file: image, models and residual."""

from pathlib import Path

import numpy as np

from lenspinn.data.celestial import arcsec_cards
from lenspinn.data.fits import Cards, FitsMap, TelescopeImage, write_fits_maps
from lenspinn.measure.lens_measurement import LensMeasurement
from lenspinn.measure.source_map import source_map

__all__ = ["write_maps"]


def write_maps(path: Path, measured: LensMeasurement, image: TelescopeImage) -> Path:
    """Write the maps of a measurement.

    Parameters
    ----------
    path
        FITS file; an existing one is replaced.
    measured
        Measurement of the lens.
    image
        Whole image, whose unit and WCS the maps have.

    Notes
    -----
    ``IMAGE`` (as it was fitted), ``NOISE``, ``MODEL``, ``RESIDUAL`` (in units of the noise),
    ``LENS_LIGHT`` (with the sky) and ``LENSED_SOURCE`` share the pixels of the frame; pixels that
    were left out are NaN in noise and residual. ``SOURCE`` is the source without lens, noise and
    PSF (`lenspinn.measure.source_map`), with a WCS in arcsec from the middle of the frame. ``PSF``
    is that of the model, if there is one.
    """
    used = np.isfinite(measured.sigma)
    frame = {
        "IMAGE": measured.image,
        "NOISE": np.where(used, measured.sigma, np.nan),
        "MODEL": measured.lens_light + measured.source_image,
        "RESIDUAL": np.where(used, measured.residual, np.nan),
        "LENS_LIGHT": measured.lens_light,
        "LENSED_SOURCE": measured.source_image,
    }
    column, row = measured.middle_pixel(image.data.shape)
    half = len(measured.image) // 2
    first = (column - half, row - half)
    sky = None if image.celestial is None else image.celestial.cards(*first)
    common: Cards = {"PIXSCALE": measured.pixel_scale, "FIRSTCOL": first[0], "FIRSTROW": first[1]}
    unit: Cards = {} if image.unit is None else {"BUNIT": image.unit}
    maps = {
        name: FitsMap(data=data, cards={**common, **({} if name == "RESIDUAL" else unit)}, sky=sky)
        for name, data in frame.items()
    }
    source = source_map(measured)
    maps["SOURCE"] = FitsMap(
        data=source.pixels,
        cards={**unit, "PIXSCALE": source.pixel_scale},
        sky=arcsec_cards(len(source.pixels), source.pixel_scale),
    )
    if measured.psf is not None:
        maps["PSF"] = FitsMap(data=measured.psf, cards={"PIXSCALE": measured.pixel_scale})
    verdict: Cards = {
        "THETA_E": measured.theta_E,
        "THETAERR": measured.theta_E_error,
        "TRUSTED": measured.trusted,
    }
    facts: Cards = {
        "TELESCOP": image.telescope,
        "INSTRUME": image.instrument,
        "FILTER": image.filter,
        "MAGZERO": image.zero_point,
    }
    known = {name: value for name, value in facts.items() if value is not None}
    return write_fits_maps(path, maps, {**known, **verdict})
