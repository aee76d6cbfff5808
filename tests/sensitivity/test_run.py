import csv
import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from lenspinn.config import parse_config
from lenspinn.errors import ConfigError
from lenspinn.sensitivity import SensitivityConfig, measure_sensitivity, run
from lenspinn.sensitivity.ideal import SeenLens
from lenspinn.train.manifest import write_manifest

from .conftest import SMALL, make_config

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "sensitivity").glob("*.yaml"))


def read(path):
    return json.loads(path.read_text())


def invented(sweep, seed, indices):
    """Lenses in the place of those of `see_lenses`, which take seconds each."""
    return [
        SeenLens(sweep.name, lens, name, 10.0 ** (7 + lens % 4), magnitude, 0.3 * lens, True)
        for name in sweep.detected
        for magnitude in sweep.magnitudes
        for lens in indices
    ]


@pytest.fixture(scope="module")
def ideal(tmp_path_factory):
    """The ideal observer alone."""
    config = make_config(tmp_path_factory.mktemp("sensitivity") / "out")
    return measure_sensitivity(config, progress=False)


@pytest.fixture(scope="module")
def both(ideal, network, tmp_path_factory):
    """The same with a network, given later."""
    out = shutil.copytree(ideal.parent, tmp_path_factory.mktemp("both") / "out")
    return measure_sensitivity(make_config(out, run=network), progress=False)


@pytest.fixture
def copy(ideal, tmp_path):
    return shutil.copytree(ideal.parent, tmp_path / "out")


def test_the_result_says_what_made_it(ideal):
    result = read(ideal)
    assert result["schema"] == 1
    assert result["command"].startswith("lenspinn sensitivity --recipe survey/hst --out ")
    assert result["config"]["recipe_config"]["name"] == "survey/hst"
    assert result["config"]["mass_recipe_config"]["populations"]["cdm"]["mean_number"] == 1
    assert result.keys() >= {"git", "versions", "hardware", "date"}
    assert result["network"] is None


def test_the_ideal_observer_has_a_point_for_each_magnitude_and_class(ideal):
    found = [
        (r["class"], r["magnitude"], r["n"])
        for r in read(ideal)["records"]
        if r["sweep"] == "magnitude"
    ]
    assert found == [(c, m, 2) for c in ("axion", "cdm") for m in (21.0, 24.0)]


def test_every_lens_is_kept(ideal):
    with (ideal.parent / "lenses.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * (2 + 1)


def test_a_network_adds_its_curves_and_leaves_the_others(ideal, both):
    before, after = read(ideal), read(both)
    assert [r for r in after["records"] if r["observer"] == "ideal"] == before["records"]
    seen = [r for r in after["records"] if r["observer"] == "lenspinn_small"]
    assert {(r["sweep"], r["magnitude"]) for r in seen} == {
        ("magnitude", 21.0),
        ("magnitude", 24.0),
        ("mass", 22.0),
    }
    assert all(0 <= r["rate_low"] <= r["rate"] <= r["rate_high"] <= 1 for r in seen)
    assert all(r["n_without"] == 20 for r in seen)
    assert after["network"]["trained_on"] == "survey/hst"


def test_the_table_has_the_same_points(both):
    with (both.parent / "sensitivity.csv").open() as file:
        rows = list(csv.DictReader(file))
    records = read(both)["records"]
    assert [float(row["rate"]) for row in rows] == [r["rate"] for r in records]
    assert {row["instrument"] for row in rows} == {"hst_wfc3_f160w"}
    assert both.with_name("sensitivity.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_call_measures_nothing_again(both, network, monkeypatch):
    for name in ("see_lenses", "network_records"):
        monkeypatch.setattr(run, name, None)
    before = read(both)
    assert measure_sensitivity(make_config(both.parent, run=network), progress=False) == both
    assert read(both)["records"] == before["records"]


def test_without_a_run_the_curves_of_the_network_stay(both, tmp_path):
    out = shutil.copytree(both.parent, tmp_path / "out")
    after = read(measure_sensitivity(make_config(out), progress=False))
    assert (after["network"], after["records"]) == (read(both)["network"], read(both)["records"])


def test_an_interrupted_measurement_goes_on_and_more_lenses_are_added(tmp_path, monkeypatch):
    calls = []

    def fail_at_the_third(sweep, seed, indices):
        calls.append(indices[0])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return invented(sweep, seed, indices)

    monkeypatch.setattr(run, "see_lenses", fail_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        measure_sensitivity(make_config(tmp_path / "out", num_lenses=32), progress=False)
    more = make_config(tmp_path / "out", num_lenses=40)
    went_on = measure_sensitivity(more, progress=False)
    # The first sweep was complete but for the lenses that are new, the second had not begun.
    assert calls == [0, 16, 0, 32, 0, 16, 32]
    whole = measure_sensitivity(dataclasses.replace(more, out=tmp_path / "whole"), progress=False)
    assert read(went_on)["records"] == read(whole)["records"]
    assert len(read(whole)["records"]) == 2 * 2 + 2 * 4


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"seed": 2}, "seed"),
        ({"magnitudes": [21.0]}, "magnitudes"),
        ({"mass_magnitudes": [23.0]}, "mass_magnitudes"),
        ({"overrides": SMALL | {"lens.e1": 0.0}}, "recipe_config"),
        ({"mass_overrides": {}}, "mass_recipe_config"),
    ],
)
def test_another_measurement_is_refused(ideal, changes, key):
    with pytest.raises(ConfigError, match=f"was measured with another {key}"):
        measure_sensitivity(make_config(ideal.parent, **changes), progress=False)


def test_another_network_or_test_is_refused(both, network, tmp_path):
    with pytest.raises(ConfigError, match=r"another network \(num 60, not 63\)"):
        measure_sensitivity(make_config(both.parent, run=network, num=63), progress=False)
    other = shutil.copytree(network, tmp_path / "run")
    weights = other / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    write_manifest(other)
    with pytest.raises(ConfigError, match=r"another network \(weights_sha256"):
        measure_sensitivity(make_config(both.parent, run=other), progress=False)


def test_a_refused_network_writes_nothing(network, tmp_path):
    config = make_config(tmp_path / "out", recipe="survey/euclid", run=network)
    with pytest.raises(ConfigError, match="trained for instrument"):
        measure_sensitivity(config, progress=False)
    assert not (tmp_path / "out").exists()


HALF = '{"schema": 1, "network": null, "config": %s, "records": %s}'


@pytest.mark.parametrize("text", ["[]", "[" * 100_000, HALF % ("3", "[]"), HALF % ("{}", "[{}]")])
def test_files_of_something_else_are_refused(copy, text):
    (copy / "sensitivity.json").write_text(text)
    with pytest.raises(ConfigError, match="is not a sensitivity of lenspinn"):
        measure_sensitivity(make_config(copy), progress=False)


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        (["sensitivity.json"], "whose sensitivity.csv was not written here"),
        (["sensitivity.json", "sensitivity.csv", "sensitivity.png"], "has lenses.csv without"),
    ],
)
def test_what_is_left_of_a_measurement_is_not_replaced(copy, lost, said):
    for name in lost:
        (copy / name).unlink()
    with pytest.raises(ConfigError, match=said):
        measure_sensitivity(make_config(copy), progress=False)


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.name)
def test_published_configurations_run(file, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "see_lenses", invented)
    config = parse_config(SensitivityConfig, [str(file), "--out", str(tmp_path / "out")])
    result = read(measure_sensitivity(config, progress=False))
    assert file.stem == result["config"]["recipe_config"]["name"].replace("/", "_")
    assert {r["n"] for r in result["records"]} == {128, 32}
