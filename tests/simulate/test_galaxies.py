from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lenstronomy.LensModel.lens_model import LensModel
from lenstronomy.LightModel.light_model import LightModel

from lenspinn.data.fits import write_fits
from lenspinn.errors import ConfigError
from lenspinn.lensing import interpolated_source, pixel_grid
from lenspinn.simulate import INSTRUMENTS, Camera, draw_scenes, get_recipe, render, truth_fields
from lenspinn.simulate.cutouts import FINER, resampled
from lenspinn.simulate.distributions import Fixed, Normal, Uniform
from lenspinn.simulate.galaxies import (
    PARTS,
    GalaxyLibrary,
    GalaxyPrior,
    load_galaxies,
    part_of,
)
from lenspinn.simulate.overrides import to_plain, with_overrides
from lenspinn.simulate.scene import GalaxyLight, Scene

from .conftest import plain_scene

SCALE = 0.03
ROUNDING = 1e-6  # Of float32 images.
ROUNDING_FLOAT64 = 1e-10
SHARES = 0.02  # Four standard deviations of a share of 10,000 names.
SAMPLING = 1e-3  # Of flux and spread, in pixels of 0.02 arcsec.
INTERPOLATION = 0.013  # Of the peak: linear, in 0.015 arcsec pixels, of a core of 0.13 arcsec FWHM.
INTERPOLATION_COARSE = 0.05  # The same in the cutout's own 0.03 arcsec pixels.

HST = INSTRUMENTS["hst_wfc3_f160w"]

GOLDEN_PARTS = {
    "0007_149.825905_2.27702_acs_I_mosaic_30mas_sci": "train",
    "0008_150.110179_2.272575_acs_I_mosaic_30mas_sci": "validation",
    "0014_149.790393_2.319234_acs_I_mosaic_30mas_sci": "test",
}


def cutout(seed: int, num_pix: int = 120) -> np.ndarray:
    """Return a noisy elliptical galaxy whose shape, size and place depend on the seed."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-0.2, 0.2, 2)
    sigma, q = rng.uniform(0.1, 0.25), rng.uniform(0.5, 1.0)
    axis = (np.arange(num_pix) - (num_pix - 1) / 2) * SCALE
    galaxy = np.exp(-(q * (axis - x) ** 2 + (axis[:, None] - y) ** 2 / q) / (2 * sigma**2))
    return galaxy + 0.01 * rng.standard_normal((num_pix, num_pix))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Cutouts of 12 galaxies of different size."""
    folder = tmp_path_factory.mktemp("galaxies")
    for seed in range(12):
        write_fits(folder / f"galaxy_{seed:02}.fits", cutout(seed, 120 + 10 * (seed % 3)), SCALE)
    return folder


@pytest.fixture(scope="module")
def library(folder) -> GalaxyLibrary:
    return load_galaxies(folder)


def test_galaxies_have_unit_flux_and_dark_borders(library):
    flux = library.images.sum(axis=(1, 2), dtype=np.float64) * library.pixel_scale**2
    np.testing.assert_allclose(flux, 1, rtol=ROUNDING)
    assert library.images.dtype == np.float32
    for edge in (library.images[:, [0, -1]], library.images[:, :, [0, -1]]):
        assert (edge == 0).all()


def test_galaxies_are_centred_on_their_light(library):
    side = library.images.shape[1]
    axis = np.arange(side) - (side - 1) / 2
    total = library.images.sum(axis=(1, 2), dtype=np.float64)
    for sums in (library.images.sum(axis=1), library.images.sum(axis=2)):
        assert (np.abs(sums @ axis / total) <= 0.5 + ROUNDING * side).all()


def test_a_library_is_in_the_order_of_names_and_cannot_be_written_to(library):
    assert library.names == tuple(f"galaxy_{seed:02}" for seed in range(12))
    assert len(library) == 12 == len(library.images)
    with pytest.raises(ValueError, match="read-only"):
        library.images[0] = 0


def test_a_folder_is_read_once(folder, library):
    assert load_galaxies(str(folder)) is library


def test_parts_are_disjoint_and_complete(library):
    parts = [set(library.part(part)) for part in PARTS]
    assert sum(map(len, parts)) == len(set.union(*parts)) == len(library)
    np.testing.assert_array_equal(library.part("all"), np.arange(len(library)))


