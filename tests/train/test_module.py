import dataclasses
from types import SimpleNamespace

import pytest
import torch

from lenspinn.errors import ModelError
from lenspinn.models import create_model
from lenspinn.models.quantities import QUANTITIES
from lenspinn.train.module import ClassifierModule

TOTAL_STEPS = 18


@pytest.fixture
def module(tiny_config):
    return ClassifierModule(create_model("tiny_classifier"), tiny_config, TOTAL_STEPS)


def start_step(module, monkeypatch, *, step, batch_idx):
    """Call the hook as in step `step` of a training with 6 steps an epoch."""
    monkeypatch.setattr(ClassifierModule, "global_step", step)
    monkeypatch.setattr(ClassifierModule, "current_epoch", step // 6)
    monkeypatch.setattr(ClassifierModule, "trainer", SimpleNamespace(num_training_batches=6))
    batch = (torch.zeros(2, 1, 8, 8), torch.zeros(2, dtype=torch.int64))
    with torch.random.fork_rng():
        module.on_train_batch_start(batch, batch_idx)
        return torch.rand(4)


def test_random_numbers_of_a_step_depend_on_the_step_alone(module, monkeypatch):
    first = start_step(module, monkeypatch, step=7, batch_idx=1)
    other = start_step(module, monkeypatch, step=8, batch_idx=2)
    again = start_step(module, monkeypatch, step=7, batch_idx=1)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_step_that_lost_or_repeated_a_batch_is_refused(module, monkeypatch):
    with pytest.raises(RuntimeError, match="step 7 found the data of step 8"):
        start_step(module, monkeypatch, step=7, batch_idx=2)


def test_loss_that_is_not_finite_is_refused_with_the_transform_named(module):
    image = torch.full((2, 1, 8, 8), torch.nan)
    with pytest.raises(ModelError, match=r"loss is nan at step 0.*'min_max'.*'noise_safe'"):
        module.training_step((image, torch.tensor([0, 1])), 0)


def test_a_loss_that_is_not_one_number_is_refused(module):
    module.loss = lambda logits, labels: logits
    batch = (torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 0]))
    with pytest.raises(ModelError, match=r"gives \(4, 3\): it must give one number"):
        module.training_step(batch, 0)


def test_training_step_counts_the_correct_answers(module):
    image, label = torch.rand(5, 1, 8, 8), torch.arange(5) % 3
    module.model.eval()  # without dropout the answer can be asked for twice
    predicted = module.model(image).argmax(1)
    assert module.training_step((image, predicted), 0)["correct"] == 5
    assert module.training_step((image, (predicted + 1) % 3), 0)["correct"] == 0
    assert module.training_step((image, label), 0)["correct"] == (predicted == label).sum()


def test_double_softmax_bounds_the_training_loss_and_leaves_validation_alone(module, monkeypatch):
    faulty = dataclasses.replace(module.config, double_softmax=True)
    monkeypatch.setattr(module.model, "forward", lambda image: 100 * torch.eye(3))
    batch = (torch.rand(3, 1, 8, 8), torch.arange(3))
    assert module.training_step(batch, 0)["loss"] < 1e-6
    module.config = faulty
    # three probabilities (1, 0, 0) as logits: log(1 + 2 / e)
    assert module.training_step(batch, 0)["loss"].item() == pytest.approx(0.5514, abs=1e-4)
    module.validation_step(batch, 0)
    assert module.take_validation_scores()["val_loss"] < 1e-6


def test_a_model_is_given_the_truth_and_adds_to_the_loss(module, monkeypatch):
    given = {}

    def outputs(image, truth):
        given.update(truth)
        return 100 * torch.eye(2, 3), torch.tensor(7.0)

    monkeypatch.setattr(module.model, "training_outputs", outputs)
    batch = (torch.rand(2, 1, 8, 8), torch.tensor([0, 1]), {"theta_E": torch.ones(2)})
    assert module.training_step(batch, 0)["loss"] == 7.0
    assert list(given) == ["theta_E"]


def test_a_model_is_not_given_the_truth_that_another_class_has(module, monkeypatch):
    given = {}

    def outputs(image, truth):
        given.update(truth)
        return torch.eye(2, 3), 0.0

    monkeypatch.setattr(module.model, "training_outputs", outputs)
    monkeypatch.setattr(module.model, "quantities", (QUANTITIES["substructure_fraction"],))
    truth = {"substructure_fraction": torch.tensor([0.1, 0.1])}
    module.training_step((torch.rand(2, 1, 8, 8), torch.tensor([0, 1]), truth), 0)
    assert given["substructure_fraction"].isnan().tolist() == [True, False]


def test_validation_scores_are_means_over_images_of_unequal_batches(module):
    module.model.eval()
    image, label = torch.rand(7, 1, 8, 8), torch.arange(7) % 3
    for part in (slice(0, 6), slice(6, 7)):
        module.validation_step((image[part], label[part]), 0)
    scores = module.take_validation_scores()
    logits = module.model(image)
    loss = torch.nn.functional.cross_entropy(logits, label).item()
    assert scores["val_loss"] == pytest.approx(loss, abs=1e-6)  # float32 sums
    correct = (logits.argmax(1) == label).float().mean().item()
    assert scores["val_micro_f1"] == pytest.approx(correct, abs=1e-6)


def test_one_cycle_rises_to_the_learning_rate_and_falls_to_nothing(module):
    parts = module.configure_optimizers()
    optimizer, schedule = parts["optimizer"], parts["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(TOTAL_STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(rates) < TOTAL_STEPS:
            schedule.step()
    assert max(rates) == pytest.approx(module.config.lr, rel=0.01)
    assert rates[0] < 0.1 * max(rates)
    assert rates[-1] < 1e-4 * max(rates)
