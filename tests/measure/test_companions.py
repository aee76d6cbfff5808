from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits

from lenspinn.data.fits import write_fits
from lenspinn.errors import DataError, ImageError
from lenspinn.measure.companions import FileOptions, is_lens_folder, read_with_companions

SIDE, SCALE = 48, 0.1
PSF = np.outer([0.25, 0.5, 0.25], [0.25, 0.5, 0.25])
SIGMA = 0.2


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
    assert (known.mask == 1).all()
    assert known.psf is None


def test_what_is_named_goes_before_what_is_found(folder: Path) -> None:
    other = write_fits(folder / "other.fits", np.full((5, 5), 9.0), 0.05)
    _, known = read_with_companions(folder, FileOptions(noise=other))
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
        file["kernel_point_source"] = 2 * PSF
    found, known = read_with_companions(tmp_path / "image.h5", FileOptions(psf=tmp_path / "psf.h5"))
    assert found.pixel_scale == pytest.approx(0.05)
    assert (known.noise == 2).all()
    assert (known.psf == PSF).all()
    other = write_fits(tmp_path / "other.fits", np.full((5, 5), 9.0), 0.05)
    _, known = read_with_companions(tmp_path / "image.h5", FileOptions(noise=other))
    assert (known.noise == 9).all()


def test_a_folder_without_an_image_is_refused(tmp_path: Path) -> None:
    assert not is_lens_folder(tmp_path)
    with pytest.raises(DataError, match=r"holds no data\.fits"):
        read_with_companions(tmp_path)


@pytest.fixture
def image() -> np.ndarray:
    y, x = np.indices((SIDE, SIDE)) - SIDE / 2
    light = 30 * np.exp(-np.hypot(x, y) / 2)
    return light + SIGMA * np.random.default_rng(1).standard_normal((SIDE, SIDE))


def noise_map() -> np.ndarray:
    return SIGMA * np.random.default_rng(2).uniform(0.9, 1.1, (SIDE, SIDE))


def mask() -> np.ndarray:
    bad = np.zeros((SIDE, SIDE), dtype=np.int32)
    bad[3, 4] = 8
    return bad


def file_of(path: Path, **extensions: np.ndarray) -> Path:
    hdus = [fits.PrimaryHDU(header=fits.Header([("PIXSCALE", SCALE)]))]
    hdus += [fits.ImageHDU(data, name=name) for name, data in extensions.items()]
    fits.HDUList(hdus).writeto(path)
    return path


NAMES = [
    ("SCI", "ERR", "noise", "DQ"),
    ("sci", "wht", "weight", "mask"),
    ("VIS_FLUX", "VIS_RMS", "noise", "VIS_FLAG"),
    ("IMAGE", "VARIANCE", "variance", "MASK"),
    ("F814W_SCI", "F814W_IVAR", "weight", "F814W_BPM"),
    ("DATA", "STAT", "variance", "QUALITY"),
    ("PRIMARY_IMAGE", "NOISE_MAP", "noise", "BADPIX"),
    ("FLUX", "FLUX_ERROR", "noise", "FLUXMASK"),
]


@pytest.mark.parametrize(("image_name", "noise_name", "kind", "mask_name"), NAMES)
@pytest.mark.parametrize("order", [1, -1])
def test_extensions_are_read_by_their_names(
    tmp_path: Path, image: np.ndarray, image_name, noise_name, kind, mask_name, order
) -> None:
    stored = {"noise": 1, "variance": 2, "weight": -2}[kind]
    content = {
        image_name: image,
        noise_name: noise_map() ** stored,
        mask_name: mask(),
        "PSF": PSF,
        "EXPTIME": np.ones_like(image),
    }
    path = file_of(tmp_path / "a.fits", **dict(list(content.items())[::order]))
    with pytest.warns(UserWarning, match="the (noise map|PSF|mask) is extension"):
        found, known = read_with_companions(path)
    np.testing.assert_allclose(found.data, image)
    assert known.noise is not None
    assert known.mask is not None
    np.testing.assert_allclose(known.noise, noise_map())
    np.testing.assert_array_equal(known.mask, mask() != 0)
    np.testing.assert_allclose(known.psf, PSF)
    assert any("PSF is extension" in note for note in known.notes)


