from pathlib import Path

import pytest

from lenspinn.catalogue.find_images import find_images, is_pattern
from lenspinn.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two lens folders, one with bands, and images beside them."""
    for name in (
        "A/data.fits",
        "A/psf.fits",
        "B/VIS_data.fits",
        "B/VIS_noise_map.fits",
        "B/VIS_psf.fits",
        "B/NIR_data.fits",
        "lens.fits.gz",
        "lens_rms.fits",
        "psf.fits",
        "array.npy",
        "notes.txt",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_a_folder_gives_its_lens_folders_bands_and_images_but_not_what_comes_with_them(folder):
    table = find_images(folder)
    found = [str(Path(path).relative_to(folder)) for path in table["image"].to_pylist()]
    assert found == ["A", "B/NIR_data.fits", "B/VIS_data.fits", "array.npy", "lens.fits.gz"]
    assert table["psf"].to_pylist() == [None, None, str(folder / "B" / "VIS_psf.fits"), None, None]
    assert table["noise"].to_pylist()[2] == str(folder / "B" / "VIS_noise_map.fits")


def test_a_lens_folder_is_one_lens(folder):
    assert find_images(folder / "A")["image"].to_pylist() == [str(folder / "A")]


def test_hdf5_files_of_bands_bring_their_psf(tmp_path):
    (tmp_path / "A").mkdir()
    for name in ("image_F160W.h5", "psf_F160W.h5", "image_F814W.h5"):
        (tmp_path / "A" / name).touch()
    table = find_images(tmp_path)
    assert [Path(path).name for path in table["image"].to_pylist()] == [
        "image_F160W.h5",
        "image_F814W.h5",
    ]
    assert table["psf"].to_pylist() == [str(tmp_path / "A" / "psf_F160W.h5"), None]


def test_a_pattern_gives_what_it_names(folder):
    pattern = folder / "*" / "VIS_*.fits"
    assert is_pattern(pattern)
    assert find_images(pattern)["image"].to_pylist() == [str(folder / "B" / "VIS_data.fits")]


def test_what_has_the_name_of_a_pattern_is_no_pattern(tmp_path):
    odd = tmp_path / "lens[1].csv"
    odd.touch()
    assert not is_pattern(odd)


@pytest.mark.parametrize("place", ["empty", "*.tiff"])
def test_without_an_image_there_is_nothing_to_do(tmp_path, place):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="names no image of a lens: give a table"):
        find_images(tmp_path / place)
