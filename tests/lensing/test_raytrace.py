from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lenspinn.lensing import (
    MIN_COVERAGE,
    SourceImage,
    deflection_sie,
    deflection_sis,
    delens,
    pixel_grid,
    ray_trace,
    relens,
    sersic,
)

ROUNDING = 1e-12
SCALE = 0.1  # Arcsec per pixel wherever the scale does not matter.

# --- delens by hand -----------------------------------------------------------------------------


def deposit(values, x, y, *, num_pix=4, scale=SCALE) -> SourceImage:
    """`delens` of a one-row image whose positions are given in source pixels from the centre."""
    image, beta_x, beta_y = (
        torch.tensor(row, dtype=torch.float64).reshape(1, 1, -1) for row in (values, x, y)
    )
    return delens(image, beta_x * scale, beta_y * scale, pixel_scale=scale, num_pix=num_pix)


def test_pixel_on_a_source_pixel_is_deposited_there_whole():
    source, coverage = deposit([5.0], [0.5], [-1.5])
    expected = torch.zeros(1, 4, 4, dtype=torch.float64)
    expected[0, 0, 2] = 1
    torch.testing.assert_close(coverage, expected, rtol=0, atol=ROUNDING)
    torch.testing.assert_close(source, 5 * expected, rtol=0, atol=ROUNDING)


def test_pixel_between_source_pixels_is_shared_bilinearly():
    _, coverage = deposit([1.0], [0.5 - 0.25], [0.5 - 0.4])
    expected = [[0.25 * 0.4, 0.75 * 0.4], [0.25 * 0.6, 0.75 * 0.6]]
    torch.testing.assert_close(
        coverage[0, 1:3, 1:3], torch.tensor(expected, dtype=torch.float64), rtol=0, atol=ROUNDING
    )
    assert coverage.sum().item() == pytest.approx(1.0)


def test_deposits_that_overlap_are_averaged_by_weight():
    # The first lies on source pixel (1, 1), the second a quarter of a pixel to its right.
    source, coverage = deposit([2.0, 6.0], [-0.5, -0.25], [-0.5, -0.5])
    assert coverage[0, 1, 1].item() == pytest.approx(1.75)
    assert source[0, 1, 1].item() == pytest.approx((1.0 * 2 + 0.75 * 6) / 1.75)
    assert coverage[0, 1, 2].item() == pytest.approx(0.25)
    assert source[0, 1, 2].item() == pytest.approx(6.0)


def test_source_is_zero_where_nothing_landed():
    source, coverage = deposit([7.0], [0.5], [0.5])
    assert (source[coverage == 0] == 0).all()


def test_thin_coverage_is_faded_out():
    weight = MIN_COVERAGE / 2
    source, coverage = deposit([8.0], [-0.5 + weight], [-0.5])
    assert coverage[0, 1, 2].item() == pytest.approx(weight)
    assert source[0, 1, 2].item() == pytest.approx(8.0 / 2)


def test_position_outside_widens_the_grid_in_pairs_and_is_not_moved():
    source, coverage = deposit([3.0, 5.0], [0.5, -4.5], [0.5, 0.5])
    assert source.shape == (1, 10, 10)
    assert source[0, 5, 0].item() == pytest.approx(5.0)
    assert source[0, 5, 5].item() == pytest.approx(3.0)
    assert coverage.sum().item() == pytest.approx(2.0)


def test_widening_leaves_what_was_inside_unchanged():
    values, x, y = [3.0, 5.0], [0.3, -0.9], [-1.2, 0.8]
    narrow = deposit(values, x, y)
    wide = deposit([*values, 9.0], [*x, 3.2], [*y, 0.0])
    margin = (wide.source.shape[-1] - 4) // 2
    assert margin > 0
    for inside, whole in zip(narrow, wide, strict=True):
        torch.testing.assert_close(whole[:, margin:-margin, margin:-margin], inside)


def test_last_row_of_centres_is_still_inside():
    source, _ = deposit([3.0], [1.5 + 1e-6], [-1.5 - 1e-6])
    assert source.shape == (1, 4, 4)
    assert source[0, 0, 3].item() == pytest.approx(3.0)


def test_odd_grid_stays_odd():
    source, _ = deposit([3.0], [2.0], [0.0], num_pix=3)
    assert source.shape == (1, 5, 5)
    assert source[0, 2, 4].item() == pytest.approx(3.0)


def test_default_grid_has_as_many_pixels_as_the_image():
    theta_x, theta_y = (t[None] for t in pixel_grid(6, SCALE))
    source, _ = delens(torch.ones(1, 6, 6), theta_x / 2, theta_y / 2, pixel_scale=SCALE)
    assert source.shape == (1, 6, 6)


