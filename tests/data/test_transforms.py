import math

import numpy as np
import pytest
import torch
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from lenspinn.data.background import SMALLEST_IMAGE
from lenspinn.data.transforms import (
    TRANSFORMS,
    check_image,
    deeplense_preprocess,
    min_max,
    noise_safe_preprocess,
    pixel_statistics,
    resample,
    resample_noise,
)
from lenspinn.errors import ImageError

# ln of a noise-free DeepLense image reaches 30, and a ratio of pixels in float32 is right to 6e-8:
# so are logarithms of it, and differences of their squares to some 1e-5.
FLOAT32_TOLERANCE = 2e-5
# Of an image whose faintest pixels were rounded before, as those of published files.
ROUNDED_TOLERANCE = 5e-4
# The same in float64.
FLOAT64_TOLERANCE = 1e-11

NOISE_FREE = ["model_II", "model_II_varied_mass", "model_III", "model_III_varied_mass"]


def printed_formula(image: np.ndarray) -> np.ndarray:
    contrast = np.log(image.max() / image) ** 2
    return np.abs(np.tanh(np.gradient(np.gradient(contrast, axis=0), axis=1)))


def blob(num_pix: int, width: float, pixel_scale: float, x0: float = 0.0) -> torch.Tensor:
    """Flux per pixel of a Gaussian with unit flux, float64."""
    centres = (torch.arange(num_pix, dtype=torch.float64) - (num_pix - 1) / 2) * pixel_scale
    profile_x = torch.exp(-(((centres - x0) / width) ** 2) / 2)
    profile_y = torch.exp(-((centres / width) ** 2) / 2)
    norm = pixel_scale**2 / (2 * torch.pi * width**2)
    return profile_y[:, None] * profile_x[None, :] * norm


def deeplense_images(shared_data, name: str) -> torch.Tensor:
    return torch.from_numpy(np.load(shared_data / "deeplensesim" / f"{name}.npz")["images"])[
        :, None
    ]


def fits_image(path) -> torch.Tensor:
    return torch.from_numpy(fits.getdata(path).astype(np.float32))


@pytest.mark.parametrize("name", NOISE_FREE)
@pytest.mark.parametrize("transform", [deeplense_preprocess, noise_safe_preprocess])
def test_both_transforms_are_the_printed_formula_on_noise_free_images(shared_data, name, transform):
    images = deeplense_images(shared_data, name)
    printed = np.stack([printed_formula(image) for image in images[:, 0].double().numpy()])
    np.testing.assert_allclose(
        transform(images.double())[:, 0], printed, rtol=0, atol=FLOAT64_TOLERANCE
    )
    np.testing.assert_allclose(transform(images)[:, 0], printed, rtol=0, atol=FLOAT32_TOLERANCE)


@pytest.mark.parametrize("file", ["nosub.npy", "cdm.npy"])
def test_published_images_scaled_to_exactly_zero_stay_finite(shared_data, file):
    image = torch.from_numpy(np.load(shared_data / "deeplense_published" / file))[None, None]
    scaled = min_max(image)
    assert scaled.min() == 0
    edges, unscaled = noise_safe_preprocess(scaled), noise_safe_preprocess(image)
    assert torch.isfinite(edges).all()
    # Only what lies beside faint pixels changes: the ring is as before.
    ring = slice(12, -12)
    torch.testing.assert_close(
        edges[..., ring, ring], unscaled[..., ring, ring], rtol=0, atol=ROUNDED_TOLERANCE
    )


def test_the_printed_formula_is_not_finite_below_zero(generator):
    image = torch.randn(1, 1, 16, 16, generator=generator)
    assert not torch.isfinite(deeplense_preprocess(image)).all()


