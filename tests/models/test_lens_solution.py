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
    return LensSolution(start, fit, None, scans[:1]), LensSolution(start, fit, found, scans)


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
    without, with_it = (of.image(parameters, OPTICS) for of in solutions)
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
        lensed = solution.image(found, OPTICS).sum(dim=(1, 2))
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
        fitted = solution.fitted(OPTICS)
        torch.testing.assert_close(fitted["theta_E"], solution.best.parameters[:, 0])
        torch.testing.assert_close(fitted["log_amplitude"], solution.best.parameters[:, 13])
        signal = solution.image(solution.best.parameters, OPTICS) / SIGMA
        expected = signal.flatten(1).norm(dim=1)
        torch.testing.assert_close(fitted["signal_to_noise"], expected, rtol=1e-4, atol=0)
        assert len(fitted) == 15