@pytest.mark.parametrize("kind", ["noise", "psf"])
def test_a_companion_file_is_read_by_the_name_of_its_extension(
    tmp_path: Path, image: np.ndarray, kind: str
) -> None:
    alone = file_of(tmp_path / "image.fits", SCI=image)
    whole = file_of(tmp_path / "all.fits", SCI=image, ERR=noise_map(), PSF=PSF)
    _, known = read_with_companions(alone, FileOptions(**{kind: whole}))
    expected = {"noise": noise_map(), "psf": PSF}[kind]
    np.testing.assert_allclose(getattr(known, kind), expected)


def test_extensions_may_be_named(tmp_path: Path, image: np.ndarray) -> None:
    path = file_of(tmp_path / "a.fits", ONE=noise_map(), TWO=image, THREE=PSF)
    options = FileOptions(image_hdu="two", noise_hdu=1, psf_hdu="3")
    with pytest.warns(UserWarning, match="is extension"):
        found, known = read_with_companions(path, options)
    np.testing.assert_allclose(found.data, image)
    np.testing.assert_allclose(known.noise, noise_map())
    np.testing.assert_allclose(known.psf, PSF)


@pytest.mark.parametrize("factor", [1.0, -3.0, 1e-12])
@pytest.mark.parametrize("kind", ["noise", "psf"])
def test_an_image_is_not_its_own_noise_map_or_psf(
    tmp_path: Path, image: np.ndarray, factor: float, kind: str
) -> None:
    path = write_fits(tmp_path / "a.fits", image, SCALE)
    copy = write_fits(tmp_path / "b.fits", factor * image, SCALE)
    sizes = write_fits(tmp_path / "c.fits", np.abs(image), SCALE)
    for other in (path, copy, sizes):
        with pytest.raises(ImageError, match="is the image itself, or a multiple of it; give"):
            read_with_companions(path, FileOptions(**{kind: other}))


def test_a_noise_map_is_not_the_psf(tmp_path: Path, image: np.ndarray) -> None:
    path = write_fits(tmp_path / "a.fits", image, SCALE)
    other = write_fits(tmp_path / "b.fits", noise_map(), SCALE)
    with pytest.raises(ImageError, match=r"the PSF .* is the noise map itself"):
        read_with_companions(path, FileOptions(noise=other, psf=other))


def test_a_map_of_variances_is_told_by_the_name_of_its_file(
    tmp_path: Path, image: np.ndarray
) -> None:
    path = write_fits(tmp_path / "a.fits", image, SCALE)
    variance = write_fits(tmp_path / "lens_variance.fits", noise_map() ** 2, SCALE)
    with pytest.warns(UserWarning, match="holds variances; their square roots are the noise"):
        _, known = read_with_companions(path, FileOptions(noise=variance))
    np.testing.assert_allclose(known.noise, noise_map(), rtol=1e-6)


def test_exposure_times_are_no_noise_but_say_what_was_seen(
    tmp_path: Path, image: np.ndarray
) -> None:
    exposure = np.full_like(image, 1e5)
    exposure[:2] = 0
    path = file_of(tmp_path / "a.fits", SCI=image, WHT=exposure)
    with pytest.warns(UserWarning, match="noise is estimated from the image"):
        _, known = read_with_companions(path)
    assert known.noise is None
    np.testing.assert_array_equal(known.mask, exposure == 0)
    with pytest.raises(ImageError, match=r"not 1 / variance .* give a noise map"):
        read_with_companions(path, FileOptions(noise=path))


def test_a_mask_of_nearly_everything_is_not_used(tmp_path: Path, image: np.ndarray) -> None:
    path = file_of(tmp_path / "a.fits", SCI=image, MASK=np.ones_like(image))
    with pytest.warns(UserWarning, match="would leave out 100% of the image, and is not used"):
        _, known = read_with_companions(path)
    assert known.mask is None


def test_an_extension_of_another_shape_is_not_used(tmp_path: Path, image: np.ndarray) -> None:
    path = file_of(tmp_path / "a.fits", SCI=image, ERR=np.ones((5, 5)))
    with pytest.warns(UserWarning, match="of another shape than the image, and is not used"):
        _, known = read_with_companions(path)
    assert known.noise is None


def test_a_noise_map_of_another_shape_is_refused(tmp_path: Path, image: np.ndarray) -> None:
    path = write_fits(tmp_path / "a.fits", image, SCALE)
    other = write_fits(tmp_path / "b.fits", np.ones((5, 5)), SCALE)
    with pytest.raises(ImageError, match=r"has shape \(5, 5\), the image \(48, 48\)"):
        read_with_companions(path, FileOptions(noise=other))


