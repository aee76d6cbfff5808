import numpy as np
import pytest
import torch

from lenspinn.explain import (
    find_peaks,
    gradient_map,
    heaviest_clump,
    localization_score,
    significance_map,
)
from lenspinn.models import Classifier

ROUNDING = 1e-12
SCALE = 0.08  # arcsec
PSF = 0.16  # arcsec
MOMENTS = 0.1  # of 20,000 pixels correlated over a few


def noise(num: int = 5, num_pix: int = 64) -> np.ndarray:
    return np.random.default_rng(2).normal(size=(num, num_pix, num_pix))


def test_the_significance_of_white_noise_has_mean_0_and_variance_1_up_to_the_border() -> None:
    found = significance_map(noise(), SCALE, fwhm=PSF)
    assert found.mean() == pytest.approx(0, abs=MOMENTS)
    assert found.std() == pytest.approx(1, abs=MOMENTS)
    assert significance_map(noise(200), SCALE, fwhm=PSF)[:, 0].std() == pytest.approx(
        1, abs=MOMENTS
    )


def test_a_shifted_arc_peaks_half_way_between_its_two_lobes() -> None:
    residual = noise()
    residual[:, 40, 19:21] += 12
    residual[:, 40, 22:24] -= 12
    peaks = find_peaks(significance_map(residual, SCALE, fwhm=0.32), SCALE)
    x, y = (21 - 31.5) * SCALE, (40 - 31.5) * SCALE
    assert peaks.distance(np.full(5, x), np.full(5, y)).max() <= SCALE
    assert (peaks.height > 5).all()


def test_the_peak_of_a_single_bright_pixel_is_its_centre() -> None:
    maps = np.zeros((2, 4, 6))
    maps[0, 3, 0] = 2.0
    maps[1, 1, 5] = 3.0
    peaks = find_peaks(maps, 0.5)
    np.testing.assert_allclose(peaks.x, [-1.25, 1.25])
    np.testing.assert_allclose(peaks.y, [0.75, -0.25])
    np.testing.assert_array_equal(peaks.height, [2.0, 3.0])


def test_the_heaviest_clump_is_found_among_empty_places() -> None:
    mass = np.array([[1e8, 1e10, np.nan], [0.0, 0.0, np.nan]])
    x = np.array([[0.1, 0.2, np.nan], [0.0, 0.0, np.nan]])
    found_x, found_y, found_mass = heaviest_clump(x, -x, mass)
    np.testing.assert_array_equal(found_mass, [1e10, 0.0])
    np.testing.assert_array_equal(found_x, [0.2, np.nan])
    np.testing.assert_array_equal(found_y, [-0.2, np.nan])


def test_the_score_is_the_share_within_the_radius_among_those_that_count() -> None:
    distance = np.array([0.1, 0.2, 0.3, 0.05, np.nan])
    score = localization_score(distance, np.array([True, True, True, False, False]))
    assert (score["n"], score["found"]) == (3, pytest.approx(2 / 3))
    assert score["median_distance_arcsec"] == 0.2
    # Wilson (1927) for 2 of 3 at 95 %, by hand.
    assert score["found_low"] == pytest.approx(0.2077, abs=1e-4)
    assert score["found_high"] == pytest.approx(0.9385, abs=1e-4)


def test_without_images_that_count_there_is_no_score() -> None:
    score = localization_score(np.array([0.1]), np.array([False]))
    assert score["n"] == 0
    assert score["found"] is None


def test_the_gradient_of_a_network_that_takes_the_mean_is_the_same_everywhere(
    mean_classifier: Classifier,
) -> None:
    images = torch.rand(2, 1, 8, 8)
    found = gradient_map(mean_classifier.eval(), images, fwhm=0.1, target=torch.tensor([0, 1]))
    np.testing.assert_allclose(found, 1 / 64, atol=1e-8)


def test_the_gradient_peaks_at_the_only_pixel_that_matters(mean_classifier: Classifier) -> None:
    class OnePixel(torch.nn.Module):
        def forward(self, maps: torch.Tensor) -> torch.Tensor:
            return maps[:, :, 6, 1]

    mean_classifier.mean = OnePixel()
    found = gradient_map(mean_classifier.eval(), torch.rand(1, 1, 8, 8), fwhm=1.0)
    peaks = find_peaks(found, 0.5)
    assert (peaks.x[0], peaks.y[0]) == (-1.25, 1.25)
