import numpy as np
import pytest
import torch

from lenspinn.data.store import ImageStore
from lenspinn.data.transforms import pixel_statistics
from lenspinn.errors import ModelError
from lenspinn.evaluate.predict import network_outputs, predict
from lenspinn.evaluate.temperature import scaled_probabilities
from lenspinn.models import Examination, Solution
from lenspinn.models.classifier import FEWEST_COMPILED
from lenspinn.train import load_run

# The same image in another batch: convolutions may sum in another order.
FLOAT32 = 1e-5


@pytest.fixture(scope="module")
def model(run):
    return load_run(run).model


def test_probabilities_are_the_softmax_of_the_logits(model, store):
    images = ImageStore.open(store).images(slice(0, 8))
    with torch.inference_mode():
        expected = model(torch.from_numpy(images)).double().softmax(dim=1).numpy()
    np.testing.assert_array_equal(predict(model, images), expected)


def test_store_and_its_images_in_memory_get_the_same_answer(model, store):
    opened = ImageStore.open(store)
    np.testing.assert_array_equal(
        predict(model, opened), predict(model, opened.images(slice(None)))
    )


def test_chosen_images_are_answered_in_the_order_asked_for(model, store):
    opened = ImageStore.open(store)
    indices = np.array([5, 0, 90])
    np.testing.assert_allclose(
        predict(model, opened, indices), predict(model, opened)[indices], atol=FLOAT32
    )


def test_batch_size_does_not_change_the_answer(model, store):
    opened = ImageStore.open(store)
    np.testing.assert_allclose(
        predict(model, opened, batch_size=7), predict(model, opened), atol=FLOAT32
    )


def test_byte_order_does_not_change_the_answer(model, store):
    images = ImageStore.open(store).images(slice(None))
    np.testing.assert_array_equal(predict(model, images.astype(">f4")), predict(model, images))


def test_no_images_give_no_rows(model, store):
    assert predict(model, ImageStore.open(store), np.array([], dtype=int)).shape == (0, 3)


def test_mode_of_the_model_is_left_as_it_was(model, store):
    images = ImageStore.open(store).images(slice(0, 2))
    model.train()
    predict(model, images)
    assert model.training
    model.eval()
    predict(model, images)
    assert not model.training


def test_progress_bar_is_shown_on_request_only(model, store, capsys):
    images = ImageStore.open(store).images(slice(0, 2))
    predict(model, images)
    assert capsys.readouterr().err == ""
    predict(model, images, progress=True)
    assert "1/1" in capsys.readouterr().err


def test_outputs_are_logits_features_and_statistics_of_the_pixels(model, store):
    images = ImageStore.open(store).images(slice(0, 8))
    outputs = network_outputs(model, images, batch_size=8)
    np.testing.assert_array_equal(scaled_probabilities(outputs.logits), predict(model, images))
    with torch.inference_mode():
        features = model.forward_features(torch.from_numpy(images))
    np.testing.assert_array_equal(outputs.features, features.numpy())
    expected = pixel_statistics(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(outputs.pixels, expected)
    assert outputs.scores == {}


def test_scores_of_the_model_itself_are_kept(model, store, monkeypatch):
    examine = model.examine

    def with_score(solution: Solution) -> Examination:
        peak = solution.image.amax(dim=(1, 2, 3))
        return examine(solution)._replace(shift_scores={"peak": peak})

    monkeypatch.setattr(model, "examine", with_score)
    images = ImageStore.open(store).images(slice(0, 5))
    outputs = network_outputs(model, images, batch_size=2)
    np.testing.assert_array_equal(outputs.scores["peak"], images.max(axis=(1, 2, 3)))
    np.testing.assert_array_equal(outputs.take(np.array([3])).scores["peak"], images[3].max())


def test_each_image_is_solved_once(quantities_run, solved):
    run = load_run(quantities_run)
    rows = run.split["test"]
    outputs = network_outputs(run.model, ImageStore.open(run.data), rows, batch_size=4)
    assert sum(solved) == len(rows) == len(outputs.logits)


def test_fits_are_compiled_for_many_images_alone(model, store, monkeypatch):
    images, solve, found = ImageStore.open(store).images(slice(0, 8)), model.solve, []

    def asked(observed, *, compiled):
        found.append(compiled)
        return solve(observed, compiled=compiled)

    monkeypatch.setattr(model, "solve", asked)
    for number in (FEWEST_COMPILED, FEWEST_COMPILED - 1):
        network_outputs(model, np.resize(images, (number, *images.shape[1:])), batch_size=number)
    assert found == [True, False]


def test_paths_tensors_and_images_without_their_channel_get_the_same_answer(model, store):
    images = ImageStore.open(store).images(slice(0, 4))
    expected = predict(model, images)
    assert predict(model, str(store)).shape == (len(ImageStore.open(store)), len(model.classes))
    for same in (torch.from_numpy(images), images[:, 0], images.astype(np.float64)):
        np.testing.assert_allclose(predict(model, same), expected, atol=FLOAT32)
    np.testing.assert_allclose(predict(model, images[0, 0]), expected[:1], atol=FLOAT32)


def test_what_is_no_stack_of_images_is_refused(model):
    with pytest.raises(ModelError, match=r"images have shape \(5,\): give"):
        predict(model, np.zeros(5))