@pytest.mark.parametrize("position", [float("nan"), float("inf")])
def test_position_that_is_not_finite_is_refused(position):
    with pytest.raises(ValueError, match="finite"):
        deposit([1.0], [0.0], [position])


def test_source_grid_of_one_pixel_is_refused():
    with pytest.raises(ValueError, match="num_pix=1"):
        deposit([1.0], [0.0], [0.0], num_pix=1)


# --- what holds for any lens --------------------------------------------------------------------


def random_case(seed, batch=2, num_pix=8, reach=3.0) -> tuple[Tensor, Tensor, Tensor]:
    """Image, and positions spread over `reach` source pixels about the centre."""
    generator = torch.Generator().manual_seed(seed)
    image, x, y = torch.rand(3, batch, num_pix, num_pix, generator=generator, dtype=torch.float64)
    return image, (2 * x - 1) * reach * SCALE, (2 * y - 1) * reach * SCALE


@settings(deadline=None, derandomize=True, max_examples=30)
@given(seed=st.integers(0, 10**6), num_pix=st.integers(2, 12))
def test_every_pixel_is_covered_once_and_no_light_is_lost(seed, num_pix):
    image, beta_x, beta_y = random_case(seed)
    source, coverage = delens(image, beta_x, beta_y, pixel_scale=SCALE, num_pix=num_pix)
    torch.testing.assert_close(coverage.sum((1, 2)), torch.full((2,), 64.0, dtype=torch.float64))
    light = source * coverage.clamp(min=MIN_COVERAGE)
    torch.testing.assert_close(light.sum((1, 2)), image.sum((1, 2)))


