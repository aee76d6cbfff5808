import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lenspinn.errors import ModelError
from lenspinn.models import (
    create_model,
    from_pretrained,
    load_weights,
    read_options,
    save_pretrained,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_pretrained(create_model("lenspinn_small", num_pix=40), tmp_path / "model")


def edit_config(folder: Path, **changes: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_a_folder_holds_weights_and_a_readable_config(folder):
    assert {file.name for file in folder.iterdir()} == {"config.json", "model.safetensors"}
    config = json.loads((folder / "config.json").read_text())
    assert config["schema"] == 1
    assert config["name"] == "lenspinn_small"
    assert config["options"]["num_pix"] == 40
    assert config["lenspinn_version"]


def test_a_channels_last_model_is_saved_too(tmp_path):
    model = create_model("lenspinn_small", num_pix=40).to(memory_format=torch.channels_last)
    loaded = from_pretrained(save_pretrained(model, tmp_path))
    assert all(
        torch.equal(value, loaded.state_dict()[k]) for k, value in model.state_dict().items()
    )


def test_saving_again_replaces_the_model(folder):
    other = create_model("lenspinn_small", num_pix=64)
    save_pretrained(other, folder)
    loaded = from_pretrained(folder)
    assert loaded.num_pix == 64
    assert torch.equal(loaded.head[0].weight, other.head[0].weight)


def test_a_loaded_model_is_ready_to_answer(folder):
    assert not from_pretrained(folder).training


def test_the_first_weights_of_a_pretrained_model_are_not_fetched_again(folder):
    options = json.loads((folder / "config.json").read_text())["options"]
    edit_config(folder, options=options | {"pretrained": "/gone/weights.safetensors"})
    loaded = from_pretrained(folder)
    assert loaded.config["options"]["pretrained"] == "/gone/weights.safetensors"


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"no model folder '.*nowhere'"):
        from_pretrained(tmp_path / "nowhere")


def test_of_a_run_its_model_is_read(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "run" / "model")
    assert from_pretrained(tmp_path / "run").num_pix == 40


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"{name} is missing"):
        from_pretrained(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not valid JSON"),
        ("[]", "must hold a JSON object, not list"),
        ('{"model_type": "bert"}', "is not the config of a lenspinn model"),
        ('{"schema": 1, "name": "lenspinn_small"}', "does not say which model"),
    ],
)
def test_a_foreign_config_is_refused(folder, text, message):
    (folder / "config.json").write_text(text)
    with pytest.raises(ModelError, match=message):
        from_pretrained(folder)


def test_a_newer_schema_is_refused(folder):
    edit_config(folder, schema=2, lenspinn_version="9.9")
    with pytest.raises(ModelError, match=r"schema 2 and was written by lenspinn 9\.9; .* schema 1"):
        from_pretrained(folder)


def test_an_unknown_model_is_refused(folder):
    edit_config(folder, name="lenspinn_huge")
    with pytest.raises(ModelError, match="no model 'lenspinn_huge'"):
        from_pretrained(folder)


def test_an_unknown_option_is_refused(folder):
    edit_config(folder, options={"depth": 3})
    with pytest.raises(ModelError, match="no option 'depth'"):
        from_pretrained(folder)


def test_weights_of_another_model_are_refused(folder):
    edit_config(folder, options={"num_pix": 80})
    with pytest.raises(ModelError, match=r"model\.safetensors' are not those of a lenspinn_small"):
        from_pretrained(folder)


def test_weights_are_given_to_a_model_with_other_options(folder):
    saved = from_pretrained(folder)
    torch.manual_seed(5)
    other = create_model(saved.config["name"], **saved.config["options"])
    load_weights(other, folder)
    for name, weight in saved.state_dict().items():
        assert torch.equal(other.state_dict()[name], weight), name


def test_weights_are_not_given_to_a_model_they_do_not_fit(folder):
    with pytest.raises(ModelError, match="not those of a resnet18 but of a lenspinn_small: train"):
        load_weights(create_model("resnet18"), folder)


def test_weights_that_do_not_fit_are_named_with_both_shapes(folder):
    other = create_model("lenspinn_small", num_pix=80)
    with pytest.raises(ModelError, match=r"are not those .* is \(.*\) there and \(.*\) here; give"):
        load_weights(other, folder)


