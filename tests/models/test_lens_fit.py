from statistics import NormalDist

import numpy as np
import pytest
import torch

from lenspinn.data.instrument import INSTRUMENTS
from lenspinn.data.orientations import flip_and_turn
from lenspinn.errors import ModelError
from lenspinn.explain.gradcam import grad_cam
from lenspinn.fitting.smooth import SMOOTH_PARAMETERS
from lenspinn.lensing.psf import gaussian_kernel
from lenspinn.models import NetworkInput, create_model
from lenspinn.models.free_light import free_light
from lenspinn.models.lens_guess import LENS_TRUTH, TYPICAL_LENSES
from lenspinn.models.quantities import QUANTITIES, defined_truth, gaussian_loss, targets
from lenspinn.simulate import add_noise, draw_batch, get_recipe, render, simulate_images
from lenspinn.simulate.draw import truth_fields
from lenspinn.simulate.noise import background_sigma, noise_sigma

RECIPE = "survey/hst_shallow"
AXION, NO_SUB = 0, 2
ALL_QUANTITIES = tuple(QUANTITIES)
# The default is written with three digits.
THREE_DIGITS = 1e-3
# Of an error in units of its standard error; the chance of more in one of 8 lenses is 5e-4.
FOUR_SIGMA = 4.0
NUM_SMOOTH = 480
# Standard errors of a share of so many lenses: 6.4 points at 68 %, 3.0 at 95 %.
THREE_BINOMIAL = 3.0
# Of the standard deviation of the brightest pixel, known to 1 % where its light is known to 2 %.
NOISE_TOLERANCE = 0.01
# Four standard errors of the median of so many: 4 * 1.25 * 0.022 / sqrt(480).
MEDIAN_CHI2_TOLERANCE = 0.005
# chi^2 of 4082 degrees of freedom scatters by 0.022; the noise is estimated to 2 % or so.
CHI2_TOLERANCE = 0.1
# Sigmas, of what is left with and without bright light that is free: float32.
SAME_WITH_LIGHT = 0.1
# Between the two convolutions: how they treat the border, where the images are faint.
BORDER_OF_SIGMA = 0.1

# Of maps between 0 and 1, which are interpolated from gradients in float32.
SAME_CAM = 1e-4
# Between devices, which add up float32 numbers in other orders.
DEVICES_ARCSEC, DEVICES_CHI2 = 1e-3, 1e-2


@pytest.fixture
def model():
    torch.manual_seed(0)
    return create_model("lenspinn_fit")


@pytest.fixture(scope="module")
def lenses():
    """24 images with noise, their labels and truth."""
    images, labels, truth = simulate_images(RECIPE, 24, 3, engine="eager")
    columns = {name: torch.from_numpy(values).float() for name, values in truth.items()}
    return torch.from_numpy(images), torch.from_numpy(labels), columns


def from_truth(truth, error=0.0):
    """Start of a fit: the truth, every parameter off by so many widths."""
    columns = []
    for name, (_, width, key) in TYPICAL_LENSES.items():
        known = truth[key].log() if name.startswith("log_") else truth[key]
        columns.append(known + error * width)
    return torch.nn.functional.pad(torch.stack(columns, dim=1), (0, 1))


def solve(model, image, **known):
    return model.solve(NetworkInput(image, **known), compiled=False)


def test_the_defaults_are_those_of_the_instrument(model):
    instrument = INSTRUMENTS["hst_wfc3_f160w"]
    assert model.background_sigma == pytest.approx(background_sigma(instrument), rel=THREE_DIGITS)
    assert model.exposure_time == instrument.total_exposure
    assert model.psf_fwhm == instrument.psf_fwhm
    assert model.pixel_scale == instrument.pixel_scale


def test_it_has_at_most_half_the_parameters_of_lenspinn_large(model):
    size = sum(parameter.numel() for parameter in model.parameters())
    large = create_model("lenspinn_large")
    assert size <= 0.5 * sum(parameter.numel() for parameter in large.parameters())


def test_the_truth_it_wants_is_what_the_simulator_gives(model):
    assert set(model.truth_keys) <= set(truth_fields(get_recipe(RECIPE)))


