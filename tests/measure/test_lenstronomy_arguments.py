import json
from dataclasses import replace

import numpy as np
import pytest
from lenstronomy.Data.imaging_data import ImageData
from lenstronomy.Data.psf import PSF
from lenstronomy.ImSim.image_model import ImageModel
from lenstronomy.LensModel.lens_model import LensModel
from lenstronomy.LightModel.light_model import LightModel

from lenspinn.measure import LensMeasurement

pytestmark = pytest.mark.filterwarnings("ignore:`axes` should not be:DeprecationWarning")
# Of the brightest pixel: the lensed source is drawn in float32.
SAME = 1e-5
# Likewise: wide Gaussians are blurred by the second moments of the PSF alone.
ALIKE = 1e-3


@pytest.fixture(scope="module")
def arguments(measured: LensMeasurement) -> dict:
    """As whoever reads the JSON file has them."""
    return json.loads(json.dumps(measured.to_json()))["lenstronomy"]


def drawn(arguments: dict, measured: LensMeasurement, part: str, **added: bool) -> np.ndarray:
    model = ImageModel(
        ImageData(image_data=np.zeros_like(measured.image), **arguments["kwargs_data"]),
        PSF(psf_type="PIXEL", kernel_point_source=measured.psf),
        LensModel(arguments["lens_model_list"]),
        LightModel(arguments["source_light_model_list"]),
        LightModel(arguments["lens_light_model_list"]),
        kwargs_numerics={"supersampling_factor": arguments["supersampling_factor"][part]},
    )
    kwargs = (arguments[f"kwargs_{name}"] for name in ("lens", "source", "lens_light"))
    return model.image(*kwargs, **added)


def test_lenstronomy_draws_the_same_lensed_source(arguments, measured) -> None:
    image = drawn(arguments, measured, "source", lens_light_add=False)
    off = np.abs(image - measured.source_image).max()
    assert off < SAME * measured.source_image.max()


def test_lenstronomy_draws_the_same_lens_light(arguments, measured) -> None:
    image = drawn(arguments, measured, "lens_light", source_add=False)
    off = np.abs(image + measured.galaxy.sky - measured.lens_light)
    # To lenstronomy there is no light beyond the border that the PSF could bring in.
    border = len(measured.psf) // 2
    inner = slice(border, len(off) - border)
    assert off[inner, inner].max() < ALIKE * measured.lens_light.max()


def test_without_lens_light_there_is_none(measured: LensMeasurement) -> None:
    dark = replace(measured, light_shape=None, light_mode="none").to_lenstronomy()
    assert dark["lens_light_model_list"] == dark["kwargs_lens_light"] == []
