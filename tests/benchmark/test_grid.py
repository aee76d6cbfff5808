import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from lenspinn.benchmark.grid import grid_cells, read_grid
from lenspinn.config import dotted, parse_config, to_dict
from lenspinn.data.split import split_rows
from lenspinn.errors import ConfigError
from lenspinn.models import create_model
from lenspinn.train import TrainConfig

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIGS = REPOSITORY / "configs" / "benchmark"
IMAGENET = {"imagenet", "imagenet_lite0"}
GRIDS = sorted(set(CONFIGS.glob("*.yaml")) - {CONFIGS / "rows.yaml", CONFIGS / "protocols.yaml"})


def cells_of(path, tmp_path):
    return grid_cells(read_grid(path), work=tmp_path / "work", out=tmp_path / "out")


@pytest.fixture(scope="module")
def published():
    """The cells of each grid of the repository."""
    return {path.stem: cells_of(path, Path("place")) for path in GRIDS}


def test_every_grid_of_the_repository_makes_cells(published):
    names = {"table1", "table2", "claims", "equal_terms", "survey_hst", "few_images"} | IMAGENET
    assert published.keys() == names
    for cells in published.values():
        assert len({cell.result for cell in cells}) == len(cells) > 0


def test_every_row_of_every_grid_is_a_network(published):
    models = {
        json.dumps(to_dict(cell.config.model)) for cells in published.values() for cell in cells
    }
    assert len(models) > 30
    for model in map(json.loads, models):
        with torch.device("meta"):  # no weights: a second for all of them
            options = model["options"]
            if "pretrained" in options:  # that it is an option is all that can be tested offline
                options["pretrained"] = False
            assert create_model(model["name"], **options).num_pix == 64


def test_the_grids_of_imagenet_weights_begin_with_them_and_no_other_does(published):
    weights = {
        name: {cell.config.model.options.get("pretrained", False) for cell in cells}
        for name, cells in published.items()
    }
    file = "weights/tf_efficientnet_lite0.safetensors"
    assert weights.pop("imagenet") == {True}
    assert weights.pop("imagenet_lite0") == {False, file}
    assert weights.pop("few_images") == {False, file}
    assert all(found == {False} for found in weights.values())


def test_no_published_cell_reads_the_truth(published):
    options = [
        cell.config.model.options
        for name in ("table1", "table2", "claims", "equal_terms")
        for cell in published[name]
    ]
    assert not any({"theta_E_weight", "consistency_weight"} & each.keys() for each in options)


def test_grids_share_the_cells_they_have_in_common(published):
    cells: dict = {}
    for cell in (cell for group in published.values() for cell in group):
        assert cells.setdefault(cell.result, cell) == cell
    assert len(cells) < sum(map(len, published.values()))


@pytest.mark.parametrize("name", ["lenspinn_small", "lenspinn_large"])
def test_protocol_paper_is_the_configuration_that_trains_by_hand(name, published):
    cell = next(
        cell for cell in published["table1"] if (cell.protocol, cell.row) == ("paper", name)
    )
    by_hand = parse_config(
        TrainConfig,
        [
            str(REPOSITORY / "configs" / "train" / f"{name}_paper.yaml"),
            *("--data", "place/work/data/paper-deeplense_model_3.zarr"),
            *("--out", f"place/work/runs/paper/deeplense_model_3/{name}/s0"),
        ],
    )
    assert cell.config == by_hand
    assert cell.images == 50 * 7200


def test_a_stream_has_as_many_steps_as_the_paper(published):
    cells = published["table1"]
    steps = {cell.protocol: -(-cell.images // cell.config.batch_size) for cell in cells}
    assert steps["stream"] == 5650
    assert steps["stream_short"] == 1130


def test_few_images_and_many_are_seen_in_as_many_steps(published):
    labels = np.repeat(np.arange(3), 10_500)
    seen = set[int]()
    for cell in (cell for cell in published["few_images"] if cell.row == "lenspinn_small"):
        rows = split_rows(labels, cell.config.split, seed=0)
        per_class = int(cell.protocol.removeprefix("per_class_"))
        assert np.bincount(labels[rows["train"]]).tolist() == [per_class] * 3
        assert len(rows["validation"]) == 3 * min(round(per_class / 8), 300)
        assert seen < set(rows["train"])
        seen = set(rows["train"])
        steps = -(-3 * per_class // cell.config.batch_size) * cell.config.epochs
        assert steps == pytest.approx(2350, rel=0.01)
    assert len(seen) == 30_000


def test_settings_of_a_row_under_a_protocol_win(make_grid, tmp_path):
    path = make_grid(tmp_path, protocols=["short", "fresh"])
    rates = {(cell.protocol, cell.row): cell.config.lr for cell in cells_of(path, tmp_path)}
    assert rates["short", "small"] == 1e-3
    assert rates["short", "slow"] == 1e-6
    assert rates["fresh", "slow"] == TrainConfig.lr


def test_a_stream_draws_the_recipe_of_its_cell(make_grid, tmp_path):
    (cell, _) = cells_of(make_grid(tmp_path, protocols=["fresh"]), tmp_path)
    assert cell.config.streams
    assert cell.config.stream.recipe == "deeplense/model_3"
    assert cell.images == 12


def test_the_command_of_a_cell_is_its_configuration(grid_file, tmp_path):
    cell = cells_of(grid_file, tmp_path)[0]
    words = cell.command.replace("'", "").removeprefix("lenspinn train ").split(" --")
    settings = dict(word.removeprefix("--").split(" ", 1) for word in words)
    assert settings["out"] == str(cell.config.out)
    assert float(settings["lr"]) == cell.config.lr
    assert settings.keys() <= dotted(to_dict(cell.config)).keys()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocols": ["papre"]}, "there is no 'papre' in .*protocols.yaml; known are fresh, sh"),
        ({"tables": [{"title": "T", "reference": "b", "rows": ["small"]}]}, "none of its rows"),
        ({"sedes": [1]}, "did you mean 'seeds'"),
        (
            {"tables": [{"title": "T", "reference": "tiny", "rows": ["tiny"]}]},
            "there is no 'tiny' in .*rows.yaml; known are absent, slow, small",
        ),
    ],
)
def test_what_no_file_knows_is_refused(make_grid, tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        read_grid(make_grid(tmp_path, **changes))


@pytest.mark.parametrize(
    ("file", "key", "value", "message"),
    [
        ("rows", "small", {"title": "S", "train": {"epohcs": 3}}, "row 'small' under .*'epochs'"),
        ("rows", "small", {"title": "S", "train": {}, "paper": {"f1": 1.0}}, "paper has 'f1'"),
        ("protocols", "short", {"title": "S", "train": {}}, "needs either train.data: stream, or"),
    ],
)
def test_what_makes_no_training_is_refused(grid_file, tmp_path, file, key, value, message):
    path = grid_file.with_name(f"{file}.yaml")
    content = yaml.safe_load(path.read_text())
    content[file][key] = value
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=message):
        cells_of(grid_file, tmp_path)


def test_a_label_that_is_no_file_name_is_refused(make_grid, tmp_path):
    path = make_grid(tmp_path, tables=[{"title": "T", "reference": "../x", "rows": ["../x"]}])
    rows = {"rows": {"../x": {"title": "X", "train": {"model.name": "lenspinn_small"}}}}
    (tmp_path / "rows.yaml").write_text(yaml.safe_dump(rows))
    with pytest.raises(ConfigError, match="must consist of a-z"):
        read_grid(path)