@pytest.mark.parametrize("shape", [(2, 2), (3, 5), (64, 31)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_derivatives_are_those_of_torch_to_the_last_bit(shape, dtype, generator):
    image = torch.rand(3, 1, *shape, generator=generator, dtype=dtype) + 0.1
    contrast = torch.log((image.amax((-2, -1), keepdim=True) / image).double()) ** 2
    (slope,) = torch.gradient(contrast, dim=-2)
    (edges,) = torch.gradient(slope, dim=-1)
    assert torch.equal(deeplense_preprocess(image), edges.tanh().abs().to(dtype))


def test_the_printed_formula_ignores_the_unit():
    image = blob(16, 0.3, 0.1)[None, None]
    torch.testing.assert_close(deeplense_preprocess(7 * image), deeplense_preprocess(image))


def test_noise_safe_leaves_the_background_of_a_telescope_image_dark(shared_data):
    image = fits_image(shared_data / "jwst_cowls/COSJ100024+015334/F277W_data.fits")[None, None]
    assert (image <= 0).any()
    edges = noise_safe_preprocess(image)
    assert torch.isfinite(edges).all()
    assert edges[..., :20, :20].mean() < 0.02
    assert edges[..., 60:90, 60:90].mean() > 0.1


@given(
    fill=st.floats(-3e38, 3e38),
    spread=st.floats(0, 3e38),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=60, deadline=None)
def test_noise_safe_is_finite_and_bounded_for_any_finite_image(fill, spread, seed):
    noise = torch.rand(2, 1, 12, 12, generator=torch.Generator().manual_seed(seed))
    image = (fill + (2 * noise - 1) * spread).clamp(-3.4e38, 3.4e38)
    edges = noise_safe_preprocess(image)
    assert ((edges >= 0) & (edges <= 1)).all()


@pytest.mark.parametrize("value", [-1.0, 0.0, 1e-45, 1.0])
def test_noise_safe_sees_nothing_in_a_constant_image(value):
    image = torch.full((1, 1, 16, 16), value)
    assert (noise_safe_preprocess(image) == 0).all()


def test_gradients_reach_the_image_through_noise_safe(generator):
    image = blob(16, 0.3, 0.1)[None, None] + 0.01 * torch.rand(1, 1, 16, 16, generator=generator)
    image.requires_grad_()
    noise_safe_preprocess(image).sum().backward()
    assert image.grad is not None
    assert torch.isfinite(image.grad).all()
    assert image.grad.abs().max() > 0


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_an_image_is_transformed_alike_in_any_batch(name, generator):
    images = torch.rand(5, 1, 32, 32, generator=generator) + 0.1
    images[3] *= 1000
    together = TRANSFORMS[name](images)
    for i, image in enumerate(images):
        torch.testing.assert_close(TRANSFORMS[name](image[None])[0], together[i], rtol=0, atol=0)


def test_min_max_fills_zero_to_one_and_survives_a_constant(generator):
    images = torch.randn(3, 1, 8, 8, generator=generator)
    images[2] = 5.0
    scaled = min_max(images)
    torch.testing.assert_close(scaled.amin((1, 2, 3)), torch.zeros(3))
    torch.testing.assert_close(scaled.amax((1, 2, 3)), torch.tensor([1.0, 1.0, 0.0]))


@pytest.mark.parametrize("to_scale", [0.03, 0.041, 0.05, 0.0503, 0.08, 0.101])
def test_resampling_keeps_flux_and_centre(to_scale):
    image, num_pix = blob(120, 0.3, 0.05, x0=0.4), int(5.5 / to_scale)
    new = resample(image, 0.05, to_scale, num_pix)
    centres = (torch.arange(num_pix, dtype=torch.float64) - (num_pix - 1) / 2) * to_scale
    assert new.sum().item() == pytest.approx(1, abs=1e-6)
    # Light is spread evenly within an old pixel: a new pixel's share is off by a little, and the
    # centroid by up to 1/200 of a pixel where new pixels are no multiple of old ones.
    assert (new.sum(0) @ centres).item() == pytest.approx(0.4, abs=to_scale / 200)
    assert (new.sum(1) @ centres).item() == pytest.approx(0, abs=1e-6)


def test_resampling_to_finer_pixels_follows_the_surface():
    fine = resample(blob(100, 0.3, 0.06), 0.06, 0.025, 160)
    expected = blob(160, 0.3, 0.025)
    # Third-order interpolation with 5 pixels a width.
    torch.testing.assert_close(fine, expected, rtol=0, atol=3e-3 * expected.max().item())


def test_resampling_by_two_adds_up_blocks(generator):
    image = torch.rand(2, 1, 8, 8, generator=generator)
    blocks = image.unfold(2, 2, 2).unfold(3, 2, 2).sum((-1, -2))
    torch.testing.assert_close(resample(image, 0.05, 0.1, 4), blocks)


def test_resampling_to_the_same_pixels_cuts_the_centre(generator):
    image = torch.rand(1, 1, 20, 30, generator=generator)
    torch.testing.assert_close(resample(image, 0.05, 0.05, 16), image[..., 2:18, 7:23])


@pytest.mark.parametrize("to_scale", [0.04, 0.05, 0.1])
def test_resampling_keeps_a_flat_sky_flat_up_to_the_border(to_scale):
    num_pix = round(2.0 / to_scale)
    flat = resample(torch.ones(40, 40), 0.05, to_scale, num_pix)
    torch.testing.assert_close(flat, torch.full_like(flat, (to_scale / 0.05) ** 2))


def test_resampling_does_not_invent_sky():
    with pytest.raises(ImageError, match=r"3\.2 arcsec wide, but 5\.12 arcsec are needed"):
        resample(torch.ones(64, 64), 0.05, 0.08, 64)


def not_finite() -> torch.Tensor:
    image = torch.rand(16, 16)
    image[3, 4] = torch.nan
    return image


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (not_finite(), "1 pixels that are NaN"),
        (torch.ones(2, 1, 16, 16), "constant"),
        (torch.rand(16, 20), "16 x 20 pixels; a square"),
        (torch.rand(SMALLEST_IMAGE - 1, SMALLEST_IMAGE - 1), "7 x 7 pixels"),
        (torch.rand(3, 16, 16), r"shape \(3, 16, 16\)"),
        (torch.rand(1, 3, 16, 16), r"shape \(1, 3, 16, 16\)"),
    ],
)
def test_an_image_nobody_should_classify_is_refused(image, message):
    with pytest.raises(ImageError, match=rf"^lens\.fits .*{message}"):
        check_image(image, "lens.fits")


