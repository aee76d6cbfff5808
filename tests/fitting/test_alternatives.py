import numpy as np
import pytest
import torch
from scipy.stats import chi2, kstest

from lenspinn.fitting.alternatives import (
    explained_chi2,
    psf_broadening,
    source_templates,
    structure_share,
)
from lenspinn.fitting.scan import scan_point_masses
from lenspinn.fitting.smooth import (
    SMOOTH_PARAMETERS,
    by_name,
    make_optics,
    smooth_deflection,
    smooth_image,
    source_brightness,
)
from lenspinn.fitting.solver import fit_smooth_lens
from lenspinn.lensing.light import sersic
from lenspinn.lensing.profiles import deflection_point_mass
from lenspinn.lensing.psf import FWHM_PER_SIGMA, convolve_separable, gaussian_kernel

PIXEL = 0.08
OPTICS = make_optics(64, PIXEL, gaussian_kernel(1.0, 5.0))
WELL_SAMPLED = make_optics(64, PIXEL, gaussian_kernel(2.5, 5.0))
BROADER = make_optics(64, PIXEL, gaussian_kernel(1.3, 5.0))
SIGMA = 0.006
NUM = 60
IMPROBABLE = 1e-3
# Of chi^2, relative; what the ridge of the solution takes away.
RIDGE_TOLERANCE = 1e-3
# Relative; the fit moves as far as it can to a wrong PSF, and the template is that of first order.
BROADENING_TOLERANCE = 0.2


def lenses(num, seed):
    middle = torch.tensor([1.0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1.4, 0.3, 2.0])
    spread = torch.tensor([0.1] * 3 + [0.03] * 2 + [0.04] * 2 + [0.1] * 4 + [0.2] * 3)
    generator = torch.Generator().manual_seed(seed)
    return middle + spread * (2 * torch.rand(num, 14, generator=generator) - 1)


def fitted(image, start, optics=OPTICS, seed=1):
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))
    sigma = torch.full_like(image, SIGMA)
    return fit_smooth_lens(start, image + SIGMA * noise, sigma, optics, steps=8)


def with_more(parameters, *, clump=0.0, mass=0.0):
    """Images of lenses with a second, small source or a point mass on the ring."""
    p = by_name(parameters)
    theta_x, theta_y = OPTICS.theta_x, OPTICS.theta_y
    alpha_x, alpha_y = smooth_deflection(parameters, theta_x, theta_y)
    more_x, more_y = deflection_point_mass(theta_x - 0.7, theta_y - 0.7, torch.full((1, 1), mass))
    x, y = theta_x - alpha_x - more_x, theta_y - alpha_y - more_y
    image = source_brightness(p, x, y)
    image = image + sersic(
        x,
        y,
        amplitude=clump * p["log_amplitude"].exp(),
        R_sersic=0.06,
        n_sersic=1.0,
        e1=0.0,
        e2=0.0,
        center_x=p["source_x"] + 0.15,
        center_y=p["source_y"] - 0.1,
    )
    return convolve_separable(image * PIXEL**2, OPTICS.psf)


def share(fit):
    return structure_share(fit, scan_point_masses(fit, PIXEL), OPTICS)


def broadening(fit, optics=OPTICS):
    model = smooth_image(fit.parameters, optics)
    return psf_broadening(fit.residual, fit.derivatives, model, fit.sigma)


def test_noise_explains_as_much_as_there_are_templates():
    """chi^2 with 91 degrees of freedom, over smooth lenses."""
    smooth = lenses(NUM, 0)
    fit = fitted(smooth_image(smooth, OPTICS), smooth)
    by_source = explained_chi2(fit, source_templates(fit, OPTICS))
    assert kstest(by_source, chi2(91).cdf).pvalue > IMPROBABLE
    assert share(fit).abs().max() < 0.2


def test_explained_chi2_is_that_of_least_squares():
    smooth = lenses(2, 3)
    fit = fitted(with_more(smooth, clump=0.5), smooth)
    templates = source_templates(fit, OPTICS)
    for row in range(2):
        residual = fit.residual[row].flatten().double().numpy()
        few = fit.derivatives[row].flatten(1).double().numpy().T
        more = np.hstack([few, templates[row].flatten(1).double().numpy().T])
        left = []
        for matrix in (few, more):
            scaled = matrix / np.linalg.norm(matrix, axis=0)
            solution = np.linalg.lstsq(scaled, residual, rcond=1e-8)[0]
            left.append(((residual - scaled @ solution) ** 2).sum())
        expected = left[0] - left[1]
        found = float(explained_chi2(fit, templates)[row])
        assert found == pytest.approx(expected, rel=RIDGE_TOLERANCE, abs=0.5)


def test_a_clump_of_the_source_is_told_from_a_mass_in_the_lens():
    smooth = lenses(NUM, 4)
    lumpy = share(fitted(with_more(smooth, clump=0.5), smooth))
    massive = share(fitted(with_more(smooth, mass=0.12), smooth))
    assert lumpy.median() > 0.4
    assert massive.median() < 0
    assert (lumpy[:, None] > massive).float().mean() > 0.95


@pytest.mark.parametrize("fwhm", [2.2, 2.8])
def test_the_broadening_of_the_psf_is_measured(fwhm):
    smooth = lenses(NUM, 5)
    image = smooth_image(smooth, make_optics(64, PIXEL, gaussian_kernel(fwhm, 5.0)))
    found = broadening(fitted(image, smooth, WELL_SAMPLED), WELL_SAMPLED)
    missing = (fwhm**2 - 2.5**2) / FWHM_PER_SIGMA**2
    assert float(found.median()) == pytest.approx(missing, rel=BROADENING_TOLERANCE)


def test_a_broader_psf_is_told_from_a_mass_in_the_lens():
    smooth = lenses(NUM, 5)
    smooth[:, SMOOTH_PARAMETERS.index("log_n_sersic")] += 0.7
    broad = broadening(fitted(smooth_image(smooth, BROADER), smooth))
    massive = broadening(fitted(with_more(smooth, mass=0.12), smooth))
    assert (broad[:, None] > massive.abs()).float().mean() > 0.95


def test_a_pixel_left_out_counts_for_nothing():
    smooth = lenses(2, 6)
    image = with_more(smooth, clump=0.5)
    sigma = torch.full_like(image, SIGMA)
    sigma[:, :20] = torch.inf
    spoilt = torch.where(sigma.isinf(), 1e3, image)
    fits = [fit_smooth_lens(smooth, i, sigma, OPTICS, steps=8) for i in (image, spoilt)]
    for of in (share, broadening):
        one, other = map(of, fits)
        torch.testing.assert_close(one, other)
        assert one.isfinite().all()


def test_samples_inside_pixels_give_nearly_the_same_templates_of_a_wide_source():
    smooth = lenses(2, 7)
    smooth[:, SMOOTH_PARAMETERS.index("log_R_sersic")] = 0.0
    image = smooth_image(smooth, OPTICS)
    fine = make_optics(64, PIXEL, OPTICS.psf, supersampling=2)
    fit = fit_smooth_lens(smooth, image, torch.full_like(image, SIGMA), OPTICS, steps=2)
    coarse, finer = (source_templates(fit, optics).flatten(1) for optics in (OPTICS, fine))
    assert torch.nn.functional.cosine_similarity(coarse, finer).min() > 0.99
