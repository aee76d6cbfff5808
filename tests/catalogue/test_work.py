from pathlib import Path
from types import SimpleNamespace

import pytest

from lenspinn.catalogue import work as room
from lenspinn.catalogue.columns import job_schema
from lenspinn.catalogue.lens_rows import LensRow
from lenspinn.catalogue.work import Work, do_rows, failed_rows
from lenspinn.errors import ImageError


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


def test_every_value_has_a_column(lenses, fits, detection, monkeypatch):
    monkeypatch.setattr(room, "detect_substructure", lambda *_, **__: detection)
    (values,) = do_rows(Work(jobs=("measure", "detect")), [row(lenses, "A")])
    names = {*job_schema("measure").names, *job_schema("detect").names}
    assert set(values) - names == {"row"}
    assert values["row"] == 3
    assert values["measure_status"] == values["detect_status"] == "ok"
    assert values["detect_significance"] == 6.0
    assert values["measure_seconds"] > 0


def test_a_search_that_fails_leaves_the_measurement(lenses, fits, monkeypatch):
    given = {}

    def refuse(*_, **options):
        given.update(options)
        raise ImageError("the arcs are\n too faint")

    monkeypatch.setattr(room, "detect_substructure", refuse)
    (values,) = do_rows(
        Work(jobs=("measure", "detect"), mocks=20, seed=5),
        [row(lenses, "A", z_lens=0.2, z_source=1.0)],
    )
    assert values["measure_status"] == "ok"
    assert values["detect_status"] == "failed"
    assert values["detect_message"] == "the arcs are too faint"
    assert (given["z_lens"], given["z_source"], given["mocks"], given["seed"]) == (0.2, 1.0, 20, 5)


def test_rows_whose_process_died_fail_in_every_job(lenses):
    (values,) = failed_rows(Work(jobs=("measure", "detect")), [row(lenses, "A")], "it died")
    assert values["measure_message"] == values["detect_message"] == "it died"
    assert values["measure_status"] == "failed"


@pytest.fixture
def fitted_network(lenses, measured, monkeypatch):
    """A network that fits lenses, whose answer to any image holds `measured`."""
    prepared = SimpleNamespace(measured=measured, psf_assumed=False)
    answer = SimpleNamespace(shown=SimpleNamespace(prepared=prepared))
    judge = SimpleNamespace(
        model=None, run=SimpleNamespace(data_info=SimpleNamespace(lens_light=False))
    )
    monkeypatch.setattr(room, "_judge", lambda _: judge)
    monkeypatch.setattr(room, "make_ready", lambda *_, **__: SimpleNamespace())
    monkeypatch.setattr(room, "answer_ready", lambda ready, _: [answer] * len(ready))
    monkeypatch.setattr(room, "answer_values", lambda _: {"verdict": "said"})
    return SimpleNamespace(prepared=prepared, judge=judge)


@pytest.mark.parametrize("same", ["same", "other light", "other PSF", "other guess"])
def test_what_the_network_fitted_is_not_fitted_again(
    lenses, fitted_network, measured, monkeypatch, same
):
    given = []

    def measure(found, known, *, fitted, **_):
        given.append(fitted)
        return measured, []

    monkeypatch.setattr(room, "measure_telescope_image", measure)
    fitted_network.judge.run.data_info.lens_light = same == "other light"
    fitted_network.prepared.psf_assumed = same == "other PSF"
    said = {"theta_E_guess": 0.8} if same == "other guess" else {}
    (values,) = do_rows(
        Work(jobs=("measure", "apply"), model="network"), [row(lenses, "A", **said)]
    )
    assert given == [measured if same == "same" else None]
    assert values["apply_verdict"] == "said"


def test_one_image_that_no_network_can_take_does_not_cost_the_others(
    lenses, fitted_network, monkeypatch
):
    def answer(ready, _):
        if len(ready) > 1 or ready[0] == "bad":
            raise ImageError("cannot be used")
        return [answered]

    answered = SimpleNamespace()
    names = iter(["good", "bad"])
    monkeypatch.setattr(room, "make_ready", lambda *_, **__: next(names))
    monkeypatch.setattr(room, "answer_ready", answer)
    good, bad = do_rows(
        Work(jobs=("apply",), model="network"), [row(lenses, "A"), row(lenses, "B")]
    )
    assert good["apply_status"] == "ok"
    assert (bad["apply_status"], bad["apply_message"]) == ("failed", "cannot be used")
