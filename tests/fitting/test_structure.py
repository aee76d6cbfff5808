import math

import numpy as np
import pytest
import torch

from lenspinn.fitting.gaussians import light_templates
from lenspinn.fitting.priors import SHAPE_PRIORS, Priors, known_parameters
from lenspinn.fitting.smooth import (
    by_name,
    make_optics,
    smooth_deflection,
    smooth_image,
    source_brightness,
)
from lenspinn.fitting.solver import (
    SmoothFit,
    fit_smooth_lens,
    whitened_derivatives,
    with_typical_shape,
)
from lenspinn.fitting.structure import (
    NUM_SHAPELETS,
    fit_structure,
    lensed_shapelets,
    scan_beside_structure,
    shapelet_brightness,
    shapelets_on,
    structure_image,
)
from lenspinn.lensing.profiles import deflection_point_mass
from lenspinn.lensing.psf import convolve_separable, gaussian_kernel

PIXEL = 0.08
OPTICS = make_optics(64, PIXEL, gaussian_kernel(1.5, 5.0))
SIGMA = 0.006
NUM = 24
# Of a scalar product of two shapelets of length 1, sampled in pixels of a 16th of their scale.
ORTHONORMAL_TOLERANCE = 1e-3
# chi^2 of 4037 degrees of freedom scatters by 0.022; median of 24.
CHI2_TOLERANCE = 0.02
# Of the mean square of significances over 24 images, some 60 independent places each.
WIDTH_TOLERANCE = 0.15
FOUR_SIGMA = 4.0
# Sigmas, between images with and without lens light that is free: rounding of what is bright.
SAME_WITH_LIGHT = 0.1
# Relative, of chi^2 in float32 and with its ridge against least squares in float64.
RIDGE_TOLERANCE = 1e-3


def lenses(num, seed):
    middle = torch.tensor([1.0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1.4, 0.0, 3.5])
    spread = torch.tensor([0.1] * 3 + [0.03] * 2 + [0.04] * 2 + [0.1] * 4 + [0.2] * 3)
    generator = torch.Generator().manual_seed(seed)
    return middle + spread * (2 * torch.rand(num, 14, generator=generator) - 1)


def with_clump(parameters, mass=0.0):
    """Images of lenses before a source with a Gaussian clump, and with a mass on the ring."""
    p = by_name(parameters)
    alpha_x, alpha_y = smooth_deflection(parameters, OPTICS.theta_x, OPTICS.theta_y)
    more_x, more_y = deflection_point_mass(
        OPTICS.theta_x - 0.7, OPTICS.theta_y - 0.7, torch.full((1, 1), mass)
    )
    x, y = OPTICS.theta_x - alpha_x - more_x, OPTICS.theta_y - alpha_y - more_y
    squared = (x - p["source_x"] - 0.12).square() + (y - p["source_y"] + 0.08).square()
    clump = p["log_amplitude"].exp() * torch.exp(-squared / (2 * 0.1**2))
    return convolve_separable((source_brightness(p, x, y) + clump) * PIXEL**2, OPTICS.psf)


def noisy(image, seed=1):
    return image + SIGMA * torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))


def fitted(image, start):
    return fit_smooth_lens(start, image, torch.full_like(image, SIGMA), OPTICS, steps=8)


@pytest.fixture(scope="module")
def clumpy():
    """Images of clumpy sources, their lenses, and both fits."""
    smooth = lenses(NUM, 0)
    image = noisy(with_clump(smooth))
    fit = fitted(image, smooth)
    return image, smooth, fit, fit_structure(fit, image, OPTICS, steps=3)


def some(fit, chosen):
    """The fits of some images."""
    parts = (
        type(each)(*(of[chosen] for of in each)) if isinstance(each, Priors) else each[chosen]
        for each in fit
    )
    return SmoothFit(*parts)


def test_shapelets_are_orthonormal():
    unlensed = torch.zeros(1, 14)
    unlensed[:, 11] = math.log(0.5)
    fine = make_optics(256, 0.25 / 16, (1.0,))
    maps = lensed_shapelets(unlensed, shapelets_on(unlensed), fine)[0].flatten(1)
    maps = maps / maps[0].norm()
    expected = torch.eye(NUM_SHAPELETS)
    torch.testing.assert_close(maps @ maps.T, expected, rtol=0, atol=ORTHONORMAL_TOLERANCE)


