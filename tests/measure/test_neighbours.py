import numpy as np

from lenspinn.measure.neighbours import neighbours

SIDE = 81


def radius(row: float, column: float) -> np.ndarray:
    y, x = np.indices((SIDE, SIDE)) - SIDE // 2
    return np.hypot(y - row, x - column)


def blob(row: float, column: float, size: float) -> np.ndarray:
    return 30 * np.exp(-0.5 * (radius(row, column) / size) ** 2)


def test_light_that_is_brightest_far_off_is_a_neighbours() -> None:
    found = neighbours(blob(0, 15, 2) + blob(0, 34, 2), radius(0, 0) > 24)
    assert found[SIDE // 2, SIDE // 2 + 34]
    assert not found[SIDE // 2, SIDE // 2 + 15]


def test_an_arc_that_reaches_far_out_is_kept_whole() -> None:
    arc = blob(0, 20, 5)
    far = radius(0, 0) > 24
    assert (arc[far] > 3).any()
    assert not neighbours(arc, far).any()


def test_faint_light_is_kept() -> None:
    assert not neighbours(blob(0, 34, 2) / 30, radius(0, 0) > 24).any()


def test_nothing_is_found_in_an_image_of_one_brightness() -> None:
    assert not neighbours(np.zeros((SIDE, SIDE)), radius(0, 0) > 24).any()
