import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from lenspinn.errors import DataError
from lenspinn.evaluate.judgement import (
    Calibration,
    calibrate,
    join_judgements,
    load_calibration,
    save_calibration,
)
from lenspinn.evaluate.predict import Outputs
from lenspinn.fitting.smooth import SMOOTH_PARAMETERS

CLASSES = ("axion", "cdm", "no_sub")


def draw(num: int, seed: int) -> tuple[Outputs, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=num)
    features = rng.normal(size=(num, 12)) + np.eye(12)[labels]
    outputs = Outputs(
        logits=6 * features[:, :3].astype(np.float64),
        features=features.astype(np.float32),
        pixels=rng.normal(size=(num, 6)),
        scores={},
        quantity_means=np.empty((num, 0)),
        quantity_sigmas=np.empty((num, 0)),
        fitted=lenses(num, rng),
    )
    return outputs, labels


def lenses(num: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    found = {name: rng.normal(0, 0.05, num) for name in SMOOTH_PARAMETERS}
    return found | {"signal_to_noise": rng.lognormal(0, 0.3, num)}


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    outputs, labels = draw(1000, 0)
    return calibrate(outputs, labels, CLASSES, coverage=0.9, seed=0)


def test_an_overconfident_network_is_cooled_and_its_sets_cover(calibration):
    outputs, labels = draw(4000, 1)
    judgement = calibration.judge(outputs)
    assert calibration.temperature > 3
    covered = judgement.possible[np.arange(4000), labels]
    # Standard deviations of 500 images to rank among and of 4,000 test images: 1.3 and 0.5 points.
    assert covered.mean() == pytest.approx(0.9, abs=0.05)
    assert judgement.refused.mean() < 0.05 + 0.02


def test_a_wider_coverage_gives_larger_sets(calibration):
    outputs, _ = draw(500, 2)
    sizes = [calibration.judge(outputs, c).possible.sum() for c in (0.7, 0.9, 0.98)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2]


def test_what_is_read_back_judges_the_same(calibration, tmp_path):
    folder = save_calibration(calibration, tmp_path)
    assert {path.name for path in folder.iterdir()} == {
        "calibration.json",
        "calibration.safetensors",
    }
    again, (outputs, _) = load_calibration(tmp_path), draw(50, 3)
    assert again is not None
    before, after = calibration.judge(outputs), again.judge(outputs)
    np.testing.assert_array_equal(after.probabilities, before.probabilities)
    np.testing.assert_array_equal(after.possible, before.possible)
    np.testing.assert_array_equal(after.shift, before.shift)
    np.testing.assert_array_equal(after.refused, before.refused)
    assert again.ranges == calibration.ranges
    assert (again.classes, again.coverage, again.num_images) == (CLASSES, 0.9, 1000)


def test_batches_are_judged_as_the_whole(calibration):
    outputs, _ = draw(30, 4)
    whole = calibration.judge(outputs)
    parts = [calibration.judge(outputs.take(rows)) for rows in np.split(np.arange(30), [7, 20])]
    joined = join_judgements(parts)
    np.testing.assert_array_equal(joined.possible, whole.possible)
    np.testing.assert_allclose(joined.shift, whole.shift)
    assert joined.by_score.keys() == whole.by_score.keys()
    np.testing.assert_array_equal(joined.refused, whole.refused)
    assert joined.outside_in_words(29) == whole.outside_in_words(29)


def test_a_lens_that_calibration_never_had_is_refused_and_named(calibration):
    outputs, _ = draw(40, 6)
    before = calibration.judge(outputs)
    for name in ("center_x", "source_x"):
        outputs.fitted[name][7] += 0.4
    judgement = calibration.judge(outputs)
    assert judgement.refused[7]
    (words,) = judgement.outside_in_words(7)
    assert words.startswith("offset from the middle 0.4")
    assert "in calibration)" in words
    others = np.arange(40) != 7
    np.testing.assert_array_equal(judgement.refused[others], before.refused[others])


def test_a_network_that_fits_no_lens_has_no_ranges():
    outputs, labels = draw(300, 7)
    plain = replace(outputs, fitted={})
    found = calibrate(plain, labels, CLASSES, coverage=0.9, seed=0)
    assert found.ranges == {}
    assert found.judge(plain).outside_in_words(0) == ()


def test_too_few_images_are_refused():
    outputs, labels = draw(239, 5)
    with pytest.raises(DataError, match="239 images are too few"):
        calibrate(outputs, labels, CLASSES, coverage=0.9, seed=0)


def test_a_run_without_calibration_has_none(tmp_path):
    assert load_calibration(tmp_path) is None


def damage_arrays(folder: Path) -> None:
    (folder / "calibration.safetensors").write_bytes(b"nothing")


def damage_facts(folder: Path) -> None:
    (folder / "calibration.json").write_text("{}")


def damage_temperature(folder: Path) -> None:
    path = folder / "calibration.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"temperature": float("nan")}))


def damage_range(folder: Path) -> None:
    path = folder / "calibration.json"
    facts = json.loads(path.read_text())
    facts["ranges"]["theta_E"] = [0.5, float("inf")]
    path.write_text(json.dumps(facts))


def damage_cloud(folder: Path) -> None:
    path = folder / "calibration.safetensors"
    arrays = load_file(path)
    arrays["pixels.precision"] *= np.nan
    save_file(arrays, path)


def damage_shape(folder: Path) -> None:
    path = folder / "calibration.safetensors"
    arrays = load_file(path)
    arrays["ranked_labels"] = arrays["ranked_labels"][:-1].copy()
    save_file(arrays, path)


def damage_kind(folder: Path) -> None:
    path = folder / "calibration.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"ranges": ["theta_E"]}))


DAMAGES = [
    damage_arrays,
    damage_facts,
    damage_temperature,
    damage_range,
    damage_cloud,
    damage_shape,
    damage_kind,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_calibration_is_named(damage, calibration, tmp_path):
    damage(save_calibration(calibration, tmp_path))
    with pytest.raises(DataError, match="is damaged: `lenspinn evaluate"):
        load_calibration(tmp_path)


@pytest.mark.parametrize("schema", [3, 5])
def test_another_schema_is_refused(schema, calibration, tmp_path):
    path = save_calibration(calibration, tmp_path) / "calibration.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": schema}))
    with pytest.raises(DataError, match=f"has schema {schema}.*`lenspinn evaluate"):
        load_calibration(tmp_path)


@pytest.mark.parametrize("name", ["calibration.json", "calibration.safetensors"])
def test_a_huge_file_of_a_calibration_is_not_read(name, calibration, tmp_path):
    with (save_calibration(calibration, tmp_path) / name).open("r+b") as file:
        file.truncate(10**11)
    with pytest.raises(DataError, match=r"has 100000000000 bytes, and at most \d+ are read"):
        load_calibration(tmp_path)


def test_the_calibration_of_another_network_judges_nothing(calibration):
    outputs, _ = draw(5, 8)
    wider = replace(outputs, features=np.column_stack([outputs.features, outputs.features]))
    with pytest.raises(DataError, match="not that of this network: `lenspinn evaluate` writes it"):
        calibration.judge(wider)
