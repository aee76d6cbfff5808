from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from lenspinn.errors import ConfigError
from lenspinn.simulate import stamps
from lenspinn.simulate.galaxies import PARTS, load_galaxies, part_of
from lenspinn.simulate.stamps import find_catalogue, read_stamps

SCALE = 0.03
FIRST, SECOND = "real_galaxy_images_1.0_n1.fits", "real_galaxy_images_1.0_n2.fits"
SHAPES = {FIRST: [(101, 100), (90, 140), (120, 121)], SECOND: [(100, 101), (300, 280)]}
"""Of the stamps of each file, (y, x)."""


def stamp(seed: int, shape: tuple[int, int]) -> np.ndarray:
    """Return a noisy galaxy in the middle of a stamp."""
    y, x = np.indices(shape) - (np.array(shape)[:, None, None] - 1) / 2
    galaxy = np.exp(-(x**2 + (1 + 0.2 * seed) * y**2) * SCALE**2 / (2 * 0.2**2))
    noise = 0.01 * np.random.default_rng(seed).standard_normal(shape)
    return (galaxy + noise).astype(np.float32)


IMAGES = {
    file: [stamp(10 * n + i, shape) for i, shape in enumerate(shapes)]
    for n, (file, shapes) in enumerate(SHAPES.items())
}

# Rows are in no order of their files or names.
ROWS = {
    "IDENT": ("J", [50, 7, 300, 41, 42]),
    "RA": ("D", [150.1, 150.2, 150.3, 150.4, 150.5]),
    "DEC": ("D", [2.1, 2.2, -2.3, 2.4, 2.5]),
    "GAL_FILENAME": ("40A", [SECOND, FIRST + "  ", FIRST, FIRST, SECOND]),
    "GAL_HDU": ("J", [1, 2, 0, 1, 0]),
    "PIXEL_SCALE": ("D", [SCALE] * 5),
    "NOISE_VARIANCE": ("D", [1e-4] * 5),
}


def write_table(path: Path, **changes: list | None) -> Path:
    """Write the rows; ``changes`` are other values of a column, or None to leave it out."""
    columns = {name: (form, changes.get(name, values)) for name, (form, values) in ROWS.items()}
    table = [fits.Column(n, form, array=v) for n, (form, v) in columns.items() if v is not None]
    fits.BinTableHDU.from_columns(table).writeto(path, overwrite=True)
    return path


@pytest.fixture
def catalogue(tmp_path) -> Path:
    for file, images in IMAGES.items():
        hdus = [fits.PrimaryHDU(images[0]), *map(fits.ImageHDU, images[1:])]
        fits.HDUList(hdus).writeto(tmp_path / file)
    return write_table(tmp_path / "real_galaxy_catalog_1.0.fits")


def test_a_catalogue_is_found_among_the_other_files_of_galsim(catalogue, tmp_path):
    for name in ("1.0_fits", "1.0_selection"):
        write_table(tmp_path / f"real_galaxy_catalog_{name}.fits")
    assert find_catalogue(tmp_path) == catalogue
    (tmp_path / "empty").mkdir()
    assert find_catalogue(tmp_path / "empty") is None
    assert find_catalogue(tmp_path / "nowhere") is None


def test_two_catalogues_are_refused(catalogue, tmp_path):
    write_table(tmp_path / "real_galaxy_catalog_2.0.fits")
    with pytest.raises(ConfigError, match=r"^source\.galaxies: .*_1\.0\.fits, .*_2\.0\.fits"):
        load_galaxies(tmp_path)


def test_stamps_are_those_that_their_rows_name(catalogue):
    found = {cutout.name: cutout for cutout in read_stamps(catalogue)}
    expected = {
        "300_150.300000_-2.300000": IMAGES[FIRST][0],
        "41_150.400000_2.400000": IMAGES[FIRST][1],
        "42_150.500000_2.500000": IMAGES[SECOND][0],
        "50_150.100000_2.100000": IMAGES[SECOND][1][22:278, 12:268],  # its middle
        "7_150.200000_2.200000": IMAGES[FIRST][2],
    }
    assert list(found) == list(expected)
    for name, image in expected.items():
        np.testing.assert_array_equal(found[name].image, image)
        assert found[name].image.dtype == np.float64
        assert found[name].pixel_scale == SCALE


def test_stamps_of_different_shape_make_one_library(catalogue, tmp_path):
    library = load_galaxies(tmp_path)
    assert len(library) == 5
    assert not library.rejected
    side = library.images.shape[1]
    assert library.images.shape == (5, side, side)
    flux = library.images.sum(axis=(1, 2), dtype=np.float64) * library.pixel_scale**2
    np.testing.assert_allclose(flux, 1, rtol=1e-6)


def test_a_stamp_is_in_the_part_of_a_cutout_of_its_galaxy():
    assert part_of("300_150.300000_-2.300000") == part_of("hst_150.30000_-2.30000_f814w")


