import numpy as np
import pytest

from lenspinn.errors import ImageError
from lenspinn.measure.frame import Frame, cut_frame, light_peak

SCALE = 0.1


def image(row: int, column: int) -> np.ndarray:
    y, x = np.indices((60, 70))
    return np.exp(-0.5 * ((y - row) ** 2 + (x - column) ** 2) / 3**2)


def frame(row: int = 30, column: int = 40, *, lens_light: bool = True) -> Frame:
    pixels = image(row, column)
    centre = (row, column) if lens_light else None
    return cut_frame(
        pixels, np.ones_like(pixels), SCALE, None, centre=centre, radius=2.0, lit=lens_light
    )


def test_the_peak_of_the_light_is_found() -> None:
    assert light_peak(image(25, 41), np.ones((60, 70))) == (25, 41)


def test_pixels_that_are_left_out_do_not_move_the_peak() -> None:
    sigma = np.ones((60, 70))
    sigma[25, 41] = np.inf
    sigma[20:23, 30:33] = np.inf
    assert light_peak(image(25, 41), sigma) == (25, 41)


def test_the_peak_is_looked_for_within_so_many_pixels() -> None:
    two = image(30, 35) + 2 * image(30, 48)
    assert light_peak(two, np.ones((60, 70))) == (30, 48)
    assert light_peak(two, np.ones((60, 70)), within=6) == (30, 35)


def test_a_pedestal_is_no_light_of_the_lens() -> None:
    pixels = image(30, 40)
    cuts = [
        cut_frame(sky, np.ones_like(sky), SCALE, None, centre=(30, 40), radius=2.0, lit=True)
        for sky in (pixels, pixels + 1000)
    ]
    assert cuts[1].weighted_sigma == pytest.approx(cuts[0].weighted_sigma)


def test_the_lens_is_in_the_middle_of_its_frame() -> None:
    cut = frame(25, 41).image
    assert cut.shape == (41, 41)
    assert cut.argmax() == 20 * 41 + 20


def test_without_lens_light_the_middle_of_the_image_is_that_of_the_frame() -> None:
    cut = frame(30, 40, lens_light=False).image
    assert np.unravel_index(cut.argmax(), cut.shape) == (20, 25)


def test_without_lens_light_the_noise_counts_alone() -> None:
    assert (frame(lens_light=False).weighted_sigma == 1).all()
    assert frame().weighted_sigma[20, 20] > 1


def test_a_narrower_frame_leaves_out_its_corners() -> None:
    small = frame().narrowed(1.5)
    assert small.image.shape == (31, 31)
    assert np.isinf(small.sigma[0, 0])
    assert np.isfinite(small.sigma[15, 0])


def test_a_lens_at_the_border_is_refused() -> None:
    pixels = image(30, 8)[:, :30]
    with pytest.raises(ImageError, match="8 pixels from the border"):
        cut_frame(pixels, np.ones_like(pixels), SCALE, None, centre=(30, 8), radius=2.0, lit=True)


def test_a_frame_knows_where_it_lies_in_the_image() -> None:
    # The centre of 60 x 70 pixels lies at row 29.5, column 34.5.
    assert frame(25, 41).middle == pytest.approx((0.65, -0.45))


def test_what_lies_beyond_the_border_is_left_out() -> None:
    wide = frame(25, 41).covering(2.5)
    assert wide.image.shape == (51, 51)
    assert wide.image.argmax() == 25 * 51 + 25
    assert np.isinf(wide.sigma[:5]).all()
    assert np.isfinite(wide.sigma[5:-5, 5:-5]).all()
    assert frame().covering(1.0).image.shape == frame().image.shape


def test_a_dark_lens_beside_the_middle_costs_no_pixels() -> None:
    pixels = image(20, 35)
    noise = np.ones_like(pixels)
    cut = cut_frame(pixels, noise, SCALE, None, centre=(20, 35), radius=9.0, lit=False)
    assert np.isfinite(cut.sigma).sum() == pixels.size
    assert cut.image.shape == (79, 79)  # as far as the border at row 59
    assert np.unravel_index(cut.image.argmax(), cut.image.shape) == (39, 39)


def test_light_can_be_taken_away_without_its_noise() -> None:
    whole = frame()
    left = whole.minus(whole.image)
    assert (left.image == 0).all()
    assert (left.weighted_sigma == whole.weighted_sigma).all()
