import re
from pathlib import Path

import pytest

from lenspinn.config import parse_config
from lenspinn.errors import ConfigError
from lenspinn.models import create_model
from lenspinn.train import ModelConfig, TrainConfig

RECIPES = sorted((Path(__file__).parents[2] / "configs" / "train").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipe_is_a_complete_configuration_of_a_known_model(path):
    data = [] if "data: stream" in path.read_text() else ["--data", "d.zarr"]
    config = parse_config(TrainConfig, [str(path), *data, "--out", "run"])
    model = create_model(config.model.name, **config.model.options)
    assert model.transform == config.model.options.get("transform", "raw")


@pytest.mark.parametrize("size", ["small", "large"])
def test_paper_recipe_has_the_settings_of_the_paper(size):
    path = next(path for path in RECIPES if path.stem == f"lenspinn_{size}_paper")
    config = parse_config(TrainConfig, [str(path), "--data", "d.zarr", "--out", "run"])
    assert (config.lr, config.batch_size, config.epochs) == (1e-4, 64, 50)
    assert config.schedule == "constant"
    assert config.model.options["transform"] == "paper"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 0),
        ("batch_size", -1),
        ("validations_per_epoch", 0),
        ("checkpoint_every_steps", 0),
        ("seed", -1),
        ("num_workers", -1),
        ("weight_decay", -0.1),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("split", (0.9, 0.1, 0.0)),
        ("split", (0.5, 0.1, 0.1)),
    ],
)
def test_value_out_of_range_is_refused_by_name(key, value):
    with pytest.raises(ConfigError, match=re.escape(f"{key} is {value}:")):
        TrainConfig(data=Path("d"), out=Path("o"), model=ModelConfig("m"), **{key: value})


def test_model_can_be_chosen_and_configured_by_dotted_overrides():
    words = ["--data=d", "--out=o", "--model.name=m", "--model.options.num_pix=32"]
    config = parse_config(TrainConfig, words)
    assert config.model == ModelConfig("m", {"num_pix": 32})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data=stream"], "stream.recipe is missing"),
        (
            ["--data=d", "--stream.recipe=survey/hst"],
            "stream goes with data: stream, but data is d",
        ),
        (
            ["--data=stream", "--stream.recipe=r", "--stream.num_test=0"],
            "stream.num_test is 0: at least 1",
        ),
    ],
)
def test_stream_and_its_recipe_go_together(words, message):
    with pytest.raises(ConfigError, match=message):
        parse_config(TrainConfig, [*words, "--out=o", "--model.name=m"])


def test_held_out_images_are_shared_between_validation_and_test():
    words = ["--data=stream", "--stream.recipe=r", "--stream.num_validation=30"]
    words += ["--stream.num_test=90", "--out=o", "--model.name=m"]
    config = parse_config(TrainConfig, words)
    assert config.streams
    assert config.shares == (0.0, 0.25, 0.75)
