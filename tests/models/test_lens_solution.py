import dataclasses

import pytest
import torch

from lenspinn.fitting.scan import scan_point_masses
from lenspinn.fitting.smooth import make_optics, smooth_image
from lenspinn.fitting.solver import fit_smooth_lens
from lenspinn.fitting.structure import (
    NUM_SHAPELETS,
    fit_structure,
    scan_beside_structure,
    structure_image,
)
from lenspinn.lensing.psf import gaussian_kernel
from lenspinn.models import NetworkInput
from lenspinn.models.lens_solution import MAPS, NUMBERS, LensSolution

PIXEL = 0.08
OPTICS = make_optics(64, PIXEL, gaussian_kernel(1.5, 5.0))
SIGMA = 0.006


@pytest.fixture(scope="module")
def solutions():
    """Of two smooth lenses: without and with structure."""
    smooth = torch.tensor([[1.0, 0.1, 0, 0, 0, 0.02, 0, 0.1, 0, 0, 0, -1.4, 0.0, 2.0]])
    smooth = smooth.repeat(2, 1)
    noise = torch.randn(2, 64, 64, generator=torch.Generator().manual_seed(0))
    image = smooth_image(smooth, OPTICS) + SIGMA * noise
    fit = fit_smooth_lens(smooth, image, torch.full_like(image, SIGMA), OPTICS, steps=6)
    start = smooth.clone().requires_grad_()
    found = fit_structure(fit, image, OPTICS)
    scans = scan_point_masses(fit, PIXEL), scan_beside_structure(found, PIXEL)
    observed = NetworkInput(image[:, None])
    plain = LensSolution(
        observed=observed, start=start, optics=OPTICS, sersic=fit, structured=None, scans=scans[:1]
    )
    return plain, dataclasses.replace(plain, structured=found, scans=scans)


def test_the_best_fit_is_that_with_structure(solutions):
    plain, structured = solutions
    assert plain.best is plain.sersic
    assert structured.best is structured.structured.smooth
    torch.testing.assert_close(plain.chi2, plain.sersic.chi2 / (64**2 - 14))
    freedom = 64**2 - 14 - NUM_SHAPELETS
    torch.testing.assert_close(structured.chi2, structured.best.chi2 / freedom)


def test_its_image_has_the_structure(solutions):
    plain, structured = solutions
    parameters = plain.best.parameters
    without, with_it = (of.image_behind(parameters, OPTICS) for of in solutions)
    expected = structure_image(structured.structured, parameters, OPTICS)
    torch.testing.assert_close(with_it - without, expected, rtol=0, atol=1e-6)


def test_the_source_is_where_it_was_found_and_not_lensed(solutions):
    for solution in solutions:
        source = solution.source(OPTICS)
        found = solution.best.parameters
        for place, theta in ((7, OPTICS.theta_x), (8, OPTICS.theta_y)):
            centre = (source * theta).sum(dim=(1, 2)) / source.sum(dim=(1, 2))
            torch.testing.assert_close(centre, found[:, place], rtol=0, atol=PIXEL / 2)
        # A lens magnifies.
        lensed = solution.image_behind(found, OPTICS).sum(dim=(1, 2))
        assert (source.sum(dim=(1, 2)) < lensed / 2).all()


def test_what_is_left_is_shown_once_for_each_fit(solutions):
    for solution, fits in zip(solutions, (1, 2), strict=True):
        image = torch.rand(2, 1, 64, 64)
        maps, numbers, radius, error = solution.seen(image)
        assert maps.shape == (2, 1 + MAPS * fits, 64, 64)
        assert torch.equal(maps[:, :1], image)
        assert torch.equal(radius, solution.best.parameters[:, 0])
        assert torch.equal(error, solution.best.standard_errors[:, 0])
        assert numbers.shape == (2, NUMBERS * fits)
        peaks = solution.scans[-1].significance.amax(dim=(1, 2))
        torch.testing.assert_close(numbers[:, -1], torch.asinh(peaks))
        residuals = (solution.sersic.residual, solution.best.residual)
        torch.testing.assert_close(maps[:, 1], torch.asinh(residuals[0]))
        torch.testing.assert_close(maps[:, -MAPS], torch.asinh(residuals[1]))


def test_the_classification_reaches_the_start(solutions):
    for solution in solutions:
        maps = solution.seen(torch.rand(2, 1, 64, 64)).maps
        (gradient,) = torch.autograd.grad(maps.square().sum(), solution.start)
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0


def test_what_was_fitted_is_named_with_its_signal_to_noise(solutions):
    for solution in solutions:
        fitted = solution.fitted()
        torch.testing.assert_close(fitted["theta_E"], solution.best.parameters[:, 0])
        torch.testing.assert_close(fitted["log_amplitude"], solution.best.parameters[:, 13])
        signal = solution.model / SIGMA
        expected = signal.flatten(1).norm(dim=1)
        torch.testing.assert_close(fitted["signal_to_noise"], expected, rtol=1e-4, atol=0)
        assert len(fitted) == 15


def test_it_is_reconstructed_as_it_was_found(solutions):
    for solution in solutions:
        found = solution.reconstruction()
        assert torch.equal(found.theta_E, solution.best.parameters[:, 0])
        left = solution.observed.image[:, 0] - found.model
        torch.testing.assert_close(left / SIGMA, found.residual, rtol=0, atol=1e-2)
        torch.testing.assert_close(found.beta_x, OPTICS.theta_x - found.alpha_x)
        assert torch.equal(found.chi2, solution.chi2)


def test_a_smooth_lens_is_like_those_of_training(solutions):
    for solution in solutions:
        scores = solution.shift_scores()
        assert set(scores) == {"chi2", "source", "psf"}
        assert (scores["chi2"] - 1).abs().max() < 0.1
        assert (scores["psf"] < 0.5).all()


def test_the_image_is_the_observed_one_but_for_lens_light_of_a_known_shape(solutions):
    for solution in solutions:
        assert solution.image is solution.observed.image
        lit = solution.observed._replace(lens_light=torch.zeros(2, 6))
        without = dataclasses.replace(solution, observed=lit)
        # Nothing was fitted beside the source here, so nothing is taken away.
        torch.testing.assert_close(without.image, solution.image, rtol=0, atol=1e-2 * SIGMA)
