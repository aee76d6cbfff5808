from dataclasses import replace

import numpy as np
import pytest
from coolest.api.profiles.light import Sersic

from lenspinn.measure import LensMeasurement
from lenspinn.measure.coolest_parts import from_y_axis, light_profiles, positive_light

# Of the brightest pixel: what lens light loses where none of its Gaussians may be negative.
POSITIVE = 1e-3


def test_each_gaussian_of_the_lens_light_is_a_sersic_profile_of_coolest(
    measured: LensMeasurement,
) -> None:
    y, x = (np.indices(measured.image.shape) - len(measured.image) // 2) * measured.pixel_scale
    galaxy = positive_light(measured)
    profiles = [
        {name: value for name, (value, _) in each.items()} for each in light_profiles(galaxy)
    ]
    assert len(profiles) > 2
    found = sum(Sersic().evaluate_surface_brightness(x, y, **each) for each in profiles)
    expected = np.zeros_like(x)
    for group in galaxy.groups:
        dx, dy = x - galaxy.center_x, y - galaxy.center_y
        size = np.hypot(group.e1, group.e2)
        q, phi = (1 - size) / (1 + size), 0.5 * np.arctan2(group.e2, group.e1)
        along = dx * np.cos(phi) + dy * np.sin(phi)
        across = dy * np.cos(phi) - dx * np.sin(phi)
        squared = q * along**2 + across**2 / q
        for sigma, flux in zip(group.sigma, group.flux, strict=True):
            expected += flux / (2 * np.pi * sigma**2) * np.exp(-squared / (2 * sigma**2))
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert galaxy.misfit < POSITIVE


@pytest.mark.parametrize(
    ("from_x", "from_y"),
    [(0.0, 90), (90.0, 0), (-90.0, 0), (45.0, -45), (-45.0, 45), (180.0, 90), (100.0, 10)],
)
def test_angles_are_counter_clockwise_from_the_y_axis(from_x: float, from_y: float) -> None:
    assert from_y_axis(from_x) == pytest.approx(from_y)


def test_light_that_was_not_modelled_has_no_profiles(measured: LensMeasurement) -> None:
    assert positive_light(replace(measured, light_shape=None, light_mode="none")) is None