@pytest.mark.parametrize("name", ["lenspinn_small", "resnet18", "vit", "lensformer", "cait"])
@pytest.mark.parametrize("classes", [["a", "b"], ["a", "b", "c"], ["cdm", "axion", "no_sub", "x"]])
def test_for_other_classes_only_what_belongs_to_single_ones_begins_anew(tmp_path, name, classes):
    saved = create_model(name)
    save_pretrained(saved, tmp_path)
    model = create_model(name, classes=classes)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.warns(UserWarning, match="begin anew, all others were taken") as caught:
        load_weights(model, tmp_path)
    fresh = [key for key in before if f" {key}" in str(caught[0].message)]
    assert 1 <= len(fresh) <= 2  # the weight of the last layer, and its bias
    for key, value in model.state_dict().items():
        expected = before[key] if key in fresh else saved.state_dict()[key]
        assert torch.equal(value, expected), key
    assert model.state_dict()[fresh[0]].shape[0] == len(classes)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(folder, value):
    weights = load_file(folder / "model.safetensors")
    name = next(name for name, tensor in weights.items() if tensor.is_floating_point())
    weights[name].view(-1)[0] = value
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ModelError, match="weights that are NaN or infinite"):
        from_pretrained(folder)
    with pytest.raises(ModelError, match="weights that are NaN or infinite"):
        load_weights(create_model("lenspinn_small", num_pix=40), folder)


@pytest.mark.parametrize("kind", [torch.complex64, torch.int64])
def test_weights_of_another_kind_of_number_are_refused(folder, kind):
    weights = load_file(folder / "model.safetensors")
    name = next(name for name, tensor in weights.items() if tensor.is_floating_point())
    weights[name] = weights[name].to(kind)
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ModelError, match=f"holds {name} as "):
        from_pretrained(folder)


@pytest.mark.parametrize(
    "options",
    [
        {"num_pix": 10**9},
        {"num_pix": "64"},
        {"num_pix": 64.5},
        {"num_pix": True},
        {"pixel_scale": float("nan")},
        {"pixel_scale": 10**400},
        {"classes": "cdm"},
        {"classes": [1, 2]},
        {"classes": ["cdm", "cdm"]},
        {"transform": None},
        {"transform": "__class__"},
    ],
)
def test_options_of_somebody_that_make_no_model_are_refused(folder, options):
    edit_config(folder, options=options)
    with pytest.raises(ModelError, match=r"config\.json' describes no model that can be made"):
        from_pretrained(folder)


def test_a_truncated_weights_file_is_refused(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(ModelError, match=r"model\.safetensors' is damaged"):
        from_pretrained(folder)


def test_a_pickle_in_place_of_the_weights_is_refused_unread(folder):
    torch.save({"weight": torch.ones(1)}, folder / "model.safetensors")
    with pytest.raises(ModelError, match="is damaged or not a safetensors file"):
        from_pretrained(folder)


def test_a_model_of_the_hub_is_loaded_from_the_cache(folder, published):
    published("someone/some-model", folder)
    assert from_pretrained("someone/some-model").num_pix == 40
    other = create_model("lenspinn_small", num_pix=40)
    load_weights(other, "someone/some-model")
    assert torch.equal(other.head[0].weight, from_pretrained(folder).head[0].weight)


def test_a_released_run_of_the_hub_is_loaded_too(folder, tmp_path, published):
    shutil.copytree(folder, tmp_path / "run" / "model")
    published("someone/a-run", tmp_path / "run")
    assert from_pretrained("someone/a-run").num_pix == 40


def test_an_unreachable_hub_gives_one_sentence(published):
    with pytest.raises(ModelError, match="no model folder 'someone/some-model', and no network"):
        from_pretrained("someone/some-model")


def test_a_network_that_comes_with_lenspinn_is_loaded_by_its_name():
    model = from_pretrained("lenspinn_fit_hst")
    assert model.config["name"] == "lenspinn_fit"
    assert read_options("lenspinn_fit_hst") == (model.config["name"], model.config["options"])
