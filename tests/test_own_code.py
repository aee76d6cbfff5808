"""Code of a user runs when a word of the command line says so, and from no file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import yaml

from lenspinn import cli, register_population
from lenspinn.config import build_config, parse_config
from lenspinn.data import ImageStore
from lenspinn.errors import ConfigError, ModelError
from lenspinn.models import create_model, from_pretrained, names, save_pretrained
from lenspinn.own_code import import_file
from lenspinn.simulate import POPULATIONS, Substructure
from lenspinn.simulate.populations import MainLens
from lenspinn.train import TrainConfig

CODE = """
from torch import nn
import lenspinn
from lenspinn.models import Classifier, ImageOptions
from pathlib import Path

Path(__file__).with_suffix(".ran").touch()

@lenspinn.register_model
def {name}(images: ImageOptions, *, width: int = 2) -> Classifier:
    layers = nn.Conv2d(1, width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 3)
    return lenspinn.wrap(nn.Sequential(*layers), images)
"""


@pytest.fixture
def own_file(tmp_path: Path) -> Path:
    name = f"own_{tmp_path.name.replace(chr(45), chr(95))}"
    file = tmp_path / f"{name}.py"
    file.write_text(CODE.format(name=name))
    return file


def ran(file: Path) -> bool:
    return file.with_suffix(".ran").exists()


def test_a_file_registers_its_network_and_is_run_once(own_file: Path) -> None:
    assert import_file(str(own_file)) == [own_file.stem]
    assert import_file(own_file) == []
    assert create_model(own_file.stem, width=3).config["options"]["width"] == 3


def test_another_file_of_the_same_name_is_refused_and_not_run(
    own_file: Path, tmp_path: Path
) -> None:
    import_file(own_file)
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / own_file.name
    other.write_text(CODE.format(name="another"))
    with pytest.raises(ConfigError, match="is imported: rename one of them"):
        import_file(other)
    assert not ran(other)


POPULATION = """
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar
import numpy as np
import lenspinn
from lenspinn.simulate import Substructure
from lenspinn.simulate.populations import PointMasses

@dataclass(frozen=True, kw_only=True)
class Lone:
    mass: float = 1e9
    truth_fields: ClassVar[Mapping[str, tuple[int, ...]]] = {{"lone_radius": ()}}

    @property
    def capacity(self) -> dict[str, int]:
        return {{"points": 1}}

    def draw(self, rng, lens) -> Substructure:
        radius = rng.uniform(0.5, 1.5, (len(lens.center_x), 1))
        points = PointMasses(
            x=lens.center_x[:, None] + radius,
            y=lens.center_y[:, None] + 0 * radius,
            theta_E=np.full_like(radius, lens.theta_E_unit * self.mass**0.5),
            mass=np.full_like(radius, self.mass),
        )
        return Substructure(points=points, truth={{"lone_radius": radius[:, 0]}})

