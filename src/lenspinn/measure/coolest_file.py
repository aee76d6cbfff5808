"""A measurement as a COOLEST template, the form in which lens modelling codes exchange lenses.

Conventions are those of https://coolest.readthedocs.io; the tests draw images with all of them. x
points to the right and y up from the middle of the frame. Angles are counter-clockwise from y, so
that they are east of north where north is up. Every radius, Einstein radii too, is along the
intermediate axis, ``sqrt(a b)``, as is ``theta_E`` of `lenspinn` and lenstronomy.
"""

import importlib.util
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lenspinn.data.fits import TelescopeImage, write_fits
from lenspinn.errors import ConfigError, DataError
from lenspinn.files import write_whole
from lenspinn.measure.coolest_parts import (
    Parts,
    external_shear,
    light_profiles,
    positive_light,
    power_law,
    source_profile,
)
from lenspinn.measure.light_sum import EXACT, LightSum

if TYPE_CHECKING:
    from lenspinn.measure.lens_measurement import LensMeasurement

__all__ = ["require_coolest", "write_coolest"]

SUFFIX = ".json"
INSTALL = "pip install 'lenspinn[coolest]'"
H0, OM0 = 70.0, 0.3
"""Hubble constant (km/s/Mpc) and matter density, the defaults of `lenspinn.lensing.cosmology`."""
PLACES = 0.5, 1.5
"""Redshifts of lens and source that are written where they are not known: COOLEST needs numbers."""
UNIT = "e-/s"
"""Unit of fluxes in COOLEST."""
LEFT_OUT = 1e8
"""Noise that is written for a pixel that does not count."""
LEAST_INDEX = 0.5
"""Least Sersic index in COOLEST."""


def write_coolest(
    measured: "LensMeasurement",
    file: Path | str,
    *,
    image: TelescopeImage | None = None,
    z_lens: float | None = None,
    z_source: float | None = None,
) -> Path:
    """Write a measurement as a COOLEST template, with the images that it names beside it.

    Parameters
    ----------
    measured
        Measurement of a lens.
    file
        Path of the template, ``NAME.json``; its folder is made if missing. ``NAME_image.fits``,
        ``NAME_noise.fits``, ``NAME_psf.fits`` and ``NAME_mask.fits`` (1 where a pixel counts) are
        written beside it. Existing files are replaced.
    image
        Image as it was read from its file, for instrument, zero point, unit and position on the
        sky.
    z_lens, z_source
        Redshifts of lens and source. No other number depends on them.

    Returns
    -------
    Path
        Path of the template. Errors are one sigma about each value, those of
        `LensMeasurement.errors`; that of theta_E is `LensMeasurement.theta_E_error`.

    Raises
    ------
    ConfigError
        If the name does not end with ``.json``, the redshifts are in no order, or the package
        coolest is not installed.
    DataError
        If the Sersic index of the source is below those of COOLEST.

    Warns
    -----
    UserWarning
        Facts about the lens that have no place in COOLEST; the template's ``meta`` lists them too.
    """
    file = Path(file)
    if file.suffix != SUFFIX:
        raise ConfigError(f"file is {file}: give one whose name ends with {SUFFIX}")
    redshifts = _redshifts(z_lens, z_source)
    n_sersic = measured.plain.source["n_sersic"]
    if n_sersic < LEAST_INDEX:
        raise DataError(
            f"the source has a Sersic index of {n_sersic:.2f}, and COOLEST has none below "
            f"{LEAST_INDEX}: take the model from the lenstronomy arguments of the measurement"
        )
    require_coolest()
    from coolest.template.classes.coordinates import CoordinatesOrigin
    from coolest.template.classes.cosmology import Cosmology
    from coolest.template.classes.likelihood_list import DataLikelihoodList
    from coolest.template.standard import COOLEST

    galaxy = positive_light(measured)
    left_out = _left_out(measured, galaxy, image, z_lens is None)
    pixels = _write_pixels(measured, file)
    template = COOLEST(
        "MAP",
        CoordinatesOrigin(*_origin(measured, image)),
        _entities(measured, galaxy, redshifts),
        _observation(pixels, image),
        _instrument(measured, pixels, image),
        cosmology=Cosmology(H0, OM0),
        likelihoods=DataLikelihoodList(pixels["mask"]),
        metadata={
            "written_by": "lenspinn measure",
            "theta_E": "intermediate axis, sqrt(a b), of an isothermal ellipsoid",
            "unit": (image.unit if image else None) or "unknown",
            "trusted": measured.trusted,
            "reasons": list(measured.reasons),
            "not_in_coolest": left_out,
        },
    )
    text = template.to_JSON(exclude_keys=template.exclude_keys)
    write_whole(file, f"{text}\n".encode())
    warnings.warn(f"COOLEST has no place for {'; '.join(left_out)}", stacklevel=3)
    return file


def require_coolest() -> None:
    """Refuse to go on without the package coolest.

    Raises
    ------
    ConfigError
        If the package is not installed.
    """
    if importlib.util.find_spec("coolest") is None:
        raise ConfigError(f"coolest is not installed: {INSTALL}")


def _redshifts(z_lens: float | None, z_source: float | None) -> tuple[float, float]:
    if z_lens is None and z_source is None:
        return PLACES
    if z_lens is None or z_source is None or not 0 < z_lens < z_source:
        raise ConfigError(
            f"z_lens is {z_lens} and z_source {z_source}: give both, the source behind the lens, "
            "or none"
        )
    return z_lens, z_source


