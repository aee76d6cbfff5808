import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.io import fits

from lenspinn.data import read_fits
from lenspinn.errors import ImageError
from lenspinn.fitting import SMOOTH_PARAMETERS, make_optics, smooth_image
from lenspinn.lensing import pixel_grid
from lenspinn.measure import LensMeasurement, lens_fit, measure_lens
from lenspinn.measure.frame import Frame
from lenspinn.measure.joint_fit import JointFit
from lenspinn.measure.lens_fit import SYSTEMATIC, _is_at_bound

MOST_SIGMAS = 3.0
MOST_CHI2 = 1.2
# Natural logarithms of the size and brightness of a source in coarse pixels.
SOURCE = 0.15
# Of an image that was rounded to float32.
SAME = 1e-3
# Of a critical curve made of straight pieces, and with shear, of an area of pi theta_E^2.
# Of codes from each other, and twice that: definitions of theta_E differ.
PUBLISHED = 0.1
# The PSF of an image that went through none.
UNBLURRED = np.ones((1, 1))


def test_it_recovers_theta_E_within_its_error(measured: LensMeasurement, scene) -> None:
    assert abs(measured.theta_E - scene.theta_E) < MOST_SIGMAS * measured.theta_E_error
    assert measured.theta_E_error < 0.05 * scene.theta_E


def test_it_explains_the_image_down_to_the_noise(measured: LensMeasurement) -> None:
    assert measured.chi2_per_pixel < MOST_CHI2
    assert measured.trusted, measured.reasons


def test_masked_pixels_are_left_out(measured: LensMeasurement) -> None:
    assert (measured.residual[~np.isfinite(measured.sigma)] == 0).all()
    assert np.abs(measured.residual).max() < 6


def test_no_error_is_smaller_than_what_models_are_wrong_by(measured: LensMeasurement) -> None:
    assert measured.systematic_error == SYSTEMATIC["model"] * measured.theta_E
    assert measured.theta_E_error > measured.systematic_error
    content = measured.to_json()
    assert content["theta_E_statistical_error_arcsec"] == measured.errors["theta_E"]
    assert content["theta_E_systematic_error_arcsec"] == measured.systematic_error


def fit_of(scene, image: np.ndarray, sigma: np.ndarray, **options) -> LensMeasurement:
    return measure_lens(
        image, pixel_scale=scene.pixel_scale, noise=sigma, psf=scene.psf, mask=scene.mask, **options
    )


def test_the_unit_of_an_image_changes_brightness_alone(measured: LensMeasurement, scene) -> None:
    unit = 1e-18
    other = fit_of(scene, (scene.image * unit).astype(">f4"), scene.sigma * unit)
    assert other.theta_E == pytest.approx(measured.theta_E, rel=SAME)
    assert other.chi2_per_pixel == pytest.approx(measured.chi2_per_pixel, rel=0.01)
    assert other.lens_light.max() == pytest.approx(measured.lens_light.max() * unit, rel=0.01)
    brightness = measured.parameters["log_amplitude"] + np.log(unit)
    assert other.parameters["log_amplitude"] == pytest.approx(brightness, abs=0.1)
    assert np.abs(other.residual).max() < 6


def test_a_pedestal_and_pixels_that_are_no_numbers_change_nothing(
    measured: LensMeasurement, scene
) -> None:
    image = scene.image + 500 * np.median(scene.sigma)
    image[27, 27], image[27, 37], image[0, 0] = np.nan, np.inf, np.nan
    other = fit_of(scene, image, scene.sigma)
    assert other.theta_E == pytest.approx(measured.theta_E, rel=0.005)
    assert other.chi2_per_pixel == pytest.approx(measured.chi2_per_pixel, rel=0.05)
    assert other.trusted, other.reasons


def test_noise_that_is_stated_too_large_speaks_against_it(scene) -> None:
    found = fit_of(scene, scene.image, np.where(scene.sigma < 1e8, 3 * scene.sigma, 0.0))
    (reason,) = found.reasons
    assert "times too large" in reason


