import numpy as np
import pytest

from lenspinn.lensing import pixel_grid, sersic
from lenspinn.measure.mass_and_light import ELLIPTICITY_ERROR, MOST, LensPrior

SIDE, SCALE = 121, 0.05
# Of e1 and e2, small beside the scatter between mass and light.
ELLIPTICITY = 0.015


def galaxy(e1: float, e2: float, R_sersic: float = 0.6) -> np.ndarray:
    x, y = pixel_grid(SIDE, SCALE)
    return sersic(
        x,
        y,
        amplitude=1.0,
        R_sersic=R_sersic,
        n_sersic=2.0,
        e1=e1,
        e2=e2,
        center_x=0.0,
        center_y=0.0,
    ).numpy()


@pytest.mark.parametrize(("e1", "e2"), [(0.0, 0.0), (0.2, -0.1), (0.0, 0.35)])
def test_a_lens_is_expected_to_be_as_its_light(e1: float, e2: float) -> None:
    prior = LensPrior.of_light(galaxy(e1, e2), radius=1.0, pixel_scale=SCALE)
    assert (prior.e1, prior.e2) == pytest.approx((e1, e2), abs=ELLIPTICITY)
    assert prior.ellipticity == ELLIPTICITY_ERROR
    assert prior.centre < SCALE


def test_the_ellipticity_is_that_at_the_radius() -> None:
    bulge_and_disc = 100 * galaxy(0.0, 0.0, R_sersic=0.1) + galaxy(0.4, 0.0, R_sersic=2.0)
    near, far = (LensPrior.of_light(bulge_and_disc, r, SCALE).e1 for r in (0.15, 1.0))
    assert near < far - 0.1
    assert far <= MOST


def test_no_light_says_nothing() -> None:
    prior = LensPrior.of_light(np.zeros((SIDE, SIDE)), radius=1.0, pixel_scale=SCALE)
    assert (prior.e1, prior.e2) == (0.0, 0.0)
    unseen = LensPrior.of_nothing(centre=0.3)
    assert unseen.centre == 0.3
    assert unseen.ellipticity > prior.ellipticity
