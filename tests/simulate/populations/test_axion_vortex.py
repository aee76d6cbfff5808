import dataclasses

import numpy as np
import pytest

from lenspinn.errors import ConfigError
from lenspinn.simulate import draw_scenes, get_recipe, render
from lenspinn.simulate.distributions import Fixed, LogUniform, Uniform
from lenspinn.simulate.populations import POPULATIONS

from .conftest import UNIT, drawn


def test_the_points_of_a_vortex_add_up_to_its_mass():
    np.testing.assert_allclose(drawn("axion").points.mass.sum(axis=1), 3e10, rtol=1e-12)


def test_a_vortex_is_a_straight_line_through_the_lens_centre():
    substructure = drawn("axion")
    x0, y0, x1, y1 = substructure.truth["vortex_ends"].T[..., None]
    np.testing.assert_allclose((x0 + x1) / 2, 0.2, atol=1e-12)
    np.testing.assert_allclose((y0 + y1) / 2, -0.1, atol=1e-12)
    points = substructure.points
    across = (points.x - x0) * (y1 - y0) - (points.y - y0) * (x1 - x0)
    np.testing.assert_allclose(across, 0, atol=1e-12)
    np.testing.assert_allclose(points.x[:, [0, -1]], np.hstack([x0, x1]), atol=1e-12)


def test_a_vortex_is_as_long_as_the_simulator_says():
    truth = drawn("axion").truth
    x0, y0, x1, y1 = truth["vortex_ends"].T
    half = 0.06 / (2 * truth["axion_mass_eV"]) * 1e-22
    np.testing.assert_allclose(np.hypot(x1 - x0, y1 - y0), 2 * half, rtol=1e-12)
    np.testing.assert_allclose(truth["vortex_length"], 2 * half, rtol=1e-12)


def test_several_vortices_share_the_mass_and_lie_off_the_centre():
    changes = {"number": 3, "offset": Uniform(0.5, 1.0), "continuous": True}
    rods = drawn("axion", **changes).rods
    assert rods.x0.shape == (400, 3)
    np.testing.assert_allclose(rods.mass.sum(axis=1), 3e10, rtol=1e-12)
    np.testing.assert_allclose(rods.theta_E, UNIT * np.sqrt(1e10), rtol=1e-12)
    distance = np.hypot((rods.x0 + rods.x1) / 2 - 0.2, (rods.y0 + rods.y1) / 2 + 0.1)
    assert distance.min() >= 0.5
    assert distance.max() <= 1.0
    points = drawn("axion", **changes | {"continuous": False}).points
    assert points.x.shape == (400, 300)
    np.testing.assert_allclose(points.x[:, ::100], rods.x0, rtol=1e-9)


@pytest.mark.parametrize("continuous", [False, True])
def test_vortices_of_drawn_masses_lie_where_those_of_a_fixed_mass_do(continuous):
    fixed = drawn("axion", continuous=continuous)
    varied = drawn("axion", mass=LogUniform(1e8, 1e11), continuous=continuous)
    mass = varied.truth["vortex_mass"]
    assert mass.min() < 3e8 < 3e10 < mass.max()
    for name in ("vortex_ends", "axion_mass_eV"):
        np.testing.assert_array_equal(varied.truth[name], fixed.truth[name])
    pieces, same = (part.rods if continuous else part.points for part in (varied, fixed))
    np.testing.assert_allclose(pieces.mass.sum(axis=1), mass, rtol=1e-12)
    np.testing.assert_allclose(
        pieces.theta_E / same.theta_E, np.sqrt(mass / 3e10)[:, None].repeat(same.mass.shape[1], 1)
    )


def test_many_points_are_a_continuous_vortex():
    changes = {
        "num_pix": 32,
        "instrument.pixel_scale": 0.15,
        "populations.axion.axion_mass": {"uniform": [4e-24, 6e-24]},
    }
    images = []
    for more in ({"num_points": 20_000}, {"continuous": True}):
        keys = {f"populations.axion.{name}": value for name, value in more.items()}
        recipe = get_recipe("survey/hst", **changes, **keys)
        images.append(render(draw_scenes(recipe, 0, [0, 3])[0], recipe.camera))
    points, rod = images
    # Points 6e-5 arcsec apart differ from a line on the few pixels nearest to it.
    assert (points - rod).abs().max() <= 2e-3 * rod.max()


@pytest.mark.parametrize("change", [{"num_points": 0}, {"mass": Fixed(0.0)}, {"number": 0}])
def test_an_impossible_population_is_refused(change):
    with pytest.raises(ConfigError, match=next(iter(change))):
        dataclasses.replace(POPULATIONS["axion"], **change)
