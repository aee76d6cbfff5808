import pytest
import torch

from lenspinn.models.inverse_lens import InverseLens

NUM_PIX = 64
PIXEL_SCALE = 0.08
ROUNDING = 1e-6  # float32, arcsec: positions of some arcsec are exact to a few 1e-7


@pytest.fixture
def layer() -> InverseLens:
    return InverseLens(NUM_PIX, PIXEL_SCALE)


def test_rays_obey_the_lens_equation_of_an_isothermal_sphere(layer):
    rays = layer.rays(torch.tensor([0.7, 1.9]))
    deflection = torch.hypot(rays.alpha_x, rays.alpha_y)
    expected = torch.tensor([0.7, 1.9])[:, None, None].expand_as(deflection)
    assert torch.allclose(deflection, expected, rtol=0, atol=ROUNDING)
    assert torch.allclose(rays.beta_x, layer.theta_x - rays.alpha_x, rtol=0, atol=ROUNDING)
    assert torch.allclose(rays.beta_y, layer.theta_y - rays.alpha_y, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("num_pix", [32, 63, 64, 150])
def test_no_allowed_einstein_radius_traces_a_ray_out_of_the_field(num_pix):
    layer = InverseLens(num_pix, PIXEL_SCALE)
    rays = layer.rays(torch.linspace(0, layer.max_theta_E, 101))
    half_field = (num_pix - 1) / 2 * PIXEL_SCALE
    assert rays.beta_x.abs().max() <= half_field + ROUNDING
    assert rays.beta_y.abs().max() <= half_field + ROUNDING


@pytest.mark.parametrize("num_pix", [32, 63, 64, 150])
@pytest.mark.parametrize("pixel_scale", [0.05, 0.08, 0.101])
def test_the_source_keeps_the_grid_of_the_image(num_pix, pixel_scale, generator):
    layer = InverseLens(num_pix, pixel_scale)
    theta_E = layer.max_theta_E * torch.tensor([0.0, 1e-4, 0.5, 1.0])
    source, coverage = layer(torch.rand(4, num_pix, num_pix, generator=generator), theta_E)
    assert source.shape == coverage.shape == (4, num_pix, num_pix)


def test_every_pixel_is_deposited_once(layer, generator):
    theta_E = layer.max_theta_E * torch.tensor([0.0, 0.3, 1.0])
    _, coverage = layer(torch.rand(3, NUM_PIX, NUM_PIX, generator=generator), theta_E)
    # float32 sums over 4096 pixels of weights that add up to one each
    assert torch.allclose(
        coverage.sum((1, 2)), torch.full((3,), float(NUM_PIX**2)), rtol=1e-5, atol=0
    )


def test_without_a_lens_the_source_is_the_image(layer, generator):
    image = torch.rand(2, NUM_PIX, NUM_PIX, generator=generator)
    source, _ = layer(image, torch.zeros(2))
    # pixel positions in float32 are off the grid by up to 4e-6 of a pixel
    assert torch.allclose(source, image, rtol=0, atol=1e-5)


def test_the_true_einstein_radius_gathers_a_ring_into_a_compact_source(layer):
    radius = torch.hypot(layer.theta_x, layer.theta_y)
    ring = torch.exp(-(((radius - 1.2) / 0.15) ** 2) / 2)[None]
    source, _ = layer(ring, torch.tensor([1.2]))
    centre = slice(NUM_PIX // 2 - 6, NUM_PIX // 2 + 6)
    # 12 pixels are 0.96 arcsec across: over 3 sigma of the source on either side
    assert source[0, centre, centre].sum() > 0.99 * source.sum()


def test_the_source_depends_on_each_einstein_radius_smoothly(layer, generator):
    image = torch.rand(2, NUM_PIX, NUM_PIX, generator=generator)
    theta_E = torch.tensor([0.8, 1.5], requires_grad=True)
    source, _ = layer(image, theta_E)
    source[1].square().sum().backward()
    assert theta_E.grad is not None
    assert theta_E.grad[0] == 0
    assert theta_E.grad[1] != 0


def test_the_grid_follows_the_layer_and_stays_out_of_its_weights(layer):
    assert layer.double().rays(torch.ones(1, dtype=torch.float64)).beta_x.dtype == torch.float64
    assert layer.state_dict() == {}


def test_integer_scatter_averages_the_rays_nearest_to_a_pixel_and_gives_no_gradient(generator):
    layer = InverseLens(8, PIXEL_SCALE, integer_scatter=True)
    image, theta_E = torch.rand(1, 8, 8, generator=generator), torch.tensor([0.1])
    source, coverage = layer(image, theta_E.requires_grad_())
    rays = layer.rays(theta_E.detach())
    sums, counts = torch.zeros(8, 8), torch.zeros(8, 8)
    for y in range(8):
        for x in range(8):
            row = round((rays.beta_y[0, y, x] / PIXEL_SCALE + 3.5).item())
            column = round((rays.beta_x[0, y, x] / PIXEL_SCALE + 3.5).item())
            sums[row, column] += image[0, y, x]
            counts[row, column] += 1
    assert torch.equal(coverage[0], counts)
    assert torch.allclose(source[0], sums / counts.clamp(min=1), rtol=0, atol=ROUNDING)
    assert not source.requires_grad


def test_each_pixel_may_have_its_own_einstein_radius(layer, generator):
    image = torch.rand(2, NUM_PIX, NUM_PIX, generator=generator)
    theta_E = torch.tensor([0.8, 1.5])
    of_maps = layer(image, theta_E[:, None, None].expand_as(image))
    assert torch.equal(of_maps.source, layer(image, theta_E).source)
