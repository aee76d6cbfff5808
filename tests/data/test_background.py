import numpy as np
import pytest
import torch
from astropy.io import fits

from lenspinn.data.background import background_sigma
from lenspinn.errors import ImageError

# Scatter of the noise estimate at 64 x 64 pixels is 4 %; three of it.
SIGMA_TOLERANCE = 0.12

NOISE_FREE = ["model_II", "model_II_varied_mass", "model_III", "model_III_varied_mass"]


def deeplense_images(shared_data, name: str) -> torch.Tensor:
    return torch.from_numpy(np.load(shared_data / "deeplensesim" / f"{name}.npz")["images"])[
        :, None
    ]


def fits_image(path) -> torch.Tensor:
    return torch.from_numpy(fits.getdata(path).astype(np.float32))


@pytest.mark.parametrize("name", NOISE_FREE)
def test_noise_free_images_have_no_background_noise(shared_data, name):
    assert (background_sigma(deeplense_images(shared_data, name)) == 0).all()


@pytest.mark.parametrize("sigma", [0.0059, 0.1])
def test_background_sigma_is_the_noise_that_was_added(shared_data, generator, sigma):
    images = deeplense_images(shared_data, "model_III")
    noisy = images + sigma * torch.randn(images.shape, generator=generator)
    estimates = background_sigma(noisy)
    assert estimates.mean().item() == pytest.approx(sigma, rel=0.03)
    assert ((estimates / sigma - 1).abs() < SIGMA_TOLERANCE).float().mean() > 0.98


def test_background_sigma_ignores_a_level_and_a_gradient(generator):
    noise = torch.randn(4, 1, 64, 64, generator=generator, dtype=torch.float64)
    gradient = torch.arange(64.0, dtype=torch.float64) * 0.1 + 1000
    # The gradient decides which part of the image is the faintest.
    torch.testing.assert_close(
        background_sigma(noise + gradient), torch.ones(4).double(), rtol=SIGMA_TOLERANCE, atol=0
    )


@pytest.mark.parametrize(
    ("file", "corner_rms"),
    [
        ("hst_slacs/SDSSJ0946+1006/data.fits", 0.0076),
        ("jwst_cowls/COSJ100024+015334/F277W_data.fits", 0.0056),
        ("euclid_q1/102020532_NEG589257492489565961/VIS_data.fits", 0.0024),
    ],
)
def test_background_sigma_of_telescope_images_is_the_scatter_of_their_corners(
    shared_data, file, corner_rms
):
    image = fits_image(shared_data / file)
    assert background_sigma(image[None, None]).item() == pytest.approx(corner_rms, rel=0.05)


def test_noise_cannot_be_measured_on_a_few_pixels():
    with pytest.raises(ImageError, match=r"\(6, 6\) pixels is too small"):
        background_sigma(torch.ones(1, 1, 6, 6))


def test_of_equally_faint_blocks_the_first_are_measured(generator):
    half = torch.randint(-9, 10, (64, 16, 2), generator=generator).float()
    image = torch.stack([half, -half], dim=-1).flatten(1)  # blocks of mean 0 exactly
    image[32:] *= 10
    assert (torch.nn.functional.avg_pool2d(image[None], 4) == 0).all()
    of_first_rows = background_sigma(image[None, None, :32])
    torch.testing.assert_close(
        background_sigma(image[None, None]), of_first_rows, rtol=SIGMA_TOLERANCE, atol=0
    )
