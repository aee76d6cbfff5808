import pytest
import torch

from lenspinn.errors import ConfigError
from lenspinn.simulate import draw_scenes, get_recipe
from lenspinn.simulate.limit.fit import CONVERGED
from lenspinn.simulate.limit.lenses import REFERENCE_MAGNITUDE, draw_lenses, visibility
from lenspinn.simulate.render import render

SMALL = {"num_pix": 40}
# All but theta_E and the place of the source, where the test is not about what is fitted.
KNOWN = (
    *(f"lens.{name}" for name in ("e1", "e2", "center_x", "center_y", "gamma1", "gamma2")),
    *(f"source.{name}" for name in ("amplitude", "R_sersic", "n_sersic", "e1", "e2")),
)

LIGHT = ("amplitude", "R_sersic", "n_sersic", "e1", "e2", "center_x", "center_y")


def recipe(name="survey/hst", **overrides):
    return get_recipe(name, **SMALL, **overrides)


def seen_at(recipe, magnitude, num=2, known=KNOWN):
    return visibility(draw_lenses(recipe, 0, range(num), known), magnitude, seed=0)


@pytest.fixture(scope="module")
def lenses():
    return draw_lenses(recipe(), 0, range(4))


@pytest.fixture(scope="module")
def seen(lenses):
    return visibility(lenses, REFERENCE_MAGNITUDE, seed=0)


def test_classes_share_lens_and_source(lenses):
    """The smooth scene is that of the dataset's image of the same number and class."""
    for label in range(3):
        scene, _ = draw_scenes(lenses.recipe, 0, [label])
        for part in ("lens", "source"):
            for name, value in vars(getattr(scene, part)).items():
                if value is not None and name != "flux":
                    expected = getattr(getattr(lenses.smooth, part), name)[label]
                    assert value[0] == expected


def test_truth_is_that_of_each_class(lenses):
    vortex, heaviest = (
        lenses.truth[name][key] for name, key in (("axion", "vortex_mass"), ("cdm", "point_mass"))
    )
    assert vortex.tolist() == [3e10] * 4
    assert heaviest.shape[0] == 4
    assert lenses.truth["no_sub"]["substructure_mass"].tolist() == [0.0] * 4


def test_images_are_those_of_the_dataset(lenses):
    for label, name in enumerate(lenses.recipe.classes):
        scene, _ = draw_scenes(lenses.recipe, 0, [label])
        expected = render(scene, lenses.recipe.camera, dtype=torch.float64)[0]
        source = lenses.sources[name]
        if name == "no_sub":
            assert source is None
        else:
            torch.testing.assert_close(
                source[label] * scene.source.flux[0], expected, rtol=1e-9, atol=1e-12
            )


def test_smooth_class_has_no_significance_and_the_others_have(seen):
    assert (seen.significance[:, 2] == 0).all()
    assert (seen.significance[:, :2] > 0).all()
    assert seen.converged.all()


def test_fit_explains_at_least_what_the_linear_model_finds_for_weak_signals(seen):
    weak = seen.significance[:, 1] < 1
    assert weak.any()
    torch.testing.assert_close(seen.significance[weak, 1], seen.linear[weak, 1], rtol=0.02, atol=0)


def test_significance_falls_with_magnitude_and_accuracy_with_it(lenses, seen):
    faint = visibility(lenses, 25.0, seed=0)
    assert (faint.significance[:, :2] < seen.significance[:, :2]).all()
    right, wrong = (v.confusion.diagonal(dim1=1, dim2=2).mean() for v in (seen, faint))
    assert right > wrong >= 1 / 3


def test_significance_is_in_units_of_the_noise():
    """Where the sky's noise is all there is, half the noise is twice the significance."""
    quiet = {"instrument.exposure_time": 1e9, "instrument.background_rms": 0.01}
    one = seen_at(recipe(**quiet), 22.0)
    other = seen_at(recipe(**quiet | {"instrument.background_rms": 0.005}), 22.0)
    torch.testing.assert_close(
        2 * one.significance, other.significance, rtol=2 * CONVERGED, atol=1e-6
    )


def test_faults_of_the_noise_play_no_part():
    names = ("noise_left_out", "image_doubled", "counts", "second_poisson")
    faulty = recipe(**{f"faults.{name}": True for name in names})
    assert torch.equal(seen_at(faulty, 22.0).significance, seen_at(recipe(), 22.0).significance)


def test_magnitude_of_the_recipe_plays_no_part():
    bright = draw_lenses(recipe(**{"source.magnitude": 18.0}), 0, range(2), KNOWN)
    usual = draw_lenses(recipe(), 0, range(2), KNOWN)
    for name in ("axion", "cdm"):
        torch.testing.assert_close(bright.sources[name], usual.sources[name])


def test_lens_depends_on_its_number_alone():
    some, more = (
        visibility(draw_lenses(recipe(), 3, numbers, KNOWN), 22.0, seed=0)
        for numbers in ([5], [2, 5, 7])
    )
    torch.testing.assert_close(some.significance[0], more.significance[1], rtol=1e-6, atol=0)


def test_known_parameters_leave_more_to_see(seen):
    fixed = seen_at(recipe(), REFERENCE_MAGNITUDE, num=4)
    assert (fixed.significance[:, :2] >= seen.significance[:, :2] * (1 - CONVERGED)).all()
    assert (fixed.significance[:, 0] > 1.2 * seen.significance[:, 0]).all()


def test_unknown_parameter_is_refused():
    with pytest.raises(ConfigError, match=r"known: .*'lens.centre_x'.*'lens.center_x'"):
        draw_lenses(recipe(), 0, range(2), ["lens.centre_x"])


def test_instrument_without_zero_point_is_refused():
    with pytest.raises(ConfigError, match="zero_point, which deeplense_model_1 of"):
        draw_lenses(get_recipe("deeplense/model_1"), 0, range(2))


def test_clumpy_sources_are_refused():
    with pytest.raises(ConfigError, match="sources of survey/hst_clumpy have clumps"):
        draw_lenses(recipe("survey/hst_clumpy"), 0, range(2))


def test_photons_of_subtracted_light_make_noise():
    name, known = "survey/hst_lenslight", (*KNOWN, *(f"lens_light.{n}" for n in LIGHT))
    faint, bright = (recipe(name, **{"lens_light.magnitude": m}) for m in (21.0, 16.0))
    one, other = (seen_at(each, 22.0, known=known).significance[:, 0] for each in (faint, bright))
    assert (other < 0.8 * one).all()


def test_any_number_of_classes():
    found = seen_at(recipe(**{"populations.shallow": "cdm"}), 22.0)
    assert found.significance.shape == (2, 4)
    assert found.confusion.shape == (2, 4, 4)
