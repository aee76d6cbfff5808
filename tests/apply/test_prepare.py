import dataclasses

import numpy as np
import pytest
import torch

from lenspinn.apply.prepare import ASSUMED, Prepared, _seen_from, prepare
from lenspinn.data.background import background_sigma
from lenspinn.errors import ImageError
from lenspinn.fitting.smooth import SMOOTH_PARAMETERS, make_optics, smooth_image
from lenspinn.measure.arcs import LensLightMode
from lenspinn.measure.image_fits import ImageFits
from lenspinn.models import LensFit, create_model
from lenspinn.models.free_light import free_light
from lenspinn.models.lens_solution import LensSolution

# chi^2 per pixel of a smooth lens that the network fits after resampling by a factor of 1.25.
CHI2 = 1.3
# Of the noise that a noise map states, and of resampled white noise.
NOISE = 0.25
# Sigmas: float32, of light as bright as the arcs.
ROUNDING = 0.1
# Of the brightest pixel, what a second fit of the lens light finds in pixels that count.
LIGHT_LEFT = 0.01
OPTICS = make_optics(32, 0.1, (1.0,))
DARK_LENS = {
    "theta_E": 0.8,
    "e1": 0.08,
    "gamma1": 0.03,
    "source_x": 0.08,
    "source_y": 0.05,
    "log_R_sersic": -1.9,
    "log_amplitude": 4.0,
}
"""What is not named is 0."""


def prepare_scene(
    scene,
    model: LensFit,
    lens_light: LensLightMode | None = "model",
    *,
    pixels: np.ndarray | None = None,
    unit: float = 1.0,
    **other: np.ndarray | None,
) -> Prepared:
    """The scene made ready: in another unit, with other pixels, with something else known."""
    known = {"noise": scene.sigma * unit, "psf": scene.psf, "mask": scene.mask} | other
    image = scene.image if pixels is None else pixels
    fits = ImageFits((image * unit).astype(np.float32), pixel_scale=scene.pixel_scale, **known)
    return prepare(fits, model, instrument=None, lens_light=lens_light)


def solve(model: LensFit, prepared: Prepared) -> LensSolution:
    with torch.no_grad():
        return model.solve(prepared.observed, compiled=False)


@pytest.fixture(scope="module")
def model() -> LensFit:
    torch.manual_seed(0)
    network = create_model("lenspinn_fit", num_pix=32, pixel_scale=0.1).eval()
    assert isinstance(network, LensFit)
    return network


@pytest.fixture(scope="module")
def prepared(scene, model: LensFit) -> Prepared:
    return prepare_scene(scene, model)


def test_the_network_finds_the_lens_in_its_own_pixels(
    prepared: Prepared, scene, model: LensFit
) -> None:
    found = solve(model, prepared).reconstruction()
    assert found.theta_E.item() == pytest.approx(scene.theta_E, rel=0.02)
    assert found.chi2.item() < CHI2


def test_lens_light_is_taken_away_and_kept_for_the_picture(prepared: Prepared) -> None:
    assert prepared.light is not None
    seen = prepared.observed.image[0, 0]
    assert seen[14:18, 14:18].abs().max() < 0.5 * seen.max()
    assert prepared.light_mode == "model"


def test_lens_light_is_modelled_where_it_shows_if_nobody_says_otherwise(
    prepared: Prepared, scene, model: LensFit
) -> None:
    assert prepare_scene(scene, model, None).light_mode == prepared.light_mode


def test_a_network_trained_for_it_fits_the_lens_light_anew(scene) -> None:
    """Light that was taken away with a mistake of its own shape is the same to it."""
    torch.manual_seed(0)
    network = create_model("lenspinn_fit", num_pix=32, pixel_scale=0.1, free_light=True).eval()
    assert isinstance(network, LensFit)
    found = prepare_scene(scene, network)
    shape, noise = found.observed.lens_light, found.observed.noise
    assert shape is not None
    assert noise is not None
    seen = found.observed.image
    mistake = 0.2 * seen.max() * free_light(shape, OPTICS)[:, 3:4]
    wrong_image = found.observed._replace(image=seen + mistake)
    wrong = solve(network, dataclasses.replace(found, observed=wrong_image))
    right = solve(network, found)
    torch.testing.assert_close(right.best.residual, wrong.best.residual, atol=ROUNDING, rtol=0)
    assert wrong.reconstruction().theta_E.item() == pytest.approx(scene.theta_E, rel=0.02)
    # What the fit finds of the light is not classified.
    counted = noise.isfinite()[:, None]
    assert (right.image - wrong.image)[counted].abs().max() < LIGHT_LEFT * seen.max()
    assert prepare_scene(scene, network, "none").observed.lens_light is None