def _left_out(
    measured: "LensMeasurement",
    galaxy: LightSum | None,
    image: TelescopeImage | None,
    no_redshifts: bool,
) -> list[str]:
    """Return facts about a lens that its template leaves out, or holds in another sense."""
    law = measured.power_law
    said = [
        f"the power law of slope {law.slope:.2f} ± {law.slope_error:.2f} with multipoles that was "
        "fitted too: the lens here is the isothermal ellipsoid with shear",
        "correlations of the errors",
    ]
    if galaxy is None:
        said.append(f"the light of the lens, which was not modelled ({measured.light_mode})")
    else:
        said.append(f"the sky of {galaxy.sky:.4g} in each pixel, which is part of the image")
        if galaxy.misfit > EXACT:
            said.append(
                "negative Gaussians of the light of the lens: those here leave up to "
                f"{galaxy.misfit:.1g} of its peak"
            )
    if no_redshifts:
        said.append(f"redshifts that are not known: {PLACES[0]} and {PLACES[1]} stand there")
    if image is None or image.celestial is None or not image.celestial.equatorial:
        said.append("a place on the sky that is not known: the origin is said to be at 0h, 0d")
    else:
        column, row = map(float, measured.middle_pixel(image.data.shape))
        up = (image.celestial.east_of_north(column, row, 90.0) + 90) % 180 - 90  # of an axis
        said.append(f"the direction of its y axis, {round(up, 1) + 0.0} degrees east of north")
    if image is None or image.unit != UNIT:
        unit = (image.unit if image else None) or "a unit that is not known"
        said.append(f"fluxes in {unit} in the place of {UNIT}")
    return said


def _origin(measured: "LensMeasurement", image: TelescopeImage | None) -> tuple[str, str]:
    if image is None or image.celestial is None or not image.celestial.equatorial:
        return "0h0m0s", "0d0m0s"
    column, row = map(float, measured.middle_pixel(image.data.shape))
    ra, dec = image.celestial.position(column, row)
    return f"{ra}d", f"{dec}d"


def _entities(
    measured: "LensMeasurement", galaxy: LightSum | None, redshifts: tuple[float, float]
) -> Any:
    from coolest.template.classes.galaxy import Galaxy
    from coolest.template.classes.lensing_entity_list import LensingEntityList
    from coolest.template.classes.mass_field import MassField
    from coolest.template.classes.mass_light_model import LightModel, MassModel

    z_lens, z_source = redshifts
    gaussians = [] if galaxy is None else light_profiles(galaxy)
    lens = Galaxy("lens", z_lens, mass_model=MassModel("PEMD"))
    lens.light_model = LightModel(*["Sersic"] * len(gaussians))
    field = MassField("external shear", z_lens, mass_model=MassModel("ExternalShear"))
    source = Galaxy("source", z_source, light_model=LightModel("Sersic"))
    _fill(lens.mass_model[0], power_law(measured))
    for profile, parts in zip(lens.light_model, gaussians, strict=True):
        _fill(profile, parts)
    _fill(field.mass_model[0], external_shear(measured))
    _fill(source.light_model[0], source_profile(measured))
    return LensingEntityList(lens, field, source)


def _fill(profile: Any, parts: Parts) -> None:
    from coolest.template.classes.parameter import PointEstimate
    from coolest.template.classes.probabilities import PosteriorStatistics

    for name, parameter in profile.parameters.items():
        value, error = parts[name]
        parameter.set_point_estimate(PointEstimate(value))
        if error is None:
            parameter.fix()
        else:
            parameter.set_posterior(PosteriorStatistics(value, value, value - error, value + error))


def _write_pixels(measured: "LensMeasurement", file: Path) -> dict[str, Any]:
    """Write the images that a template names, and return its entry for each."""
    from coolest.template.classes.grid import PixelatedRegularGrid
    from coolest.template.classes.likelihood import ImagingDataLikelihood

    used = np.isfinite(measured.sigma)
    maps = {
        "image": measured.image,
        "noise": np.where(used, measured.sigma, LEFT_OUT),
        "mask": used.astype(np.float32),
        "psf": _square(measured.psf),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    grids = {}
    for name, data in maps.items():
        path = write_fits(file.with_name(f"{file.stem}_{name}.fits"), data, measured.pixel_scale)
        half = len(data) * measured.pixel_scale / 2
        grids[name] = PixelatedRegularGrid(
            path.name, (-half, half), (-half, half), *data.shape, check_fits_file=False
        )
    return grids | {"mask": ImagingDataLikelihood(grids["mask"])}


def _square(psf: np.ndarray | None) -> np.ndarray:
    """Return a PSF as a square, its peak in the middle; a single pixel if nothing is blurred."""
    if psf is None:
        return np.pad(np.ones((1, 1)), 1)
    missing = [(max(psf.shape) - side) // 2 for side in psf.shape]
    return np.pad(psf, [(each, each) for each in missing])


def _observation(pixels: dict[str, Any], image: TelescopeImage | None) -> Any:
    from coolest.template.classes.noise import NoiseMap
    from coolest.template.classes.observation import Observation

    return Observation(
        pixels=pixels["image"],
        noise=NoiseMap(pixels["noise"]),
        exposure_time=image.exposure_time if image else None,
        mag_zero_point=image.zero_point if image else None,
    )


def _instrument(
    measured: "LensMeasurement", pixels: dict[str, Any], image: TelescopeImage | None
) -> Any:
    from coolest.template.classes.instrument import Instrument
    from coolest.template.classes.psf import PixelatedPSF

    names = () if image is None else (image.telescope, image.instrument)
    return Instrument(
        measured.pixel_scale,
        name=" ".join(name for name in names if name),
        band=(image.filter if image else None) or "",
        psf=PixelatedPSF(
            pixels["psf"],
            description=None if measured.psf is not None else "none: the image was not blurred",
        ),
    )
