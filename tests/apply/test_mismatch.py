from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lenspinn.apply import Mismatch
from lenspinn.apply.mismatch import (
    LENS_LIGHT_ABOVE,
    Measured,
    Observed,
    central_brightness,
    find_mismatches,
    has_lens_light,
    measure,
)
from lenspinn.data.fits import read_fits
from lenspinn.data.info import DatasetInfo
from lenspinn.data.transforms import resample

TRAINED = DatasetInfo(
    num_images=3,
    num_pix=64,
    pixel_scale=0.08,
    classes=("axion", "cdm", "no_sub"),
    recipe="deeplense/model_3",
    instrument="hst_wfc3_f160w",
    unit="e-/s",
    noise_sigma=0.0,
    lens_light=False,
    recipe_config={},
    seed=0,
)
NOISY = replace(TRAINED, noise_sigma=0.01)
WITH_LENS = replace(TRAINED, lens_light=True)


def observed(noise_sigma: float = 0.0, centre: float = 0.1, **changes: Any) -> Observed:
    measured = Measured(noise_sigma=noise_sigma, peak=2.0, central_brightness=centre)
    return Observed(**({"measured": measured, "pixel_scale": 0.08} | changes))


def only(mismatches: tuple[Mismatch, ...]) -> Mismatch:
    (mismatch,) = mismatches
    return mismatch


def test_an_image_like_the_training_images_has_no_mismatch() -> None:
    alike = observed(instrument="HST WFC3/IR F160W", dataset=TRAINED, unit="e-/s")
    assert find_mismatches(alike, TRAINED) == ()


@pytest.mark.parametrize(
    ("pixel_scale", "serious"), [(0.05, True), (0.07, False), (0.09, False), (0.2, True)]
)
def test_resampling_is_named_with_its_factor(pixel_scale: float, serious: bool) -> None:
    found = only(find_mismatches(observed(pixel_scale=pixel_scale), TRAINED))
    assert (found.kind, found.serious) == ("pixel scale", serious)
    assert f"factor {0.08 / pixel_scale:.2f}" in found.message


@pytest.mark.parametrize(("pixel_scale", "serious"), [(0.03, True), (0.04, False), (0.11, True)])
def test_pixels_may_be_finer_for_a_network_that_is_told_noise_and_psf(
    pixel_scale: float, serious: bool
) -> None:
    found = only(find_mismatches(observed(pixel_scale=pixel_scale, told=True), TRAINED))
    assert (found.kind, found.serious) == ("pixel scale", serious)


def test_one_percent_of_pixel_scale_is_no_mismatch() -> None:
    assert find_mismatches(observed(pixel_scale=0.0808), TRAINED) == ()


def test_an_assumed_pixel_scale_is_said() -> None:
    found = only(find_mismatches(observed(scale_assumed=True), TRAINED))
    assert found.kind == "pixel scale"
    assert not found.serious
    assert "--pixel_scale" in found.message


def test_noise_that_training_never_had_is_serious() -> None:
    found = only(find_mismatches(observed(noise_sigma=0.004), TRAINED))
    assert (found.kind, found.serious) == ("noise", True)
    assert "0.20% of the peak" in found.message


def test_no_noise_where_training_had_it_is_serious() -> None:
    found = only(find_mismatches(observed(noise_sigma=0.0), NOISY))
    assert (found.kind, found.serious) == ("noise", True)


@pytest.mark.parametrize(
    ("noise_sigma", "serious"), [(0.001, True), (0.004, False), (0.03, False), (0.05, True)]
)
def test_another_noise_level_is_named(noise_sigma: float, serious: bool) -> None:
    found = only(find_mismatches(observed(noise_sigma=noise_sigma, unit="ELECTRONS/S"), NOISY))
    assert (found.kind, found.serious) == ("noise", serious)
    assert f"{noise_sigma:.3g} e-/s a pixel; the training images have 0.01" in found.message


@pytest.mark.parametrize("unit", ["e-/s", "electron/s", "ELECTRONS/S", "electron s-1"])
def test_the_same_noise_in_any_spelling_of_the_unit_is_no_mismatch(unit: str) -> None:
    assert find_mismatches(observed(noise_sigma=0.015, unit=unit), NOISY) == ()


@pytest.mark.parametrize("unit", [None, "MJy/sr"])
def test_noise_in_another_unit_cannot_be_compared(unit: str | None) -> None:
    found = only(find_mismatches(observed(noise_sigma=0.01, unit=unit), NOISY))
    assert not found.serious
    assert "cannot be compared" in found.message


def test_a_bright_centre_is_named_as_lens_light() -> None:
    found = only(find_mismatches(observed(centre=0.9), TRAINED))
    assert (found.kind, found.serious) == ("lens light", True)
    assert "the centre is 90% as bright" in found.message


def test_a_dark_centre_where_training_had_lens_light_is_named() -> None:
    found = only(find_mismatches(observed(centre=0.1), WITH_LENS))
    assert (found.kind, found.serious) == ("lens light", True)


def test_what_a_dataset_says_of_its_lens_light_counts_more_than_its_centre() -> None:
    assert find_mismatches(observed(centre=0.9, lens_light=False), TRAINED) == ()