@pytest.mark.parametrize("card", ["PIXSCALE", "PIXELSCL", "OVERSAMP", "PSF_SAMP", "CD"])
def test_the_scale_of_a_psf_is_heeded(tmp_path: Path, image: np.ndarray, card: str) -> None:
    path = write_fits(tmp_path / "a.fits", image, SCALE)
    cards = {
        "OVERSAMP": [("OVERSAMP", 3)],
        "PSF_SAMP": [("PSF_SAMP", 1 / 3)],
        "CD": [("CD1_1", -SCALE / 3 / 3600), ("CD2_2", SCALE / 3 / 3600)],
    }.get(card, [(card, SCALE / 3)])
    fine = np.kron(PSF, np.ones((3, 3)))
    fits.PrimaryHDU(fine, fits.Header(cards)).writeto(tmp_path / "psf.fits")
    with pytest.warns(UserWarning, match="it is brought to those of the image"):
        _, known = read_with_companions(path, FileOptions(psf=tmp_path / "psf.fits"))
    np.testing.assert_allclose(known.psf, PSF, atol=1e-6)


def test_a_psf_as_wide_as_finer_pixels_make_it_must_state_its_scale(
    tmp_path: Path, image: np.ndarray
) -> None:
    path = write_fits(tmp_path / "a.fits", image, SCALE)
    fine = np.pad(np.kron(PSF, np.ones((8, 8))), 10)
    fits.PrimaryHDU(fine).writeto(tmp_path / "psf.fits")
    with pytest.raises(ImageError, match="write their size as PIXSCALE"):
        read_with_companions(path, FileOptions(psf=tmp_path / "psf.fits"))


def test_one_band_of_a_cube_has_the_noise_of_that_band(tmp_path: Path, image: np.ndarray) -> None:
    cube = np.stack([image, 2 * image, 3 * image])
    header = fits.Header([("PIXSCALE", SCALE), ("BANDS", "grz")])
    fits.PrimaryHDU(cube, header).writeto(tmp_path / "a.fits")
    factors = np.array([1, 2, 3])[:, None, None]
    fits.PrimaryHDU(noise_map() * factors, header).writeto(tmp_path / "noise.fits")
    for band in (2, "r"):
        options = FileOptions(noise=tmp_path / "noise.fits", band=band)
        found, known = read_with_companions(tmp_path / "a.fits", options)
        np.testing.assert_allclose(found.data, 2 * image)
        np.testing.assert_allclose(known.noise, 2 * noise_map())


def test_a_file_of_several_images_says_which_was_taken(tmp_path: Path, image: np.ndarray) -> None:
    path = file_of(tmp_path / "a.fits", F160W_SCI=image, F814W_SCI=2 * image)
    with pytest.warns(UserWarning, match=r"extension 1 \(F160W\), the first of 2: name another"):
        read_with_companions(path)
    found, known = read_with_companions(path, FileOptions(band="f814w"))
    np.testing.assert_allclose(found.data, 2 * image)
    assert known.notes == ()


def test_extensions_are_for_fits_files(tmp_path: Path, image: np.ndarray) -> None:
    with h5py.File(tmp_path / "image.h5", "w") as file:
        file["image_data"] = image
    for name in ("image_hdu", "noise_hdu", "psf_hdu", "band"):
        with pytest.raises(DataError, match=f"{name} is for FITS files"):
            read_with_companions(tmp_path / "image.h5", FileOptions(**{name: 1}, pixel_scale=SCALE))


@pytest.fixture(scope="session")
def cases(shared_data: Path) -> Path:
    folder = shared_data.parent / "cases"
    if not folder.is_dir():
        pytest.skip(f"needs the reported cases at {folder}")
    return folder


RUBIN, EUCLID = "07-rubin-maskedimage", "62-real-euclid-one-file"


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("image", "noise", "scale"),
    [
        ("01-cd-no-cdelt/lens.fits", None, 0.05),
        ("04-pc-holds-scale/cdelt1.fits", None, 0.05),
        ("04-pc-holds-scale/nocdelt.fits", None, 0.05),
        (f"{RUBIN}/cutout.fits", 0.02012, 0.2),
        (f"{RUBIN}/compressed.fits", 0.02012, 0.2),
        ("10-pyautolens", 0.02034, 0.05),
        ("50-hst-acs/drc.fits", None, 0.05),
        (f"{EUCLID}/102020532.fits", 0.00369, 0.1),
    ],
)
def test_reported_files_are_read(cases: Path, image: str, noise: float | None, scale: float):
    found, known = read_with_companions(cases / image)
    assert found.pixel_scale == pytest.approx(scale, rel=1e-4)
    if noise is None:
        assert known.noise is None
    else:
        assert known.noise is not None
        assert np.median(known.noise) == pytest.approx(noise, rel=1e-3)


