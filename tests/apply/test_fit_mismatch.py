import dataclasses

import pytest
import torch

from lenspinn.apply.fit_mismatch import fit_mismatches
from lenspinn.apply.prepare import Prepared
from lenspinn.measure import LensMeasurement
from lenspinn.models import NetworkInput


@pytest.fixture
def fine(measured: LensMeasurement) -> Prepared:
    """An image that nothing speaks against."""
    return Prepared(
        observed=NetworkInput(torch.zeros(1, 1, 8, 8)),
        measured=dataclasses.replace(measured, reasons=()),
        middle=(0.0, 0.0),
        light=None,
        light_mode="none",
        noise_from="the noise map",
        psf_from="the file",
        psf_assumed=False,
        sharpness=0.7,
        training_sharpness=0.79,
        scatter=1.0,
        left_out=0.0,
        factor=1.0,
    )


def test_nothing_speaks_against_an_image_like_those_of_training(fine: Prepared) -> None:
    assert fit_mismatches(fine, 1.02) == ()


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"light_mode": "model"}, "lens light", "modelled and subtracted"),
        ({"light_mode": "mask"}, "lens light", "masked"),
        ({"psf_assumed": True}, "PSF", "give it with --psf"),
        ({"sharpness": 0.29}, "PSF", "29% of its light, in the training images 79%"),
        ({"scatter": 0.33}, "noise", "scatters by 0.33 of the noise (the noise map)"),
        ({"scatter": 1.6}, "noise", "scatters by 1.60"),
        ({"left_out": 0.34}, "pixels left out", "34% of the pixels"),
    ],
)
def test_each_thing_outside_of_training_is_one_serious_sentence(
    fine: Prepared, change: dict, kind: str, words: str
) -> None:
    (found,) = fit_mismatches(dataclasses.replace(fine, **change), 1.0)
    assert found.kind == kind
    assert found.serious
    assert words in found.message


def test_lens_light_that_is_free_in_the_fit_is_said_to_be(fine: Prepared) -> None:
    known = fine.observed._replace(lens_light=torch.zeros(1, 6))
    lit = dataclasses.replace(fine, observed=known, light_mode="model")
    (found,) = fit_mismatches(lit, 1.0)
    assert found.serious
    assert "amplitudes free in the fit" in found.message
    (found,) = fit_mismatches(dataclasses.replace(fine, light_mode="mask"), 1.0)
    assert "never had any" in found.message


def test_a_psf_that_is_a_little_wider_is_named_but_not_serious(fine: Prepared) -> None:
    (found,) = fit_mismatches(dataclasses.replace(fine, sharpness=0.6), 1.0)
    assert (found.kind, found.serious) == ("PSF", False)


def test_more_than_noise_in_the_residual_is_no_evidence_of_substructure(fine: Prepared) -> None:
    (found,) = fit_mismatches(fine, 2.5)
    assert found.kind == "residual"
    assert found.serious
    assert "any source that its model cannot be" in found.message


def test_less_than_noise_in_the_residual_means_that_the_noise_is_wrong(fine: Prepared) -> None:
    (found,) = fit_mismatches(fine, 0.08)
    assert (found.kind, found.serious) == ("residual", True)
    assert "is 0.08, below 1" in found.message


def test_what_the_lens_fit_says_against_itself_is_passed_on(fine: Prepared) -> None:
    doubtful = dataclasses.replace(fine.measured, reasons=("too faint", "far from the ring"))
    (found,) = fit_mismatches(dataclasses.replace(fine, measured=doubtful), 1.0)
    assert (found.kind, found.message) == ("lens fit", "too faint; far from the ring")
