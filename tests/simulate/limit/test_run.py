import json
from pathlib import Path

import pytest

from lenspinn.config import parse_config
from lenspinn.errors import ConfigError
from lenspinn.simulate.limit import LimitConfig, detection_limit

CONFIGS = sorted((Path(__file__).parents[3] / "configs" / "limit").glob("*.yaml"))
SMALL = {"num_pix": 40}
# All but theta_E and the place of the source: fits of three parameters are quick.
KNOWN = [
    *(f"lens.{name}" for name in ("e1", "e2", "center_x", "center_y", "gamma1", "gamma2")),
    *(f"source.{name}" for name in ("amplitude", "R_sersic", "n_sersic", "e1", "e2")),
]


def config(out, **changes):
    settings = dict(
        recipe="survey/hst",
        magnitudes=[21.0, 24.0],
        num=3,
        out=out,
        known=KNOWN,
        overrides=dict(SMALL),
    )
    return LimitConfig(**settings | changes)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return detection_limit(config(tmp_path_factory.mktemp("limit") / "out"), progress=False)


def read(path):
    return json.loads(path.read_text())


def test_result_says_what_made_it(path):
    result = read(path)
    assert result["schema"] == 2
    assert result["command"].startswith("lenspinn limit --recipe survey/hst --out ")
    assert result["config"]["recipe_config"]["name"] == "survey/hst"
    assert result.keys() >= {"git", "versions", "hardware", "date"}


def test_there_is_a_record_for_each_magnitude_and_class(path):
    records = read(path)["records"]
    found = [(record["magnitude"], record["class"]) for record in records]
    assert found == [(m, c) for m in (21.0, 24.0) for c in ("axion", "cdm", "no_sub")]
    for record in records:
        assert record["n"] == 3
        low, median, high = (record[f"significance_{k}"] for k in ("p10", "median", "p90"))
        assert low <= median <= high
        assert 0 <= record["above_5_sigma"] <= record["above_3_sigma"] <= 1
        assert sum(record["taken_for"].values()) == pytest.approx(1, abs=1e-5)
        assert (
            1 / 3 - 1e-5
            <= record["ideal_accuracy_low"]
            <= record["ideal_accuracy"]
            <= record["ideal_accuracy_high"]
            <= 1
        )


def test_searching_is_measured_where_there_are_point_masses(path, tmp_path):
    for record in read(path)["records"]:
        low, value, high = (record[f"searching_accuracy{end}"] for end in ("_low", "", "_high"))
        assert 0 <= low <= value <= high <= 1
    halos = config(
        tmp_path / "out",
        magnitudes=[22.0],
        num=2,
        overrides=SMALL | {"populations.cdm": "tnfw_subhalos"},
    )
    for record in read(detection_limit(halos, progress=False))["records"]:
        assert "searching_accuracy" not in record


def test_accuracy_is_the_mean_of_the_diagonal(path):
    first = read(path)["records"][:3]
    right = [record["taken_for"][record["class"]] for record in first]
    assert first[0]["ideal_accuracy"] == pytest.approx(sum(right) / 3, abs=1e-5)


def test_figure_lies_beside(path):
    assert path.with_name("limit.png").read_bytes().startswith(b"\x89PNG")


def test_finished_magnitudes_are_kept_and_new_ones_added(path, tmp_path):
    out = tmp_path / "out"
    detection_limit(config(out, magnitudes=[24.0]), progress=False)
    marked = read(out / "limit.json")
    marked["records"][0]["n"] = "kept"
    (out / "limit.json").write_text(json.dumps(marked))
    found = read(detection_limit(config(out), progress=False))["records"]
    assert found[3]["n"] == "kept"
    found[3]["n"] = 3
    assert found == read(path)["records"]


def test_nothing_is_left_to_do_the_second_time(path):
    before = path.read_bytes()
    assert detection_limit(config(path.parent), progress=False) == path
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"seed": 1}, "seed"),
        ({"num": 4}, "num"),
        ({"known": ["lens.e1"]}, "known"),
        ({"overrides": SMALL | {"lens.e1": 0.0}}, "recipe_config"),
    ],
)
def test_limit_of_something_else_is_refused(path, changes, key):
    with pytest.raises(ConfigError, match=f"was measured with another {key}"):
        detection_limit(config(path.parent, **changes), progress=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"known": ["lens.e3"]}, "known: there is no parameter 'lens.e3'"),
        ({"recipe": "deeplense/model_1"}, "magnitudes need an instrument with a zero_point"),
    ],
)
def test_a_refused_limit_writes_nothing(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        detection_limit(config(tmp_path / "out", **changes), progress=False)
    assert not list(tmp_path.iterdir())


HALF = '{"schema": 2, "config": %s, "records": %s}'


@pytest.mark.parametrize("text", ["[]", "[" * 100_000, HALF % ("3", "[]"), HALF % ("{}", "[{}]")])
def test_file_that_is_no_limit_is_refused(tmp_path, text):
    (tmp_path / "limit.json").write_text(text)
    with pytest.raises(ConfigError, match=r"limit\.json is not a limit of lenspinn"):
        detection_limit(config(tmp_path), progress=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"magnitudes": []}, "magnitudes must name at least one"),
        ({"magnitudes": [22.0, 1e4]}, "between 0 and 40, got 10000"),
        ({"num": 1}, "num must be at least 2, got 1"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"recipe": "survey/hts"}, "did you mean 'survey/hst'"),
        ({"recipe": "survey/hst_clumpy"}, "sources of survey/hst_clumpy have clumps, which the"),
        ({"overrides": {"instrument.psf_kernel": "absent.npy"}}, r"^instrument\.psf_kernel: "),
    ],
)
def test_impossible_settings_are_refused(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        config(tmp_path, **changes)


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.name)
def test_published_configurations_run(file, tmp_path):
    few = ["--num", "2", "--magnitudes", "[22]", "--overrides.num_pix", "24"]
    parsed = parse_config(LimitConfig, [str(file), *few, "--out", str(tmp_path / "out")])
    records = read(detection_limit(parsed, progress=False))["records"]
    assert len(records) == 3
