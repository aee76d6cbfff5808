from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from lenspinn.data.extensions import (
    companion_of,
    find_extension,
    other_images,
    role_of,
    stem_of,
)
from lenspinn.data.fits_file import opened
from lenspinn.errors import ImageError

IMAGE = np.ones((4, 4), dtype=np.float32)


def file_of(folder: Path, *names: str) -> Path:
    hdus = [fits.PrimaryHDU(), *(fits.ImageHDU(IMAGE, name=name) for name in names)]
    fits.HDUList(hdus).writeto(folder / "a.fits")
    return folder / "a.fits"


ROLES = {
    "image": ["SCI", "IMAGE", "VIS_FLUX", "data", "F814W_SCI", "COMPRESSED_IMAGE", "i2d", "DRZ"],
    "noise": ["ERR", "VIS_RMS", "error", "NOISE_MAP", "noisemap", "SIGMA", "FLUX_ERR", "FLUXERR",
              "UNCERT", "STDDEV", "NIR_Y_RMS", "rms_map"],
    "variance": ["VARIANCE", "VAR", "STAT", "SCI_VAR", "variance_map", "njy_variance"],
    "weight": ["WHT", "WEIGHT", "IVAR", "INVVAR", "INVERSE_VARIANCE", "weight_map", "F200W-WHT"],
    "psf": ["PSF", "VIS_PSF", "KERNEL", "psf_60", "DET_DIST", "OVERSAMP", "EPSF", "PSF_MODEL"],
    "mask": ["DQ", "MASK", "FLAGS", "VIS_FLAG", "BADPIX", "DATA_QUALITY", "BPM", "IMAGE_MASK"],
    "other": ["CTX", "EXPTIME", "VAR_POISSON", "BACKGROUND", "PSF_ERR", "AREA"],
    "unknown": ["", "VIS", "F814W", "PRIMARY", "A1"],
}  # fmt: skip


@pytest.mark.parametrize(("role", "name"), [(r, n) for r, names in ROLES.items() for n in names])
def test_a_name_says_what_an_extension_holds(role: str, name: str) -> None:
    assert role_of(name) == role


def test_words_besides_are_the_stem() -> None:
    assert stem_of("NIR_Y_RMS") == stem_of("nir-y-flux") == ("nir", "y")
    assert stem_of("SCI") == ()


def test_companions_are_those_of_the_same_band(tmp_path: Path) -> None:
    names = ("VIS_FLUX", "NIR_FLUX", "VIS_RMS", "NIR_RMS", "NIR_PSF", "VIS_PSF")
    with opened(file_of(tmp_path, *names)) as file:
        for image, noise, psf in ((1, 3, 6), (2, 4, 5)):
            assert companion_of(file, image, "noise") == noise
            assert companion_of(file, image, "psf") == psf
            assert companion_of(file, image, "mask") is None


def test_companions_follow_their_image(tmp_path: Path) -> None:
    with opened(file_of(tmp_path, "SCI", "ERR", "DQ", "SCI", "ERR", "DQ")) as file:
        assert [companion_of(file, 4, kind) for kind in ("noise", "mask")] == [5, 6]
        assert [companion_of(file, 1, kind) for kind in ("noise", "mask")] == [2, 3]


def test_standard_deviations_go_before_variances_and_weights(tmp_path: Path) -> None:
    with opened(file_of(tmp_path, "WHT", "SCI", "VAR", "ERR")) as file:
        assert companion_of(file, 2, "noise") == 4


def test_an_extension_may_be_named_in_any_case_or_numbered(tmp_path: Path) -> None:
    with opened(file_of(tmp_path, "SCI", "ERR")) as file:
        assert find_extension(file, "image", "err") == 2
        assert find_extension(file, "image", 2) == find_extension(file, "image", "2") == 2


@pytest.mark.parametrize("wanted", ["WHT", 7, -1, "PRIMARY"])
def test_what_is_not_there_is_refused(tmp_path: Path, wanted: int | str) -> None:
    with (
        opened(file_of(tmp_path, "SCI")) as file,
        pytest.raises(ImageError, match=r"no extension|holds no image"),
    ):
        find_extension(file, "image", wanted)


def test_without_a_name_that_tells_the_extension_must_be_named(tmp_path: Path) -> None:
    with (
        opened(file_of(tmp_path, "A", "B")) as file,
        pytest.raises(ImageError, match=r"extensions \(1 A, 2 B\) is the noise: name it by noise"),
    ):
        find_extension(file, "noise")


def test_of_several_bands_that_of_the_image_is_meant(tmp_path: Path) -> None:
    with opened(file_of(tmp_path, "VIS_RMS", "NIR_RMS")) as file:
        assert find_extension(file, "noise", stem=("nir",)) == 2
        with pytest.raises(ImageError, match="does not say which"):
            find_extension(file, "noise", stem=("r",))


def test_images_that_might_as_well_be_meant_are_counted(tmp_path: Path) -> None:
    with opened(file_of(tmp_path, "VIS_FLUX", "VIS_RMS", "NIR_FLUX", "NIR_RMS")) as file:
        assert other_images(file, 1) == 1
        assert other_images(file, 2) == 1
