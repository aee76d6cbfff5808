import dataclasses

import numpy as np
import pytest
import torch

from lenspinn.errors import ConfigError
from lenspinn.lensing import sersic
from lenspinn.simulate import get_recipe
from lenspinn.simulate.distributions import Fixed, Normal, Uniform
from lenspinn.simulate.priors import SourcePrior
from lenspinn.simulate.scene import SersicLight

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


def clumpy(**changes) -> SourcePrior:
    source = get_recipe("survey/hst_clumpy").source
    return dataclasses.replace(source, clumps=dataclasses.replace(source.clumps, **changes))


def drawn(prior: SourcePrior, num: int = NUM) -> tuple[SersicLight, SersicLight, np.ndarray]:
    """Return sources without and with clumps, and the share of these."""
    smooth, _ = prior.draw(rng(), get_recipe("survey/hst").instrument, num)
    light, truth = prior.draw_clumps(rng(), smooth)
    return smooth, light, truth["clump_share"]


def test_a_clumpy_source_is_the_smooth_one_with_clumps():
    smooth, light, share = drawn(clumpy())
    assert dataclasses.replace(light, clumps=None) == smooth
    assert light.clumps.flux.shape == (NUM, 10)
    np.testing.assert_allclose(light.clumps.flux.sum(axis=1), share * smooth.flux, rtol=1e-12)
    np.testing.assert_allclose(light.smooth_flux, (1 - share) * smooth.flux, rtol=1e-12)
    assert (light.clumps.flux > 0).all()
    assert 0 <= share.min() < 0.02 < 0.38 < share.max() <= 0.4
    assert 0.02 <= light.clumps.sigma.min() < light.clumps.sigma.max() <= 0.12


def test_clumps_are_unequal():
    _, light, share = drawn(clumpy())
    weights = light.clumps.flux / (share * light.flux)[:, None]
    # Of 10 exponential weights of sum 1, the brightest has (1 + 1/2 + ... + 1/10) / 10 on average.
    assert weights.max(axis=1).mean() == pytest.approx(0.293, abs=0.015)


def test_clumps_follow_the_ellipse_of_their_source():
    _, light, _ = drawn(clumpy(radius=Fixed(0.7)))
    columns = {
        name: torch.from_numpy(getattr(light, name))[:, None, None]
        for name in ("R_sersic", "n_sersic", "e1", "e2", "center_x", "center_y")
    }
    x, y = (torch.from_numpy(place)[:, None] for place in (light.clumps.x, light.clumps.y))
    brightness = sersic(x, y, amplitude=1.0, **columns)
    # A profile is constant on the ellipse, and known on the circle that it comes from.
    at = {"e1": 0.0, "e2": 0.0, "center_x": 0.0, "center_y": 0.0}
    on_circle = sersic(0.7 * columns["R_sersic"], 0 * x[..., :1], amplitude=1.0, **columns | at)
    torch.testing.assert_close(brightness, on_circle.expand_as(brightness), rtol=1e-9, atol=0)
    quadrants = (light.clumps.x > light.center_x[:, None]).mean()
    assert quadrants == pytest.approx(0.5, abs=0.05)


def test_a_source_without_clumps_draws_nothing():
    random = rng()
    before = random.bit_generator.state
    smooth, _, _ = drawn(clumpy(), num=3)
    assert get_recipe("survey/hst").source.draw_clumps(random, smooth) == (smooth, {})
    assert random.bit_generator.state == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"number": 0}, "number must be at least 1, got 0"),
        ({"share": Uniform(0.0, 1.1)}, "share must always lie between 0 and 1, which Uniform"),
        ({"share": Normal(0.3, 0.1)}, "share must always lie between 0 and 1, which Normal"),
        ({"share": Fixed(-0.1)}, "share must always lie between 0 and 1"),
        ({"sigma": Uniform(0.0, 0.1)}, "sigma must always be above 0"),
        ({"radius": Uniform(-0.5, 0.5)}, "radius must never be below 0, which Uniform"),
    ],
)
def test_impossible_clumps_are_refused(change, said):
    with pytest.raises(ConfigError, match=said):
        clumpy(**change)


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


def test_ellipticities_that_are_too_large_are_shortened_along_their_direction():
    recipe = get_recipe("survey/hst", **{"source.e1": {"normal": [0.0, 0.9]}})
    light, _ = recipe.source.draw(np.random.default_rng(0), recipe.instrument, 1000)
    usual = get_recipe("survey/hst", **{"source.e1": {"normal": [0.0, 0.09]}})
    small, _ = usual.source.draw(np.random.default_rng(0), recipe.instrument, 1000)
    size = np.hypot(light.e1, light.e2)
    assert size.max() == pytest.approx(0.95)
    shortened = np.hypot(10 * small.e1, small.e2) > 0.95
    assert 0.1 < shortened.mean() < 0.9
    np.testing.assert_allclose(light.e1[~shortened], 10 * small.e1[~shortened], rtol=1e-12)
    np.testing.assert_allclose(light.e2 / light.e1, small.e2 / (10 * small.e1), rtol=1e-9)
