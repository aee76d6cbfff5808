import dataclasses

import numpy as np
import pytest

from lenspinn.errors import ConfigError
from lenspinn.simulate import get_recipe
from lenspinn.simulate.distributions import Fixed, Normal, Uniform

PLANE = get_recipe("survey/hst").lens_plane
NUM = 500


def rng() -> np.random.Generator:
    return np.random.default_rng(2)


def test_a_lens_given_by_mass_has_its_einstein_radius():
    prior = dataclasses.replace(get_recipe("survey/hst").lens, theta_E=None, mass=Fixed(1e12))
    lens = prior.draw(rng(), PLANE, 3)
    np.testing.assert_allclose(lens.theta_E, 1e6 * PLANE.theta_E_unit, rtol=1e-12)


def test_the_isothermal_ellipse_has_no_other_shape():
    assert get_recipe("survey/hst").lens.draw_shape(rng(), 3) == {}


def test_slope_and_multipoles_are_drawn_where_asked_for():
    prior = get_recipe("survey/hst_multipoles", **{"lens.gamma": {"normal": [2.0, 0.1]}}).lens
    shape = prior.draw_shape(rng(), NUM)
    assert list(shape) == ["gamma", "a3", "phi3", "a4", "phi4"]
    # 500 draws: standard deviations scatter by 3 %.
    assert shape["gamma"].std() == pytest.approx(0.1, rel=0.15)
    assert shape["a3"].std() == pytest.approx(0.01, rel=0.15)
    assert shape["phi4"].max() <= np.pi / 2


def test_lens_light_follows_the_mass():
    recipe = get_recipe("survey/hst_lenslight")
    lens = recipe.lens.draw(rng(), PLANE, NUM)
    light, model = recipe.draw_lens_light(rng(), lens)
    np.testing.assert_array_equal(light.center_x, lens.center_x)
    assert (light.e1 - lens.e1).std() == pytest.approx(0.05, rel=0.15)
    assert (model.flux / light.flux).std() == pytest.approx(0.02, rel=0.15)
    assert (model.R_sersic / light.R_sersic).std() == pytest.approx(0.02, rel=0.15)
    np.testing.assert_array_equal(model.e1, light.e1)


def test_lens_light_can_be_left_on_and_off():
    on = get_recipe("survey/hst_lenslight", **{"lens_light.subtraction_error": None})
    lens = on.lens.draw(rng(), PLANE, 3)
    light, model = on.draw_lens_light(rng(), lens)
    assert light is not None
    assert model is None
    assert get_recipe("survey/hst").draw_lens_light(rng(), lens) == (None, None)


@pytest.mark.parametrize(
    ("recipe", "part", "change", "said"),
    [
        ("survey/hst", "lens", {"mass": Fixed(1e12)}, "either theta_E or mass"),
        ("survey/hst", "lens", {"theta_E": Uniform(-1.0, 1.0)}, "theta_E must always be above 0"),
        ("survey/hst", "source", {"R_sersic": Normal(1.0, 1.0)}, "R_sersic must always be above 0"),
        ("survey/hst_lenslight", "lens_light", {"n_sersic": Fixed(0.0)}, "n_sersic must always be"),
    ],
)
def test_an_impossible_prior_is_refused(recipe, part, change, said):
    with pytest.raises(ConfigError, match=said):
        dataclasses.replace(getattr(get_recipe(recipe), part), **change)
