import numpy as np
import pytest

from lenspinn.measure import ring_radius
from lenspinn.measure.ring import other_rings, rival_ring

SIDE, SCALE, RADIUS = 61, 0.1, 1.83
# Of a pixel.
ERROR = 0.5


def ring(at: float = RADIUS) -> np.ndarray:
    y, x = (np.indices((SIDE, SIDE)) - SIDE // 2) * SCALE
    return np.exp(-0.5 * ((np.hypot(x, y) - at) / 0.15) ** 2)


def rival(image: np.ndarray) -> float | None:
    return rival_ring(image, np.ones((SIDE, SIDE)), SCALE, inner=0.4, field=1.2)


def radius(image: np.ndarray, sigma: np.ndarray) -> float:
    return ring_radius(image, sigma, SCALE, inner=0.4, outer=3.0)


def test_the_radius_of_a_ring_is_found() -> None:
    assert radius(ring(), np.ones((SIDE, SIDE))) == pytest.approx(RADIUS, abs=ERROR * SCALE)


def test_a_bright_neighbour_is_no_ring() -> None:
    image = ring()
    image[28:33, 55:60] += 1000.0
    assert radius(image, np.ones((SIDE, SIDE))) == pytest.approx(RADIUS, abs=ERROR * SCALE)


def test_pixels_left_out_do_not_count() -> None:
    image, sigma = ring(), np.ones((SIDE, SIDE))
    image[:, 33:42] = 1e3
    sigma[:, 33:42] = np.inf
    assert radius(image, sigma) == pytest.approx(RADIUS, abs=ERROR * SCALE)


def test_a_ring_outside_of_the_field_that_is_as_bright_is_a_rival() -> None:
    assert rival(ring(0.6) + ring()) == pytest.approx(RADIUS, abs=ERROR * SCALE)


def test_a_ring_outside_of_the_field_that_is_much_fainter_is_none() -> None:
    assert rival(3 * ring(0.6) + 0.1 * ring()) is None


def test_what_noise_makes_of_a_circle_is_no_rival() -> None:
    assert rival(0.1 * ring(0.6) + 0.1 * ring()) is None


def test_a_field_as_large_as_the_image_leaves_no_room_for_a_rival() -> None:
    assert rival_ring(ring(), np.ones((SIDE, SIDE)), SCALE, inner=0.4, field=3.5) is None


def others(image: np.ndarray) -> tuple[float, ...]:
    return other_rings(image, np.ones((SIDE, SIDE)), SCALE, inner=0.4, outer=3.0)


def test_a_fainter_circle_could_be_the_ring_too() -> None:
    (other,) = others(ring() + 0.5 * ring(0.9))
    assert other == pytest.approx(0.9, abs=ERROR * SCALE)


def test_a_circle_near_to_the_ring_is_the_same_one() -> None:
    assert others(ring() + 0.8 * ring(2.2)) == ()


def test_noise_is_no_other_ring() -> None:
    noise = np.random.default_rng(6).standard_normal((SIDE, SIDE))
    assert others(3 * ring() + 0.1 * noise) == ()