def test_the_noise_is_that_of_the_simulator(model, lenses):
    images, *_ = lenses
    noise_free, *_ = simulate_images(
        get_recipe(RECIPE, **{"faults.noise_left_out": True}), 24, 3, engine="eager"
    )
    expected = noise_sigma(torch.from_numpy(noise_free), INSTRUMENTS["hst_wfc3_f160w"])[:, 0]
    ratio = model.noise_sigma(images) / expected
    assert ratio.mean().item() == pytest.approx(1.0, abs=0.02)
    assert ratio.std() < 0.05


def test_a_fit_from_near_the_truth_finds_the_lens_and_leaves_noise(model, lenses, monkeypatch):
    images, labels, truth = lenses
    smooth = labels == NO_SUB
    truth = {name: truth[name][smooth] for name in model.truth_keys}
    monkeypatch.setattr(model, "predict_parameters", lambda _: from_truth(truth, error=0.3))
    found = model.reconstruct(images[smooth])
    for name in ("theta_E", "gamma1", "source_x"):
        column = SMOOTH_PARAMETERS.index(name)
        error = (found.parameters[:, column] - truth[name]) / found.standard_errors[:, column]
        assert error.abs().max() < FOUR_SIGMA
    assert (found.chi2 - 1).abs().max() < CHI2_TOLERANCE
    noise = solve(model, images[smooth], start=from_truth(truth, error=0.3)).sersic.sigma
    torch.testing.assert_close(
        images[smooth][:, 0] - found.model, found.residual * noise, rtol=1e-3, atol=2e-4
    )


@pytest.fixture(scope="module")
def smooth_lenses():
    """480 images without substructure, the noise of their pixels, their truth, and their fits."""
    recipe = get_recipe("survey/hst")
    labels = np.full(NUM_SMOOTH, NO_SUB)
    scene, truth = draw_batch(recipe, labels, np.random.default_rng(0))
    noise_free = render(scene, recipe.camera)
    images = add_noise(noise_free, recipe.instrument, torch.Generator().manual_seed(0))
    model = create_model("lenspinn_fit")
    columns = {name: torch.from_numpy(truth[name]).float() for name in model.truth_keys}
    observed = NetworkInput(images[:, None], start=from_truth(columns, error=0.3))
    fit = model.fit(observed)
    return noise_sigma(noise_free, recipe.instrument), columns, fit


@pytest.mark.parametrize("share", [0.68, 0.95])
def test_intervals_hold_as_often_as_they_say(smooth_lenses, share):
    _, truth, fit = smooth_lenses
    error = (fit.parameters[:, 0] - truth["theta_E"]).abs() / fit.standard_errors[:, 0]
    held = (error <= NormalDist().inv_cdf((1 + share) / 2)).float().mean().item()
    binomial = (share * (1 - share) / NUM_SMOOTH) ** 0.5
    assert held == pytest.approx(share, abs=THREE_BINOMIAL * binomial)


def test_the_noise_of_a_fit_is_that_of_the_simulator_also_in_the_arcs(smooth_lenses):
    sigma, _, fit = smooth_lenses
    brightest = sigma.flatten(1).argmax(dim=1, keepdim=True)
    ratio = (fit.sigma / sigma).flatten(1).gather(1, brightest)
    assert (ratio - 1).abs().median() < NOISE_TOLERANCE
    per_freedom = fit.chi2 / (fit.residual[0].numel() - len(SMOOTH_PARAMETERS))
    assert per_freedom.median().item() == pytest.approx(1.0, abs=MEDIAN_CHI2_TOLERANCE)


def test_the_reconstructed_source_is_at_the_end_of_the_rays(model, lenses):
    images, *_ = lenses
    found = model.eval().reconstruct(images[:2])
    offset = found.parameters[:, SMOOTH_PARAMETERS.index("source_x")]
    weight = found.source / found.source.sum(dim=(1, 2), keepdim=True)
    plain = found.alpha_x + found.beta_x
    assert (weight * plain).sum(dim=(1, 2)) == pytest.approx(offset.tolist(), abs=0.1)


