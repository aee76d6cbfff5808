import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from lenspinn.data import read_hdf5, read_hdf5_psf
from lenspinn.errors import DataError, ImageError

# A pixel scale of 0.05", turned by 30 degrees, right ascension to the left.
TO_SKY = 0.05 * np.array([[-np.cos(np.pi / 6), np.sin(np.pi / 6)], [0.5, np.cos(np.pi / 6)]])
RTOL = 1e-6  # float32


def written(folder: Path, **parts: object) -> Path:
    path = folder / "image.h5"
    with h5py.File(path, "w") as file:
        for name, value in parts.items():
            file[name] = value
    return path


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(3).normal(1.0, 2.0, (6, 6))


def test_noise_is_that_of_background_and_photons(tmp_path, image):
    exposure = np.full((6, 6), 400.0)
    exposure[2, 3] = 0
    path = written(
        tmp_path,
        image_data=image,
        background_rms=0.1,
        exposure_time=exposure,
        transform_pix2angle=TO_SKY,
    )
    found = read_hdf5(path)
    assert found.pixel_scale == pytest.approx(0.05)
    np.testing.assert_allclose(found.data, image, rtol=RTOL)
    expected = np.sqrt(0.01 + np.maximum(image, 0) / 400)
    expected[2, 3] = np.inf
    np.testing.assert_allclose(found.noise, expected, rtol=RTOL)


def test_a_noise_map_goes_before_background_and_exposure(tmp_path, image):
    parts = {"image_data": image, "background_rms": 0.1, "exposure_time": 400.0}
    path = written(tmp_path, **parts, noise_map=np.full((6, 6), 3.0), transform_pix2angle=TO_SKY)
    assert (read_hdf5(path).noise == 3).all()


def test_an_image_may_come_alone(tmp_path, image):
    found = read_hdf5(written(tmp_path, image_data=image), pixel_scale=0.1)
    assert found.noise is None
    assert found.pixel_scale == 0.1


def test_a_psf_is_read(tmp_path):
    path = written(tmp_path, kernel_point_source=np.eye(3))
    np.testing.assert_array_equal(read_hdf5_psf(path).kernel, np.eye(3))


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({}, r"has no 'image_data', only nothing"),
        ({"kernel_point_source": np.eye(3)}, r"has no 'image_data', only kernel_point_source"),
        ({"image_data": np.ones(4)}, r"is no image \(y, x\) but float64 \(4,\)"),
        ({"image_data": b"none"}, r"is no image \(y, x\)"),
        ({"image_data": np.eye(3)}, r"has no 'transform_pix2angle': give the pixel scale"),
        ({"image_data": np.eye(3), "transform_pix2angle": 0 * TO_SKY}, r"says no pixel scale"),
        (
            {"image_data": np.eye(3), "noise_map": np.eye(4)},
            r"'noise_map' .* \(4, 4\); .* \(3, 3\)",
        ),
    ],
)
def test_what_holds_no_image_is_refused(tmp_path, parts, said):
    with pytest.raises(ImageError, match=said):
        read_hdf5(written(tmp_path, **parts))


def test_what_is_no_hdf5_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read as HDF5: No such file"):
        read_hdf5(tmp_path / "missing.h5")
    wrong = tmp_path / "wrong.h5"
    wrong.write_bytes(b"SIMPLE  = T")
    with pytest.raises(DataError, match="cannot be read as HDF5"):
        read_hdf5_psf(wrong)


def test_a_pipe_is_refused_and_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "a.h5")
    with pytest.raises(DataError, match="it is a pipe or a device"):
        read_hdf5(tmp_path / "a.h5")


def test_a_huge_dataset_is_refused_before_memory_is_taken(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("image_data", shape=(10**6, 10**6), dtype="f4", chunks=(100, 100))
    with pytest.raises(ImageError, match="which is too large; cut out the lens"):
        read_hdf5(tmp_path / "a.h5", pixel_scale=0.05)


def test_datasets_in_other_files_are_not_followed(tmp_path, image):
    other = written(tmp_path, image_data=image).rename(tmp_path / "other.h5")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["image_data"] = h5py.ExternalLink(other, "image_data")
    with pytest.raises(ImageError, match="is no dataset of its own"):
        read_hdf5(tmp_path / "a.h5", pixel_scale=0.05)


def test_how_much_finer_a_psf_is_may_be_stated(tmp_path):
    path = written(
        tmp_path, kernel_point_source=np.eye(3), point_source_supersampling_factor=np.int64(3)
    )
    assert read_hdf5_psf(path).oversampling == 3.0


@pytest.mark.parametrize("scale", [0.0, -1.0, 1e308, float("nan")])
def test_an_absurd_pixel_scale_is_refused(tmp_path, image, scale):
    with pytest.raises(ImageError, match="it must be positive"):
        read_hdf5(written(tmp_path, image_data=image), pixel_scale=scale)


@pytest.mark.parametrize(
    "matrix", [0.05 * np.array([[1, 1], [0, 0]]), np.full((2, 2), np.nan), 1e300 * np.eye(2)]
)
def test_a_matrix_without_square_pixels_is_refused(tmp_path, image, matrix):
    with pytest.raises(ImageError, match="give it as pixel_scale"):
        read_hdf5(written(tmp_path, image_data=image, transform_pix2angle=matrix))