def test_a_reported_cube_needs_a_band(cases: Path) -> None:
    with pytest.raises(ImageError, match=r"bands g, r, z.*choose one by band, from 1 to 3"):
        read_with_companions(cases / "09-legacy-cube" / "cube.fits")
    read_with_companions(cases / "09-legacy-cube" / "cube.fits", FileOptions(band="z"))


def test_a_reported_image_given_as_its_own_noise_and_psf_is_read_by_names(cases: Path) -> None:
    path = cases / EUCLID / "102020532.fits"
    found, known = read_with_companions(path, FileOptions(noise=path, psf=path))
    assert known.noise is not None
    assert known.psf is not None
    assert np.median(known.noise) < np.abs(found.data).max() / 100
    assert known.psf.shape == (21, 21)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("psf", "refused"),
    [
        ("cube", "holds data of shape"),
        ("even30", None),
        ("nan", "NaN or infinite"),
        ("negative", "negative pixels"),
        ("off1", None),
        ("oversampled4", "PIXSCALE"),
        ("peak1", None),
    ],
)
def test_reported_psfs_are_used_or_refused(cases: Path, psf: str, refused: str | None) -> None:
    image = cases / "60-one-nan" / "lens.fits"
    options = FileOptions(psf=cases / "44-psf" / f"{psf}.fits")
    if refused is not None:
        with pytest.raises(ImageError, match=refused):
            read_with_companions(image, options)
        return
    _, known = read_with_companions(image, options)
    assert known.psf is not None
    assert known.psf.sum() == pytest.approx(1.0)
    middle = tuple(side // 2 for side in known.psf.shape)
    assert np.unravel_index(known.psf.argmax(), known.psf.shape) == middle


@pytest.mark.parametrize("finer", [2, 3])
def test_a_reported_psf_of_finer_pixels_is_rebinned(cases: Path, finer: int) -> None:
    path = cases / EUCLID / "102020532.fits"
    options = FileOptions(psf=cases / EUCLID / f"psf_over{finer}.fits", noise=path)
    with pytest.warns(UserWarning, match="brought to those of the image"):
        _, known = read_with_companions(path, options)
    assert known.psf is not None
    # The native one has 0.174 in its peak; a mean over pixels lowers that, finer pixels would to
    # a quarter or less.
    assert 0.12 < known.psf.max() < 0.18


@pytest.mark.parametrize(("given", "says"), [(0.5, "given as 0.5 arcsec, .* 0.05"), (0.0501, None)])
def test_a_pixel_scale_that_the_file_contradicts_is_told(folder: Path, given, says) -> None:
    options = FileOptions(pixel_scale=given)
    if says is None:
        assert read_with_companions(folder, options)[1].notes == ()
        return
    with pytest.warns(UserWarning, match=says):
        found, known = read_with_companions(folder, options)
    assert found.pixel_scale == given
    assert "leave pixel_scale out" in known.notes[0]


def test_arrays_are_taken_with_the_pixel_scale_that_is_given(
    tmp_path: Path, image: np.ndarray
) -> None:
    for name, pixels in (("image", image), ("noise", noise_map()), ("psf", PSF)):
        np.save(tmp_path / f"{name}.npy", pixels)
    parts = FileOptions(noise=tmp_path / "noise.npy", psf=tmp_path / "psf.npy", pixel_scale=SCALE)
    found, known = read_with_companions(tmp_path / "image.npy", parts)
    np.testing.assert_allclose(found.data, image)
    np.testing.assert_allclose(known.noise, noise_map())
    np.testing.assert_allclose(known.psf, PSF)
    assert found.pixel_scale == SCALE
    with pytest.raises(DataError, match="how large its pixels are; give pixel_scale"):
        read_with_companions(tmp_path / "image.npy")
    with pytest.raises(DataError, match="image_hdu is for FITS files"):
        read_with_companions(tmp_path / "image.npy", FileOptions(image_hdu=1, pixel_scale=SCALE))