def test_a_noise_map_takes_the_place_of_the_options(model, lenses):
    images, _, truth = lenses
    smooth = lenses[1] == NO_SUB
    images, start = images[smooth], from_truth(truth)[smooth]
    own = solve(model, images, start=start).sersic
    plain, twice = (
        solve(model, images, start=start, noise=factor * own.sigma).sersic for factor in (1, 2)
    )
    torch.testing.assert_close(own.chi2, plain.chi2, rtol=1e-3, atol=0)
    torch.testing.assert_close(4 * twice.chi2, plain.chi2, rtol=1e-2, atol=0)


def test_a_psf_takes_the_place_of_the_gaussian(model, lenses):
    images, labels, truth = lenses
    smooth = labels == NO_SUB
    axis = torch.tensor(gaussian_kernel(model.psf_fwhm / model.pixel_scale, 5.0))
    start = from_truth(truth)[smooth]
    kernels = {"same": axis[:, None] * axis, "plain": None, "wide": torch.full((9, 9), 1 / 81)}
    fits = {
        name: solve(model, images[smooth], start=start, psf=psf).sersic
        for name, psf in kernels.items()
    }
    plain = fits["plain"]
    moved = (fits["same"].parameters - plain.parameters) / plain.standard_errors
    assert moved.abs().max() < BORDER_OF_SIGMA
    assert (fits["wide"].chi2 > 2 * plain.chi2).all()


def gradient_of_encoder(model, loss):
    model.zero_grad()
    loss.backward()
    return torch.cat([parameter.grad.flatten() for parameter in model.encoder.parameters()])


def test_the_encoder_learns_from_the_truth(model, lenses):
    images, _, truth = lenses
    right = {key: truth[key] for key in model.truth_keys}
    wrong = right | {"theta_E": right["theta_E"] + 0.5}
    model.eval()
    one, other = (model.training_outputs(images, known)[1] for known in (right, wrong))
    assert other > one
    assert not torch.equal(gradient_of_encoder(model, one), gradient_of_encoder(model, other))


def test_the_encoder_learns_without_any_truth(model, lenses):
    images, _, truth = lenses
    unknown = {key: torch.full_like(truth[key], torch.nan) for key in model.truth_keys}
    _, loss = model.training_outputs(images, unknown)
    assert loss > 0
    gradient = gradient_of_encoder(model, loss)
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0


def test_without_truth_the_encoder_is_drawn_to_what_the_fit_found(model, lenses, monkeypatch):
    images, labels, truth = lenses
    smooth = labels == NO_SUB
    unknown = {key: torch.full_like(truth[key][smooth], torch.nan) for key in model.truth_keys}
    start = from_truth(truth, error=0.5)[smooth].requires_grad_()
    monkeypatch.setattr(model, "predict_parameters", lambda _: start)
    _, loss = model.eval().training_outputs(images[smooth], unknown)
    loss.backward()
    theta_E = SMOOTH_PARAMETERS.index("theta_E")
    assert (start.grad[:, theta_E] > 0).all()  # too large, as they were made


def test_what_a_smooth_lens_cannot_explain_reaches_the_classifier(model, lenses, monkeypatch):
    images, labels, truth = lenses
    monkeypatch.setattr(model, "predict_parameters", lambda _: from_truth(truth))
    significance = model.eval().forward_features(images)[:, -1]
    assert significance[labels == NO_SUB].max() < 2.5
    assert significance[labels != NO_SUB].median() > 2.5


def test_chi2_says_how_unlike_a_smooth_lens_an_image_is(model, lenses, monkeypatch):
    images, labels, truth = lenses
    monkeypatch.setattr(model, "predict_parameters", lambda _: from_truth(truth))
    chi2 = model.examine(images).shift_scores["chi2"]
    torch.testing.assert_close(chi2, model.reconstruct(images).chi2)
    assert (chi2[labels == NO_SUB] - 1).abs().max() < CHI2_TOLERANCE
    other_noise = 3 * images  # as if the noise were three times what the options say
    assert (model.examine(other_noise).shift_scores["chi2"] > chi2).all()


def test_it_overfits_24_lenses(lenses, monkeypatch, settle):
    images, labels, truth = lenses
    torch.manual_seed(0)
    model = create_model("lenspinn_fit", steps=4)
    monkeypatch.setattr(model, "predict_parameters", lambda _: from_truth(truth))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(8):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    with torch.no_grad():
        assert (settle(model, images)(images).argmax(1) == labels).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"background_sigma": 0.0},
        {"exposure_time": -1.0},
        {"psf_fwhm": 0.0},
        {"supersampling": 0},
        {"steps": 0},
    ],
)
def test_an_option_that_is_not_positive_is_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ModelError, match=f"{name} is {value}; it must be above 0"):
        create_model("lenspinn_fit", **wrong)


