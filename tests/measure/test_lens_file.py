import json
import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

import lenspinn.measure.lens_file as room
from lenspinn.data.fits import read_fits, write_fits
from lenspinn.errors import ConfigError, DataError
from lenspinn.measure import LensMeasurement, image_fits, measure_image, read_coolest
from lenspinn.measure.image_fits import FittedLens
from lenspinn.measure.lens_fit import MOST_ERROR
from lenspinn.measure.psf import ASSUMED_PSF_ERROR

RING_BY_EYE = 1.25  # arcsec, of dolphin_lens_system1, from the README of the data
BY_EYE = 0.05


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A lens in the layout of published folders."""
    lens = tmp_path / "J0000"
    lens.mkdir()
    for number, name in enumerate(("data", "noise_map", "psf")):
        write_fits(lens / f"{name}.fits", np.full((5, 5), 1.0 + number), 0.05)
    return lens


@pytest.fixture
def given(measured: LensMeasurement, monkeypatch: pytest.MonkeyPatch) -> dict:
    """What the fit is called with; it is not run."""
    arguments: dict = {}

    def find(image: np.ndarray, **options) -> None:
        arguments.update(image=image, **options)

    monkeypatch.setattr(image_fits, "find_arcs", find)
    monkeypatch.setattr(
        image_fits, "fit_rings", lambda _: Mock(spec=FittedLens, measurement=measured)
    )
    return arguments


def test_a_folder_brings_its_noise_map_and_psf(folder: Path, given: dict, tmp_path: Path) -> None:
    measure_image(folder, out=tmp_path / "out")
    assert given["pixel_scale"] == 0.05
    assert (given["image"] == 1).all()
    assert (given["noise"] == 2).all()
    np.testing.assert_allclose(given["psf"], np.full((5, 5), 1 / 25))
    assert given["mask"] is None


def test_a_file_has_only_what_is_named(folder: Path, given: dict, tmp_path: Path) -> None:
    measure_image(folder / "data.fits", psf=folder / "psf.fits", out=tmp_path / "out")
    assert given["noise"] is None
    np.testing.assert_allclose(given["psf"], np.full((5, 5), 1 / 25))


def test_numbers_maps_and_a_picture_are_written(folder: Path, given: dict, tmp_path: Path) -> None:
    measured = measure_image(folder, out=tmp_path / "out")
    record = json.loads((tmp_path / "out" / "J0000.json").read_text())
    assert record["theta_E_arcsec"] == measured.theta_E
    assert (tmp_path / "out" / record["picture"]).stat().st_size > 0
    assert read_fits(tmp_path / "out" / record["maps"]).data.shape == measured.image.shape
    assert "magnitude" not in record["parameters"]["source"]
    assert "sky" not in record


def test_what_the_header_says_gives_magnitudes_and_the_place_on_the_sky(
    measured: LensMeasurement, scene, given: dict, folder: Path, tmp_path: Path
) -> None:
    degrees = scene.pixel_scale / 3600
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": -20.0}
    cards |= {"CRPIX1": 1.0, "CRPIX2": 1.0, "CD1_1": -degrees, "CD2_2": degrees}
    path = write_fits(
        tmp_path / "lens.fits", scene.image, scene.pixel_scale, MAGZERO=31.4, BUNIT="nJy", **cards
    )
    measure_image(path, psf=folder / "psf.fits", out=tmp_path / "out")
    record = json.loads((tmp_path / "out" / "lens.json").read_text())
    assert (record["unit"], record["zero_point_AB"]) == ("nJy", 31.4)
    source = record["parameters"]["source"]
    assert source["magnitude"] == pytest.approx(31.4 - 2.5 * np.log10(source["flux"]))
    column, row = (record["frame"][f"middle_{axis}_from_0"] for axis in ("column", "row"))
    half = len(measured.image) // 2
    cut = scene.image[row - half : row + half + 1, column - half : column + half + 1]
    np.testing.assert_allclose(cut, measured.image, rtol=1e-6)
    middle = record["sky"]["middle_of_frame"]
    assert middle["dec_deg"] == pytest.approx(-20 + row * degrees, abs=1e-8)


def test_a_folder_without_an_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no data\.fits"):
        measure_image(tmp_path)


def test_without_a_psf_that_of_the_instrument_is_taken_and_said(
    measured: LensMeasurement, given: dict, tmp_path: Path
) -> None:
    path = tmp_path / "drc.fits"
    write_fits(
        path, np.eye(5), 0.05, TELESCOP="HST", INSTRUME="ACS", FILTER2="F814W", DETECTOR="WFC"
    )
    with pytest.warns(UserWarning, match="a Gaussian as of hst_acs_f814w"):
        measure_image(path, out=tmp_path / "out")
    assert given["psf"].sum() == pytest.approx(1.0, abs=1e-3)
    record = json.loads((tmp_path / "out" / "drc.json").read_text())
    assert "hst_acs_f814w" in record["notes"][0]
    more = ASSUMED_PSF_ERROR * measured.theta_E
    error = np.hypot(measured.theta_E_error, more)
    assert record["theta_E_error_arcsec"] == pytest.approx(error)
    systematic = np.hypot(measured.systematic_error, more)
    assert record["theta_E_systematic_error_arcsec"] == pytest.approx(systematic)


def test_an_error_that_only_an_assumed_psf_makes_too_large_is_a_reason(
    measured: LensMeasurement,
) -> None:
    doubtful = replace(measured, theta_E_error=0.9999 * MOST_ERROR * measured.theta_E)
    (reason,) = room._with_assumed_psf(doubtful).reasons
    assert "give the PSF" in reason
    assert room._with_assumed_psf(measured).trusted


def test_without_any_psf_the_image_is_taken_as_unblurred_and_that_is_said(
    folder: Path, given: dict, tmp_path: Path
) -> None:
    with pytest.warns(UserWarning, match="the image is taken as unblurred"):
        measure_image(folder / "data.fits", out=tmp_path / "out")
    assert given["psf"] is None


def test_two_images_of_one_name_are_both_kept(folder: Path, given: dict, tmp_path: Path) -> None:
    other = tmp_path / "J1111" / "data.fits"
    other.parent.mkdir()
    other.write_bytes((folder / "data.fits").read_bytes())
    for image in (folder / "data.fits", other, other):
        measure_image(image, psf=folder / "psf.fits", out=tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    suffixes = ("fits", "json", "png")
    assert names == [f"{name}.{suffix}" for name in ("J1111_data", "data") for suffix in suffixes]
    kept = json.loads((tmp_path / "out" / "data.json").read_text())
    assert kept["image"] == str(folder / "data.fits")


def test_a_real_lens_of_another_pipeline_is_measured(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "hst_other" / "dolphin_lens_system1"
    measured = measure_image(
        folder / "image_F390W.h5", psf=folder / "psf_F390W.h5", out=tmp_path / "out"
    )
    assert measured.trusted
    assert measured.theta_E == pytest.approx(RING_BY_EYE, rel=BY_EYE)


@pytest.mark.filterwarnings("ignore:COOLEST has no place:UserWarning")
def test_a_coolest_template_is_written_where_it_is_asked_for(
    folder: Path, given: dict, tmp_path: Path
) -> None:
    measured = measure_image(folder, out=tmp_path / "out", coolest=True)
    there = tmp_path / "out" / "J0000_coolest" / "J0000.json"
    read = read_coolest(there)
    assert read["kwargs_lens"][0]["theta_E"] == pytest.approx(measured.theta_E)
    measure_image(folder, out=tmp_path / "other")
    assert not (tmp_path / "other" / "J0000_coolest").exists()


def test_without_the_package_a_template_is_refused_before_anything_is_measured(
    folder: Path, given: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "coolest", None)
    with pytest.raises(ConfigError, match=r"coolest is not installed: pip install 'lenspinn\["):
        measure_image(folder, out=tmp_path / "out", coolest=True)
    assert not given
    assert not (tmp_path / "out").exists()
