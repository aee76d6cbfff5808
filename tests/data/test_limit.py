import json
from pathlib import Path

import pytest

from lenspinn.data.info import DatasetInfo
from lenspinn.data.limit import read_limit
from lenspinn.errors import DataError
from lenspinn.simulate import get_recipe
from lenspinn.simulate.dataset import dataset_info


def info(**overrides) -> DatasetInfo:
    return dataset_info(get_recipe("survey/hst", **overrides), num=6, seed=0, engine="eager")


@pytest.fixture
def limit(tmp_path: Path) -> Path:
    records = [
        {
            "magnitude": magnitude,
            "class": name,
            "ideal_accuracy": accuracy,
            "ideal_accuracy_low": accuracy - 0.01,
            "ideal_accuracy_high": accuracy + 0.01,
            "searching_accuracy": accuracy - 0.1,
            "searching_accuracy_low": accuracy - 0.12,
            "searching_accuracy_high": accuracy - 0.08,
        }
        for magnitude, accuracy in ((23.0, 0.78), (22.0, 0.83))
        for name in ("axion", "cdm", "no_sub")
    ]
    config = {"recipe_config": get_recipe("survey/hst").to_dict()}
    path = tmp_path / "limit.json"
    path.write_text(json.dumps({"schema": 2, "config": config, "records": records}))
    return path


def test_the_curve_is_read_with_the_magnitude_of_the_dataset(limit):
    curve = read_limit(limit, info())
    assert list(curve.accuracy) == [22.0, 23.0]
    assert [of["ideal_accuracy"][0] for of in curve.accuracy.values()] == [0.83, 0.78]
    expected = {"ideal_accuracy": 0.83, "ideal_accuracy_low": 0.82, "ideal_accuracy_high": 0.84}
    searching = {"searching_accuracy": 0.73, "searching_accuracy_low": 0.71}
    assert curve.here == pytest.approx(expected | searching | {"searching_accuracy_high": 0.75})
    fainter = read_limit(limit, info(**{"source.magnitude": 23.0}))
    assert fainter.here["ideal_accuracy"] == 0.78


def test_a_search_may_not_have_been_measured(limit):
    content = json.loads(limit.read_text())
    kept = [
        {name: value for name, value in record.items() if not name.startswith("searching")}
        for record in content["records"]
    ]
    limit.write_text(json.dumps(content | {"records": kept}))
    assert set(read_limit(limit, info()).accuracy[22.0]) == {"ideal_accuracy"}


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"lens.theta_E": 1.0}, r"is the limit of survey/hst, not of this dataset's survey/hst"),
        ({"source.magnitude": 21.0}, r"has magnitudes 22, 23, but the sources .* have 21.0"),
        ({"source.magnitude": {"uniform": [22, 23]}}, "but the sources of this dataset have"),
    ],
)
def test_the_limit_of_something_else_is_refused(limit, overrides, said):
    with pytest.raises(DataError, match=said):
        read_limit(limit, info(**overrides))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "is not a limit.json"),
        ('{"schema": 2, "config": {"recipe_config": []}, "records": []}', "is not a limit.json"),
        ("no json", "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        (None, "cannot be read as text"),
    ],
)
def test_what_is_no_limit_is_refused(tmp_path, text, said):
    path = tmp_path / "limit.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=said):
        read_limit(path, info())


@pytest.mark.parametrize("value", ["null", "NaN", "1e400", "9" * 400, "[]"])
def test_a_limit_with_accuracies_that_are_none_is_refused(limit, value):
    limit.write_text(limit.read_text().replace("0.78", value))
    with pytest.raises(DataError, match=r"is not a limit\.json.*: give one"):
        read_limit(limit, info())


def test_another_schema_is_refused(limit):
    limit.write_text(limit.read_text().replace('"schema": 2', '"schema": 1'))
    with pytest.raises(DataError, match="has schema 1, this lenspinn reads 2"):
        read_limit(limit, info())