@pytest.fixture
def with_quantities():
    torch.manual_seed(0)
    return create_model("lenspinn_fit", steps=4, quantities=ALL_QUANTITIES)


def test_weights_from_before_there_were_quantities_fit(model):
    assert not any(name.startswith("quantity") for name in model.state_dict())
    assert model.examine(torch.ones(2, 1, 64, 64)).quantities.mean.shape == (2, 0)


def test_quantities_begin_with_the_radius_of_the_fit_and_what_is_usual(with_quantities, lenses):
    images = lenses[0][:3]
    model = with_quantities.eval()
    mean, sigma = model.examine(images).quantities
    found = model.reconstruct(images)
    torch.testing.assert_close(mean[:, 2], found.theta_E)
    assert (mean[:, 0] == QUANTITIES["axion_mass_eV"].middle).all()
    assert (sigma > 0).all()
    noisier = solve(model, images[:1], noise=2 * model.noise_sigma(images[:1]))
    assert model.examine(noisier).quantities.sigma[0, 2] > sigma[0, 2]


def test_quantities_do_not_disturb_the_classification(with_quantities, lenses):
    images, labels, truth = lenses
    torch.manual_seed(0)
    plain = create_model("lenspinn_fit", steps=4)
    known = defined_truth(with_quantities.quantities, truth, labels, with_quantities.classes)
    gradients = []
    for one in (plain, with_quantities):
        logits, loss = one.training_outputs(images[:6], {k: v[:6] for k, v in known.items()})
        (torch.nn.functional.cross_entropy(logits, labels[:6]) + loss).backward()
        gradients.append({name: weight.grad for name, weight in one.named_parameters()})
    for name, gradient in gradients[0].items():
        assert torch.equal(gradient, gradients[1].pop(name)), name
    assert gradients[1]  # those of the head
    assert all(gradient.isfinite().all() for gradient in gradients[1].values())


def test_it_overfits_the_quantities_of_24_lenses(with_quantities, lenses, monkeypatch, settle):
    """On features of random weights, which tell 24 images apart.

    Not to nothing: a likelihood narrows sigma of what it has learnt, which then holds the rest up.
    """
    images, labels, truth = lenses
    monkeypatch.setattr(with_quantities, "predict_parameters", lambda _: from_truth(truth))
    model = settle(with_quantities, images)
    known = defined_truth(model.quantities, truth, labels, model.classes)
    target = targets(model.quantities, known)
    with torch.no_grad():
        fit = model.solve(NetworkInput(images)).best
        features = model.forward_features(images)
    inputs = features, fit.parameters[:, 0], fit.standard_errors[:, 0]
    optimizer = torch.optim.AdamW(model.quantity_head.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 400)
    for _ in range(400):
        optimizer.zero_grad()
        gaussian_loss(model.quantity_head(*inputs), target).backward()
        optimizer.step()
        schedule.step()
    mean = model.examine(images).quantities.mean
    for column in range(3):
        error = (mean - target)[:, column]
        error = error[~error.isnan()]
        before = target[:, column][~target[:, column].isnan()].std()
        assert error.square().mean().sqrt() < 0.5 * before
    fitted = (fit.parameters[:, 0] - target[:, 2])[labels == AXION].abs().mean()
    assert (mean - target)[labels == AXION, 2].abs().mean() < 0.3 * fitted


def test_the_truth_of_quantities_is_asked_for_once(with_quantities):
    assert set(with_quantities.truth_keys) == {*LENS_TRUTH, *ALL_QUANTITIES}
    assert len(set(with_quantities.truth_keys)) == len(with_quantities.truth_keys)


