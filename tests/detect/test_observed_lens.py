import numpy as np
import pytest

from lenspinn.detect.observed_lens import AROUND_ARCS
from lenspinn.errors import ImageError

from .conftest import PIXEL_SCALE, TRUTH, observed


def test_what_is_looked_at_holds_the_arcs(lens):
    assert lens.image.shape[-1] % 2 == 1
    assert lens.image.shape[-1] * PIXEL_SCALE / 2 > 1.5 * TRUTH["theta_E"]
    assert lens.measured.theta_E == pytest.approx(TRUTH["theta_E"], rel=0.01)
    rows, columns = np.nonzero(lens.arcs)
    radius = np.hypot(rows - 27, columns - 27) * PIXEL_SCALE
    assert abs(np.median(radius) - TRUTH["theta_E"]) < 0.15


def test_a_lens_of_no_galaxy_is_refused(image):
    with pytest.raises(ImageError, match="lenses of galaxies alone"):
        observed(image, pixel_scale=4 * PIXEL_SCALE)


def test_faint_arcs_are_refused(image):
    noise = 0.5 * np.random.default_rng(5).standard_normal(image.shape)
    with pytest.raises(ImageError, match="deeper image"):
        observed(image / 30 + noise, sigma=0.5, theta_E_guess=1.0)


def test_clumps_are_looked_for_on_the_arcs_and_around_them(lens):
    assert lens.region[lens.arcs].all()
    assert lens.arcs.sum() < lens.region.sum() < 3 * lens.arcs.sum()
    middle = len(lens.region) // 2
    assert not lens.region[middle, middle]
    assert AROUND_ARCS < 0.5