def test_a_galaxy_stays_in_its_part_when_others_are_added(folder, library, tmp_path):
    for seed in (2, 5, 7):
        name = f"galaxy_{seed:02}.fits"
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    few = load_galaxies(tmp_path)
    for part in PARTS:
        names = {library.names[number] for number in library.part(part)}
        assert {name for name in few.names if part_of(name) == part} == names & set(few.names)


@pytest.mark.parametrize(("name", "part"), GOLDEN_PARTS.items())
def test_the_part_of_a_name_never_changes(name, part):
    assert part_of(name) == part


def test_files_of_one_position_on_the_sky_are_in_one_part():
    names = ["0007_149.825905_2.27702_acs", "149.8261_2.2768_wfc3", "new/x_149.82590_2.27710"]
    assert {part_of(name) for name in names} == {part_of(names[0])}
    elsewhere = {part_of(f"0007_{149 + i / 7:.6f}_2.27702_acs") for i in range(30)}
    assert elsewhere == set(PARTS)


def test_parts_have_the_shares_that_are_stated():
    parts = [part_of(f"galaxy {i}") for i in range(10_000)]
    for part, share in PARTS.items():
        assert parts.count(part) / 10_000 == pytest.approx(share, abs=SHARES)


def test_an_empty_part_is_refused(tmp_path):
    write_fits(tmp_path / "galaxy_00.fits", cutout(0), SCALE)
    here = part_of("galaxy_00")
    elsewhere = next(part for part in PARTS if part != here)
    library = load_galaxies(tmp_path)
    np.testing.assert_array_equal(library.part(here), [0])
    with pytest.raises(ConfigError, match=rf"^source\.part: none of the 1 .* into '{elsewhere}'"):
        library.part(elsewhere)


def test_a_galaxy_that_two_files_show_is_there_once(tmp_path):
    write_fits(tmp_path / "a_150.00000_2.00000.fits", cutout(0), SCALE)
    write_fits(tmp_path / "b_150.00010_2.00010.fits", cutout(1), SCALE)
    write_fits(tmp_path / "c_150.00100_2.00000.fits", cutout(2), SCALE)
    write_fits(tmp_path / "d.fits", cutout(2), SCALE)
    library = load_galaxies(tmp_path)
    assert library.names == ("a_150.00000_2.00000", "c_150.00100_2.00000")
    assert library.rejected == {
        "b_150.00010_2.00010": "shows the same galaxy as 'a_150.00000_2.00000'",
        "d": "shows the same galaxy as 'c_150.00100_2.00000'",
    }


def test_unusable_images_are_left_out_and_named(tmp_path):
    write_fits(tmp_path / "galaxy.fits", cutout(0), SCALE)
    write_fits(tmp_path / "nothing.fits", np.zeros((50, 50)), SCALE)
    library = load_galaxies(tmp_path)
    assert library.names == ("galaxy",)
    assert library.rejected == {"nothing": "is blank: all its pixels are equal"}


def test_a_folder_of_unusable_images_is_refused(tmp_path):
    write_fits(tmp_path / "nothing.fits", np.zeros((50, 50)), SCALE)
    with pytest.raises(ConfigError, match=r"^source\.galaxies: none of the 1 .*'nothing' is blank"):
        load_galaxies(tmp_path)


def test_no_folder_is_refused():
    with pytest.raises(ConfigError, match=r"^source\.galaxies is empty"):
        load_galaxies("")


def test_two_pixel_scales_are_refused(tmp_path):
    write_fits(tmp_path / "fine.fits", cutout(0), SCALE)
    write_fits(tmp_path / "other.fits", cutout(1), 0.05)
    with pytest.raises(ConfigError, match=r"'other' has pixels of 0\.05 arcsec, 'fine' of 0\.03"):
        load_galaxies(tmp_path)


def test_the_digest_tells_libraries_apart(folder, library, tmp_path):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert load_galaxies(tmp_path / "." / "").digest == library.digest
    other = tmp_path / "other"
    other.mkdir()
    write_fits(other / "galaxy_00.fits", cutout(0), SCALE)
    assert load_galaxies(other).digest != library.digest


