import json

import numpy as np
import pytest
from astropy.io import fits

from lenspinn.data.fits import write_fits
from lenspinn.detect.detect_file import WRITTEN, detect_image

from .conftest import PIXEL_SCALE, SIGMA, small_psf


@pytest.fixture(scope="module")
def written(image, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lens")
    for name, pixels in (
        ("data", image),
        ("noise_map", np.full(image.shape, SIGMA)),
        ("psf", small_psf()),
    ):
        write_fits(folder / f"{name}.fits", pixels, PIXEL_SCALE)
    out = folder / "clumps"
    found = detect_image(folder, lens_light="none", mocks=0, injected=0, out=out)
    return found, out, folder.name


def test_everything_is_written(written):
    _, out, name = written
    assert sorted(path.name for path in out.iterdir()) == sorted(name + end for end in WRITTEN)


def test_the_json_says_what_was_found_and_of_what(written):
    found, out, name = written
    content = json.loads((out / f"{name}.json").read_text())
    assert content["verdict"] == found.verdict
    assert content["origin"]["command"] == "detect"
    assert content["mocks"] is None


def test_the_maps_are_those_that_were_made(written):
    found, out, name = written
    with fits.open(out / f"{name}.fits") as file:
        names = [part.name for part in file[1:]]
        assert names == ["IMAGE", "RESIDUAL", "SIGNIFICANCE", "MASS_5_SIGMA", "REGION"]
        shown = file["SIGNIFICANCE"].data
        assert np.allclose(shown, found.significance, atol=1e-5, equal_nan=True)


def test_the_picture_is_one(written):
    _, out, name = written
    assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
