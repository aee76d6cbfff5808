import numpy as np
import pytest
import torch

from lenspinn.evaluate import predict
from lenspinn.explain import grad_cam, view_images
from lenspinn.explain.view import Batch
from lenspinn.models import Classifier, FittedReconstruction, create_model

FLOAT32 = 1e-6  # rounding of float32 numbers of order 1


@pytest.fixture
def images() -> Batch:
    return np.random.default_rng(5).uniform(1, 3, (4, 1, 64, 64)).astype(np.float32)


@pytest.fixture
def model() -> Classifier:
    return create_model("lenspinn_small").eval()


def test_a_view_holds_what_the_evaluation_predicts(model: Classifier, images: Batch) -> None:
    views = view_images(model, images)
    seen = np.stack([view.probabilities for view in views])
    np.testing.assert_allclose(seen, predict(model, images), atol=FLOAT32)
    expected = [model.classes[index] for index in seen.argmax(axis=1)]
    assert [view.prediction for view in views] == expected


def test_a_view_holds_what_the_physics_model_reconstructs(model: Classifier, images: Batch) -> None:
    view = view_images(model, images)[2]
    physics = model.reconstruct(torch.from_numpy(images))
    assert physics is not None
    assert view.theta_E == pytest.approx(physics.theta_E[2].item(), abs=FLOAT32)
    np.testing.assert_allclose(view.source, physics.source[2].detach(), atol=FLOAT32)
    np.testing.assert_allclose(view.coverage, physics.coverage[2].detach(), atol=1e-4)


def test_a_view_holds_the_image_scaled_and_as_the_model_takes_it(
    model: Classifier, images: Batch
) -> None:
    view = view_images(model, images)[1]
    assert (view.image.min(), view.image.max()) == (0, 1)
    expected = model.preprocess(torch.from_numpy(images))[1, 0]
    np.testing.assert_allclose(view.preprocessed, expected, atol=FLOAT32)


def test_a_view_holds_grad_cam_of_the_most_probable_class(model: Classifier, images: Batch) -> None:
    view = view_images(model, images)[0]
    np.testing.assert_allclose(view.cam, grad_cam(model, torch.from_numpy(images))[0], atol=1e-5)


def test_a_model_without_physics_has_no_source(mean_classifier: Classifier) -> None:
    (view,) = view_images(mean_classifier, np.ones((1, 1, 8, 8), dtype=np.float32))
    assert view.theta_E is None
    assert view.source is None
    assert view.coverage is None


def test_a_view_holds_the_lens_that_a_model_fits(images: Batch) -> None:
    torch.manual_seed(0)
    model = create_model("lenspinn_fit", steps=2).eval()
    view = view_images(model, images)[1]
    found = model.reconstruct(torch.from_numpy(images))
    assert isinstance(found, FittedReconstruction)
    assert view.fit is not None
    np.testing.assert_allclose(view.fit.parameters[0], found.parameters[1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(view.fit.residual, found.residual[1], rtol=1e-3, atol=1e-3)
    assert view.fit.chi2 == pytest.approx(found.chi2[1].item(), rel=1e-3)
    low, high = images[1].min(), images[1].max()
    np.testing.assert_allclose(
        view.fit.model * (high - low) + low, found.model[1], rtol=1e-3, atol=1e-3
    )