def test_pixels_of_the_size_of_those_of_training_are_kept_with_their_noise(scene) -> None:
    side, scale = 40, scene.pixel_scale
    model = create_model("lenspinn_fit", num_pix=side, pixel_scale=scale).eval()
    assert isinstance(model, LensFit)
    found = prepare_scene(scene, model, "none")
    assert found.observed.noise is not None
    image, noise = found.observed.image[0, 0].numpy(), found.observed.noise[0].numpy()
    known = np.isfinite(noise)
    first_row, first_column = (
        round((size - side) / 2 + middle / scale)
        for size, middle in zip(scene.image.shape, found.middle[::-1], strict=True)
    )
    inner = (slice(first_row, first_row + side), slice(first_column, first_column + side))
    for seen, there in ((image, scene.image[inner]), (noise, scene.sigma[inner])):
        np.testing.assert_allclose(seen[known], found.factor * there[known], rtol=1e-4)
    assert known.mean() > 0.5  # light that is said to be none moves the middle that is found


def test_a_lens_seen_from_elsewhere_makes_the_same_image() -> None:
    x, y = 0.04, -0.3
    lens = torch.tensor([[1.0, 0.1, -0.05, 0.02, 0.03, 0.05, -0.04, 0.1, 0.05, 0, 0, -1.6, 0, 3]])
    here = make_optics(40, 0.08, (1.0,), dtype=torch.float64)
    there = here._replace(theta_x=here.theta_x - x, theta_y=here.theta_y - y)
    images = (
        smooth_image(lens.double(), here),
        smooth_image(_seen_from(lens.double(), x, y), there),
    )
    torch.testing.assert_close(*images)


@pytest.mark.parametrize(("column", "row"), [(4, -3), (0, 5)])
def test_the_field_is_centred_on_the_fitted_lens(
    scene, model: LensFit, column: int, row: int
) -> None:
    """Arcs without lens light, so that nothing but the fit says where the lens is."""
    half, scale = 30, scene.pixel_scale
    values = torch.tensor([[DARK_LENS.get(name, 0.0) for name in SMOOTH_PARAMETERS]])
    optics = make_optics(2 * half + 1, scale, torch.from_numpy(scene.psf).float())
    moved = _seen_from(values, -column * scale, -row * scale)
    noise = np.random.default_rng(2).normal(0, 0.02, (2 * half + 1,) * 2)
    pixels = smooth_image(moved, optics)[0].double().numpy() + noise
    known = {"noise": np.full_like(pixels, 0.02), "mask": None}
    found = prepare_scene(scene, model, "none", pixels=pixels, **known)
    lens = solve(model, found).best
    at = [SMOOTH_PARAMETERS.index(name) for name in ("center_x", "center_y")]
    assert lens.parameters[0, at].abs().max() < scale  # half a pixel, and the error of the fit
    assert found.middle == pytest.approx((column * scale, row * scale), abs=scale)
    assert lens.parameters[0, 0].item() == pytest.approx(DARK_LENS["theta_E"], rel=0.02)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_pixel_that_is_not_finite_is_left_out(
    prepared: Prepared, scene, model: LensFit, value: float
) -> None:
    pixels = scene.image.astype(np.float32)
    pixels[27, 17] = value  # in the ring
    found = prepare_scene(scene, model, pixels=pixels)
    assert found.measured.theta_E == pytest.approx(prepared.measured.theta_E, rel=0.005)
    assert found.left_out > prepared.left_out
    assert found.observed.image.isfinite().all()


def test_the_noise_of_the_faintest_pixels_becomes_that_of_training(
    prepared: Prepared, model: LensFit
) -> None:
    sigma = background_sigma(prepared.observed.image).item()
    assert sigma == pytest.approx(model.background_sigma, rel=1e-3)
    assert prepared.scatter == pytest.approx(1.0, abs=NOISE)


def test_masked_pixels_are_left_out_and_show_the_source(prepared: Prepared, model: LensFit) -> None:
    assert prepared.observed.noise is not None
    out, seen = prepared.observed.noise[0].isinf(), prepared.observed.image[0, 0]
    found = solve(model, prepared)
    assert prepared.left_out == pytest.approx(out.float().mean().item())
    assert 0 < prepared.left_out < 0.1
    assert (found.best.residual[0][out] == 0).all()
    left = seen[out] - found.model[0][out]
    assert left.abs().max() < 0.3 * seen.max()  # the masked galaxy was brighter


def test_the_unit_of_an_image_does_not_matter(prepared: Prepared, scene, model: LensFit) -> None:
    other = prepare_scene(scene, model, unit=50.0)
    assert other.factor == pytest.approx(prepared.factor / 50, rel=0.05)
    peak = prepared.observed.image.max().item()
    torch.testing.assert_close(
        other.observed.image, prepared.observed.image, atol=0.1 * peak, rtol=0
    )


def test_a_psf_that_nobody_knows_is_assumed_and_said(scene, model: LensFit) -> None:
    found = prepare_scene(scene, model, "mask", psf=None)
    assert found.psf_from == ASSUMED
    assert found.psf_assumed
    assert found.light is None


def test_a_noise_map_of_another_shape_is_refused(scene, model: LensFit) -> None:
    with pytest.raises(ImageError, match="noise map has shape"):
        prepare_scene(scene, model, noise=np.ones((5, 5)))


def test_what_was_done_is_json(prepared: Prepared) -> None:
    content = prepared.to_json()
    assert content["lens_light"] == "model"
    assert content["noise"] == "the noise map"
    assert content["lens_fit"]["theta_E_arcsec"] == prepared.measured.theta_E
