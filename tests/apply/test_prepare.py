import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from lenspinn.apply.inputs import ImageFile
from lenspinn.apply.prepare import ASSUMED, Prepared, _seen_from, prepare, without_bad_pixels
from lenspinn.data.transforms import background_sigma
from lenspinn.errors import ImageError
from lenspinn.fitting.smooth import SMOOTH_PARAMETERS, make_optics, smooth_image
from lenspinn.measure.companions import Companions
from lenspinn.models import LensFit, create_model
from lenspinn.models.free_light import free_light

from .conftest import SCENE

# chi^2 per pixel of a smooth lens that the network fits after resampling by a factor of 1.25.
CHI2 = 1.3
# Of the noise that a noise map states, and of resampled white noise.
NOISE = 0.25
# Sigmas: float32, of light as bright as the arcs.
ROUNDING = 0.1
# Of the brightest pixel, what a second fit of the lens light finds in pixels that count.
LIGHT_LEFT = 0.01
OPTICS = make_optics(32, 0.1, (1.0,))


def image_of(scene, scale: float = 1.0, **known: np.ndarray | None) -> ImageFile:
    """The scene in another unit."""
    companions = {"noise": scene.sigma * scale, "psf": scene.psf, "mask": scene.mask} | known
    return ImageFile(
        name="lens",
        path=Path("lens.fits"),
        pixels=(scene.image * scale).astype(np.float32),
        pixel_scale=scene.pixel_scale,
        from_telescope=True,
        known=Companions(**companions),
    )


@pytest.fixture(scope="module")
def model() -> LensFit:
    torch.manual_seed(0)
    network = create_model("lenspinn_fit", num_pix=32, pixel_scale=0.1).eval()
    assert isinstance(network, LensFit)
    return network


@pytest.fixture(scope="module")
def prepared(scene, model: LensFit) -> Prepared:
    return prepare(image_of(scene), scene.pixel_scale, model, "model")


def test_the_network_finds_the_lens_in_its_own_pixels(prepared: Prepared, scene) -> None:
    found = prepared.model.reconstruct(torch.from_numpy(prepared.seen))
    assert found.theta_E.item() == pytest.approx(scene.theta_E, rel=0.02)
    assert found.chi2.item() < CHI2


def test_lens_light_is_taken_away_and_kept_for_the_picture(prepared: Prepared) -> None:
    assert prepared.light is not None
    middle = prepared.seen[0, 0, 14:18, 14:18]
    assert np.abs(middle).max() < 0.5 * prepared.seen.max()
    assert prepared.light_mode == "model"


def test_a_network_trained_for_it_fits_the_lens_light_anew(scene) -> None:
    """Light that was taken away with a mistake of its own shape is the same to it."""
    torch.manual_seed(0)
    network = create_model("lenspinn_fit", num_pix=32, pixel_scale=0.1, free_light=True).eval()
    assert isinstance(network, LensFit)
    found = prepare(image_of(scene), scene.pixel_scale, network, "model")
    assert found.model.known is not None
    assert found.model.known.light is not None
    seen = torch.from_numpy(found.seen)
    mistake = 0.2 * seen.max() * free_light(found.model.known.light, OPTICS)[:, 3:4]
    right, wrong = (found.model.reconstruct(each) for each in (seen, seen + mistake))
    torch.testing.assert_close(right.residual, wrong.residual, atol=ROUNDING, rtol=0)
    assert wrong.theta_E.item() == pytest.approx(scene.theta_E, rel=0.02)
    # What it found of the light before is gone already.
    left = seen[:, 0] - right.model - right.residual * found.model.known.noise
    assert left[found.model.known.noise.isfinite()].abs().max() < LIGHT_LEFT * seen.max()
    assert prepare(image_of(scene), scene.pixel_scale, network, "none").model.known.light is None


