from pathlib import Path

import h5py
import numpy as np
import pytest

from lenspinn.apply.companions import is_lens_folder, read_with_companions
from lenspinn.data.fits import write_fits
from lenspinn.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A lens with a noise map and a mask."""
    for number, name in enumerate(("data", "noise_map", "mask_extra_galaxies")):
        write_fits(tmp_path / f"{name}.fits", np.full((5, 5), 1.0 + number), 0.05)
    return tmp_path


def test_a_folder_brings_what_it_has(folder: Path) -> None:
    found, known = read_with_companions(folder)
    assert (found.data == 1).all()
    assert known.noise is not None
    assert known.mask is not None
    assert (known.noise == 2).all()
    assert (known.mask == 3).all()
    assert known.psf is None


def test_what_is_named_goes_before_what_is_found(folder: Path) -> None:
    other = write_fits(folder / "other.fits", np.full((5, 5), 9.0), 0.05)
    _, known = read_with_companions(folder, noise=other)
    assert known.noise is not None
    assert (known.noise == 9).all()


def test_a_file_has_only_what_is_named(folder: Path) -> None:
    _, known = read_with_companions(folder / "data.fits")
    assert (known.noise, known.psf, known.mask) == (None, None, None)


def test_an_hdf5_file_brings_its_noise(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "image.h5", "w") as file:
        file["image_data"], file["noise_map"] = np.full((5, 5), 4.0), np.full((5, 5), 2.0)
        file["transform_pix2angle"] = 0.05 * np.eye(2)
    with h5py.File(tmp_path / "psf.h5", "w") as file:
        file["kernel_point_source"] = np.eye(3)
    found, known = read_with_companions(tmp_path / "image.h5", psf=tmp_path / "psf.h5")
    assert found.pixel_scale == pytest.approx(0.05)
    assert (known.noise == 2).all()
    assert (known.psf == np.eye(3)).all()
    other = write_fits(tmp_path / "other.fits", np.full((5, 5), 9.0), 0.05)
    _, known = read_with_companions(tmp_path / "image.h5", noise=other)
    assert (known.noise == 9).all()


def test_a_folder_without_an_image_is_refused(tmp_path: Path) -> None:
    assert not is_lens_folder(tmp_path)
    with pytest.raises(DataError, match=r"holds no data\.fits"):
        read_with_companions(tmp_path)