def test_what_is_known_takes_the_place_of_options_and_encoder(model, lenses):
    images, labels, truth = lenses
    row = int((labels == NO_SUB).nonzero()[0])
    image, start = images[row : row + 1], from_truth(truth)[row : row + 1]
    noise = 2 * model.noise_sigma(image)
    noise[0, :8] = torch.inf
    found = model.eval().reconstruct(solve(model, image, noise=noise, start=start))
    off = (found.theta_E - truth["theta_E"][row]) / found.theta_E_error
    assert off.abs() < FOUR_SIGMA
    # Four times the variance, and pixels that are left out do not count.
    assert found.chi2.item() == pytest.approx(0.25, abs=CHI2_TOLERANCE / 4)
    assert (found.residual[0, :8] == 0).all()


def test_images_are_solved_once_whatever_is_read(model, lenses, solved):
    images = lenses[0][:3]
    solution = solve(model.eval(), images)
    logits = model.examine(solution).logits
    torch.testing.assert_close(model.reconstruct(solution).theta_E, solution.best.parameters[:, 0])
    grad_cam(model, solution)
    maps, classifier = model.classifier_of(solution)
    torch.testing.assert_close(classifier(maps), logits)
    torch.testing.assert_close(model.forward_head(model.forward_features(images)), logits)
    assert solved == [3, 3]  # the last are other images, as far as the network knows


def test_a_few_images_are_fitted_without_compiling(model, lenses, monkeypatch):
    def compiled(*arguments):
        raise AssertionError("compiled")

    monkeypatch.setattr(model, "linearize", compiled)
    image = lenses[0][:1]
    assert model.solve(NetworkInput(image), compiled=False).chi2.isfinite()
    with pytest.raises(AssertionError, match="compiled"):
        model.solve(NetworkInput(image))


def test_lens_light_of_a_known_shape_is_taken_away_whatever_there_is_of_it(model, lenses):
    images, labels, truth = lenses
    row = int((labels == NO_SUB).nonzero()[0])
    image, start = images[row : row + 1], from_truth(truth)[row : row + 1]
    shape = torch.tensor([[0.02, -0.03, 0.1, 0.05, -0.1, 0.0]])
    light = free_light(shape, model.optics(NetworkInput(image)))
    lit = image + 0.5 * light[:, [3, 15]].sum(dim=1, keepdim=True)
    known = {"noise": model.noise_sigma(image), "start": start}
    dark, bright = (solve(model.eval(), seen, lens_light=shape, **known) for seen in (image, lit))
    torch.testing.assert_close(
        bright.best.residual, dark.best.residual, atol=SAME_WITH_LIGHT, rtol=0
    )
    left = (bright.image - dark.image)[:, 0] / known["noise"]
    assert left.abs().max() < SAME_WITH_LIGHT
    assert bright.chi2.item() == pytest.approx(1.0, abs=CHI2_TOLERANCE)
    off = (bright.best.parameters[:, 0] - truth["theta_E"][row]) / bright.best.standard_errors[:, 0]
    assert off.abs() < FOUR_SIGMA
    # Where its shape is not known, the light is in the way.
    assert solve(model, lit, **known).chi2 > 2
    assert solve(model, lit, **known).image is lit


def test_a_lens_of_another_slope_is_fitted_where_its_shape_is_free(monkeypatch):
    recipe = get_recipe("survey/hst", **{"lens.gamma": 2.2})
    images, labels, truth = simulate_images(recipe, 12, 3, engine="eager")
    smooth = labels == NO_SUB
    known = {name: torch.from_numpy(values[smooth]).float() for name, values in truth.items()}
    found = {}
    for shape in (False, True):
        one = create_model("lenspinn_fit", lens_shape=shape).eval()
        guess = (from_truth(known)[:, :-1] - one.middle) / one.width
        monkeypatch.setattr(one.readout, "forward", lambda _, guess=guess: guess)
        found[shape] = one.reconstruct(torch.from_numpy(images[smooth]))
    assert (found[False].chi2 > found[True].chi2).all()
    assert (found[True].chi2 - 1).abs().max() < CHI2_TOLERANCE
    slopes = found[True].parameters[:, 14]
    error = (slopes - 2.2) / found[True].standard_errors[:, 14]
    assert error.abs().max() < FOUR_SIGMA


