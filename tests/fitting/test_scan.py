import pytest
import torch

from lenspinn.fitting import scan
from lenspinn.fitting.scan import scan_point_masses
from lenspinn.fitting.smooth import (
    by_name,
    make_optics,
    smooth_deflection,
    smooth_image,
    source_brightness,
)
from lenspinn.fitting.solver import fit_smooth_lens
from lenspinn.lensing import deflection_point_mass
from lenspinn.lensing.psf import convolve_separable, gaussian_kernel

PIXEL = 0.08
PSF = gaussian_kernel(1.0, 5.0)
OPTICS = make_optics(64, PIXEL, PSF)
SIGMA = 0.006
THETA_E = 1.0
# Of a mean of squares over 48 images; neighbours are alike, so some 60 places an image count.
WIDTH_TOLERANCE = 0.1
# Of the mean over the same.
MEAN_TOLERANCE = 0.1
# The mass lies half a diagonal from the centres of the pixels that are tested for it.
STRENGTH_TOLERANCE = 0.3
# Standard deviations, where there are two or more.
BLOCK_TOLERANCE = 0.2
# A mass of 4 sigma or so is nearly, but not quite, linear; and templates have the blurred gradient.
LINEAR_TOLERANCE = 0.15


def lenses(num, generator):
    """Smooth parameters, (num, 14), of varied lenses whose arcs have a signal-to-noise of 200: a
    mass that can be seen then moves rays by less than a pixel."""
    middle = torch.tensor([THETA_E, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1.4, 0.3, 6.0])
    spread = torch.tensor(
        [0.1, 0.1, 0.1, 0.03, 0.03, 0.04, 0.04, 0.1, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2]
    )
    return middle + spread * (2 * torch.rand(num, 14, generator=generator) - 1)


def with_point_mass(parameters, x, y, strength):
    """Images of lenses that have one point mass each, of squared Einstein radius `strength`."""
    p = by_name(parameters)
    theta_x, theta_y = OPTICS.theta_x, OPTICS.theta_y
    alpha_x, alpha_y = smooth_deflection(parameters, theta_x, theta_y)
    x, y, radius = (value[:, None, None] for value in (x, y, strength.sqrt()))
    of_point_x, of_point_y = deflection_point_mass(theta_x - x, theta_y - y, radius)
    brightness = source_brightness(
        p, theta_x - alpha_x - of_point_x, theta_y - alpha_y - of_point_y
    )
    return convolve_separable(brightness * PIXEL**2, PSF)


def fitted(image, start):
    return fit_smooth_lens(start, image, torch.full_like(image, SIGMA), OPTICS, steps=8)


def around(maps, x, y):
    """Mean of a map over the four pixels that meet in a corner."""
    column, row = ((position / PIXEL + 31.5).floor().long() for position in (x, y))
    image = torch.arange(len(x))
    return sum(maps[image, row + down, column + right] for down in (0, 1) for right in (0, 1)) / 4


@pytest.fixture(scope="module")
def clumped():
    """Noise-free images with a point mass of 4 sigma, in a corner of pixels, not at a centre."""
    generator = torch.Generator().manual_seed(8)
    smooth = lenses(16, generator)
    direction = 2 * torch.pi * torch.rand(16, generator=generator)
    x, y = ((THETA_E * f(direction) / PIXEL).round() * PIXEL for f in (torch.cos, torch.sin))
    trial = scan_point_masses(fitted(smooth_image(smooth, OPTICS), smooth), PIXEL)
    strength = 4 * around(trial.strength_error, x, y)
    image = with_point_mass(smooth, x, y, strength)
    return x, y, strength, fitted(image, smooth)


def test_significance_of_noise_is_a_standard_normal_number(generator):
    smooth = lenses(48, generator)
    image = smooth_image(smooth, OPTICS)
    noise = SIGMA * torch.randn(image.shape, generator=generator)
    significance = scan_point_masses(fitted(image + noise, smooth), PIXEL).significance
    assert significance.mean().item() == pytest.approx(0.0, abs=MEAN_TOLERANCE)
    assert significance.square().mean().sqrt().item() == pytest.approx(1.0, abs=WIDTH_TOLERANCE)


def test_significance_squared_is_what_the_mass_takes_off_chi2(clumped):
    *_, fit = clumped
    # Without noise the right mass would leave nothing.
    ratio = scan_point_masses(fit, PIXEL).significance.amax(dim=(1, 2)) / fit.chi2.sqrt()
    assert ratio.median().item() == pytest.approx(1.0, abs=LINEAR_TOLERANCE)
    assert ratio.max() <= 1 + LINEAR_TOLERANCE


def test_the_strength_is_that_of_the_mass(clumped):
    x, y, strength, fit = clumped
    ratio = around(scan_point_masses(fit, PIXEL).strength, x, y) / strength
    assert ratio.median().item() == pytest.approx(1.0, abs=STRENGTH_TOLERANCE)


def test_blocks_change_little(clumped, monkeypatch):
    *_, fit = clumped
    fast = scan_point_masses(fit, PIXEL).significance
    monkeypatch.setattr(scan, "_BLOCK", 1)
    exact = scan_point_masses(fit, PIXEL).significance
    assert (fast - exact)[exact.abs() > 2].abs().median() <= BLOCK_TOLERANCE


def test_it_takes_an_odd_number_of_pixels(generator):
    optics = make_optics(33, PIXEL, PSF)
    image = smooth_image(lenses(2, generator), optics)
    fit = fit_smooth_lens(lenses(2, generator), image, torch.full_like(image, SIGMA), optics)
    assert scan_point_masses(fit, PIXEL).significance.shape == (2, 33, 33)


def test_a_source_without_gradient_shows_nothing(generator):
    smooth = lenses(2, generator)
    fit = fitted(smooth_image(smooth, OPTICS), smooth)
    flat = fit._replace(
        derivatives=torch.zeros_like(fit.derivatives), by_source=torch.zeros_like(fit.by_source)
    )
    found = scan_point_masses(flat, PIXEL)
    assert (found.significance == 0).all()
    assert (found.strength_error > 1e6).all()


def test_without_a_covariance_nothing_is_tested(generator):
    smooth = lenses(2, generator)
    fit = fitted(smooth_image(smooth, OPTICS), smooth)
    unknown = fit.covariance.clone()
    unknown[0] = torch.nan
    found = scan_point_masses(fit._replace(covariance=unknown), PIXEL)
    assert (found.significance[0] == 0).all()
    assert found.strength_error[0].isinf().all()
    assert found.strength_error[1].isfinite().all()