def test_pixels_of_the_size_of_those_of_training_are_kept_with_their_noise(scene) -> None:
    side, scale = 40, scene.pixel_scale
    model = create_model("lenspinn_fit", num_pix=side, pixel_scale=scale).eval()
    assert isinstance(model, LensFit)
    found = prepare(image_of(scene), scale, model, "none")
    noise = found.model.noise_sigma(torch.from_numpy(found.seen))[0].numpy()
    known = np.isfinite(noise)
    first_row, first_column = (
        round((size - side) / 2 + middle / scale)
        for size, middle in zip(scene.image.shape, found.middle[::-1], strict=True)
    )
    inner = (slice(first_row, first_row + side), slice(first_column, first_column + side))
    for seen, there in ((found.seen[0, 0], scene.image[inner]), (noise, scene.sigma[inner])):
        np.testing.assert_allclose(seen[known], found.factor * there[known], rtol=1e-4)
    assert known.mean() > 0.8


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
    values = torch.tensor([[SCENE.get(name, 0.0) for name in SMOOTH_PARAMETERS]])
    optics = make_optics(2 * half + 1, scale, torch.from_numpy(scene.psf).float())
    moved = _seen_from(values, -column * scale, -row * scale)
    noise = np.random.default_rng(2).normal(0, 0.02, (2 * half + 1,) * 2)
    pixels = smooth_image(moved, optics)[0].double().numpy() + noise
    known = {"noise": np.full_like(pixels, 0.02), "mask": None}
    image = dataclasses.replace(image_of(scene, **known), pixels=pixels.astype(np.float32))
    found = prepare(image, scale, model, "none")
    lens = found.model.reconstruct(torch.from_numpy(found.seen))
    at = [SMOOTH_PARAMETERS.index(name) for name in ("center_x", "center_y")]
    assert lens.parameters[0, at].abs().max() < scale  # half a pixel, and the error of the fit
    assert found.middle == pytest.approx((column * scale, row * scale), abs=scale)
    assert lens.theta_E.item() == pytest.approx(SCENE["theta_E"], rel=0.02)


def test_pixels_that_are_not_finite_are_masked(scene) -> None:
    pixels = scene.image.astype(np.float32)
    pixels[20, 25], pixels[3, 3] = np.nan, np.inf
    found = without_bad_pixels(dataclasses.replace(image_of(scene), pixels=pixels))
    assert np.isfinite(found.pixels).all()
    expected = scene.mask > 0
    expected[20, 25] = expected[3, 3] = True
    np.testing.assert_array_equal(found.known.mask > 0, expected)
    whole = image_of(scene)
    assert without_bad_pixels(whole) is whole
    with pytest.raises(ImageError, match="no finite pixel"):
        without_bad_pixels(dataclasses.replace(whole, pixels=np.full_like(pixels, np.nan)))


def test_a_pixel_that_is_nan_does_not_change_what_is_measured(
    prepared: Prepared, scene, model: LensFit
) -> None:
    pixels = scene.image.astype(np.float32)
    pixels[27, 17] = np.nan  # in the ring
    image = without_bad_pixels(dataclasses.replace(image_of(scene), pixels=pixels))
    found = prepare(image, scene.pixel_scale, model, "model")
    assert found.measured.theta_E == pytest.approx(prepared.measured.theta_E, rel=0.005)
    assert found.left_out > prepared.left_out


def test_the_noise_of_the_faintest_pixels_becomes_that_of_training(prepared: Prepared) -> None:
    seen = torch.from_numpy(prepared.seen)
    assert background_sigma(seen).item() == pytest.approx(prepared.model.background_sigma, rel=1e-3)
    assert prepared.scatter == pytest.approx(1.0, abs=NOISE)


def test_masked_pixels_are_left_out_and_show_the_source(prepared: Prepared) -> None:
    noise = prepared.model.noise_sigma(torch.from_numpy(prepared.seen))[0]
    found = prepared.model.reconstruct(torch.from_numpy(prepared.seen))
    out = noise.isinf()
    assert prepared.left_out == pytest.approx(out.float().mean().item())
    assert 0 < prepared.left_out < 0.1
    assert (found.residual[0][out] == 0).all()
    left = torch.from_numpy(prepared.seen)[0, 0][out] - found.model[0][out]
    assert left.abs().max() < 0.3 * prepared.seen.max()  # the masked galaxy was brighter


def test_the_unit_of_an_image_does_not_matter(prepared: Prepared, scene, model: LensFit) -> None:
    other = prepare(image_of(scene, scale=50.0), scene.pixel_scale, model, "model")
    assert other.factor == pytest.approx(prepared.factor / 50, rel=0.05)
    peak = prepared.seen.max()
    np.testing.assert_allclose(other.seen, prepared.seen, atol=0.1 * peak)


def test_a_psf_that_nobody_knows_is_assumed_and_said(scene, model: LensFit) -> None:
    found = prepare(image_of(scene, psf=None), scene.pixel_scale, model, "mask")
    assert found.psf_from == ASSUMED
    assert found.psf_assumed
    assert found.light is None


def test_a_noise_map_of_another_shape_is_refused(scene, model: LensFit) -> None:
    with pytest.raises(ImageError, match="noise map has shape"):
        prepare(image_of(scene, noise=np.ones((5, 5))), scene.pixel_scale, model, "model")


def test_what_was_done_is_json(prepared: Prepared) -> None:
    content = prepared.to_json()
    assert content["lens_light"] == "model"
    assert content["noise"] == "the noise map"
    assert content["lens_fit"]["theta_E_arcsec"] == prepared.measured.theta_E
