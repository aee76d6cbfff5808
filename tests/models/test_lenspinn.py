import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lenspinn.data.transforms import min_max
from lenspinn.errors import ModelError
from lenspinn.models import (
    LensPINN,
    from_pretrained,
    lenspinn_large,
    lenspinn_small,
    save_pretrained,
)

ROUNDING = 1e-6  # float32, quantities of order one


@pytest.fixture
def model(images: Tensor, settle) -> LensPINN:
    torch.manual_seed(0)
    return settle(lenspinn_small(num_pix=images.shape[-1]), images)


def set_theta_E(model: LensPINN, fraction: float) -> None:
    """Make the encoder predict a fraction of its maximum for every image."""
    with torch.no_grad():
        model.encoder.readout[-1].weight.zero_()
        model.encoder.readout[-1].bias.fill_(torch.logit(torch.tensor(fraction)))


@pytest.mark.parametrize(
    ("factory", "parameters", "published"),
    [(lenspinn_small, 7_161_340, 7.17e6), (lenspinn_large, 14_551_412, 14.56e6)],
)
def test_parameter_counts_are_those_of_the_paper(factory, parameters, published):
    with torch.device("meta"):
        model = factory()
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == parameters
    assert count == pytest.approx(published, rel=0.05)


def test_the_encoder_has_the_published_shape():
    encoder = lenspinn_small().encoder
    assert encoder.tokens.num_tokens == 5
    assert encoder.tokens.embed.in_features == 5 * 32 * 32
    assert encoder.tokens.embed.out_features == 384
    assert encoder.block.attention.num_heads == 16


def test_einstein_radii_start_near_a_quarter_of_the_field(images):
    torch.manual_seed(0)
    model = lenspinn_small(num_pix=images.shape[-1])
    quarter = images.shape[-1] * model.pixel_scale / 4
    assert torch.allclose(
        model.reconstruct(images).theta_E, torch.tensor(quarter), rtol=0.1, atol=0
    )


def test_every_encoder_parameter_learns_from_the_classification_loss(model, images, labels):
    cross_entropy(model.train()(images), labels).backward()
    for name, parameter in model.encoder.named_parameters():
        # what should be 0 is below 1e-9 after rounding; the smallest real one seen is 1e-5
        assert parameter.grad.abs().max() > 1e-7, name


def test_the_predicted_einstein_radius_changes_the_logits(model, images):
    logits = []
    for fraction in (0.3, 0.7):
        set_theta_E(model, fraction)
        logits.append(model(images))
    assert (logits[0] - logits[1]).abs().max() > 1e-3


def test_the_logits_depend_on_the_einstein_radius_smoothly(model, images):
    set_theta_E(model, 0.5)
    (gradient,) = torch.autograd.grad(model(images).square().sum(), model.encoder.readout[-1].bias)
    assert gradient.abs() > ROUNDING


@pytest.mark.parametrize("fraction", [1e-6, 0.5, 1 - 1e-6])
def test_no_prediction_widens_the_source(model, images, fraction):
    set_theta_E(model, fraction)
    assert model.reconstruct(images).source.shape == images[:, 0].shape


def test_the_image_of_one_lens_is_not_changed_by_an_extreme_neighbour(model, images, monkeypatch):
    def extreme_for_the_second(scaled: Tensor) -> Tensor:
        theta_E = torch.full((len(scaled),), 0.5)
        theta_E[1:] = model.inverse_lens.max_theta_E
        return theta_E

    monkeypatch.setattr(model.encoder, "forward", extreme_for_the_second)
    # the same sums, in another order
    assert torch.allclose(model(images[:2])[:1], model(images[:1]), rtol=0, atol=2e-5)


def test_a_reconstruction_obeys_the_lens_equation(model, images):
    found = model.reconstruct(images)
    assert torch.allclose(
        found.beta_x + found.alpha_x, model.inverse_lens.theta_x, rtol=0, atol=ROUNDING
    )
    deflection = torch.hypot(found.alpha_x, found.alpha_y)
    assert torch.allclose(
        deflection, found.theta_E[:, None, None].expand_as(deflection), rtol=0, atol=ROUNDING
    )