def test_light_that_is_free_in_half_of_the_fits_changes_training_alone(lenses):
    images, _, truth = lenses
    known = {key: truth[key][:6] for key in ("theta_E", *LENS_TRUTH)}
    seen = []
    for free in (False, True):
        torch.manual_seed(0)
        one = create_model("lenspinn_fit", steps=4, free_light=free).eval()
        torch.manual_seed(1)
        logits, loss = one.training_outputs(images[:6], known)
        assert loss.isfinite()
        seen.append((one(images[:6]), logits))
    assert torch.equal(seen[0][0], seen[1][0])
    changed = (seen[0][1] != seen[1][1]).any(dim=1)
    assert 0 < changed.sum() < 6  # some have light in their fit, some have none


@pytest.fixture(scope="module")
def clumpy():
    """12 images with clumps on their sources, and their truth."""
    recipe = get_recipe("survey/hst_clumpy", **{"source.clumps.share": 0.3})
    images, labels, truth = simulate_images(recipe, 12, 3, engine="eager")
    smooth = torch.from_numpy(labels) == NO_SUB
    columns = {name: torch.from_numpy(values).float()[smooth] for name, values in truth.items()}
    return torch.from_numpy(images)[smooth], columns


def test_in_all_orientations_a_turned_image_is_the_same_but_for_training(lenses):
    torch.manual_seed(0)
    network = create_model("lenspinn_fit", steps=2, all_orientations=True).eval()
    seen = network.fit_once(lenses[0][:8])
    turned = seen._replace(maps=flip_and_turn(seen.maps, torch.arange(8)))
    torch.testing.assert_close(network.features_of(turned), network.features_of(seen))
    with torch.no_grad():
        network.train()
        once = network.features_of(seen)
        network.all_orientations = False
        assert torch.equal(network.features_of(seen), once)


def test_grad_cam_of_all_orientations_is_that_of_the_image_as_it_is(lenses):
    torch.manual_seed(0)
    network = create_model("lenspinn_fit", steps=2)
    image, target = lenses[0][:4], torch.tensor([0, 1, 2, 0])
    once = grad_cam(network, image, target)
    network.all_orientations = True
    torch.testing.assert_close(grad_cam(network, image, target), once, atol=SAME_CAM, rtol=0)


def test_structure_of_the_source_is_not_left_over(clumpy, monkeypatch):
    images, truth = clumpy
    both = [
        create_model("lenspinn_fit", supersampling=2, source_structure=structure).eval()
        for structure in (False, True)
    ]
    for each in both:
        monkeypatch.setattr(each, "predict_parameters", lambda _: from_truth(truth))
    plain, structured = (each.examine(images) for each in both)
    assert (structured.shift_scores["chi2"] < plain.shift_scores["chi2"] / 2).all()
    error, before = ((found.theta_E - truth["theta_E"]).abs() for found in (structured, plain))
    assert error.median() < before.median()
    found = both[1].reconstruct(images)
    torch.testing.assert_close(found.theta_E, structured.theta_E)
    left = images[:, 0] - found.model
    noise = both[1].solve(NetworkInput(images)).best.sigma
    torch.testing.assert_close(left, found.residual * noise, rtol=1e-3, atol=1e-4)
    assert (found.source - both[0].reconstruct(images).source).abs().max() > 0


def test_a_network_with_structure_learns(clumpy):
    images, truth = clumpy
    model = create_model("lenspinn_fit", supersampling=2, source_structure=True, steps=4)
    logits, loss = model.training_outputs(images, truth)
    (logits.square().sum() + loss).backward()
    for parameter in model.parameters():
        assert parameter.grad.isfinite().all()


@pytest.mark.gpu
@pytest.mark.parametrize("structure", [False, True])
def test_a_gpu_finds_what_a_cpu_finds(clumpy, monkeypatch, structure):
    images, truth = clumpy
    model = create_model("lenspinn_fit", supersampling=2, source_structure=structure).eval()
    found = []
    for device in ("cpu", "cuda"):
        start = from_truth(truth).to(device)
        monkeypatch.setattr(model, "predict_parameters", lambda _, start=start: start)
        found.append(model.to(device).examine(images.to(device)))
    here, there = found
    torch.testing.assert_close(there.theta_E.cpu(), here.theta_E, atol=DEVICES_ARCSEC, rtol=0)
    chi2 = [each.shift_scores["chi2"].cpu() for each in (there, here)]
    torch.testing.assert_close(*chi2, atol=0, rtol=DEVICES_CHI2)
