import json
import shutil

import pytest

from lenspinn.errors import ModelError
from lenspinn.models import list_models, names, trained
from lenspinn.models.overview import describe_models
from lenspinn.models.trained import find_trained

FLAGSHIP = "lenspinn_fit_hst"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A copy of the networks that come with lenspinn, less their weights."""
    copy = tmp_path / "trained"
    shutil.copytree(find_trained(FLAGSHIP), copy / FLAGSHIP, ignore=lambda *_: ["calibration"])
    monkeypatch.setattr(trained, "PACKAGED", copy)
    return copy / FLAGSHIP


def test_every_network_has_a_line_with_its_size():
    lines = describe_models()
    assert lines[0].split()[:2] == ["network", "parameters"]
    for name in list_models():
        assert any(line.startswith(f"{name} ") for line in lines), name


def test_trained_weights_stand_with_their_own_network_and_its_accuracy():
    (line,) = [line for line in describe_models() if FLAGSHIP in line]
    evaluation = json.loads((find_trained(FLAGSHIP) / "evaluation.json").read_text())
    record = evaluation["records"][0]
    assert line.startswith("lenspinn_fit ")
    assert f"{record['accuracy']:.3f} ({record['accuracy_low']:.3f} to" in line
    assert f"on {record['n_test']:,} images of {record['recipe']}" in line


def test_a_network_of_others_has_a_line_without_what_is_unknown(monkeypatch):
    monkeypatch.setattr(names, "FACTORIES", {"mine": object})
    assert any(line.split() == ["mine", "-", "-", "-", "-"] for line in describe_models())


def test_a_damaged_evaluation_is_refused(installed):
    (installed / "evaluation.json").write_text('{"records": []}')
    with pytest.raises(ModelError, match="is no evaluation of a network: install lenspinn again"):
        describe_models()
