import pytest
import torch

from lenspinn.simulate.limit.fit import CONVERGED, fit_smooth, jacobian, unexplained

SIDE = 12


def grid():
    axis = torch.linspace(-3, 3, SIDE, dtype=torch.float64)
    return axis[None, None, :], axis[None, :, None]


def blob(parameters):
    """A Gaussian of any place, width and height."""
    x, y = grid()
    squared = (x - parameters["x"]).square() + (y - parameters["y"]).square()
    return parameters["height"] * torch.exp(-squared / (2 * parameters["width"].square()))


def values(**numbers):
    return {
        name: torch.tensor(row, dtype=torch.float64)[:, None, None] for name, row in numbers.items()
    }


TRUE = values(x=[0.3, -0.5], y=[0.0, 0.4], width=[1.0, 1.3], height=[2.0, 3.0])
SIGMA = torch.full((2, SIDE, SIDE), 0.1, dtype=torch.float64)


def bump(height=0.2):
    x, y = grid()
    return height * torch.exp(-4 * ((x - 1.2).square() + (y + 0.7).square())).expand(2, -1, -1)


def test_jacobian_is_the_derivative_by_each_parameter():
    found = jacobian(blob, TRUE)
    step = 1e-6
    for column, name in enumerate(TRUE):
        up, down = ({**TRUE, name: TRUE[name] + sign * step} for sign in (1, -1))
        expected = (blob(up) - blob(down)).flatten(1) / (2 * step)
        torch.testing.assert_close(found[..., column], expected, rtol=0, atol=1e-8)


def test_what_parameters_can_make_is_explained():
    explained = jacobian(blob, TRUE).sum(dim=2).unflatten(1, (SIDE, SIDE))
    left = unexplained(blob, TRUE, explained + bump(), SIGMA)
    torch.testing.assert_close(left, unexplained(blob, TRUE, bump(), SIGMA), rtol=0, atol=1e-9)


def test_what_is_left_is_orthogonal_to_all_that_parameters_make():
    left = unexplained(blob, TRUE, bump(), SIGMA)
    columns = jacobian(blob, TRUE) / SIGMA.flatten(1)[..., None]
    overlap = torch.einsum("bnp,bn->bp", columns, left)
    assert overlap.abs().max() <= 1e-9 * columns.norm() * left.norm()
    assert (left.norm(dim=1) < (bump() / SIGMA).flatten(1).norm(dim=1)).all()


def test_parameters_that_do_the_same_or_nothing_count_once():
    def doubled(parameters):
        shifted = {**parameters, "x": parameters["x"] + parameters["also_x"]}
        return blob(shifted) + 0 * parameters["nothing"]

    more = TRUE | values(also_x=[0.0, 0.0], nothing=[1.0, 1.0])
    torch.testing.assert_close(
        unexplained(doubled, more, bump(), SIGMA),
        unexplained(blob, TRUE, bump(), SIGMA),
        rtol=0,
        atol=1e-9,
    )
    image = blob(TRUE) + bump()
    torch.testing.assert_close(
        fit_smooth(doubled, more, image, SIGMA).significance,
        fit_smooth(blob, TRUE, image, SIGMA).significance,
        rtol=CONVERGED,
        atol=0,
    )


def test_fit_finds_the_parameters_of_a_smooth_image():
    wrong = {name: value * 1.2 + 0.1 for name, value in TRUE.items()}
    fit = fit_smooth(blob, wrong, blob(TRUE), SIGMA)
    assert fit.converged.all()
    # a linear step from there leaves less than the tolerance squared
    assert (fit.significance <= CONVERGED).all()
    for name, value in TRUE.items():
        torch.testing.assert_close(fit.parameters[name], value, rtol=0, atol=1e-3)


def test_fit_reaches_the_least_chi_squared():
    """Against a general minimiser, where the best model is far from the true one."""
    optimize = pytest.importorskip("scipy.optimize")
    image = blob(TRUE) + bump(height=3.0)
    fit = fit_smooth(blob, TRUE, image, SIGMA)
    linear = unexplained(blob, TRUE, bump(height=3.0), SIGMA).norm(dim=1)
    for row in range(2):

        def residual(point, row=row):
            trial = values(**{n: [v] for n, v in zip(TRUE, point, strict=True)})
            return ((image[row] - blob(trial)[0]) / SIGMA[row]).flatten().numpy()

        start = [value[row].item() for value in TRUE.values()]
        best = optimize.least_squares(residual, start, xtol=1e-12, ftol=1e-12)
        expected = (2 * best.cost) ** 0.5
        assert fit.significance[row].item() == pytest.approx(expected, rel=1e-5)
    assert (linear / fit.significance).max() > 1.03


def test_weak_signals_need_no_fit():
    image = blob(TRUE) + bump(height=1e-3)
    torch.testing.assert_close(
        fit_smooth(blob, TRUE, image, SIGMA).significance,
        unexplained(blob, TRUE, bump(height=1e-3), SIGMA).norm(dim=1),
        rtol=1e-3,
        atol=0,
    )


def test_lenses_of_a_batch_do_not_depend_on_each_other():
    image = blob(TRUE) + bump(height=torch.tensor([3.0, 0.01])[:, None, None])
    together = fit_smooth(blob, TRUE, image, SIGMA).significance
    for row in range(2):
        one = slice(row, row + 1)
        alone = fit_smooth(blob, {n: v[one] for n, v in TRUE.items()}, image[one], SIGMA[one])
        torch.testing.assert_close(alone.significance, together[one], rtol=1e-9, atol=0)


def test_model_that_is_undefined_beyond_its_start_does_not_converge_to_nonsense():
    def fragile(parameters):
        return blob(parameters) + torch.log(parameters["x"] - 0.299)[..., :1] * 0

    start = values(x=[0.3], y=[0.0], width=[1.0], height=[2.0])
    fit = fit_smooth(fragile, start, blob(TRUE)[:1] - 3 * bump()[:1], SIGMA[:1])
    assert fit.significance.isfinite().all()
    assert fit.parameters["x"].item() > 0.299