def test_only_the_first_rows_of_a_large_catalogue_are_read(catalogue, monkeypatch):
    monkeypatch.setattr(stamps, "MOST_STAMPS", 2)
    last_file = ["gone.fits"] * 3
    write_table(catalogue, GAL_FILENAME=[SECOND, FIRST, *last_file])
    with pytest.warns(UserWarning, match="the first 2 of the 5 galaxies of .* are used"):
        found = read_stamps(catalogue)
    assert [cutout.name.split("_")[0] for cutout in found] == ["50", "7"]


def test_an_unusable_stamp_is_left_out_and_named(catalogue, tmp_path):
    fits.PrimaryHDU(np.zeros((60, 61), np.float32)).writeto(tmp_path / "blank.fits")
    write_table(
        catalogue, GAL_FILENAME=["blank.fits", FIRST, FIRST, FIRST, SECOND], GAL_HDU=[0, 2, 0, 1, 0]
    )
    library = load_galaxies(tmp_path)
    assert len(library) == 4
    assert library.rejected == {"50_150.100000_2.100000": "is blank: all its pixels are equal"}


def test_a_galaxy_in_two_rows_is_there_once(catalogue, tmp_path):
    write_table(catalogue, RA=[150.1, 150.1001, 150.3, 150.4, 150.5], DEC=[2.1, 2.1, 2.3, 2.4, 2.5])
    (rejected,) = load_galaxies(tmp_path).rejected.items()
    assert rejected == (
        "7_150.100100_2.100000",
        "shows the same galaxy as '50_150.100000_2.100000'",
    )


def test_pixel_scales_that_differ_are_refused(catalogue, tmp_path):
    write_table(catalogue, PIXEL_SCALE=[0.03, 0.03, 0.03, 0.03, 0.05])
    with pytest.raises(ConfigError, match=r"'42_.*' has pixels of 0\.05 arcsec, '300_.*' of 0\.03"):
        load_galaxies(tmp_path)


FILES = [SECOND, FIRST, FIRST, FIRST, SECOND]
NONE = {name: [] for name in ROWS}
REFUSED = {
    "missing column": ({"GAL_HDU": None}, r"_1\.0\.fits has no column 'GAL_HDU', only IDENT"),
    "missing file": ({"GAL_FILENAME": ["n9.fits", *FILES[1:]]}, "names 'n9.fits', which is not in"),
    "no such HDU": ({"GAL_HDU": [2, 2, 0, 1, 0]}, r"n2\.fits has no extension 2, only 0 to 1"),
    "HDU below 0": ({"GAL_HDU": [-1, 2, 0, 1, 0]}, r"'50_150.*' of .* has GAL_HDU -1"),
    "scale 0": ({"PIXEL_SCALE": [0.03, 0.0, 0.03, 0.03, 0.03]}, "'7_.* PIXEL_SCALE 0;"),
    "scale NaN": ({"PIXEL_SCALE": [0.03, np.nan, 0.03, 0.03, 0.03]}, "'7_.* PIXEL_SCALE nan;"),
    "no rows": (NONE, r"_1\.0\.fits has no rows"),
}


@pytest.mark.parametrize(("changes", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_catalogue_that_cannot_be_used_is_refused_in_one_sentence(
    catalogue, tmp_path, changes, reason
):
    write_table(catalogue, **changes)
    with pytest.raises(ConfigError, match=rf"^source\.galaxies: .*{reason}"):
        load_galaxies(tmp_path)


def test_a_catalogue_without_table_is_refused(catalogue, tmp_path):
    fits.PrimaryHDU(IMAGES[FIRST][0]).writeto(catalogue, overwrite=True)
    with pytest.raises(ConfigError, match=r"^source\.galaxies: .*_1\.0\.fits holds no table"):
        load_galaxies(tmp_path)


def test_a_stamp_that_is_not_finite_is_refused(catalogue, tmp_path):
    fits.PrimaryHDU(np.full((60, 61), np.nan, np.float32)).writeto(tmp_path / "nan.fits")
    write_table(catalogue, GAL_FILENAME=["nan.fits", *FILES[1:]], GAL_HDU=[0, 2, 0, 1, 0])
    with pytest.raises(ConfigError, match=r"'50_.*' of .*nan\.fits has pixels that are not finite"):
        load_galaxies(tmp_path)


def test_the_galsim_catalogue_of_the_reference_data_makes_a_library(shared_data):
    library = load_galaxies(shared_data / "sources_cosmos" / "paltas_cosmos_23.5")
    assert len(library) == 10
    assert not library.rejected
    assert library.pixel_scale == pytest.approx(0.015)
    assert library.names[2] == "141190_150.355945_2.105674"
    assert {part: len(library.part(part)) for part in PARTS} == {
        "train": 4,
        "validation": 2,
        "test": 4,
    }
