from dataclasses import replace

import numpy as np
import pytest
import torch

from lenspinn.fitting import SMOOTH_PARAMETERS, make_optics, smooth_image
from lenspinn.measure.frame import Frame
from lenspinn.measure.joint_fit import ASIDE, OFFSETS, RADII, fit_source, starts_around
from lenspinn.measure.lens_light import LensLight, only_sky
from lenspinn.measure.mass_and_light import LensPrior

SIDE, SCALE, SIGMA = 31, 0.1, 0.01
TRUTH = {"theta_E": 0.9, "source_x": 0.1, "gamma1": 0.05, "log_R_sersic": -1.6, "log_amplitude": 3}
# Arcsec, one sigma of a centre that light shows, and of one that it does not.
SURE, UNSURE = LensPrior.of_nothing(0.1), LensPrior.of_nothing(0.25)
# Arcsec, of a fit to an image with little noise.
ERROR = 0.005


def lensed(truth: dict[str, float]) -> Frame:
    values = torch.tensor([[float(truth.get(name, 0)) for name in SMOOTH_PARAMETERS]])
    image = smooth_image(values, make_optics(SIDE, SCALE, (1.0,)))[0].double().numpy()
    image += SIGMA * np.random.default_rng(4).standard_normal(image.shape)
    return Frame(
        image=image,
        sigma=np.full_like(image, SIGMA),
        pixel_scale=SCALE,
        psf=None,
        light=np.zeros_like(image),
        arcs=np.zeros_like(image),
        noise_factor=np.ones_like(image),
        middle=(0.0, 0.0),
    )


@pytest.fixture(scope="module")
def frame() -> Frame:
    return lensed(TRUTH)


def sky_of(frame: Frame) -> LensLight:
    return only_sky(frame.image, frame.sigma)


def test_starts_surround_the_guess(frame: Frame) -> None:
    starts = starts_around(frame, sky_of(frame), 0.9, SURE)
    assert len(starts) == len(RADII) * len(OFFSETS)
    assert starts[:, 0].min() < 0.9 < starts[:, 0].max()


def test_the_best_fit_comes_first_and_is_right(frame: Frame) -> None:
    found = fit_source(
        frame,
        sky_of(frame),
        starts_around(frame, sky_of(frame), 0.85, SURE),
        SURE,
    )
    assert found.theta_E == pytest.approx(TRUTH["theta_E"], abs=ERROR)
    assert found.as_good[0]
    assert found.gain > 1000


def test_a_lens_without_shear_has_none(frame: Frame) -> None:
    starts = starts_around(frame, sky_of(frame), 0.9, SURE)[:1]
    found = fit_source(frame, sky_of(frame), starts, SURE, shear=False)
    assert abs(float(found.parameters[0, SMOOTH_PARAMETERS.index("gamma1")])) < 0.01


def test_fits_start_beside_the_middle_where_no_light_shows_the_centre(frame: Frame) -> None:
    starts = starts_around(frame, sky_of(frame), 0.9, UNSURE)
    assert len(starts) == len(RADII) * (len(OFFSETS) + len(ASIDE))
    x = starts[:, SMOOTH_PARAMETERS.index("center_x")]
    assert x.min() == pytest.approx(-UNSURE.centre)
    assert x.max() == pytest.approx(UNSURE.centre)


def test_a_lens_beside_the_middle_is_found_where_it_is() -> None:
    frame = lensed(TRUTH | {"center_x": 0.35, "center_y": -0.2, "source_x": 0.45})
    sky = sky_of(frame)
    starts = starts_around(frame, sky, 0.9, UNSURE)
    found = fit_source(frame, sky, starts, UNSURE)
    assert found.theta_E == pytest.approx(TRUTH["theta_E"], abs=2 * ERROR)
    assert float(found.parameters[0, SMOOTH_PARAMETERS.index("center_x")]) == pytest.approx(
        0.35, abs=2 * ERROR
    )


def test_a_lens_is_as_its_light_where_the_arcs_say_little(frame: Frame) -> None:
    starts = starts_around(frame, sky_of(frame), 0.9, SURE)[:1]
    flat = SURE._replace(e1=0.2, ellipticity=0.05)
    seen, unseen = (
        fit_source(dim, sky_of(frame), starts, flat)
        for dim in (frame, replace(frame, noise_factor=np.full_like(frame.image, 300.0)))
    )
    place = SMOOTH_PARAMETERS.index("e1")
    assert abs(float(seen.parameters[0, place])) < 0.02
    assert float(unseen.parameters[0, place]) == pytest.approx(0.2, abs=0.05)
