import tomllib
from pathlib import Path

import pytest

from lenspinn.errors import ModelError
from lenspinn.models import trained
from lenspinn.models.trained import find_trained, is_name, list_trained, shipped_folder

REPOSITORY = Path(__file__).resolve().parents[2]
FLAGSHIP = "lenspinn_fit_hst"


def test_a_folder_comes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(FLAGSHIP).mkdir()
    assert find_trained(FLAGSHIP) == Path(FLAGSHIP)
    assert not is_name(FLAGSHIP)


def test_the_flagship_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert FLAGSHIP in list_trained()
    assert (find_trained(FLAGSHIP) / "model" / "model.safetensors").is_file()
    assert find_trained(Path(FLAGSHIP)) == find_trained(FLAGSHIP)


def test_in_an_installed_package_its_own_networks_are_found(tmp_path, monkeypatch):
    (tmp_path / "trained" / "mine" / "model").mkdir(parents=True)
    (tmp_path / "trained" / "mine" / "model" / "config.json").write_text("{}")
    monkeypatch.setattr(trained, "PACKAGED", tmp_path / "trained")
    assert list_trained() == ["mine"]
    assert find_trained("mine") == tmp_path / "trained" / "mine"


def test_the_wheel_is_told_to_hold_the_flagship_there():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert REPOSITORY / "models" == trained.IN_CHECKOUT
    place = REPOSITORY / "src" / included[f"models/{FLAGSHIP}"]
    assert place == trained.PACKAGED / FLAGSHIP


def test_where_none_come_with_it_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(trained, "IN_CHECKOUT", tmp_path)
    assert shipped_folder() == tmp_path
    with pytest.raises(ModelError, match=r"those that do: none\): check the name"):
        find_trained("mine")


def test_an_unknown_name_is_refused_with_those_that_are_known():
    with pytest.raises(ModelError, match=f"no trained network of that name .*{FLAGSHIP}"):
        find_trained("lenspinn_fit_moon")


@pytest.mark.parametrize("place", ["/nowhere/run", "../run", "runs/small/model", "a/../b", "~/run"])
def test_what_can_only_be_a_path_is_not_looked_for_elsewhere(place, published):
    assert not is_name(place)
    with pytest.raises(ModelError, match=r"there is no model folder '.*': check the path"):
        find_trained(place)


def test_a_repository_of_the_hub_is_found_in_the_cache(tmp_path, published):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{}")
    published("someone/some-model", tmp_path / "mine")
    found = find_trained("someone/some-model")
    assert [path.name for path in found.iterdir()] == ["config.json"]
    assert found.is_relative_to(tmp_path / "hub")


def test_offline_one_sentence_says_so(published):
    with pytest.raises(ModelError, match="in the cache of the Hugging Face hub, which cannot be"):
        find_trained("someone/some-model")


def test_what_the_hub_calls_no_id_is_refused(published):
    with pytest.raises(ModelError, match="can be had from the Hugging Face hub: check it"):
        find_trained("someone/some--model")
