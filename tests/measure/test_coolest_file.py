import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.wcs import WCS
from coolest.api.profiles.light import Sersic
from coolest.api.profiles.mass import PEMD, ExternalShear
from coolest.template.json import JSONSerializer

from lenspinn.data.celestial import Celestial
from lenspinn.data.fits import TelescopeImage
from lenspinn.errors import ConfigError, DataError
from lenspinn.fitting.smooth import by_name, smooth_deflection, source_brightness
from lenspinn.lensing.grid import pixel_grid
from lenspinn.measure import LensMeasurement

pytestmark = pytest.mark.filterwarnings(
    "ignore:COOLEST has no place:UserWarning", "ignore:`axes` should not be:DeprecationWarning"
)
# Of the largest value: ours are float32.
SAME = 2e-6


@pytest.fixture(scope="module")
def template(measured: LensMeasurement, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("coolest") / "lens.json"
    with pytest.warns(UserWarning, match="COOLEST has no place for the power law of slope"):
        return measured.to_coolest(file, z_lens=0.3, z_source=1.1)


@pytest.fixture(scope="module")
def loaded(template: Path):
    """The template as the coolest package reads it, with its checks."""
    serializer = JSONSerializer(str(template.with_suffix("")), check_external_files=False)
    return serializer.load(skip_jsonpickle=True, verbose=False)


def numbers(profile) -> dict[str, float]:
    return {name: each.point_estimate.value for name, each in profile.parameters.items()}


def positions(measured: LensMeasurement) -> tuple[np.ndarray, np.ndarray]:
    x, y = pixel_grid(len(measured.image), measured.pixel_scale, dtype=torch.float64)
    return (each.expand(len(measured.image), -1).numpy() for each in torch.broadcast_tensors(x, y))


def test_coolest_deflects_and_shines_as_the_measurement(loaded, measured) -> None:
    lens, field, source = loaded.lensing_entities
    x, y = positions(measured)
    parts = PEMD().deflection(x, y, **numbers(lens.mass_model[0]))
    shear = ExternalShear().deflection(x, y, **numbers(field.mass_model[0]))
    values = measured.smooth_parameters.double()
    expected = smooth_deflection(values, torch.from_numpy(x), torch.from_numpy(y))
    for one, other, ours in zip(parts, shear, expected, strict=True):
        np.testing.assert_allclose(one + other, ours[0], rtol=0, atol=SAME * measured.theta_E)
    brightness = Sersic().evaluate_surface_brightness(x, y, **numbers(source.light_model[0]))
    ours = source_brightness(by_name(values), torch.from_numpy(x), torch.from_numpy(y))[0]
    np.testing.assert_allclose(brightness, ours, rtol=0, atol=SAME * float(ours.max()))


def test_a_lens_whose_axis_points_to_north_east_has_an_angle_east_of_north(
    measured: LensMeasurement, tmp_path: Path
) -> None:
    """Of an image with north up and east to the left."""
    tilted = replace(measured, parameters=measured.parameters | {"e1": 0.0, "e2": -0.2})
    num_pix, scale = len(measured.image), measured.pixel_scale
    sky = WCS(naxis=2)
    sky.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    sky.wcs.crpix = [(num_pix + 1) / 2] * 2
    sky.wcs.crval = [150.0, 2.0]
    sky.wcs.cdelt = [-scale / 3600, scale / 3600]
    image = TelescopeImage(
        data=measured.image, pixel_scale=scale, unit="e-/s", celestial=Celestial(sky)
    )
    centred = replace(tilted, middle=(0.0, 0.0))
    with pytest.warns(UserWarning, match=r"direction of its y axis, 0\.0 degrees"):
        file = centred.to_coolest(tmp_path / "lens.json", image=image)
    content = json.loads(file.read_text())
    phi = content["lensing_entities"][0]["mass_model"][0]["parameters"]["phi"]
    assert phi["point_estimate"]["value"] == pytest.approx(45, abs=1e-4)
    east_of_north = image.celestial.east_of_north(num_pix / 2, num_pix / 2, 135.0)
    assert east_of_north == pytest.approx(45, abs=1e-3)
    assert content["coordinates_origin"]["ra"].startswith("10h00m00")


def test_lenstronomy_draws_the_same_image_from_the_template(
    template, measured, monkeypatch
) -> None:
    from lenstronomy.Data.imaging_data import ImageData
    from lenstronomy.Data.psf import PSF
    from lenstronomy.ImSim.image_model import ImageModel
    from lenstronomy.LensModel.lens_model import LensModel
    from lenstronomy.LightModel.light_model import LightModel
    from lenstronomy.Util.coolest_interface import create_lenstronomy_from_coolest

    monkeypatch.chdir(template.parent)  # where it looks for the images
    read = create_lenstronomy_from_coolest(str(template.with_suffix("")))
    lists, kwargs = read["kwargs_model"], read["kwargs_result"]
    model = ImageModel(
        ImageData(**read["kwargs_data"]),
        PSF(**read["kwargs_psf"]),
        LensModel(lists["lens_model_list"]),
        LightModel(lists["source_light_model_list"]),
        LightModel(lists["lens_light_model_list"]),
        kwargs_numerics={"supersampling_factor": measured.supersampling},
    )
    image = model.image(
        kwargs["kwargs_lens"], kwargs["kwargs_source"], kwargs["kwargs_lens_light"],
        lens_light_add=False,
    )  # fmt: skip
    off = np.abs(image - measured.source_image).max()
    assert off < 1e-5 * measured.source_image.max()
    np.testing.assert_allclose(read["kwargs_data"]["image_data"], measured.image, rtol=1e-6)


def test_errors_noise_mask_and_what_has_no_place_are_said(template, loaded, measured) -> None:
    theta_E = loaded.lensing_entities[0].mass_model[0].parameters["theta_E"]
    high = theta_E.posterior_stats.percentile_84th
    assert high - theta_E.point_estimate.value == pytest.approx(measured.theta_E_error)
    assert theta_E.fixed is False
    assert len(loaded.lensing_entities[0].light_model) > 2
    lens = json.loads(template.read_text())["lensing_entities"][0]["mass_model"][0]
    assert lens["parameters"]["gamma"]["fixed"] is True  # which coolest does not read again
    assert (loaded.cosmology.H0, loaded.cosmology.Om0) == (70.0, 0.3)
    mask = loaded.likelihoods[0].get_mask_pixels(directory=str(template.parent))
    assert np.array_equal(mask > 0, np.isfinite(measured.sigma))
    noise = loaded.observation.noise.noise_map.get_pixels(directory=str(template.parent))
    np.testing.assert_allclose(noise[mask > 0], measured.sigma[mask > 0], rtol=1e-6)
    said = "; ".join(loaded.meta["not_in_coolest"])
    for word in ("multipoles", "correlations", "sky of", "place on the sky", "unit"):
        assert word in said
    assert "redshifts" not in said


@pytest.mark.parametrize(
    ("file", "redshifts", "message"),
    [
        ("lens.txt", {}, "ends with .json"),
        ("lens.json", {"z_lens": 0.5}, "give both"),
        ("lens.json", {"z_lens": 0.5, "z_source": 0.4}, "the source behind the lens"),
    ],
)
def test_what_cannot_be_written_is_refused_first(
    measured, tmp_path, file, redshifts, message
) -> None:
    with pytest.raises(ConfigError, match=message):
        measured.to_coolest(tmp_path / file, **redshifts)
    assert not list(tmp_path.iterdir())


def test_a_source_flatter_than_a_gaussian_is_refused(measured, tmp_path) -> None:
    flat = replace(measured, parameters=measured.parameters | {"log_n_sersic": np.log(0.4)})
    with pytest.raises(DataError, match=r"Sersic index of 0\.40, and COOLEST has none below 0\.5"):
        flat.to_coolest(tmp_path / "lens.json")
    assert not list(tmp_path.iterdir())


def test_without_the_extra_the_sentence_says_how_to_get_it(measured, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "coolest", None)
    with pytest.raises(ConfigError, match=r"pip install 'lenspinn\[coolest\]'"):
        measured.to_coolest(tmp_path / "lens.json")


def test_a_lens_without_light_or_psf_has_none_in_the_template(measured, tmp_path) -> None:
    dark = replace(measured, light_shape=None, light_mode="none", psf=None)
    content = json.loads(dark.to_coolest(tmp_path / "lens.json").read_text())
    assert content["lensing_entities"][0]["light_model"] == []
    assert "not blurred" in content["instrument"]["psf"]["description"]
    assert any("was not modelled (none)" in each for each in content["meta"]["not_in_coolest"])