@settings(deadline=None, derandomize=True, max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_deposits_have_their_mean_at_their_position(seed):
    image, beta_x, beta_y = random_case(seed)
    source, coverage = delens(image, beta_x, beta_y, pixel_scale=SCALE)
    x, y = pixel_grid(source.shape[-1], SCALE, dtype=torch.float64)
    light = source * coverage.clamp(min=MIN_COVERAGE)
    torch.testing.assert_close((light * x).sum((1, 2)), (image * beta_x).sum((1, 2)))
    torch.testing.assert_close((light * y).sum((1, 2)), (image * beta_y).sum((1, 2)))


@settings(deadline=None, derandomize=True, max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_deposit_is_the_adjoint_of_interpolation(seed):
    image, beta_x, beta_y = random_case(seed)
    deposited, coverage = delens(image, beta_x, beta_y, pixel_scale=SCALE)
    anything = random_case(seed + 1, num_pix=coverage.shape[-1])[0]
    seen = relens(anything, beta_x, beta_y, pixel_scale=SCALE)
    light = deposited * coverage.clamp(min=MIN_COVERAGE)
    torch.testing.assert_close((anything * light).sum(), (seen * image).sum())


def test_without_a_lens_both_are_the_identity(generator):
    image = torch.rand(3, 9, 9, generator=generator, dtype=torch.float64)
    beta_x, beta_y = (t.expand(3, 9, 9) for t in pixel_grid(9, SCALE, dtype=torch.float64))
    source, coverage = delens(image, beta_x, beta_y, pixel_scale=SCALE)
    torch.testing.assert_close(source, image, rtol=0, atol=ROUNDING)
    torch.testing.assert_close(coverage, torch.ones_like(image), rtol=0, atol=ROUNDING)
    seen = relens(source, beta_x, beta_y, pixel_scale=SCALE)
    torch.testing.assert_close(seen, image, rtol=0, atol=ROUNDING)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_fading_thin_coverage_dims_a_relensed_pixel_by_1_5_percent_at_most(seed):
    _, beta_x, beta_y = random_case(seed, reach=100.0)  # So sparse that few deposits meet.
    white = torch.ones_like(beta_x)
    source, _ = delens(white, beta_x, beta_y, pixel_scale=SCALE)
    seen = relens(source, beta_x, beta_y, pixel_scale=SCALE)
    assert seen.max() < 1 + ROUNDING
    assert seen.min() > 1 - MIN_COVERAGE / 2


def test_image_is_treated_alike_alone_and_in_a_batch():
    image, beta_x, beta_y = random_case(3, batch=4)
    together = delens(image, beta_x, beta_y, pixel_scale=SCALE)
    again = relens(together.source, beta_x, beta_y, pixel_scale=SCALE)
    for i in range(4):
        one = slice(i, i + 1)
        alone = delens(image[one], beta_x[one], beta_y[one], pixel_scale=SCALE)
        assert torch.equal(alone.source, together.source[one])
        assert torch.equal(alone.coverage, together.coverage[one])
        seen = relens(alone.source, beta_x[one], beta_y[one], pixel_scale=SCALE)
        assert torch.equal(seen, again[one])


def test_delens_repeats_to_the_last_bit():
    image, beta_x, beta_y = (t.float() for t in random_case(4, num_pix=64))
    first = delens(image, beta_x, beta_y, pixel_scale=SCALE)
    second = delens(image, beta_x, beta_y, pixel_scale=SCALE)
    assert torch.equal(first.source, second.source)


# --- gradients ----------------------------------------------------------------------------------


def test_gradient_of_delens_is_the_finite_difference():
    # Sixty-four deposits on a few pixels: no position or coverage sits on a kink.
    image, beta_x, beta_y = (t.requires_grad_() for t in random_case(5, batch=1, reach=1.4))
    assert torch.autograd.gradcheck(
        lambda *args: delens(*args, pixel_scale=SCALE, num_pix=4), (image, beta_x, beta_y)
    )


def test_gradient_of_relens_is_the_finite_difference():
    _, beta_x, beta_y = (t.requires_grad_() for t in random_case(6, reach=1.4))
    source = random_case(7, num_pix=4)[0].requires_grad_()
    assert torch.autograd.gradcheck(
        lambda *args: relens(*args, pixel_scale=SCALE), (source, beta_x, beta_y)
    )


def test_gradient_in_the_lens_is_the_finite_difference():
    image = random_case(8, batch=2, num_pix=9)[0]
    theta_x, theta_y = pixel_grid(9, SCALE, dtype=torch.float64)
    theta_E = torch.tensor([0.213, 0.32], dtype=torch.float64)[:, None, None].requires_grad_()
    e1, e2 = (torch.full((2, 1, 1), e, dtype=torch.float64).requires_grad_() for e in (0.1, -0.07))

    def source_and_residual(theta_E, e1, e2):
        alpha_x, alpha_y = deflection_sie(theta_x, theta_y, theta_E, e1, e2)
        beta = theta_x - alpha_x, theta_y - alpha_y
        source, _ = delens(image, *beta, pixel_scale=SCALE)
        return source, relens(source, *beta, pixel_scale=SCALE) - image

    assert torch.autograd.gradcheck(source_and_residual, (theta_E, e1, e2))


def test_gradient_in_theta_E_is_finite_on_a_grid_with_its_centre():
    theta_x, theta_y = pixel_grid(9, SCALE)
    theta_E = torch.tensor([0.0, 0.3])[:, None, None].requires_grad_()
    alpha_x, alpha_y = deflection_sis(theta_x, theta_y, theta_E)
    image = random_case(9, num_pix=9)[0].float()
    beta = theta_x - alpha_x, theta_y - alpha_y
    source, _ = delens(image, *beta, pixel_scale=SCALE)
    (gradient,) = torch.autograd.grad(source.square().sum(), theta_E)
    assert gradient.isfinite().all()
    assert gradient[1].item() != 0


@pytest.mark.parametrize("weight", [1e-12, 1e-6, 1e-3, MIN_COVERAGE])
def test_thin_coverage_bounds_the_gradient(weight):
    brightness = 3.0
    beta = torch.tensor([[[(-0.5 + weight) * SCALE]]], dtype=torch.float64).requires_grad_()
    image = torch.full((1, 1, 1), brightness, dtype=torch.float64)
    source, _ = delens(
        image, beta, torch.full_like(beta, -0.5 * SCALE), pixel_scale=SCALE, num_pix=4
    )
    (gradient,) = torch.autograd.grad(source[0, 1, 2], beta)
    assert abs(gradient.item()) * SCALE <= brightness / MIN_COVERAGE * (1 + ROUNDING)


# --- inversion: what goes in comes back ---------------------------------------------------------


class Scene(NamedTuple):
    """An SIS in front of a Sersic source."""

    num_pix: int
    pixel_scale: float
    theta_E: float
    R_sersic: float
    n_sersic: float
    center: tuple[float, float]

    def source(self, x: Tensor, y: Tensor) -> Tensor:
        return sersic(
            x, y,
            amplitude=1.0, R_sersic=self.R_sersic, n_sersic=self.n_sersic, e1=-0.1, e2=0.1,
            center_x=self.center[0], center_y=self.center[1],
        )  # fmt: skip


class Inversion(NamedTuple):
    """Error of the source (centroid in source pixels, relative flux) and of the relensed image."""

    centroid: float
    flux: float
    residual: float
    rms: float


def invert(scene: Scene, oversampling: int) -> Inversion:
    """Delens and relens with the true lens, source pixels `oversampling` times finer."""
    theta_x, theta_y = pixel_grid(scene.num_pix, scene.pixel_scale, dtype=torch.float64)
    theta_E = torch.full((1, 1, 1), scene.theta_E, dtype=torch.float64)
    alpha_x, alpha_y = deflection_sis(theta_x, theta_y, theta_E)
    beta = theta_x - alpha_x, theta_y - alpha_y
    image = scene.source(*beta)
    scale = scene.pixel_scale / oversampling
    source, coverage = delens(image, *beta, pixel_scale=scale)
    residual = (relens(source, *beta, pixel_scale=scale) - image) / image.max()

    x, y = pixel_grid(source.shape[-1], scale, dtype=torch.float64)
    covered = coverage > MIN_COVERAGE
    truth, found = scene.source(x, y) * covered, source * covered

    def centroid(light: Tensor) -> Tensor:
        return torch.stack([(light * x).sum(), (light * y).sum()]) / light.sum()

    # A pixel is cut by the critical curve if the curve comes within its half diagonal.
    off_curve = (torch.hypot(theta_x, theta_y) - scene.theta_E).abs() > scene.pixel_scale / 2**0.5
    return Inversion(
        centroid=(centroid(found) - centroid(truth)).norm().item() / scale,
        flux=(found.sum() / truth.sum() - 1).abs().item(),
        residual=residual[:, off_curve].abs().max().item(),
        rms=residual.square().mean().sqrt().item(),
    )


CENTERS = [(0.1, 0.05), (0.22, 0.0), (0.3, -0.2)]
DEEPLENSE = Scene(64, 0.08, theta_E=0.8, R_sersic=0.25, n_sersic=1.0, center=(0.0, 0.0))
HST = Scene(100, 0.05, theta_E=1.2, R_sersic=0.4, n_sersic=1.0, center=(0.0, 0.0))


@pytest.mark.parametrize("center", CENTERS)
@pytest.mark.parametrize("scene", [DEEPLENSE, HST], ids=["deeplense", "hst"])
@pytest.mark.parametrize("oversampling", [2, 4])
def test_delensed_source_has_its_centroid_and_flux(scene, center, oversampling):
    inversion = invert(scene._replace(center=center), oversampling)
    assert inversion.centroid < 0.1
    assert inversion.flux < 0.01


@pytest.mark.parametrize("center", CENTERS)
def test_delensed_source_keeps_its_centroid_on_pixels_of_the_image(center):
    # Its flux does not: with source pixels as large as the cusp, 2 % of it is blurred.
    inversion = invert(DEEPLENSE._replace(center=center), 1)
    assert inversion.centroid < 0.1
    assert inversion.flux < 0.03


@pytest.mark.parametrize("center", [(0.0, 0.0), *CENTERS])
def test_relensed_image_agrees_to_two_percent_of_the_peak(center):
    assert invert(HST._replace(center=center), 4).residual < 0.02


@pytest.mark.parametrize("center", [(0.0, 0.0), *CENTERS])
def test_relensed_image_of_a_smooth_source_agrees_with_pixels_half_as_large(center):
    smooth = HST._replace(n_sersic=0.5, R_sersic=0.2, center=center)
    assert invert(smooth, 2).residual < 0.02


@pytest.mark.parametrize(("oversampling", "rms"), [(1, 0.015), (2, 0.006), (4, 0.0025)])
def test_relensing_a_cusp_narrower_than_two_pixels_is_limited_by_its_sampling(oversampling, rms):
    # Exponential scale length 1.9 pixels: the cusp's own pixel is off by far more than 2 %.
    inversion = invert(DEEPLENSE._replace(center=(0.1, 0.05)), oversampling)
    assert inversion.rms < rms
    assert inversion.residual > 0.02


def test_without_deflection_the_image_is_the_source() -> None:
    source, none = torch.rand(2, 6, 6), torch.zeros(2, 6, 6)
    torch.testing.assert_close(ray_trace(source, none, none, pixel_scale=0.3), source)


def test_an_isothermal_sphere_makes_a_ring_of_a_source_behind_it() -> None:
    x, y = pixel_grid(41, 0.1, dtype=torch.float64)
    spot = torch.exp(-(x**2 + y**2) / 0.02)[None]
    radius = torch.sqrt(x**2 + y**2).clamp(min=1e-9)
    alpha_x, alpha_y = ((1.2 * axis / radius)[None] for axis in (x, y))
    image = ray_trace(spot, alpha_x, alpha_y, pixel_scale=0.1)[0]
    assert abs(float((image * radius).sum() / image.sum()) - 1.2) < 0.02
    twice = ray_trace(spot, alpha_x, alpha_y, pixel_scale=0.1, source_pixel_scale=0.2)[0]
    assert twice.sum() > 1.5 * image.sum()


def test_ray_trace_refuses_what_is_no_square_and_no_scale() -> None:
    source, square = torch.ones(1, 4, 4), torch.zeros(1, 4, 4)
    with pytest.raises(ValueError, match="4 x 5 pixels"):
        ray_trace(source, torch.zeros(1, 4, 5), torch.zeros(1, 4, 5), pixel_scale=0.1)
    with pytest.raises(ValueError, match="source_pixel_scale must be positive"):
        ray_trace(source, square, square, pixel_scale=0.1, source_pixel_scale=0.0)
