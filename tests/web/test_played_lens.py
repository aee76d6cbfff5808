import numpy as np
import pytest

from lenspinn.errors import ConfigError
from lenspinn.web import LensChoice, play_lens
from lenspinn.web.played_lens import INSTRUMENTS


def test_the_smooth_lens_explains_an_image_without_substructure() -> None:
    lens = play_lens(LensChoice(substructure="no_sub"))
    assert lens.chi2 == pytest.approx(1.0, abs=0.1)
    assert lens.significance.max() < 5
    assert abs(lens.residual).max() < 6


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_one_more_mass_helps_most_where_the_clump_is(instrument: str) -> None:
    choice = LensChoice(instrument=instrument, log_mass=9.5, magnitude=22.0)
    lens = play_lens(choice)
    row, column = np.unravel_index(lens.significance.argmax(), lens.significance.shape)
    middle = (len(lens.image) - 1) / 2
    x, y = ((at - middle) * lens.pixel_scale for at in (column, row))
    assert np.hypot(x - choice.clump_x, y - choice.clump_y) < 0.3
    assert lens.significance.max() > 10
    assert "helps most at" in lens.sentence


def test_the_fit_finds_the_lens_of_the_sliders() -> None:
    lens = play_lens(LensChoice(substructure="no_sub", theta_E=1.25))
    assert float(lens.fit.parameters[0, 0]) == pytest.approx(1.25, abs=0.01)


@pytest.mark.parametrize(("substructure", "kind"), [("cdm", "points"), ("axion", "points")])
def test_populations_are_those_of_the_recipe(substructure: str, kind: str) -> None:
    lens = play_lens(LensChoice(substructure=substructure, log_mass=10.0))
    mass = getattr(lens.scene, kind).mass
    assert 1e6 < mass.sum() < 25 * 10**10.0


def test_a_fainter_source_hides_heavier_masses() -> None:
    bright, faint = (play_lens(LensChoice(magnitude=m)).visible_mass for m in (21.0, 24.0))
    assert (faint > 2 * bright).mean() > 0.9


def test_the_same_choice_gives_the_same_image_and_another_draw_another_one() -> None:
    one, same, other = (play_lens(LensChoice(draw=n)).image for n in (1, 1, 2))
    assert (one == same).all()
    assert not (one == other).all()


def test_what_is_no_choice_is_refused() -> None:
    with pytest.raises(ConfigError, match="instrument must be one of HST"):
        LensChoice(instrument="eye")
    with pytest.raises(ConfigError, match="substructure must be one of no_sub"):
        LensChoice(substructure="dust")
