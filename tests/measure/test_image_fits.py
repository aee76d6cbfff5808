import dataclasses
from unittest.mock import Mock

import numpy as np
import pytest

from lenspinn.measure import LensMeasurement, image_fits
from lenspinn.measure.arcs import Arcs, find_arcs
from lenspinn.measure.image_fits import FittedLens, ImageFits

PIXELS, KERNEL = np.ones((9, 9)), np.ones((3, 3))


@pytest.fixture
def asked(measured: LensMeasurement, monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """What fits are made with; they are not run."""
    given: list[dict] = []
    monkeypatch.setattr(image_fits, "find_arcs", lambda _, **options: given.append(options))
    monkeypatch.setattr(
        image_fits, "fit_rings", lambda _: Mock(spec=FittedLens, measurement=measured)
    )
    return given


def test_a_fit_is_made_once(asked: list[dict]) -> None:
    fits = ImageFits(PIXELS, pixel_scale=0.05, psf=KERNEL)
    first = fits.fitted()
    assert fits.fitted() is first
    assert len(asked) == 1


def test_what_is_asked_for_otherwise_is_another_fit(asked: list[dict]) -> None:
    fits = ImageFits(PIXELS, pixel_scale=0.05)
    others: list[dict] = [{}, {"psf": KERNEL}, {"theta_E_guess": 1.0}, {"lens_light": "mask"}]
    found = [fits.fitted(**other) for other in others]
    assert len({id(each) for each in found}) == len(others) == len(asked)


def test_a_psf_that_is_known_goes_before_one_that_is_assumed(asked: list[dict]) -> None:
    ImageFits(PIXELS, pixel_scale=0.05, psf=KERNEL).fitted(psf=2 * KERNEL)
    assert asked[0]["psf"] is KERNEL


@pytest.fixture(scope="module")
def arcs(scene) -> Arcs:
    found = find_arcs(
        scene.image,
        pixel_scale=scene.pixel_scale,
        noise=scene.sigma,
        psf=scene.psf,
        mask=scene.mask,
        theta_E_guess=None,
        lens_light=None,
    )
    return dataclasses.replace(found, others=(2.0, 0.5, 3.0))


def test_other_rings_are_tried_where_the_first_is_not_trusted(
    monkeypatch, measured: LensMeasurement, arcs: Arcs
) -> None:
    doubtful = dataclasses.replace(measured, reasons=("too faint", "near the border"))
    worse = dataclasses.replace(measured, reasons=("a", "b", "c"))
    fits, tried = iter([doubtful, worse, measured]), []

    def fit(arcs: Arcs) -> LensMeasurement:
        tried.append(arcs.guess)
        return next(fits)

    monkeypatch.setattr(image_fits, "fit_arcs", fit)
    assert image_fits.fit_rings(arcs).measured is measured
    assert tried == [arcs.guess, 2.0, 0.5]


def test_what_speaks_against_an_image_speaks_against_every_fit_of_it(
    monkeypatch, measured: LensMeasurement, arcs: Arcs
) -> None:
    monkeypatch.setattr(image_fits, "fit_arcs", lambda arcs: measured)
    doubtful = dataclasses.replace(arcs, doubts=("variances",))
    assert image_fits.fit_rings(doubtful).measured.reasons == (*measured.reasons, "variances")
