import builtins
import dataclasses

import numpy as np
import pytest

from lenspinn.errors import ConfigError
from lenspinn.simulate.populations import POPULATIONS

from .conftest import lenses

SMALL = {"log10_mass_low": 7.5, "diameter": 3.0}


def draw(num: int = 2, **changes):
    population = dataclasses.replace(POPULATIONS["pyhalo_cdm"], **SMALL | changes)
    return population.draw(np.random.default_rng(1), lenses(num))


def test_without_pyhalo_one_sentence_says_how_to_get_it(monkeypatch):
    real = builtins.__import__

    def without_pyhalo(name, *arguments):
        if name.startswith("pyHalo"):
            raise ImportError("No module named 'pyHalo'")
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without_pyhalo)
    with pytest.raises(ConfigError, match=r"needs pyHalo, .*: pip install 'lenspinn\[pyhalo\]'"):
        draw()


@pytest.mark.parametrize("change", [{"preset": "SIDM"}, {"diameter": 0.0}, {"max_halos": 0}])
def test_an_impossible_population_is_refused(change):
    with pytest.raises(ConfigError, match=next(iter(change))):
        dataclasses.replace(POPULATIONS["pyhalo_cdm"], **change)


@pytest.fixture
def pyhalo():
    pytest.importorskip("pyHalo.preset_models", reason="needs the optional package pyHalo")


@pytest.mark.usefixtures("pyhalo")
def test_realisations_are_a_function_of_the_generator_and_leave_the_global_one_alone():
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first, again = draw(), draw()
    for one, other in zip(first.halos, again.halos, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (first.halos.mass[0] != first.halos.mass[1]).any()
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


@pytest.mark.usefixtures("pyhalo")
def test_halos_are_what_a_renderer_needs():
    drawn = draw()
    used = drawn.halos.mass > 0
    np.testing.assert_array_equal(used.sum(axis=1), drawn.truth["num_subhalos"])
    assert used.any(axis=1).all()
    assert (drawn.halos.mass[used] >= 10**7.4).all()
    assert (np.diff(drawn.halos.mass, axis=1) <= 0).all()
    assert (drawn.halos.Rs > 0).all()
    assert np.hypot(drawn.halos.x - 0.2, drawn.halos.y + 0.1)[used].max() <= 1.6


@pytest.mark.usefixtures("pyhalo")
def test_warm_dark_matter_has_fewer_halos():
    warm = draw(4, preset="WDM", log10_half_mode_mass=9.0).truth["num_subhalos"].sum()
    assert warm < 0.7 * draw(4).truth["num_subhalos"].sum()