@pytest.fixture
def prior(folder) -> GalaxyPrior:
    return GalaxyPrior(
        galaxies=str(folder),
        magnitude=Fixed(22.0),
        size=Uniform(0.5, 1.0),
        center_x=Uniform(-0.3, 0.3),
        center_y=Uniform(-0.3, 0.3),
    )


@pytest.mark.parametrize("part", ["all", *PARTS])
def test_sources_are_the_galaxies_of_a_part(prior, library, part):
    light, truth = replace(prior, part=part).draw(np.random.default_rng(0), HST, 300)
    chosen = truth["source_galaxy"].astype(int)
    assert set(chosen) == set(library.part(part))
    np.testing.assert_array_equal(light.images, library.images[chosen])
    assert light.pixel_scale == library.pixel_scale


def test_sources_have_the_magnitude_size_place_and_angle_that_were_asked_for(prior):
    prior = replace(prior, magnitude=Normal(23.0, 0.5), center_y=Fixed(0.1))
    light, truth = prior.draw(np.random.default_rng(0), HST, 1000)
    np.testing.assert_allclose(
        light.flux, 10 ** (0.4 * (HST.zero_point - truth["source_magnitude"]))
    )
    for values, low, high in (
        (light.size, 0.5, 1.0),
        (light.center_x, -0.3, 0.3),
        (light.angle, 0, 2 * np.pi),
    ):
        assert values.shape == (1000,)
        assert values.min() == pytest.approx(low, abs=0.01 * (high - low))
        assert values.max() == pytest.approx(high, abs=0.01 * (high - low))
    assert (light.center_y == 0.1).all()


def test_a_source_takes_the_same_random_numbers_whatever_it_is(prior):
    rng, reference = np.random.default_rng(3), np.random.default_rng(3)
    for _ in range(10):
        prior.draw(rng, HST, 1)
        reference.random(5)  # galaxy, size, center_x, center_y, angle
    assert rng.bit_generator.state == reference.bit_generator.state


def test_a_prior_is_changed_and_written_like_the_others(prior):
    plain = to_plain(prior)
    assert plain["size"] == {"uniform": [0.5, 1.0]}
    changed = with_overrides(prior, {"part": "test", "size": 0.7, "magnitude": {"normal": [23, 1]}})
    assert changed == replace(prior, part="test", size=Fixed(0.7), magnitude=Normal(23.0, 1.0))
    assert with_overrides(changed, plain) == prior


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"part": "testing"}, "part must be all, train, validation, test, not 'testing'"),
        ({"size": Uniform(0.0, 1.0)}, "size must always be above 0"),
    ],
)
def test_an_impossible_prior_is_refused(prior, changes, reason):
    with pytest.raises(ConfigError, match=reason):
        replace(prior, **changes)


def test_the_truth_of_a_scene_names_its_galaxy(prior, library):
    recipe = replace(get_recipe("survey/hst"), source=prior)
    scene, truth = draw_scenes(recipe, seed=1, indices=[0, 5, 7])
    for name in ("source_galaxy", "source_magnitude", "source_size", "source_angle", "source_x"):
        assert truth_fields(recipe)[name] == ()
        assert truth[name].shape == (3,)
    chosen = truth["source_galaxy"].astype(int)
    np.testing.assert_array_equal(scene.source.images, library.images[chosen])


def unlensed(library: GalaxyLibrary, size: float, angle: float) -> Scene:
    """Return all galaxies in the middle of the image, with flux 3."""
    num = len(library)
    numbers = {"flux": 3.0, "center_x": 0.0, "center_y": 0.0, "angle": angle, "size": size}
    arrays = {name: np.full(num, value) for name, value in numbers.items()}
    source = GalaxyLight(images=library.images.copy(), pixel_scale=library.pixel_scale, **arrays)
    return replace(plain_scene(num, theta_E=np.zeros(num), gamma1=np.zeros(num)), source=source)


CAMERA = Camera(num_pix=256, pixel_scale=0.02, psf_fwhm=0.0)


@pytest.mark.parametrize("size", [0.5, 1.0])
@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_flux_does_not_depend_on_size_and_angle(library, size, angle):
    images = render(unlensed(library, size, angle), CAMERA)
    np.testing.assert_allclose(images.sum(dim=(1, 2)).numpy(), 3.0, rtol=SAMPLING)


