import numpy as np
from matplotlib.figure import Figure

from lenspinn.data.map_panels import MOST_SIGMAS, draw_map, draw_residual, extent, stretch


def ring(num_pix: int = 16) -> np.ndarray:
    axis = np.linspace(-1, 1, num_pix)
    return np.exp(-((np.hypot(axis, axis[:, None]) - 0.5) ** 2) / 0.02).astype(np.float32)


def test_a_map_is_drawn_in_arcsec_with_row_0_at_the_bottom() -> None:
    axes = Figure().add_subplot()
    draw_map(axes, np.zeros((4, 8)), 0.5)
    assert tuple(axes.images[0].get_extent()) == extent(np.zeros((4, 8)), 0.5) == (-2, 2, -1, 1)
    assert axes.images[0].origin == "lower"


def test_a_residual_has_its_scale() -> None:
    axes = Figure().add_subplot()
    draw_residual(axes, np.zeros((4, 4)), 0.5)
    assert axes.images[0].get_clim() == (-MOST_SIGMAS, MOST_SIGMAS)
    assert len(axes.figure.axes) == 2


def test_the_stretch_keeps_the_order_of_pixels_and_ignores_their_unit() -> None:
    image = ring()
    stretched = stretch(image)
    order = np.argsort(image, axis=None)
    assert (np.diff(stretched.ravel()[order]) >= 0).all()
    np.testing.assert_allclose(stretch(1000 * image), stretched, atol=1e-4)  # float32


def test_the_stretch_of_a_noisy_image_reaches_down_to_its_noise() -> None:
    image = np.random.default_rng(1).normal(0, 1e-3, (64, 64)).astype(np.float32)
    image[32, 32] = 1
    image[10:20, 10:20] += 0.02  # 20 sigma
    stretched = stretch(image)
    assert np.median(stretched[10:20, 10:20]) > 0.3 * stretched[32, 32]


def test_two_images_can_share_a_stretch() -> None:
    bright, faint = 5 * ring(), ring()
    shared = stretch(faint, like=bright)
    assert shared.max() < stretch(bright).max()
    assert stretch(bright, like=bright).max() == stretch(bright).max()
