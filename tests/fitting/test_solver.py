import pytest
import torch

from lenspinn.fitting.gaussians import light_templates
from lenspinn.fitting.priors import SHAPE_PRIORS, known_parameters
from lenspinn.fitting.smooth import (
    SMOOTH_PARAMETERS,
    make_optics,
    parameter_names,
    smooth_image,
)
from lenspinn.fitting.solver import (
    continue_fit,
    fit_smooth_lens,
    last_step,
    whitened_derivatives,
)
from lenspinn.lensing.psf import gaussian_kernel

OPTICS = make_optics(64, 0.08, gaussian_kernel(1.0, 5.0))
BACKGROUND, EXPOSURE = 0.006, 5400.0
# One sigma of the errors of a start, in the order of SMOOTH_PARAMETERS.
ROUGH = torch.tensor(
    [0.01, 0.02, 0.02, 0.01, 0.01, 0.01, 0.01, 0.02, 0.02, 0.03, 0.03, 0.05, 0.1, 0.1]
)
# float32: an image is known to 1e-4 of its noise or so where it is 100 times as bright.
NOISE_FREE_SIGMAS = 0.05
# Of the width of 96 pulls: three of its standard errors, 1 / sqrt(2 * 96).
WIDTH_TOLERANCE = 0.22
# Standard errors: chi^2 is 0.02 above its minimum at 0.14 of them.
ENDED_EARLY = 0.14
# Standard errors, and sigmas of the noise, between fits in float32 that end at the same place.
SAME_WITH_LIGHT = 0.05
# Of a covariance in float32 times what it is the inverse of.
INVERSE = 0.02
# Standard errors, between fits in float32 whose sums are in another order.
ROUNDING = 1e-3
# Of chi^2 per degree of freedom, sqrt(2 / 4082) for one image: four standard errors.
CHI2_TOLERANCE = 0.09


def lenses(num: int, generator: torch.Generator) -> torch.Tensor:
    """Smooth parameters, (num, 14), of varied lenses of signal-to-noise 50 in a pixel or so."""
    middle = torch.tensor(
        [1.0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1.4, 0.3, 4.5],
    )
    spread = torch.tensor(
        [0.25, 0.1, 0.1, 0.03, 0.03, 0.04, 0.04, 0.1, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2]
    )
    uniform = 2 * torch.rand(num, len(middle), generator=generator) - 1
    return middle + spread * uniform


