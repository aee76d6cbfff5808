from pathlib import Path

import numpy as np
import pytest

from lenspinn.data import read_fits
from lenspinn.measure.lens_galaxy import find_lens_galaxy

SIDE, SCALE = 65, 0.08


def blob(x0: float, y0: float, width: float) -> np.ndarray:
    y, x = (np.indices((SIDE, SIDE)) - SIDE // 2) * SCALE
    return np.exp(-0.5 * ((x - x0) ** 2 + (y - y0) ** 2) / width**2)


def ring(radius: float, x0: float = 0.0) -> np.ndarray:
    y, x = (np.indices((SIDE, SIDE)) - SIDE // 2) * SCALE
    return np.exp(-0.5 * ((np.hypot(x - x0, y) - radius) / 0.1) ** 2)


def found(image: np.ndarray) -> tuple[int, int] | None:
    image = 50 * image + np.random.default_rng(6).standard_normal(image.shape)
    return find_lens_galaxy(image, np.ones_like(image), SCALE)


ARCS = blob(1.0, 0.2, 0.12) + 0.5 * blob(-0.7, -0.1, 0.1)


@pytest.mark.parametrize(
    "image",
    [ring(1.0), ring(0.5), ARCS, 0.05 * ARCS, ring(0.9, 0.4)],
    ids=["ring", "small ring", "two images", "faint", "beside the middle"],
)
@pytest.mark.parametrize("sky", [0.0, 10.0])
def test_a_dark_lens_shows_no_galaxy(image: np.ndarray, sky: float) -> None:
    assert found(image + sky) is None


@pytest.mark.parametrize("brightness", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("arcs", [ring(1.0) * 0.3, ARCS], ids=["ring", "two images"])
def test_a_galaxy_is_found_where_it_is(arcs: np.ndarray, brightness: float) -> None:
    row, column = found(arcs + brightness * blob(0.1, 0.0, 0.25)) or (0, 0)
    assert abs(row - SIDE // 2) <= 1
    assert abs(column - SIDE // 2 - 0.1 / SCALE) <= 1.5


@pytest.mark.parametrize("aside", [0.4, 0.96])
def test_a_bright_galaxy_may_stand_beside_the_middle(aside: float) -> None:
    place = (SIDE // 2, SIDE // 2 + round(aside / SCALE))
    assert found(0.1 * ring(1.0, aside) + 5 * blob(aside, 0.0, 0.3)) == place


def test_a_faint_galaxy_under_a_bright_ring_is_found() -> None:
    assert found(5 * ring(1.0) + 0.5 * blob(0.0, 0.0, 0.2)) is not None


def test_noise_alone_shows_no_galaxy() -> None:
    assert found(np.zeros((SIDE, SIDE))) is None


@pytest.mark.parametrize("name", ["J0029-0055", "J1143-0144", "J2341+0000"])
def test_galaxies_of_real_lenses_are_found(name: str, shared_data: Path) -> None:
    image = read_fits(shared_data / "hst_slacs63" / name / "data.fits").data.astype(float)
    assert find_lens_galaxy(image, np.ones_like(image) * 0.01, 0.05) is not None
