import torch

from lenspinn.fitting.gaussians import NUM_LIGHT_TEMPLATES
from lenspinn.fitting.smooth import make_optics
from lenspinn.lensing.psf import gaussian_kernel
from lenspinn.models.free_light import LIT_SHARE, free_light, some_free_light

OPTICS = make_optics(32, 0.1, gaussian_kernel(2.0, 5.0), supersampling=2)
NUM = 400
# Of a share of so many images: four binomial standard errors.
SHARE_TOLERANCE = 0.1


def test_light_is_blurred_on_the_pixels_of_the_image():
    light = free_light(torch.zeros(2, 6), OPTICS)
    assert light.shape == (2, NUM_LIGHT_TEMPLATES, 32, 32)
    point = light[0, 0]
    width = ((OPTICS.theta_x[::2, ::2] + 0.025).square() * point).sum() / point.sum()
    # A Gaussian of half a pixel behind one of two pixels FWHM.
    assert (width / 0.1**2 - 0.5**2 - (2 / 2.355) ** 2).abs() < 0.05


def test_half_of_the_images_have_light_of_different_shapes():
    light = some_free_light(NUM, OPTICS, torch.Generator().manual_seed(0))
    lit = light.flatten(1).any(dim=1)
    assert abs(lit.float().mean().item() - LIT_SHARE) <= SHARE_TOLERANCE
    first, second = light[lit][:2]
    assert (first[3] != second[3]).any()
    assert (light[~lit] == 0).all()


def test_the_generator_alone_decides_what_is_drawn():
    one, again, other = (
        some_free_light(4, OPTICS, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
