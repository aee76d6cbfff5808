import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lenspinn.apply import LensMeasurement, fit_lens
from lenspinn.data import read_fits
from lenspinn.errors import ImageError
from lenspinn.lensing import SMOOTH_PARAMETERS, make_optics, pixel_grid, smooth_image

MOST_SIGMAS = 3.0
MOST_CHI2 = 1.2
# Of a critical curve made of straight pieces, and with shear, of an area of pi theta_E^2.
AREA = 0.03
# Of codes from each other, and twice that: definitions of theta_E differ.
PUBLISHED = 0.1


def test_it_recovers_theta_E_within_its_error(measured: LensMeasurement, scene) -> None:
    assert abs(measured.theta_E - scene.theta_E) < MOST_SIGMAS * measured.theta_E_error
    assert measured.theta_E_error < 0.05 * scene.theta_E


def test_it_explains_the_image_down_to_the_noise(measured: LensMeasurement) -> None:
    assert measured.chi2_per_pixel < MOST_CHI2
    assert measured.trusted, measured.reasons


def test_masked_pixels_are_left_out(measured: LensMeasurement) -> None:
    assert (measured.residual[~np.isfinite(measured.sigma)] == 0).all()
    assert np.abs(measured.residual).max() < 6


def test_the_critical_curve_encloses_the_area_of_theta_E(measured: LensMeasurement) -> None:
    x, y = max(measured.critical_curves(), key=len).T
    area = 0.5 * abs(np.sum(x * np.roll(y, 1) - y * np.roll(x, 1)))
    assert area == pytest.approx(np.pi * measured.theta_E**2, rel=AREA)


def test_there_is_a_caustic_for_each_critical_curve(measured: LensMeasurement) -> None:
    curves, caustics = measured.critical_curves(), measured.caustics()
    assert [len(curve) for curve in curves] == [len(caustic) for caustic in caustics]


def test_its_numbers_are_json(measured: LensMeasurement) -> None:
    assert json.loads(json.dumps(measured.to_json()))["theta_E_arcsec"] == measured.theta_E


def test_reasons_against_it_are_in_its_verdict(measured: LensMeasurement) -> None:
    doubtful = dataclasses.replace(measured, reasons=("too faint",))
    assert not doubtful.trusted
    assert "NOT TO BE TRUSTED: too faint" in doubtful.verdict


def test_an_image_without_arcs_is_not_trusted() -> None:
    noise = np.random.default_rng(3).standard_normal((33, 33))
    found = fit_lens(noise, pixel_scale=0.1, noise=np.ones_like(noise), lens_light="none")
    assert any("too faint" in reason for reason in found.reasons)


def test_a_lens_whose_mass_is_not_where_its_light_is_is_not_trusted() -> None:
    parameters = dict.fromkeys(SMOOTH_PARAMETERS, 0.0)
    parameters |= {"theta_E": 1.0, "center_x": 0.4, "source_x": 0.45, "log_R_sersic": -1.5}
    optics = make_optics(48, 0.1, (1.0,))
    arcs = smooth_image(torch.tensor([list(parameters.values())]), optics)[0].double().numpy()
    x, y = pixel_grid(48, 0.1, dtype=torch.float64)
    image = arcs / arcs.max() + 3 * torch.exp(-(x**2 + y**2) / (2 * 0.15**2)).numpy()
    sigma = np.full_like(image, 0.02)
    image += sigma * np.random.default_rng(4).standard_normal(image.shape)
    found = fit_lens(image, pixel_scale=0.1, noise=sigma)
    (reason,) = found.reasons
    assert "the centre of mass is 0." in reason


GOOD = np.random.default_rng(1).uniform(1, 2, size=(32, 32))


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (GOOD[:8], {}, r"shape \(8, 32\)"),
        (GOOD, {"pixel_scale": 0.0}, "pixel_scale is 0.0"),
        (GOOD, {"noise": GOOD[:-1]}, r"noise map has shape \(31, 32\)"),
        (GOOD, {"mask": np.ones_like(GOOD)}, "leave out every pixel"),
        (np.where(GOOD > 1.9, np.nan, GOOD), {}, "not finite"),
        (GOOD, {"psf": np.ones((6, 6))}, r"peak in pixel \(0, 0\)"),
        (GOOD, {"psf": np.zeros((3, 3))}, "sums to 0"),
    ],
)
def test_input_that_cannot_be_used_is_named(image: np.ndarray, options: dict, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        fit_lens(image, **{"pixel_scale": 0.1} | options)


def test_it_measures_the_jackpot_lens_as_published(shared_data: Path) -> None:
    folder = shared_data / "hst_slacs" / "SDSSJ0946+1006"
    names = {"noise": "noise_map", "psf": "psf", "mask": "mask_extra_galaxies"}
    found = read_fits(folder / "data.fits")
    others = {
        key: read_fits(folder / f"{name}.fits", pixel_scale=0.05).data
        for key, name in names.items()
    }
    measured = fit_lens(found.data, pixel_scale=found.pixel_scale, **others)
    assert measured.theta_E == pytest.approx(1.38, rel=PUBLISHED)