def test_many_pixels_at_the_highest_value_are_saturation() -> None:
    found = only(find_mismatches(observed(num_at_peak=12), TRAINED))
    assert (found.kind, found.serious) == ("saturation", True)
    assert "12 pixels share the highest value" in found.message


@pytest.mark.parametrize("told", [False, True])
def test_another_instrument_is_named(told: bool) -> None:
    found = only(find_mismatches(observed(instrument="HST ACS/WFC F814W", told=told), TRAINED))
    assert (found.kind, found.serious) == ("instrument", not told)


def test_an_unknown_instrument_is_no_mismatch() -> None:
    assert find_mismatches(observed(instrument="unknown"), TRAINED) == ()
    named = observed(instrument="HST ACS/WFC F814W")
    assert find_mismatches(named, replace(TRAINED, instrument="unknown")) == ()


def test_another_recipe_is_named() -> None:
    other = replace(TRAINED, recipe="survey/hst")
    found = only(find_mismatches(observed(dataset=other), TRAINED))
    assert (found.kind, found.serious) == ("recipe", True)


def test_measures_are_medians_over_images() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, (3, 1, 64, 64))
    images = torch.tensor(noise, dtype=torch.float32)
    images[0, 0, 5, 5], images[1, 0, 5, 5], images[2, 0, 5, 5] = 1, 2, 9
    measured = measure(images, 0.08)
    assert measured.peak == 2
    # background_sigma is good to 4 % (one sigma) for an image of this size.
    assert measured.noise_sigma == pytest.approx(0.01, rel=0.12)


def test_a_bright_centre_is_as_bright_as_the_brightest_pixels() -> None:
    images = torch.full((1, 1, 64, 64), 3.0)
    images[0, 0, 28:36, 28:36] = 5.0  # the disc of 0.2 arcsec lies inside
    assert central_brightness(images, 0.08).item() == 1


def test_central_brightness_counts_from_the_faint_level() -> None:
    images = torch.full((1, 1, 64, 64), 3.0)
    images[0, 0, 28:36, 28:36] = 4.0
    images[0, 0, :8, :8] = 7.0
    assert central_brightness(images, 0.08).item() == 0.25


@pytest.mark.parametrize("scale", [0.05, 0.08, 0.101])
@pytest.mark.parametrize(
    "file",
    [
        "hst_slacs/SDSSJ0946+1006/data.fits",
        "hst_slacs/SDSSJ0029-0055/data.fits",
        "jwst_cowls/COSJ100024+015334/F277W_data.fits",
        "jwst_cowls/COSJ100018+022138/F115W_data.fits",
        "euclid_q1/102020532_NEG589257492489565961/VIS_data.fits",
        "euclid_q1/102018665_NEG570040238507752998/NIR_H_data.fits",
    ],
)
def test_lens_galaxies_in_real_images_are_seen(file: str, scale: float, shared_data: Path) -> None:
    image = read_fits(shared_data / file)
    seen = resample(torch.from_numpy(image.data)[None, None], image.pixel_scale, scale, 48)
    assert central_brightness(seen, scale).item() > LENS_LIGHT_ABOVE


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("model_I", 0.05),
        ("model_I_varied_mass", 0.05),
        ("model_II", 0.101),
        ("model_II_varied_mass", 0.101),
        ("model_III", 0.08),
        ("model_III_varied_mass", 0.08),
    ],
)
def test_no_lens_galaxy_is_seen_in_simulated_images_without_one(
    name: str, scale: float, shared_data: Path
) -> None:
    with np.load(shared_data / "deeplensesim" / f"{name}.npz") as arrays:
        images = torch.from_numpy(arrays["images"].astype(np.float32))[:, None]
    assert central_brightness(images, scale).max().item() < LENS_LIGHT_ABOVE


def test_noise_that_the_model_is_told_may_be_any() -> None:
    told = observed(noise_sigma=0.5, unit="e-/s", told=True)
    assert find_mismatches(told, NOISY) == ()


def test_lens_light_that_was_taken_away_is_not_looked_for() -> None:
    bright = observed(centre=0.9)
    assert has_lens_light(bright.measured)
    assert only(find_mismatches(bright, TRAINED)).kind == "lens light"
    assert find_mismatches(replace(bright, light_taken_away=True), TRAINED) == ()


@pytest.mark.parametrize(
    ("lens", "words"),
    [
        ({"gamma": None, "multipoles": None}, "another density slope or multipoles"),
        ({"gamma": {"normal": [2.0, 0.16]}, "multipoles": None}, "has multipoles"),
    ],
)
def test_a_telescope_image_has_a_lens_that_training_never_varied(lens: dict, words: str) -> None:
    trained = replace(TRAINED, recipe_config={"lens": lens})
    found = only(find_mismatches(observed(told=True), trained))
    assert (found.kind, found.serious) == ("lens model", True)
    assert words in found.message
    assert find_mismatches(observed(), trained) == ()  # an image like those of training


def test_a_training_with_lenses_as_real_ones_is_fine() -> None:
    lens = {"gamma": {"normal": [2.0, 0.16]}, "multipoles": {"a3": {"normal": [0.0, 0.01]}}}
    trained = replace(TRAINED, recipe_config={"lens": lens})
    assert find_mismatches(observed(told=True), trained) == ()