def test_without_a_lens_nothing_is_left_unexplained(model, images):
    set_theta_E(model, 1e-9)
    found = model.reconstruct(images)
    # positions in float32 are off the grid by up to 4e-6 of a pixel
    assert found.residual.abs().max() < 1e-4
    assert torch.allclose(found.coverage, torch.ones_like(found.coverage), rtol=0, atol=1e-4)


def test_a_reconstruction_is_in_units_of_the_scaled_image(model, images):
    found, brighter = model.reconstruct(images), model.reconstruct(64 * images)
    assert found.source.min() >= 0
    assert found.source.max() <= 1 + ROUNDING
    assert torch.allclose(found.source, brighter.source, rtol=0, atol=1e-4)
    assert found.residual.abs().max() <= 1 + ROUNDING


def test_the_true_einstein_radius_explains_a_ring_better_than_a_wrong_one(model):
    layer = model.inverse_lens
    radius = torch.hypot(layer.theta_x, layer.theta_y)
    for_true = 0.5 * layer.max_theta_E
    ring = torch.exp(-(((radius - for_true) / 0.2) ** 2) / 2) * (2 + layer.theta_x / radius)
    residuals = []
    for fraction in (0.5, 0.75):
        set_theta_E(model, fraction)
        residuals.append(model.reconstruct(ring[None, None]).residual.square().mean())
    assert residuals[0] < residuals[1]


@pytest.mark.parametrize("transform", ["raw", "min_max", "paper", "noise_safe"])
def test_any_transform_can_be_named(images, transform):
    model = lenspinn_small(num_pix=images.shape[-1], transform=transform)
    assert model(images).isfinite().all()


def test_other_classes_give_as_many_logits(images):
    model = lenspinn_small(num_pix=images.shape[-1], classes=["cdm", "no_sub"])
    assert model(images).shape == (len(images), 2)


def test_a_frozen_encoder_predicts_and_never_learns(images, labels):
    model = lenspinn_small(num_pix=images.shape[-1], einstein_radius="frozen")
    cross_entropy(model(images), labels).backward()
    assert all(parameter.grad is None for parameter in model.encoder.parameters())
    assert model.reconstruct(images).theta_E.std() > 0


def test_integer_scatter_cuts_the_encoder_off_and_nothing_else(images, labels):
    model = lenspinn_small(num_pix=images.shape[-1], integer_scatter=True)
    cross_entropy(model(images), labels).backward()
    without = {name for name, value in model.named_parameters() if value.grad is None}
    assert without == {f"encoder.{name}" for name, _ in model.encoder.named_parameters()}


def test_a_given_einstein_radius_takes_the_place_of_the_encoder(images):
    model = lenspinn_small(num_pix=images.shape[-1], einstein_radius=0.8)
    assert model.reconstruct(images).theta_E.tolist() == pytest.approx([0.8] * len(images))
    assert not list(model.encoder.parameters())


def test_without_a_source_the_features_are_those_of_the_image(images, settle):
    model = settle(lenspinn_small(num_pix=images.shape[-1], einstein_radius="none"), images)
    of_image = model.shared_cnn(min_max(images))
    assert torch.equal(model.forward_features(images)[:, :1000], of_image)
    assert model.reconstruct(images) is None


def teaching(images: Tensor, **options) -> LensPINN:
    torch.manual_seed(0)
    return lenspinn_small(num_pix=images.shape[-1], **options).train()


def test_by_default_no_truth_is_read_and_nothing_is_added_to_the_loss(images):
    model = teaching(images)
    logits, more = model.training_outputs(images, {})
    assert model.truth_keys == ()
    assert not model.measures_theta_E
    assert more == 0.0
    assert logits.shape == (len(images), 3)


def test_the_losses_leave_weights_and_logits_as_they_are(images):
    plain, taught = (
        teaching(images, **options)
        for options in ({}, {"theta_E_weight": 1.0, "consistency_weight": 1.0})
    )
    truth = {"theta_E": torch.full((len(images),), 0.8)}
    with torch.no_grad():
        one, other = (model.eval().training_outputs(images, truth)[0] for model in (plain, taught))
    assert torch.equal(one, other)