def test_variances_given_as_noise_speak_against_it(scene) -> None:
    # In a unit in which chi^2 alone would not: the noise of the sky is 1.
    unit = 50.0
    sigma = np.where(scene.sigma < 1e8, (unit * scene.sigma) ** 2, 0.0)
    found = fit_of(scene, unit * scene.image, sigma)
    assert any("as variances do" in reason for reason in found.reasons)
    assert not any("chi^2" in reason for reason in found.reasons)


def test_an_image_whose_psf_is_not_known_is_not_trusted(scene) -> None:
    found = measure_lens(
        scene.image, pixel_scale=scene.pixel_scale, noise=scene.sigma, mask=scene.mask
    )
    assert any("no PSF is known" in reason for reason in found.reasons)


@pytest.mark.parametrize(("value", "there"), [(1.0, True), (-3.99, True), (0.9, False)])
def test_the_size_of_a_source_may_be_at_a_bound(value: float, there: bool) -> None:
    assert _is_at_bound("log_R_sersic", value) == there


def large_lens(num_pix: int) -> tuple[np.ndarray, np.ndarray]:
    """Return image and noise of a dark lens of 5" in pixels of 0.4"."""
    parameters = dict.fromkeys(SMOOTH_PARAMETERS, 0.0)
    parameters |= {"theta_E": 5.0, "e1": 0.1, "source_x": 0.4, "log_R_sersic": -0.5}
    optics = make_optics(num_pix, 0.4, (1.0,), supersampling=2)
    image = smooth_image(torch.tensor([list(parameters.values())]), optics)[0].double().numpy()
    sigma = np.full_like(image, 0.02 * image.max())
    return image + sigma * np.random.default_rng(8).standard_normal(image.shape), sigma


@pytest.mark.parametrize("guess", [None, 4.5])
def test_a_lens_of_a_group_of_galaxies_is_measured(guess: float | None) -> None:
    image, sigma = large_lens(51)
    found = measure_lens(image, pixel_scale=0.4, noise=sigma, psf=UNBLURRED, theta_E_guess=guess)
    assert found.theta_E == pytest.approx(5.0, rel=0.02)
    assert found.light_mode == "none"
    assert found.trusted, found.reasons
    assert found.pixel_scale == pytest.approx(0.4)
    assert found.parameters["log_R_sersic"] == pytest.approx(-0.5, abs=SOURCE)
    assert found.parameters["log_amplitude"] == pytest.approx(0.0, abs=SOURCE)


def test_a_ring_at_the_border_of_the_image_is_not_trusted() -> None:
    image, sigma = large_lens(29)
    found = measure_lens(image, pixel_scale=0.4, noise=sigma)
    assert any("near the border" in reason for reason in found.reasons)


def test_a_ring_outside_of_what_was_fitted_speaks_against_it(scene) -> None:
    found = measure_lens(
        scene.image,
        pixel_scale=scene.pixel_scale,
        noise=scene.sigma,
        psf=scene.psf,
        mask=scene.mask,
        theta_E_guess=0.35,
    )
    assert any("lies outside of what was fitted" in reason for reason in found.reasons)


def test_light_that_no_model_explains_speaks_against_it() -> None:
    rows, columns = np.indices((41, 41)) - 20
    source, companion = (
        50 * np.exp(-0.5 * (np.hypot(rows - 8, columns - aside) / 2) ** 2) for aside in (-8, 8)
    )
    ones = np.ones_like(source)
    frame = Frame(
        image=source + 0.3 * companion,
        sigma=ones,
        pixel_scale=0.1,
        psf=None,
        light=0 * ones,
        arcs=source,
        noise_factor=ones,
        middle=(0.0, 0.0),
    )
    found = JointFit(
        parameters=torch.zeros(1, len(SMOOTH_PARAMETERS)),
        gain=1e4,
        as_good=torch.ones(1, dtype=torch.bool),
        covariance=np.eye(len(SMOOTH_PARAMETERS)),
        chi2_per_pixel=1.0,
        lens_light=0 * ones,
        source_image=source,
    )
    (reason,) = lens_fit._unexplained(frame, found)
    assert "% of the light beside the lens galaxy is no image" in reason
    assert lens_fit._unexplained(dataclasses.replace(frame, image=source), found) == []


