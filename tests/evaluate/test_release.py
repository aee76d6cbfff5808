import json
import re
import shutil

import numpy as np
import pytest
import safetensors.torch
import yaml

from lenspinn.data.store import ImageStore
from lenspinn.errors import ConfigError, LenspinnError, ModelError
from lenspinn.evaluate import evaluate_run, predict
from lenspinn.evaluate.release import release_run
from lenspinn.simulate import get_recipe
from lenspinn.train import load_run
from lenspinn.train.manifest import write_manifest

# Rounding of weights to 11 bits moves probabilities by about as much; three times what is seen.
HALF_PRECISION = 0.01


@pytest.fixture(scope="module")
def measured(run, tmp_path_factory):
    """The run, evaluated, in a place of its own."""
    place = shutil.copytree(run, tmp_path_factory.mktemp("release") / "run")
    evaluate_run(place, progress=False)
    return place


@pytest.fixture(scope="module")
def released(measured):
    release_run(measured, measured.with_name("released"))
    return measured.with_name("released")


def test_a_released_run_answers_as_the_run_does(measured, released, other_store):
    images = ImageStore.open(other_store)
    before, after = (predict(load_run(place).model, images) for place in (measured, released))
    np.testing.assert_allclose(after, before, atol=HALF_PRECISION)
    assert not np.array_equal(after, before)


def test_a_released_run_is_at_most_two_thirds_of_the_weights(measured, released):
    size = sum(path.stat().st_size for path in (released / "model").iterdir())
    assert size < 2 / 3 * (measured / "model" / "model.safetensors").stat().st_size
    assert not (released / "checkpoints").exists()
    assert not (released / "model_last").exists()


def test_a_released_run_is_measured_on_other_images_only(released, other_store):
    assert evaluate_run(released, data=other_store, progress=False).is_file()


def test_the_card_says_what_was_measured_and_what_not_to_do(measured, released):
    card = (released / "README.md").read_text()
    record = json.loads((released / "evaluation.json").read_text())["records"][0]
    assert f"| accuracy | {record['accuracy']:.4f} (" in card
    assert "deeplense/model_3" in card
    assert "must not be used for" in card
    assert "0.08 arcsec" in card


def test_the_card_has_the_whole_recipe_and_the_command_that_draws_such_images(measured, released):
    card = (released / "README.md").read_text()
    file = released / "like_training.yaml"
    assert f"`lenspinn simulate {released.name}/{file.name} --out like_training.zarr" in card
    (text,) = re.findall(r"```yaml\n(.*?)```", card, re.DOTALL)
    assert file.read_text() == text
    content = yaml.safe_load(text)
    found = get_recipe(content["recipe"], **content["overrides"]).to_dict()
    known = json.loads((measured / "data.json").read_text())["recipe_config"]
    assert json.loads(json.dumps(found)) == {k: v for k, v in known.items() if k != "engine"}


def test_the_card_of_imported_images_has_no_command(measured, tmp_path):
    place = shutil.copytree(measured, tmp_path / "run")
    facts = json.loads((place / "data.json").read_text())
    facts["recipe_config"] = {"folder": "Model_III"}
    (place / "data.json").write_text(json.dumps(facts))
    write_manifest(place)
    assert "were not simulated here" in release_run(place, tmp_path / "released").read_text()


def test_a_run_that_was_not_measured_is_not_released(run, tmp_path):
    place = shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(place / "evaluation", ignore_errors=True)
    with pytest.raises(ConfigError, match=r"evaluation\.json is missing"):
        release_run(place, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_exists_is_not_written_into(measured, tmp_path):
    with pytest.raises(ConfigError, match="exists: give another folder"):
        release_run(measured, tmp_path)


def test_a_run_named_like_a_draft_is_not_lost(measured, tmp_path):
    place = shutil.copytree(measured, tmp_path / "released.part")
    release_run(place, tmp_path / "released")
    assert load_run(place).verified
    assert load_run(tmp_path / "released").verified
    assert sorted(path.name for path in tmp_path.iterdir()) == ["released", "released.part"]


def test_a_released_run_names_no_path_of_the_machine(released, tmp_path_factory):
    for path in released.rglob("*"):
        if path.suffix in (".json", ".yaml", ".md"):
            assert str(tmp_path_factory.getbasetemp()) not in path.read_text(), path
    assert "out: .\n" in (released / "config.yaml").read_text()


@pytest.mark.parametrize("content", ["{", "{}", '{"config": {}, "records": [3]}'])
def test_a_damaged_evaluation_is_not_quoted(measured, tmp_path, content):
    (tmp_path / "evaluation.json").write_text(content)
    with pytest.raises(LenspinnError, match=r"evaluation\.json"):
        release_run(measured, tmp_path / "out", evaluation=tmp_path)
    assert not (tmp_path / "out").exists()


def test_weights_too_large_for_half_precision_are_refused(measured, tmp_path):
    place = shutil.copytree(measured, tmp_path / "run")
    file = place / "model" / "model.safetensors"
    weights = safetensors.torch.load_file(file)
    name = next(name for name, value in weights.items() if value.ndim == 4)
    weights[name] *= 1e6
    safetensors.torch.save_file(weights, file)
    write_manifest(place)
    with pytest.raises(ModelError, match="too large for float16"):
        release_run(place, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_evaluation_of_another_run_is_not_quoted(measured, tmp_path):
    other = shutil.copytree(measured / "evaluation", tmp_path / "evaluation")
    content = json.loads((other / "evaluation.json").read_text())
    content["config"]["seed"] += 1
    (other / "evaluation.json").write_text(json.dumps(content))
    with pytest.raises(ConfigError, match="evaluation of another run"):
        release_run(measured, tmp_path / "out", evaluation=other)


def test_a_card_names_a_range_of_magnitudes(measured, tmp_path):
    place = shutil.copytree(measured, tmp_path / "run")
    facts = json.loads((place / "data.json").read_text())
    facts["recipe_config"]["source"]["magnitude"] = {"uniform": [22.0, 24.5]}
    (place / "data.json").write_text(json.dumps(facts))
    write_manifest(place)
    card = release_run(place, tmp_path / "released").read_text()
    assert "unlensed sources of 22 to 24.5 mag" in card
    assert "other slopes, multipoles, " in card


def test_a_card_says_what_lenses_varied_and_where_training_began(measured, tmp_path):
    place = shutil.copytree(measured, tmp_path / "run")
    facts = json.loads((place / "data.json").read_text())
    facts["recipe_config"]["lens"] |= {"gamma": {"normal": [2.0, 0.1]}, "multipoles": {"a3": 0.01}}
    (place / "data.json").write_text(json.dumps(facts))
    config = (place / "config.yaml").read_text()
    assert "weights: null" in config
    changed = config.replace("weights: null", "weights: runs/first/model")
    (place / "config.yaml").write_text(changed)
    evaluation = json.loads((place / "evaluation" / "evaluation.json").read_text())
    evaluation["config"]["weights"] = "runs/first/model"
    (place / "evaluation" / "evaluation.json").write_text(json.dumps(evaluation))
    write_manifest(place)
    card = release_run(place, tmp_path / "released").read_text()
    assert "slopes beyond its own, stronger multipoles, " in card
    assert "It began with the weights of another run, `first`." in card