def noisy(model: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    sigma = (BACKGROUND**2 + model / EXPOSURE).sqrt()
    return model + sigma * torch.randn(model.shape, generator=generator), sigma


def rough(parameters: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return parameters + ROUGH * torch.randn(parameters.shape, generator=generator)


def test_noise_free_images_give_their_parameters_back_from_rough_starts(generator):
    true = lenses(8, generator)
    image = smooth_image(true, OPTICS)
    sigma = (BACKGROUND**2 + image / EXPOSURE).sqrt()
    fit = fit_smooth_lens(rough(true, generator), image, sigma, OPTICS, steps=20)
    assert ((fit.parameters - true) / fit.standard_errors).abs().max() <= NOISE_FREE_SIGMAS


@pytest.fixture(scope="module")
def fitted():
    generator = torch.Generator().manual_seed(5)
    true = lenses(96, generator)
    image, sigma = noisy(smooth_image(true, OPTICS), generator)
    return true, image, sigma, fit_smooth_lens(rough(true, generator), image, sigma, OPTICS)


def test_what_a_smooth_lens_leaves_is_noise(fitted):
    _, image, _, fit = fitted
    per_freedom = fit.chi2 / (image[0].numel() - len(SMOOTH_PARAMETERS))
    assert (per_freedom - 1).abs().max() <= CHI2_TOLERANCE
    torch.testing.assert_close(fit.residual.square().sum(dim=(1, 2)), fit.chi2)


@pytest.mark.parametrize("name", SMOOTH_PARAMETERS)
def test_standard_errors_are_the_width_of_the_errors(fitted, name):
    true, _, _, fit = fitted
    pull = ((fit.parameters - true) / fit.standard_errors)[:, SMOOTH_PARAMETERS.index(name)]
    assert pull.square().mean().sqrt() == pytest.approx(1.0, abs=WIDTH_TOLERANCE)


def test_the_brightness_of_a_start_changes_nothing(generator):
    true = lenses(4, generator)
    image, sigma = noisy(smooth_image(true, OPTICS), generator)
    dim, bright = true.clone(), true.clone()
    dim[:, -1], bright[:, -1] = 3.0, 6.0
    fits = [fit_smooth_lens(start, image, sigma, OPTICS) for start in (dim, bright)]
    torch.testing.assert_close(fits[0].chi2, fits[1].chi2, rtol=1e-4, atol=0)


def test_pixels_of_infinite_noise_are_left_out(generator):
    true = lenses(2, generator)
    image, sigma = noisy(smooth_image(true, OPTICS), generator)
    image[:, :20] = 1e3
    sigma[:, :20] = torch.inf
    fit = fit_smooth_lens(true, image, sigma, OPTICS, steps=6)
    assert (fit.residual[:, :20] == 0).all()
    assert ((fit.parameters - true) / fit.standard_errors).abs().max() < 5


def test_a_fit_that_has_no_hope_stays_finite(generator):
    image = torch.randn(4, 64, 64, generator=generator)
    start = torch.full((4, 14), 3.0) * torch.randn(4, 14, generator=generator)
    fit = fit_smooth_lens(start, image, torch.ones_like(image), OPTICS)
    assert fit.parameters.isfinite().all()
    assert fit.residual.isfinite().all()


def test_a_lens_whose_radius_changes_nothing_leaves_the_others_of_its_batch_alone(generator):
    def linearize(*args):
        maps = whitened_derivatives(*args)
        maps[1, 1] = 0  # so small in float32, where a fit ends with a source too faint to see
        return maps

    true = lenses(2, generator)
    image, sigma = noisy(smooth_image(true, OPTICS), generator)
    fit = fit_smooth_lens(rough(true, generator), image, sigma, OPTICS, linearize=linearize)
    assert fit.standard_errors[0].isfinite().all()
    assert fit.covariance[1].isnan().all()


def test_a_fit_ends_where_no_step_gains(generator):
    truth = lenses(3, generator)
    image, sigma = noisy(smooth_image(truth, OPTICS), generator)
    made = []

    def counted(*given):
        made.append(given)
        return whitened_derivatives(*given)

    begin = rough(truth, generator)
    short = fit_smooth_lens(
        begin, image, sigma, OPTICS, steps=40, linearize=counted, least_gain=0.02
    )
    assert len(made) < 30
    whole = fit_smooth_lens(begin, image, sigma, OPTICS, steps=40)
    away = (short.parameters - whole.parameters) / whole.standard_errors
    assert away.abs().max() < ENDED_EARLY


def test_a_fit_goes_on_where_it_ended(generator):
    true = lenses(4, generator)
    image, sigma = noisy(smooth_image(true, OPTICS), generator)
    start = rough(true, generator)
    half = fit_smooth_lens(start, image, sigma, OPTICS, steps=4)
    whole = fit_smooth_lens(start, image, sigma, OPTICS, steps=8)
    again = continue_fit(half, image, sigma, OPTICS, steps=4)
    torch.testing.assert_close(again.chi2, whole.chi2, rtol=1e-3, atol=0)


def test_a_fit_that_goes_on_counts_in_units_of_the_other_noise(fitted):
    _, image, sigma, fit = fitted
    same = continue_fit(fit, image, 2 * sigma, OPTICS, steps=0)
    torch.testing.assert_close(same.parameters, fit.parameters, rtol=0, atol=0)
    torch.testing.assert_close(2 * same.residual, fit.residual)
    torch.testing.assert_close(same.standard_errors, 2 * fit.standard_errors, rtol=1e-3, atol=0)
    torch.testing.assert_close(same.sigma, 2 * sigma)


def test_the_last_step_keeps_the_values_of_the_fit(fitted):
    *_, fit = fitted
    start = torch.zeros_like(fit.parameters, requires_grad=True)
    parameters, residual = last_step(fit, start)
    torch.testing.assert_close(parameters.detach(), fit.parameters, rtol=0, atol=0)
    torch.testing.assert_close(residual.detach(), fit.residual, rtol=0, atol=0)


@pytest.mark.parametrize(("damping", "kept"), [(0.0, 0.0), (1e9, 1.0)])
def test_a_start_matters_only_where_the_fit_is_stuck(fitted, damping, kept):
    fit = fitted[-1]._replace(damping=torch.full((96,), damping))
    start = torch.zeros_like(fit.parameters, requires_grad=True)
    parameters, _ = last_step(fit, start)
    parameters.sum().backward()
    expected = torch.full_like(start, kept)
    torch.testing.assert_close(start.grad, expected, rtol=0, atol=1e-3)


def test_the_residual_follows_the_parameters_of_the_last_step(fitted):
    fit = fitted[-1]._replace(damping=torch.full((96,), 1e9))
    start = torch.zeros_like(fit.parameters, requires_grad=True)
    _, residual = last_step(fit, start)
    residual[0, 20, 20].backward()
    expected = -fit.derivatives[0, :, 20, 20]
    torch.testing.assert_close(start.grad[0], expected, rtol=1e-3, atol=1e-3)


def test_whitened_derivatives_are_in_units_of_the_noise(generator):
    true = lenses(2, generator)
    image = smooth_image(true, OPTICS) + 0.3
    maps = whitened_derivatives(true, image, torch.full_like(image, 0.1), OPTICS)
    torch.testing.assert_close(maps[:, 0], torch.full_like(image, 3.0), rtol=1e-3, atol=1e-3)


LIGHT = light_templates(torch.tensor([[0.02, -0.03, 0.1, 0.05, -0.1, 0.0]]), 64, 0.08)


def with_light(image):
    """An image with lens light of sizes from 1 to 20 pixels, as bright as its arcs and brighter."""
    return image + 0.3 * (LIGHT[0, [2, 5, 14]].sum(dim=0) + 0.1)


def test_light_beside_the_source_may_be_there_in_any_amount(generator):
    true = lenses(8, generator)
    image, sigma = noisy(smooth_image(true, OPTICS), generator)
    start, beside = rough(true, generator), LIGHT.expand(8, -1, -1, -1)
    fit, lit = (
        fit_smooth_lens(start, seen, sigma, OPTICS, steps=20, beside=beside)
        for seen in (image, with_light(image))
    )
    off = (lit.parameters - fit.parameters) / fit.standard_errors
    assert off.abs().max() <= SAME_WITH_LIGHT
    torch.testing.assert_close(lit.residual, fit.residual, atol=SAME_WITH_LIGHT, rtol=0)
    assert (abs(lit.chi2 / lit.freedom - 1) <= CHI2_TOLERANCE).all()


def test_what_may_be_light_makes_errors_larger_and_freedom_smaller(fitted):
    true, image, sigma, fit = fitted
    lit = fit_smooth_lens(
        fit.parameters, image, sigma, OPTICS, beside=LIGHT.expand(len(image), -1, -1, -1)
    )
    assert (lit.standard_errors[:, 0] > fit.standard_errors[:, 0]).all()
    assert (fit.freedom - lit.freedom == LIGHT.shape[1]).all()
    pulls = (lit.parameters - true) / lit.standard_errors
    assert pulls.std(dim=0).mean() == pytest.approx(1, abs=WIDTH_TOLERANCE)


def test_all_that_is_free_has_its_covariance(generator):
    true = lenses(2, generator)
    image, sigma = noisy(smooth_image(true, OPTICS), generator)
    fit = fit_smooth_lens(true, image, sigma, OPTICS, beside=LIGHT.expand(2, -1, -1, -1))
    derivatives, covariance = fit.free
    rows = derivatives.flatten(2).double()
    product = covariance.double() @ (rows @ rows.mT)
    torch.testing.assert_close(
        product, torch.eye(product.shape[1]).double().expand_as(product), atol=INVERSE, rtol=0
    )


def test_a_fit_with_light_goes_on_with_other_noise(generator):
    true = lenses(4, generator)
    image, sigma = noisy(smooth_image(true, OPTICS), generator)
    beside = LIGHT.expand(4, -1, -1, -1)
    lit = with_light(image)
    fit = fit_smooth_lens(rough(true, generator), lit, sigma, OPTICS, steps=15, beside=beside)
    uneven = sigma * (1 + OPTICS.theta_x.abs())
    further = continue_fit(fit, lit, uneven, OPTICS, steps=10)
    fresh = fit_smooth_lens(fit.parameters, lit, uneven, OPTICS, steps=20, beside=beside)
    off = (further.parameters - fresh.parameters) / fresh.standard_errors
    assert off.abs().max() <= SAME_WITH_LIGHT


def with_shape(parameters, gamma, strength):
    """The same lenses with a density slope and multipoles of some strength."""
    shape = torch.tensor([gamma] + [strength, -strength] * 2)
    return torch.cat([parameters, shape.expand(len(parameters), -1)], dim=1)


@pytest.fixture(scope="module")
def shaped():
    generator = torch.Generator().manual_seed(6)
    true = with_shape(lenses(48, generator), 2.1, 0.008)
    image, sigma = noisy(smooth_image(true, OPTICS), generator)
    start = rough(true[:, :14], generator)
    plain = fit_smooth_lens(start, image, sigma, OPTICS)
    return true, plain, fit_smooth_lens(with_shape(start, 2.0, 0.0), image, sigma, OPTICS)


def test_a_fit_finds_slope_and_multipoles_that_an_ellipsoid_has_not(shaped):
    true, plain, fit = shaped
    assert (plain.chi2 / plain.freedom).median() > 1.2
    per_freedom = fit.chi2 / fit.freedom
    assert per_freedom.median().item() == pytest.approx(1, abs=CHI2_TOLERANCE / 2)
    pulls = (fit.parameters - true) / fit.standard_errors
    assert pulls[:, 14:].square().mean().sqrt().item() == pytest.approx(1, abs=WIDTH_TOLERANCE)
    assert (fit.freedom == plain.freedom - 5).all()


def test_an_arc_that_says_nothing_leaves_the_shape_as_lenses_have_it(shaped):
    true, *_ = shaped
    image = smooth_image(true[:4], OPTICS)
    fit = fit_smooth_lens(
        with_shape(true[:4, :14], 2.1, 0.01), image, torch.full_like(image, 1e4), OPTICS
    )
    for place, name in enumerate(parameter_names(19)):
        if name in SHAPE_PRIORS:
            mean, width = SHAPE_PRIORS[name]
            assert fit.parameters[:, place] == pytest.approx(mean, abs=0.1 * width)
            assert fit.standard_errors[:, place] == pytest.approx(width, rel=0.1)


# Narrower than what the images say.
KNOWN = {"e1": (0.1, 1e-4), "gamma1": (0.0, 1e-5), "log_n_sersic": (0.3, 0.05)}


def test_a_prior_counts_as_one_more_pixel_does(generator):
    true = lenses(4, generator)
    image, sigma = noisy(smooth_image(true, OPTICS), generator)
    start = rough(true, generator)
    priors = known_parameters(KNOWN, 14)

    def with_pixels(parameters, *args):
        maps = whitened_derivatives(parameters, *args).flatten(2)
        slopes = torch.diag_embed(priors.inverse_width.float()).expand(len(maps), -1, -1)
        pixels = torch.cat([priors.misfit(parameters)[:, None], slopes], dim=1)
        return torch.cat([maps, pixels], dim=2)[..., None]

    told = fit_smooth_lens(start, image, sigma, OPTICS, priors=priors)
    smuggled = fit_smooth_lens(start, image, sigma, OPTICS, linearize=with_pixels)
    off = (told.parameters - smuggled.parameters) / told.standard_errors
    assert off.abs().max() <= 3 * ROUNDING  # 1.4 on one processor: sums of another order
    torch.testing.assert_close(
        told.chi2 + priors.penalty(told.parameters), smuggled.chi2, rtol=1e-5, atol=0
    )
    torch.testing.assert_close(told.standard_errors, smuggled.standard_errors, rtol=1e-3, atol=0)
    assert told.parameters[:, SMOOTH_PARAMETERS.index("gamma1")].abs().max() <= 1e-3


def test_a_fit_that_goes_on_knows_what_it_was_told(generator):
    true = lenses(2, generator)
    image, sigma = noisy(smooth_image(true, OPTICS), generator)
    fit = fit_smooth_lens(true, image, sigma, OPTICS, priors=known_parameters(KNOWN, 14))
    further = continue_fit(fit, image, sigma, OPTICS, steps=2)
    freed = continue_fit(fit, image, sigma, OPTICS, steps=8, priors=known_parameters({}, 14))
    narrow = KNOWN["e1"][1]
    assert (further.standard_errors[:, 1] <= narrow).all()
    assert (freed.standard_errors[:, 1] > 2 * narrow).all()
    assert (freed.chi2 < further.chi2).all()


def test_one_image_is_fitted_from_many_starts(generator):
    true = lenses(1, generator)
    image, sigma = noisy(smooth_image(true, OPTICS), generator)
    starts = rough(true.expand(3, -1), generator)
    light = LIGHT.expand(1, -1, -1, -1)
    fit = fit_smooth_lens(starts, image, sigma, OPTICS, beside=light)
    repeated = (each.expand(3, -1, -1) for each in (image, sigma))
    same = fit_smooth_lens(starts, *repeated, OPTICS, beside=light.expand(3, -1, -1, -1))
    assert ((fit.parameters - same.parameters) / fit.standard_errors).abs().max() <= ROUNDING
    assert fit.free[0].shape == same.free[0].shape
    assert (fit.freedom == same.freedom).all()