def test_a_clumpy_source_leaves_noise_and_the_right_lens(clumpy):
    _, smooth, fit, found = clumpy
    assert (fit.chi2 / fit.freedom).median() > 1.2
    per_freedom = found.smooth.chi2 / found.freedom
    assert per_freedom.median().item() == pytest.approx(1.0, abs=CHI2_TOLERANCE)
    error, before = (of.parameters[:, 0] - smooth[:, 0] for of in (found.smooth, fit))
    assert error.abs().median() < before.abs().median() / 2
    assert (error / found.smooth.standard_errors[:, 0]).abs().median() < 1.5


def test_the_slope_of_the_lens_is_found_beside_clumps_of_the_source():
    steep = with_typical_shape(lenses(NUM, 3))
    steep[:, 14] = 2.2
    image = noisy(with_clump(steep))
    fit = fitted(image, steep[:, :14])
    without, found = (fit_structure(fit, image, OPTICS, lens_shape=free) for free in (False, True))
    assert (found.freedom == without.freedom - 5).all()
    per_freedom = (found.smooth.chi2 / found.freedom).median().item()
    assert per_freedom == pytest.approx(1.0, abs=CHI2_TOLERANCE)
    assert (without.smooth.chi2 / without.freedom).median() > 1 + 2 * CHI2_TOLERANCE
    off = (found.smooth.parameters - steep)[:, [0, 14]]
    assert (off / found.smooth.standard_errors[:, [0, 14]]).abs().median() < 1.5


def test_what_was_found_makes_the_image(clumpy):
    image, _, _, found = clumpy
    parameters = found.smooth.parameters
    model = smooth_image(parameters, OPTICS) + structure_image(found, parameters, OPTICS)
    torch.testing.assert_close((image - model) / SIGMA, found.smooth.residual, rtol=1e-3, atol=1e-2)


def test_the_brightness_that_was_found_makes_its_image(clumpy):
    *_, found = clumpy
    parameters = found.smooth.parameters
    alpha_x, alpha_y = smooth_deflection(parameters, OPTICS.theta_x, OPTICS.theta_y)
    seen = shapelet_brightness(found, OPTICS.theta_x - alpha_x, OPTICS.theta_y - alpha_y)
    image = convolve_separable(seen * PIXEL**2, OPTICS.psf)
    expected = structure_image(found, parameters, OPTICS)
    assert (image - expected).abs().max() < 1e-4 * expected.abs().max()


def test_the_scale_of_shapelets_is_in_half_light_radii():
    parameters = lenses(3, 1)
    radius = by_name(parameters)["log_R_sersic"].exp()
    assert torch.allclose(shapelets_on(parameters, 0.7).scale, 0.7 * radius)


def test_chi2_is_that_of_least_squares(clumpy):
    image, _, _, found = clumpy
    parameters = found.smooth.parameters
    maps = whitened_derivatives(parameters, image, found.smooth.sigma, OPTICS)
    for row in range(3):
        columns = found.templates[row].flatten(1).double().numpy().T
        residual = maps[row, 0].flatten().double().numpy()
        coefficients = np.linalg.lstsq(columns, residual, rcond=1e-4)[0]
        expected = np.square(residual - columns @ coefficients).sum()
        assert found.smooth.chi2[row].item() == pytest.approx(expected, rel=RIDGE_TOLERANCE)


def test_structure_widens_the_errors(clumpy):
    image, _, fit, _ = clumpy
    found = fit_structure(fit, image, OPTICS, steps=0)
    assert (found.smooth.standard_errors > fit.standard_errors).all()


def test_without_steps_the_lens_stays_where_it_was(clumpy):
    image, _, fit, _ = clumpy
    still = fit_structure(fit, image, OPTICS, steps=0)
    torch.testing.assert_close(still.smooth.parameters, fit.parameters)
    assert (still.smooth.chi2 < fit.chi2).all()


