import pickle
from pathlib import Path

import numpy as np
import pytest

from lenspinn.apply.inputs import ImageFile, ImageTable, read_inputs
from lenspinn.data.fits import write_fits
from lenspinn.errors import DataError, ImageError, StoreError
from lenspinn.measure.companions import FileOptions


def save_npy(path: Path, image: np.ndarray) -> Path:
    np.save(path, image)
    return path


def test_npy_images_have_the_pixel_scale_that_was_given(tmp_path: Path, image: np.ndarray) -> None:
    path = save_npy(tmp_path / "a.npy", image)
    (read,) = read_inputs([path], FileOptions(pixel_scale=0.1))
    assert isinstance(read, ImageFile)
    assert (read.name, read.pixel_scale) == ("a", 0.1)
    assert read.pixels.dtype == np.float32
    assert np.array_equal(read.pixels, image)


def test_without_one_npy_images_have_no_pixel_scale(tmp_path: Path, image: np.ndarray) -> None:
    (read,) = read_inputs([save_npy(tmp_path / "a.npy", image)])
    assert isinstance(read, ImageFile)
    assert read.pixel_scale is None


def test_fits_images_bring_their_own(tmp_path: Path, image: np.ndarray) -> None:
    path = tmp_path / "a.fits"
    write_fits(path, image, 0.05)
    (read,) = read_inputs([path])
    assert isinstance(read, ImageFile)
    assert read.pixel_scale == pytest.approx(0.05)
    np.testing.assert_array_equal(read.pixels, image)


def test_a_fits_header_names_the_instrument(tmp_path: Path, image: np.ndarray) -> None:
    path = tmp_path / "a.fits"
    write_fits(path, image, 0.1, TELESCOP="Euclid", INSTRUME="VIS", FILTER="VIS", BUNIT="MJy/sr")
    (read,) = read_inputs([path])
    assert isinstance(read, ImageFile)
    assert (read.instrument, read.unit) == ("Euclid VIS", "MJy/sr")


def test_a_folder_is_read_as_a_dataset(dataset: Path) -> None:
    (read,) = read_inputs([dataset])
    assert isinstance(read, ImageTable)
    assert (read.name, len(read.store)) == ("model_3", 48)


def test_an_image_named_twice_is_read_once(tmp_path: Path, image: np.ndarray) -> None:
    path = save_npy(tmp_path / "a.npy", image)
    assert len(read_inputs([path, path])) == 1


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no file .*lens\.fits"):
        read_inputs([tmp_path / "lens.fits"])


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lens.png"
    path.write_bytes(b"\x89PNG")
    with pytest.raises(DataError, match=r"lens\.png is neither a \.npy file"):
        read_inputs([path])


def test_a_text_file_named_fits_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lens.fits"
    path.write_text("ra dec\n1 2\n")
    with pytest.raises(DataError, match=r"lens\.fits"):
        read_inputs([path])


def test_a_folder_that_is_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not a lenspinn dataset"):
        read_inputs([tmp_path])


def test_a_malicious_pickle_is_refused_and_not_executed(tmp_path: Path) -> None:
    target = tmp_path / "executed"

    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (exec, (f"open({str(target)!r}, 'w')",))

    path = tmp_path / "lens.npy"
    path.write_bytes(pickle.dumps(Malicious()))
    np.save(tmp_path / "lens2.npy", np.array([Malicious(), 1], dtype=object), allow_pickle=True)
    for file in (path, tmp_path / "lens2.npy"):
        with pytest.raises(DataError):
            read_inputs([file])
    assert not target.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda image: np.where(image == image.max(), np.nan, image), "1 pixels that are NaN"),
        (lambda image: image.astype(np.float64) * 1e300, "NaN or infinite"),
        (lambda image: np.full_like(image, 2.5), "constant"),
        (lambda image: image[:40], "40 x 64 pixels"),
        (lambda image: image[:4, :4], "4 x 4 pixels"),
    ],
    ids=["nan", "too large", "constant", "not square", "too small"],
)
def test_an_image_nobody_should_classify_is_refused(
    change: object, message: str, tmp_path: Path, image: np.ndarray
) -> None:
    assert callable(change)
    path = save_npy(tmp_path / "lens.npy", change(image))
    with pytest.raises(ImageError, match=rf"lens\.npy .*{message}"):
        read_inputs([path])


@pytest.mark.parametrize("shape", [(64,), (2, 64, 64)])
def test_an_array_that_is_no_image_is_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    path = save_npy(tmp_path / "lens.npy", np.arange(np.prod(shape), dtype=float).reshape(shape))
    with pytest.raises(DataError, match=r"lens\.npy"):
        read_inputs([path])


def test_a_pixel_scale_must_be_positive(tmp_path: Path, image: np.ndarray) -> None:
    path = save_npy(tmp_path / "lens.npy", image)
    with pytest.raises(DataError, match=r"pixel_scale is -0\.1; it must be positive"):
        read_inputs([path], FileOptions(pixel_scale=-0.1))


def test_no_image_at_all_is_refused() -> None:
    with pytest.raises(DataError, match="no image was given"):
        read_inputs([])


@pytest.fixture
def lens_folder(tmp_path: Path, image: np.ndarray) -> Path:
    write_fits(tmp_path / "data.fits", image, 0.08)
    write_fits(tmp_path / "noise_map.fits", np.full_like(image, 0.1), 0.08)
    return tmp_path


def test_the_folder_of_a_lens_is_one_image_with_its_noise(lens_folder: Path) -> None:
    (found,) = read_inputs([lens_folder])
    assert isinstance(found, ImageFile)
    assert found.name == lens_folder.name
    assert found.from_telescope
    assert found.known.noise is not None
    assert found.known.psf is None


def test_a_noise_map_goes_with_one_fits_image(lens_folder: Path, image: np.ndarray) -> None:
    paths = [lens_folder / f"{name}.fits" for name in ("data", "noise_map")]
    np.save(lens_folder / "lens.npy", image)
    (found,) = read_inputs(paths[:1], FileOptions(noise=paths[1]))
    assert isinstance(found, ImageFile)
    assert found.known.noise is not None
    for inputs in (paths, [lens_folder / "lens.npy"]):
        with pytest.raises(DataError, match="noise can be given with one FITS or HDF5 image only"):
            read_inputs(inputs, FileOptions(noise=paths[1]))


def test_a_fits_image_may_miss_pixels(tmp_path: Path, image: np.ndarray) -> None:
    holed = image.copy()
    holed[3, 4] = np.nan
    (read,) = read_inputs([write_fits(tmp_path / "a.fits", holed, 0.08)])
    assert isinstance(read, ImageFile)
    assert np.isnan(read.pixels).sum() == 1


def test_names_do_not_collide_with_answers_that_are_there(
    tmp_path: Path, image: np.ndarray
) -> None:
    path = save_npy(tmp_path / "a.npy", image)
    (tmp_path / "a.json").write_text("{}")
    (read,) = read_inputs([path], out=tmp_path)
    assert read.name == f"{tmp_path.name}_a"


def test_options_of_fits_files_are_refused_for_others(tmp_path: Path, image: np.ndarray) -> None:
    path = save_npy(tmp_path / "a.npy", image)
    with pytest.raises(DataError, match="image_hdu and band can be given with one FITS or HDF5"):
        read_inputs([path], FileOptions(image_hdu=1, band="g"))