def test_angle_turns_a_galaxy_from_x_towards_y(library):
    straight, turned = (
        render(unlensed(library, 1.0, angle), CAMERA, dtype=torch.float64)
        for angle in (0.0, np.pi / 2)
    )
    # Rows go up, so a turn from x towards y is one from the last axis towards the one before.
    np.testing.assert_allclose(turned, torch.rot90(straight, -1, (1, 2)), atol=ROUNDING_FLOAT64)


def test_size_scales_the_radius_of_a_galaxy(library):
    x, y = pixel_grid(CAMERA.num_pix, CAMERA.pixel_scale)
    small, large = (render(unlensed(library, size, 0.3), CAMERA) for size in (0.5, 1.0))
    spread = [(image * (x**2 + y**2)).sum(dim=(1, 2)) for image in (small, large)]
    np.testing.assert_allclose(spread[1] / spread[0], 4.0, rtol=SAMPLING)


def smooth_galaxy(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return an elliptical disk and a core as sharp as HST/ACS sees it, at positions in arcsec."""
    u, v = x * np.cos(0.4) + y * np.sin(0.4), y * np.cos(0.4) - x * np.sin(0.4)

    def gaussian(sigma: float, q: float) -> np.ndarray:
        return np.exp(-(u**2 * q + v**2 / q) / (2 * sigma**2)) / (2 * np.pi * sigma**2)

    return 0.2 * gaussian(0.055, 0.9) + 0.8 * gaussian(0.25, 0.6)


@pytest.fixture(scope="module")
def cutout_of_smooth_galaxy() -> np.ndarray:
    x, y = pixel_grid(145, SCALE, dtype=torch.float64)
    return smooth_galaxy(x.numpy(), y.numpy())


@pytest.fixture(scope="module")
def source_positions() -> tuple[np.ndarray, np.ndarray]:
    """Where a lens maps the pixels of an HST image."""
    x, y = (position.numpy().ravel() for position in pixel_grid(64, 0.08, dtype=torch.float64))
    isothermal = {"theta_E": 1.0, "e1": 0.1, "e2": 0.0, "center_x": 0.0, "center_y": 0.0}
    lens = LensModel(["SIE", "SHEAR"])
    beta_x, beta_y = lens.ray_shooting(x, y, [isothermal, {"gamma1": 0.05, "gamma2": 0.0}])
    return beta_x - 0.1, beta_y - 0.05


def interpolated(image: np.ndarray, scale: float, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    at = (torch.from_numpy(position)[None, None] for position in (x, y))
    return interpolated_source(torch.from_numpy(image)[None], scale, *at)[0, 0].numpy()


def test_images_are_interpolated_as_by_lenstronomy(cutout_of_smooth_galaxy, source_positions):
    ours = interpolated(cutout_of_smooth_galaxy, SCALE, *source_positions)
    interpol = {"image": cutout_of_smooth_galaxy, "amp": 1.0, "scale": SCALE, "phi_G": 0.0}
    theirs = LightModel(["INTERPOL"]).surface_brightness(
        *source_positions, [interpol | {"center_x": 0.0, "center_y": 0.0}]
    )
    np.testing.assert_allclose(ours, theirs, atol=ROUNDING_FLOAT64 * theirs.max())


@pytest.mark.parametrize("size", [0.5, 1.0])
def test_a_library_is_fine_enough_for_linear_interpolation(
    cutout_of_smooth_galaxy, source_positions, size
):
    x, y = (position / size for position in source_positions)
    truth = smooth_galaxy(x, y)
    coarse = interpolated(cutout_of_smooth_galaxy, SCALE, x, y)
    fine = interpolated(resampled(cutout_of_smooth_galaxy), SCALE / FINER, x, y)
    assert np.abs(fine - truth).max() < INTERPOLATION * truth.max()
    assert np.abs(coarse - truth).max() > INTERPOLATION_COARSE * truth.max()


def test_the_cosmos_galaxies_of_the_reference_data_make_a_library(shared_data):
    library = load_galaxies(shared_data / "sources_cosmos" / "acs_f814w")
    assert len(library) == 17
    assert library.pixel_scale == pytest.approx(0.015)
    ((name, reason),) = library.rejected.items()
    assert name.startswith("0001_")
    assert "cut off" in reason
    assert {part: len(library.part(part)) for part in PARTS} == {
        "train": 12,
        "validation": 3,
        "test": 2,
    }