def test_an_image_without_arcs_is_not_trusted() -> None:
    noise = np.random.default_rng(3).standard_normal((33, 33))
    found = measure_lens(noise, pixel_scale=0.1, noise=np.ones_like(noise), lens_light="none")
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
    found = measure_lens(image, pixel_scale=0.1, noise=sigma, psf=UNBLURRED)
    assert not found.trusted


GOOD = np.random.default_rng(1).uniform(1, 2, size=(32, 32))


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (GOOD[:8], {}, r"shape \(8, 32\)"),
        (GOOD, {"pixel_scale": 0.0}, "pixel_scale is 0.0"),
        (GOOD, {"noise": GOOD[:-1]}, r"noise map has shape \(31, 32\)"),
        (GOOD, {"mask": np.ones_like(GOOD)}, "0 pixels of the image count"),
        (GOOD, {"noise": GOOD}, "the noise map is the image itself"),
        (GOOD, {"theta_E_guess": 0.0}, "theta_E_guess is 0.0"),
        (GOOD, {"psf": np.diag([2.0] + 14 * [1.0])}, r"peak in pixel \(0, 0\)"),
        (GOOD, {"psf": np.zeros((3, 3))}, "sums to 0"),
    ],
)
def test_input_that_cannot_be_used_is_named(image: np.ndarray, options: dict, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        measure_lens(image, **{"pixel_scale": 0.1} | options)


def test_it_measures_the_jackpot_lens_as_published(shared_data: Path) -> None:
    folder = shared_data / "hst_slacs" / "SDSSJ0946+1006"
    names = {"noise": "noise_map", "psf": "psf", "mask": "mask_extra_galaxies"}
    found = read_fits(folder / "data.fits")
    others = {
        key: read_fits(folder / f"{name}.fits", pixel_scale=0.05).data
        for key, name in names.items()
    }
    measured = measure_lens(found.data, pixel_scale=found.pixel_scale, **others)
    assert measured.theta_E == pytest.approx(1.38, rel=PUBLISHED)


TRUTH = 1.2
# Of the fits of small images of smooth lenses.
CASE = 0.02


def cases_of(shared_data: Path, name: str) -> Path:
    folder = shared_data.parent / "cases" / name
    if not folder.is_dir():
        pytest.skip(f"needs the cases at {folder}")
    return folder


@pytest.mark.parametrize(
    ("case", "image", "noise"),
    [
        ("36-ring-behind", "lens", "noise"),
        ("40-tiny-units", "lens", "noise"),
        ("60-one-nan", "lens", "noise_nan"),
        ("60-one-nan", "lens_inner", None),
        ("61-scale", "lens_-17", "noise_-17"),
        ("61-scale", "lens_12", "noise_12"),
    ],
)
@pytest.mark.slow
def test_a_case_that_was_reported_is_right(
    case: str, image: str, noise: str | None, shared_data: Path
) -> None:
    folder = cases_of(shared_data, case)
    found = measure_lens(
        fits.getdata(folder / f"{image}.fits"),
        pixel_scale=0.05,
        noise=None if noise is None else fits.getdata(folder / f"{noise}.fits"),
        psf=fits.getdata(folder / "psf.fits"),
    )
    assert found.theta_E == pytest.approx(TRUTH, rel=CASE)
    assert found.trusted, found.reasons


@pytest.mark.slow
@pytest.mark.parametrize("guess", [None, 5.0])
def test_a_lens_of_5_arcsec_is_measured(guess: float | None, shared_data: Path) -> None:
    folder = cases_of(shared_data, "30-group-5arcsec")
    image, noise, psf = (fits.getdata(folder / f"{name}.fits") for name in ("lens", "noise", "psf"))
    found = measure_lens(image, pixel_scale=0.2, noise=noise, psf=psf, theta_E_guess=guess)
    assert found.theta_E == pytest.approx(5.0, rel=CASE)
    assert found.trusted, found.reasons
