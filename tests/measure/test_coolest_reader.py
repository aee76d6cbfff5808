import json
from pathlib import Path

import numpy as np
import pytest
from lenstronomy.Data.imaging_data import ImageData
from lenstronomy.Data.psf import PSF
from lenstronomy.ImSim.image_model import ImageModel
from lenstronomy.LensModel.lens_model import LensModel
from lenstronomy.LightModel.light_model import LightModel

from lenspinn.errors import DataError
from lenspinn.measure import LensMeasurement, read_coolest

pytestmark = pytest.mark.filterwarnings(
    "ignore:COOLEST has no place:UserWarning", "ignore:`axes` should not be:DeprecationWarning"
)
# Of the brightest pixel, between two profiles of lenstronomy of the same lens.
SAME = 1e-6
# Likewise, where lens light needs negative Gaussians, which a template does not have.
ALIKE = 1e-3


@pytest.fixture(scope="module")
def template(measured: LensMeasurement, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return measured.to_coolest(tmp_path_factory.mktemp("coolest") / "lens.json")


def drawn(arguments: dict, measured: LensMeasurement, part: str) -> np.ndarray:
    model = ImageModel(
        ImageData(image_data=np.zeros_like(measured.image), **arguments["kwargs_data"]),
        PSF(psf_type="PIXEL", kernel_point_source=measured.psf),
        LensModel(arguments["lens_model_list"]),
        LightModel(arguments["source_light_model_list"]),
        LightModel(arguments["lens_light_model_list"]),
        kwargs_numerics={"supersampling_factor": measured.supersampling},
    )
    kwargs = (arguments[f"kwargs_{name}"] for name in ("lens", "source", "lens_light"))
    return model.image(*kwargs, source_add=part == "source", lens_light_add=part == "lens_light")


@pytest.mark.parametrize(
    ("part", "tolerance"), [("source", SAME), ("lens_light", ALIKE)], ids=["source", "lens light"]
)
def test_what_was_written_is_read_as_the_same_image(template, measured, part, tolerance) -> None:
    found, expected = (
        drawn(arguments, measured, part)
        for arguments in (read_coolest(template), measured.to_lenstronomy())
    )
    assert np.abs(found - expected).max() < tolerance * expected.max()
    assert expected.max() > 0.01 * measured.image.max()


def changed(template: Path, tmp_path: Path, change) -> Path:
    content = json.loads(template.read_text())
    change(content)
    file = tmp_path / "other.json"
    file.write_text(json.dumps(content))
    return file


def set_mass(content: dict, kind: str, **values: float) -> None:
    parameters = {name: {"point_estimate": {"value": value}} for name, value in values.items()}
    content["lensing_entities"][0]["mass_model"] = [{"type": kind, "parameters": parameters}]


def test_an_isothermal_ellipsoid_of_others_is_read_too(template, tmp_path) -> None:
    values = {"theta_E": 1.2, "q": 0.8, "phi": 0.0, "center_x": 0.1, "center_y": -0.2}
    file = changed(template, tmp_path, lambda content: set_mass(content, "SIE", **values))
    (name, *_), (lens, *_) = (read_coolest(file)[key] for key in ("lens_model_list", "kwargs_lens"))
    assert (name, lens["theta_E"], lens["center_x"]) == ("SIE", 1.2, 0.1)
    # Along y, which is 90 degrees from x.
    assert (lens["e1"], lens["e2"]) == pytest.approx((-0.2 / 1.8, 0), abs=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: set_mass(c, "NFW", r_s=1.0), "its profile NFW cannot be read; those that can"),
        (lambda c: set_mass(c, "SIE", theta_E="1"), "theta_E of its SIE is '1'"),
        (lambda c: set_mass(c, "SIE", q=0.0), "q of its SIE is 0.0"),
        (lambda c: set_mass(c, "SIE", theta_E=1.0), "no COOLEST template with a lens model"),
        (lambda c: c["lensing_entities"][1].update(redshift=0.7), "masses are at redshifts"),
        (lambda c: c.pop("lensing_entities"), "no COOLEST template"),
        (lambda c: c.update(lensing_entities=3), "no COOLEST template"),
        (lambda c: c["observation"].update(pixels=[]), "no COOLEST template"),
    ],
)
def test_what_is_not_known_is_named(template, tmp_path, change, message) -> None:
    with pytest.raises(DataError, match=message):
        read_coolest(changed(template, tmp_path, change))


def test_a_program_beside_the_template_is_not_looked_at(template, measured) -> None:
    beside = template.with_name("lens_pyAPI.json")
    beside.write_text('{"py/object": "os.system"}')
    assert read_coolest(template)["lens_model_list"] == ["EPL", "SHEAR"]