def test_a_good_image_passes(generator):
    check_image(torch.rand(16, 16, generator=generator))
    check_image(torch.rand(2, 1, 16, 16, generator=generator))


def test_only_noise_and_brightness_of_the_pixel_statistics_have_a_unit(generator):
    image = blob(64, 0.5, 0.1).float()[None, None] + 1e-4 * torch.randn(
        3, 1, 64, 64, generator=generator
    )
    here, there = pixel_statistics(image), pixel_statistics(1000 * image)
    # Ratios of sums of 4,096 float32 pixels.
    torch.testing.assert_close(there[:, 2:], here[:, 2:], atol=1e-4, rtol=0)
    expected = torch.full((3, 2), math.log(1000)).double()
    torch.testing.assert_close(there[:, :2] - here[:, :2], expected, atol=1e-4, rtol=0)


def test_blurring_lowers_every_ratio_of_the_pixel_statistics():
    sharp, blurred = (pixel_statistics(blob(64, w, 0.1)[None, None]) for w in (0.2, 0.4))
    assert (blurred[:, 1:] < sharp[:, 1:]).all()  # and the brightest pixel


def test_pixel_statistics_of_a_constant_image_are_finite():
    assert pixel_statistics(torch.ones(1, 1, 16, 16)).isfinite().all()


@pytest.mark.parametrize(("to_scale", "num_pix"), [(0.08, 40), (0.04, 80)])
def test_resampled_white_noise_has_the_scatter_that_is_said(to_scale: float, num_pix: int) -> None:
    noise = torch.randn(400, 1, 72, 72, generator=torch.Generator().manual_seed(4))
    found = resample(3 * noise, 0.05, to_scale, num_pix).std(dim=0)[0]
    expected = resample_noise(torch.full((72, 72), 3.0), 0.05, to_scale, num_pix)
    assert (found / expected).mean().item() == pytest.approx(1, abs=0.01)
    assert (found / expected).std() < 0.05  # 400 images


def test_each_pixel_that_a_bad_one_has_a_part_in_is_left_out() -> None:
    sigma = torch.ones(16, 16)
    sigma[4, 6] = torch.inf
    coarse = resample_noise(sigma, 0.05, 0.1, 8)
    assert coarse.isinf().nonzero().tolist() == [[2, 3]]
    fine = resample_noise(sigma, 0.1, 0.05, 32).isinf()
    assert fine[8:10, 12:14].all()
    assert fine[:4].any().item() is False


def test_noise_of_an_image_that_is_too_small_is_refused() -> None:
    with pytest.raises(ImageError, match="arcsec are needed"):
        resample_noise(torch.ones(64, 64), 0.05, 0.08, 64)


def test_a_telescope_image_may_miss_pixels_but_not_most_of_its_middle(
    generator: torch.Generator,
) -> None:
    image = torch.rand(16, 16, generator=generator)
    image[0, 0], image[8, 8] = torch.nan, torch.inf
    check_image(image, may_miss=True)
    with pytest.raises(ImageError, match="2 pixels that are NaN or infinite; fill them"):
        check_image(image)
    image[6:12, 2:14] = torch.nan
    with pytest.raises(ImageError, match="of its middle NaN or infinite"):
        check_image(image, may_miss=True)


def test_missing_pixels_do_not_hide_that_an_image_is_constant() -> None:
    image = torch.ones(16, 16)
    image[3, 3] = torch.nan
    with pytest.raises(ImageError, match="constant"):
        check_image(image, may_miss=True)
