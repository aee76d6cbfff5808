from pathlib import Path

import numpy as np
import pytest

from lenspinn.data.fits import write_fits
from lenspinn.errors import ConfigError, ImageError
from lenspinn.simulate.cutouts import FINER, isolated_galaxy, read_cutouts, resampled

SCALE = 0.03
NOISE = 0.01  # Of the peak of the galaxies made here.
NOISE_LEFT = 0.6  # Of the noise, inside of the galaxy.
FLUX_LEFT = 0.02  # Light lost beyond the isophote or won from noise, of the total.
SPLINE = 2e-3  # Of the peak; of a core three pixels wide.


def blob(num_pix: int, x: float, y: float, sigma: float, q: float = 1.0) -> np.ndarray:
    """Return an elliptical Gaussian of peak 1; position and sigma in arcsec."""
    axis = (np.arange(num_pix) - (num_pix - 1) / 2) * SCALE
    dx, dy = axis - x, axis[:, None] - y
    return np.exp(-(q * dx**2 + dy**2 / q) / (2 * sigma**2))


def noisy(image: np.ndarray, seed: int = 0) -> np.ndarray:
    return image + NOISE * np.random.default_rng(seed).standard_normal(image.shape)


GALAXY = blob(160, 0.1, -0.05, sigma=0.25, q=0.7)


def test_fits_and_npz_are_read_in_the_order_of_their_names(tmp_path):
    write_fits(tmp_path / "b.fits", GALAXY, SCALE)
    images = np.stack([GALAXY, 2 * GALAXY]).astype(np.float32)
    np.savez(tmp_path / "a.npz", images=images, names=["z", "y"], pixel_scale=0.05)
    (tmp_path / "notes.txt").write_text("not a galaxy")
    cutouts = read_cutouts(tmp_path)
    assert [cutout.name for cutout in cutouts] == ["a/y", "a/z", "b"]
    assert [cutout.pixel_scale for cutout in cutouts] == [0.05, 0.05, SCALE]
    np.testing.assert_array_equal(cutouts[0].image, images[1])


def write_npz(path: Path, **changes) -> None:
    content = {"images": GALAXY[None], "names": ["one"], "pixel_scale": SCALE} | changes
    np.savez(path, **{key: value for key, value in content.items() if value is not None})


def with_nan(folder: Path) -> None:
    write_fits(folder / "bad.fits", np.where(GALAXY > 0.5, np.nan, GALAXY), SCALE)


REFUSED = {
    "nothing in it": (lambda folder: None, "holds no"),
    "no pixel scale": (lambda folder: write_fits(folder / "bad.fits", GALAXY, 0.0), "pixel scale"),
    "not finite": (with_nan, "not finite"),
    "not square": (lambda folder: write_fits(folder / "bad.fits", GALAXY[1:], SCALE), "square"),
    "no FITS": (lambda folder: (folder / "bad.fits").write_text("galaxy"), "is no FITS file"),
    "no npz": (lambda folder: (folder / "bad.npz").write_text("galaxy"), "read as npz"),
    "npz: no scale": (lambda folder: write_npz(folder / "bad.npz", pixel_scale=None), "pixel_sc"),
    "npz: scale 0": (lambda folder: write_npz(folder / "bad.npz", pixel_scale=0.0), "positive"),
    "npz: names": (lambda folder: write_npz(folder / "bad.npz", names=["a", "b"]), "a name for"),
    "npz: one image": (lambda folder: write_npz(folder / "bad.npz", images=GALAXY), "a name for"),
}


@pytest.mark.parametrize(("spoil", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_galaxy_is_refused_by_key_and_file(tmp_path, spoil, reason):
    spoil(tmp_path)
    bad = next(iter(tmp_path.iterdir()), tmp_path)
    with pytest.raises(ConfigError, match=rf"^source\.galaxies: .*{bad.name}.*") as refusal:
        read_cutouts(tmp_path)
    assert reason in str(refusal.value)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"^source\.galaxies: .*nowhere' is not a folder"):
        read_cutouts(tmp_path / "nowhere")


def test_a_galaxy_keeps_its_light_and_loses_sky_and_noise():
    found = isolated_galaxy(noisy(GALAXY) + 5.0, SCALE)
    assert found.sum() == pytest.approx(GALAXY.sum(), rel=FLUX_LEFT)
    assert (found >= 0).all()
    bright = GALAXY > 0.1
    assert (found - GALAXY)[bright].std() < NOISE_LEFT * NOISE
    assert (found[GALAXY < 1e-8] == 0).all()


def test_the_unit_of_the_pixels_does_not_matter():
    image = noisy(GALAXY)
    expected = isolated_galaxy(image, SCALE)
    np.testing.assert_allclose(isolated_galaxy(1e-20 * image, SCALE), 1e-20 * expected, atol=1e-32)


def test_neighbours_are_left_out_even_brighter_ones():
    neighbour = 3 * blob(160, 1.5, 1.4, sigma=0.15)
    found = isolated_galaxy(noisy(GALAXY + neighbour), SCALE)
    assert found.sum() == pytest.approx(GALAXY.sum(), rel=FLUX_LEFT)
    assert (found[neighbour > 2 * NOISE] == 0).all()


def test_structure_stays_sharp():
    knot = 0.5 * blob(160, 0.3, 0.0, sigma=0.05)
    found = isolated_galaxy(noisy(GALAXY + knot), SCALE)
    np.testing.assert_allclose(found[knot > 0.25], (GALAXY + knot)[knot > 0.25], atol=5 * NOISE)


UNUSABLE = {
    "constant": (np.ones((80, 80)), "blank: all"),
    "only noise": (noisy(np.zeros((160, 160))), "blank: no object"),
    "off centre": (noisy(blob(160, 1.5, 1.4, sigma=0.15)), "blank: no object"),
    "clipped": (np.clip(noisy(GALAXY), None, 0.5), "clipped: "),
    "cut off": (noisy(blob(160, 0.0, 0.0, sigma=0.8, q=0.5)), "cut off"),
    "no noise, so no sky": (blob(128, 0.0, 0.0, sigma=0.24), "no sky"),
}


@pytest.mark.parametrize(("image", "reason"), UNUSABLE.values(), ids=UNUSABLE)
def test_images_without_a_whole_galaxy_are_rejected_with_the_reason(image, reason):
    with pytest.raises(ImageError, match=reason):
        isolated_galaxy(image, SCALE)


def test_a_resampled_galaxy_is_the_same_in_smaller_pixels():
    x, y, sigma = 0.21, -0.06, 3 * SCALE
    fine = resampled(np.pad(blob(40, x, y, sigma), 20))
    assert fine.shape == (80 * FINER, 80 * FINER)
    axis = (np.arange(80 * FINER) - (80 * FINER - 1) / 2) * SCALE / FINER
    expected = np.exp(-((axis - x) ** 2 + (axis[:, None] - y) ** 2) / (2 * sigma**2))
    np.testing.assert_allclose(fine, expected, atol=SPLINE)
    assert fine.sum() / FINER**2 == pytest.approx(blob(40, x, y, sigma).sum(), rel=SPLINE)
    assert (fine[: 19 * FINER] == 0).all()


def test_the_clipped_npz_of_the_reference_data_states_no_pixel_scale(shared_data):
    with pytest.raises(ConfigError, match=r"galsim_realgalaxy_128px_003as\.npz has no 'pixel_sca"):
        read_cutouts(shared_data / "sources_cosmos")
