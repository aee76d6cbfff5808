import dataclasses

import numpy as np
import pytest
import torch

from lenspinn.errors import ConfigError
from lenspinn.simulate import draw_scenes, get_recipe
from lenspinn.simulate.limit import smooth
from lenspinn.simulate.limit.fit import jacobian
from lenspinn.simulate.limit.smooth import check_smooth, smooth_model
from lenspinn.simulate.render import model_image
from lenspinn.simulate.tensors import scene_tensors

# Of the largest derivative by a parameter; sums of other order in float64.
DERIVATIVE_TOLERANCE = 1e-9
SIE = {"theta_E", "e1", "e2", "center_x", "center_y", "gamma1", "gamma2"}
SERSIC = {"amplitude", "R_sersic", "n_sersic", "e1", "e2", "center_x", "center_y"}


def drawn(name, num=2, **overrides):
    recipe = get_recipe(name, num_pix=24, **overrides)
    scene, _ = draw_scenes(recipe, 0, np.arange(num))
    camera = recipe.camera
    return scene_tensors(scene, source_core=camera.source_core, dtype=torch.float64), camera


def names(part, fields):
    return {f"{part}.{field}" for field in fields}


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ("survey/hst", names("lens", SIE) | names("source", SERSIC)),
        (
            "survey/hst_multipoles",
            names("lens", SIE | {"a3_cos", "a3_sin", "a4_cos", "a4_sin"}) | names("source", SERSIC),
        ),
        (
            "survey/hst_lenslight",
            names("lens", SIE) | names("source", SERSIC) | names("lens_light", SERSIC),
        ),
    ],
)
def test_all_numbers_of_lens_source_and_lens_light_are_free(recipe, expected):
    _, parameters = smooth_model(*drawn(recipe))
    assert set(parameters) == expected


def test_recipes_with_clumps_are_refused():
    check_smooth(get_recipe("survey/hst"))
    with pytest.raises(ConfigError, match="sources of survey/hst_clumpy have clumps, which the"):
        check_smooth(get_recipe("survey/hst_clumpy"))


def test_slope_is_free_where_the_lens_has_one():
    _, parameters = smooth_model(*drawn("survey/hst", **{"lens.gamma": 2.1}))
    assert "lens.gamma" in parameters


@pytest.mark.parametrize(
    "recipe", ["deeplense/model_3", "survey/hst", "survey/hst_multipoles", "survey/hst_lenslight"]
)
def test_true_parameters_make_the_scene_without_its_substructure(recipe):
    scene, camera = drawn(recipe, num=3)
    model, parameters = smooth_model(scene, camera)
    bare = scene._replace(points=None, halos=None, rods=None)
    expected = model_image(bare, camera)
    torch.testing.assert_close(model(parameters), expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(model({}), expected, rtol=1e-10, atol=1e-12)


def test_parameters_act_as_in_the_scene():
    """Also in a core as wide as the source, which is as bright as its edge."""
    recipe = get_recipe("survey/hst_multipoles", num_pix=24)
    scene, _ = draw_scenes(recipe, 0, np.arange(2))
    camera = dataclasses.replace(recipe.camera, source_core=0.2)

    def tensors(scene):
        return scene_tensors(scene, source_core=camera.source_core, dtype=torch.float64)

    model, _ = smooth_model(tensors(scene), camera)
    lens = dataclasses.replace(
        scene.lens, theta_E=np.array([1.0, 1.2]), a3=np.full(2, 0.02), phi3=np.full(2, 0.3)
    )
    source = dataclasses.replace(scene.source, R_sersic=scene.source.R_sersic * 1.1)
    changed = tensors(dataclasses.replace(scene.smooth(), lens=lens, source=source))
    _, values = smooth_model(changed, camera)
    torch.testing.assert_close(model(values), model_image(changed, camera), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("recipe", "overrides"),
    [
        ("deeplense/model_3", {}),
        ("survey/euclid", {}),
        ("survey/hst", {"lens.gamma": 2.1}),
        ("survey/hst_multipoles", {}),
        ("survey/hst_lenslight", {}),
    ],
)
def test_one_reverse_pass_gives_what_forward_mode_gives(recipe, overrides, monkeypatch):
    """Chunk by chunk, too."""
    scene, camera = drawn(recipe, num=3, **overrides)
    model, true = smooth_model(scene, camera)
    forward = jacobian(model.__call__, true)
    scale = forward.abs().amax(dim=1, keepdim=True)
    for together in (smooth.SAMPLES_TOGETHER, 1):
        monkeypatch.setattr(smooth, "SAMPLES_TOGETHER", together)
        assert ((jacobian(model, true) - forward) / scale).abs().max() <= DERIVATIVE_TOLERANCE


def test_some_parameters_may_be_held():
    model, true = smooth_model(*drawn("survey/hst"))
    few = {name: true[name] for name in ("source.R_sersic", "lens.theta_E")}
    columns = jacobian(model, true)
    expected = columns[..., [list(true).index(name) for name in few]]
    torch.testing.assert_close(jacobian(model, few), expected, rtol=1e-10, atol=1e-12)


def test_multipole_of_zero_amplitude_still_has_two_directions():
    zero = {"lens.multipoles.a3": 0.0, "lens.multipoles.a4": 0.0}
    scene, camera = drawn("survey/hst_multipoles", **zero)
    model, true = smooth_model(scene, camera)
    pair = {name: true[name] for name in ("lens.a3_cos", "lens.a3_sin")}
    columns = jacobian(model, pair)
    assert columns.isfinite().all()
    step = 1e-5
    for index, name in enumerate(pair):
        up, down = (model({name: true[name] + sign * step}) for sign in (1, -1))
        expected = (up - down).flatten(1) / (2 * step)
        worst = (columns[..., index] - expected).abs().max()
        assert worst <= 1e-3 * expected.abs().max()