lenspinn.register_population("{name}", Lone())
"""


def test_a_population_of_one_s_own_reaches_a_dataset_and_its_recipe(tmp_path: Path) -> None:
    name = f"lone_{tmp_path.name.replace(chr(45), chr(95))}"
    file = tmp_path / f"{name}.py"
    file.write_text(POPULATION.format(name=name))
    out = tmp_path / "lone.zarr"
    words = ["simulate", "--recipe", "survey/hst", "--num", "6", "--engine", "eager"]
    words += [
        "--overrides.populations",
        f"{{lone: {{population: {name}, mass: 3.0e+9}}, none: no_sub}}",
    ]
    words += ["--overrides.num_pix", "16", "--overrides.supersampling", "1", "--out", str(out)]
    assert cli.main(words) == 2
    assert not out.exists()
    assert cli.main([*words, "--import", str(file)]) == 0
    store = ImageStore.open(out)
    lone = store.labels == store.info.classes.index("lone")
    assert (store.truth["point_mass"][lone] == 3e9).all()
    assert np.isfinite(store.truth["lone_radius"][lone]).all()
    assert np.isnan(store.truth["lone_radius"][~lone]).all()
    kept = store.info.recipe_config["populations"]["lone"]
    assert kept == {"population": name, "mass": 3e9}


@dataclass
class Mutable:
    truth_fields: ClassVar[Mapping[str, tuple[int, ...]]] = {}
    capacity: ClassVar[dict[str, int]] = {}

    def draw(self, rng: np.random.Generator, lens: MainLens) -> Substructure:
        return Substructure()


@pytest.mark.parametrize(
    ("name", "population", "said"),
    [
        ("cdm", POPULATIONS["cdm"], "already registered"),
        ("my cdm", POPULATIONS["cdm"], "cannot name"),
        ("own", Mutable(), "is no population"),
    ],
)
def test_a_population_that_is_none_is_refused(name, population, said) -> None:
    with pytest.raises(ConfigError, match=said):
        register_population(name, population)


def test_a_saved_network_needs_its_file_and_names_the_option(
    own_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_file(own_file)
    folder = save_pretrained(create_model(own_file.stem), tmp_path / "model")
    assert from_pretrained(folder).config["name"] == own_file.stem
    monkeypatch.delitem(names.FACTORIES, own_file.stem)
    with pytest.raises(ModelError, match=r"--import FILE.py"):
        from_pretrained(folder)


@pytest.mark.parametrize("option", ["--import", "--model.import"])
def test_a_word_of_the_command_line_runs_it(
    option: str, own_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["models", option, str(own_file)]) == 0
    assert own_file.stem in capsys.readouterr().out
    assert cli.main(["models", f"{option}={own_file}"]) == 0


@pytest.mark.parametrize(
    "settings", [{"model": {"import": "FILE"}}, {"model.import": "FILE"}, {"import": "FILE"}]
)
def test_a_config_file_that_names_one_is_refused_and_runs_nothing(
    settings: dict[str, object], own_file: Path, tmp_path: Path
) -> None:
    text = json.dumps(settings).replace("FILE", str(own_file))
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(json.loads(text)))
    with pytest.raises(ConfigError, match="names a file to run: remove it"):
        parse_config(TrainConfig, [str(config)])
    assert cli.main(["train", str(config), "--data", "a.zarr", "--out", str(tmp_path / "o")]) == 2
    with pytest.raises(ConfigError, match="names a file to run"):
        build_config(TrainConfig, json.loads(text))
    with pytest.raises(ConfigError, match="names a file to run"):
        parse_config(TrainConfig, ["--model", text])
    assert not ran(own_file)


@pytest.mark.parametrize("where", ["config", "options"])
def test_a_model_folder_that_names_one_is_refused_and_runs_nothing(
    where: str, own_file: Path, tmp_path: Path
) -> None:
    folder = save_pretrained(create_model("mobilenetv3"), tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (config if where == "config" else config["options"])["import"] = str(own_file)
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="names a file to import, which a model folder must not"):
        from_pretrained(folder)
    assert not ran(own_file)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [("1 / 0", "ZeroDivisionError"), ("a = 1", "registers nothing"), ("def", "SyntaxError")],
)
def test_a_file_of_no_use_is_refused_in_a_sentence(
    content: str, sentence: str, tmp_path: Path
) -> None:
    file = tmp_path / "bad.py"
    file.write_text(content)
    with pytest.raises(ConfigError, match=sentence):
        import_file(file)


def test_what_is_no_python_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.txt").write_text("")
    with pytest.raises(ConfigError, match=r"must end with .py"):
        import_file(tmp_path / "net.txt")
    with pytest.raises(ConfigError, match="No such file"):
        import_file(tmp_path / "missing.py")


@pytest.mark.parametrize("command", ["train", "evaluate", "explain", "apply", "release", "export"])
def test_every_command_that_loads_a_network_imports_files(command, own_file, tmp_path) -> None:
    assert cli.main([command, "--import", str(own_file), "--no_such_option", "1"]) == 2
    assert ran(own_file)


def test_a_missing_value_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--import"]) == 2
    assert "--import needs a value" in capsys.readouterr().err
