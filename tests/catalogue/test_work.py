from pathlib import Path
from types import SimpleNamespace

import pytest

from lenspinn.catalogue import work as room
from lenspinn.catalogue.columns import job_schema
from lenspinn.catalogue.lens_rows import LensRow
from lenspinn.catalogue.one_lens import Work
from lenspinn.catalogue.work import do_rows, failed_rows
from lenspinn.detect.detect_lens import Setting
from lenspinn.errors import ImageError
from lenspinn.measure.image_fits import ImageFits


def row(lenses: Path, image: str, **said) -> LensRow:
    return LensRow(row=3, id=image, said={"image": image, **said}, folder=lenses.parent)


@pytest.fixture
def detection(measured) -> SimpleNamespace:
    """What the search for clumps would find, as far as its columns need it."""
    clump = {
        **dict.fromkeys(
            ("x_arcsec", "y_arcsec", "inner_mass_arcsec2", "inner_mass_solar_masses", "chance"), 1.0
        ),
        "robust": True,
        "peak": {"significance": 6.0},
    }
    record = {"trusted": True, "verdict": "a clump", "theta_E_arcsec": measured.theta_E}
    return SimpleNamespace(
        to_json=lambda: record | {"clumps": [clump]}, reasons=(), clumps=[clump], claimed=[clump]
    )


@pytest.fixture
def not_fitted(fits, monkeypatch) -> None:
    """Lenses are not fitted, for a search that is not run."""
    monkeypatch.setattr(ImageFits, "fitted", lambda *_, **__: None)
    monkeypatch.setattr(room, "observe_lens", lambda fitted: fitted)


def test_every_value_has_a_column(lenses, not_fitted, detection, monkeypatch):
    monkeypatch.setattr(room, "search", lambda lens, setting: detection)
    (values,) = do_rows(Work(jobs=("measure", "detect")), [row(lenses, "A")])
    names = {*job_schema("measure").names, *job_schema("detect").names}
    assert set(values) - names == {"row"}
    assert values["row"] == 3
    assert values["measure_status"] == values["detect_status"] == "ok"
    assert values["detect_significance"] == 6.0
    assert values["measure_seconds"] > 0


def test_a_search_that_fails_leaves_the_measurement(lenses, not_fitted, monkeypatch):
    given = []

    def refuse(_, setting):
        given.append(setting)
        raise ImageError("the arcs are\n too faint")

    monkeypatch.setattr(room, "search", refuse)
    (values,) = do_rows(
        Work(jobs=("measure", "detect"), mocks=20, seed=5),
        [row(lenses, "A", z_lens=0.2, z_source=1.0)],
    )
    assert values["measure_status"] == "ok"
    assert values["detect_status"] == "failed"
    assert values["detect_message"] == "the arcs are too faint"
    assert given == [Setting(z_lens=0.2, z_source=1.0, mocks=20, seed=5)]


def test_rows_whose_process_died_fail_in_every_job(lenses):
    (values,) = failed_rows(Work(jobs=("measure", "detect")), [row(lenses, "A")], "it died")
    assert values["measure_message"] == values["detect_message"] == "it died"
    assert values["measure_status"] == "failed"
