import pytest
import torch

from lenspinn.errors import ConfigError
from lenspinn.sensitivity.ideal import (
    SeenLens,
    ideal_records,
    read_lenses,
    see_lenses,
    write_lenses,
)
from lenspinn.sensitivity.sweep import sweeps_of
from lenspinn.simulate.limit.lenses import draw_lenses, visibility

from .conftest import make_config


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    config = make_config(tmp_path_factory.mktemp("ideal"), overrides={"num_pix": 24})
    return sweeps_of(config)[1]


@pytest.fixture(scope="module")
def seen(sweep):
    return see_lenses(sweep, 1, range(2))


def test_significance_is_that_of_the_limit(sweep, seen):
    lenses = draw_lenses(sweep.recipe, 1, range(2))
    expected = visibility(lenses, 22.0, 1).significance
    for column, name in enumerate(("axion", "cdm")):
        of_class = [lens for lens in seen if lens.class_name == name]
        assert [lens.lens for lens in of_class] == [0, 1]
        found = torch.tensor([lens.significance for lens in of_class], dtype=torch.float64)
        torch.testing.assert_close(found, expected[:, column], rtol=1e-5, atol=1e-9)
    masses = lenses.truth["axion"]["vortex_mass"].tolist()
    found = [lens.mass for lens in seen if lens.class_name == "axion"]
    assert found == pytest.approx(masses, rel=1e-5)


def test_a_lens_does_not_depend_on_those_measured_with_it(sweep, seen):
    alone = see_lenses(sweep, 1, [1])
    for one, other in zip(alone, [lens for lens in seen if lens.lens == 1], strict=True):
        assert one._replace(significance=0) == other._replace(significance=0)
        assert one.significance == pytest.approx(other.significance, rel=1e-3)


def test_what_is_written_is_read_back(tmp_path, seen):
    path = write_lenses(tmp_path / "lenses.csv", seen)
    assert read_lenses(path) == seen
    assert {type(back.converged) for back in read_lenses(path)} == {bool}
    assert read_lenses(tmp_path / "absent.csv") == []


def test_another_table_is_refused(tmp_path):
    (tmp_path / "lenses.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match=r"lenses\.csv is not a table of lenses"):
        read_lenses(tmp_path / "lenses.csv")


def test_curves_are_means_over_the_lenses_of_a_bin(sweep):
    lenses = [
        SeenLens("mass", i, "cdm", mass, 22.0, significance, converged=i != 0)
        for i, (mass, significance) in enumerate([(2e8, 0.0)] * 6 + [(2e9, 1.644854)] * 6)
    ]
    other = [lens._replace(sweep="magnitude") for lens in lenses]
    faint, heavy = ideal_records(sweep, lenses + other)
    assert (faint["observer"], faint["quantity"], faint["n"]) == ("ideal", "subhalo_mass", 6)
    assert faint["rate"] == pytest.approx(0.05, abs=1e-6)
    assert heavy["rate"] == pytest.approx(0.5, abs=1e-6)
    assert faint["converged"] == pytest.approx(11 / 12, abs=1e-6)