def test_a_batch_is_as_its_images_alone(clumpy):
    image, _, fit, _ = clumpy
    together = fit_structure(some(fit, slice(5)), image[:5], OPTICS, steps=0)
    alone = fit_structure(some(fit, slice(4, 5)), image[4:5], OPTICS, steps=0)
    scans = [scan_beside_structure(found, PIXEL).significance for found in (together, alone)]
    torch.testing.assert_close(together.smooth.residual[4:], alone.smooth.residual)
    torch.testing.assert_close(scans[0][4:], scans[1], rtol=1e-3, atol=1e-3)


def test_pixels_left_out_do_not_count(clumpy):
    image, smooth, *_ = clumpy
    sigma = torch.full_like(image[:2], SIGMA)
    sigma[:, :20] = math.inf
    fit = fit_smooth_lens(smooth[:2], image[:2], sigma, OPTICS, steps=8)
    found = fit_structure(fit, image[:2], OPTICS, steps=1)
    assert (found.smooth.residual[:, :20] == 0).all()
    assert (found.templates[:, :, :20] == 0).all()
    assert (found.freedom == 44 * 64 - 14 - NUM_SHAPELETS).all()


def test_where_there_is_no_mass_significance_is_a_normal_number(clumpy):
    *_, found = clumpy
    significance = scan_beside_structure(found, PIXEL).significance
    assert significance.square().mean().item() == pytest.approx(1.0, abs=WIDTH_TOLERANCE)
    assert significance.mean().abs() < WIDTH_TOLERANCE


def test_a_mass_is_found_beside_a_clump():
    smooth = lenses(6, 5)
    image = noisy(with_clump(smooth, mass=0.05))
    found = fit_structure(fitted(image, smooth), image, OPTICS, steps=3)
    significance = scan_beside_structure(found, PIXEL).significance
    column = round(0.7 / PIXEL + 31.5)
    there = significance[:, column - 2 : column + 3, column - 2 : column + 3].amax(dim=(1, 2))
    assert (there > FOUR_SIGMA).all()
    assert (there > 0.9 * significance.amax(dim=(1, 2))).double().mean() > 0.6


def test_light_may_be_free_beside_structure(clumpy):
    image, smooth, *_ = clumpy
    shape = torch.tensor([[0.02, -0.03, 0.1, 0.05, -0.1, 0.0]])
    templates = light_templates(shape, 64, PIXEL).expand(NUM, -1, -1, -1)
    lit = image + 20 * SIGMA * (templates[:, [3, 15]].sum(dim=1) + 1)
    found = []
    for seen in (image, lit):
        sigma = torch.full_like(seen, SIGMA)
        fit = fit_smooth_lens(smooth, seen, sigma, OPTICS, steps=8, beside=templates)
        found.append(fit_structure(fit, seen, OPTICS, steps=3))
    dark, bright = found
    residuals = (each.smooth.residual for each in found)
    torch.testing.assert_close(*residuals, rtol=0, atol=SAME_WITH_LIGHT)
    assert (bright.smooth.chi2 / bright.freedom).median().item() == pytest.approx(
        1.0, abs=CHI2_TOLERANCE
    )
    scans = (scan_beside_structure(each, PIXEL).significance for each in found)
    torch.testing.assert_close(*scans, rtol=0, atol=SAME_WITH_LIGHT)
    assert scan_beside_structure(dark, PIXEL).significance.square().mean().item() == pytest.approx(
        1.0, abs=WIDTH_TOLERANCE
    )


def test_structure_is_fitted_with_what_is_known_of_the_lens(clumpy):
    image, smooth, fit, free = clumpy
    few = some(fit, slice(4))
    width = 0.1 * free.smooth.standard_errors[:4, 0].min()
    priors = known_parameters({"theta_E": (smooth[:4, 0], width)}, 14)
    ways = [
        fit_structure(few._replace(priors=priors), image[:4], OPTICS),
        fit_structure(few, image[:4], OPTICS, priors=priors),
        fit_structure(few._replace(priors=priors), image[:4], OPTICS, lens_shape=True),
    ]
    for found in ways:
        assert found.smooth.standard_errors[:, 0] == pytest.approx(float(width), rel=0.1)
    assert (ways[2].smooth.standard_errors[:, 14] <= SHAPE_PRIORS["gamma"][1]).all()