@pytest.mark.parametrize("option", ["theta_E_weight", "consistency_weight"])
def test_each_loss_of_theta_E_trains_the_encoder_alone(images, option):
    model = teaching(images, **{option: 1.0})
    truth = {"theta_E": torch.full((len(images),), 0.8)}
    assert model.measures_theta_E
    model.training_outputs(images, truth)[1].backward()
    for name, parameter in model.named_parameters():
        learns = parameter.grad is not None and bool(parameter.grad.abs().max() > 0)
        assert learns == name.startswith("encoder."), name


def test_a_few_steps_bring_theta_E_to_its_truth(images):
    model = teaching(images, theta_E_weight=1.0)
    truth = {"theta_E": torch.full((len(images),), 0.5)}
    optimizer = torch.optim.AdamW(model.encoder.parameters(), lr=1e-3)
    errors = []
    for _ in range(12):
        loss = model.training_outputs(images, truth)[1]
        errors.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert errors[-1] < 0.5 * errors[0]


def test_an_encoder_says_its_radii_and_nothing_else_does(images):
    for radius, says in (("learnt", True), ("frozen", True), (0.8, False), ("none", False)):
        model = lenspinn_small(num_pix=images.shape[-1], einstein_radius=radius).eval()
        found = model.examine(images[:2])
        assert (found.theta_E is not None) == says
        assert found.theta_E_error is None
        assert torch.equal(found.logits, model(images[:2]))


def test_any_convolutional_network_of_timm_can_be_named(images):
    model = lenspinn_small(num_pix=images.shape[-1], cnn="resnet10t")
    assert model(images[:2]).shape == (2, 3)
    assert model.cam_layer == "preprocessed_cnn.layer2"
    large = lenspinn_large(cnn="tf_efficientnet_lite0")
    assert large.cam_layer == "preprocessed_cnn.blocks.2"


@pytest.mark.parametrize("cnn", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_a_network_that_is_no_cnn_is_refused(cnn):
    with pytest.raises(ModelError, match=f"cnn is '{cnn}', which is no convolutional network"):
        lenspinn_small(cnn=cnn)


def test_a_cnn_that_timm_does_not_have_is_refused():
    with pytest.raises(ModelError, match="cnn is 'lite0', which timm does not have; eff"):
        lenspinn_small(cnn="lite0")


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        (-1.0, " is -1.0; it must be 0 or a positive number"),
        (float("nan"), " of 'lenspinn_small' is nan; it takes a finite number"),
        (float("inf"), " of 'lenspinn_small' is inf; it takes a finite number"),
    ],
)
@pytest.mark.parametrize("option", ["theta_E_weight", "consistency_weight"])
def test_a_weight_that_cannot_be_is_refused(option, weight, said):
    with pytest.raises(ModelError, match=f"{option}{said}"):
        lenspinn_small(**{option: weight})


@pytest.mark.parametrize("radius", ["frozen", "none", 0.8])
def test_what_cannot_learn_is_not_taught(radius):
    with pytest.raises(ModelError, match=r"theta_E_weight is 1\.0, but einstein_radius is"):
        lenspinn_small(einstein_radius=radius, theta_E_weight=1.0)


@pytest.mark.parametrize("options", [{"einstein_radius": 0.8}, {"einstein_radius": "none"}])
def test_an_ablation_is_saved_and_read_back(images, options, settle, tmp_path):
    model = settle(lenspinn_small(num_pix=images.shape[-1], **options), images)
    loaded = from_pretrained(save_pretrained(model, tmp_path / "model"))
    assert torch.equal(loaded(images), model(images))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("true", "einstein_radius is 'true'; 'learnt', 'frozen', 'none' or a number"),
        (0.0, "einstein_radius is 0.0; it must be positive and at most 2.52 arcsec"),
        (2.6, "einstein_radius is 2.6; it must be positive and at most 2.52 arcsec"),
        (float("nan"), "einstein_radius of 'lenspinn_small' is nan; it takes a finite number"),
    ],
)
def test_an_einstein_radius_that_cannot_be_is_refused(given, message):
    with pytest.raises(ModelError, match=message):
        lenspinn_small(einstein_radius=given)
