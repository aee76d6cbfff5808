import math

import numpy as np
import pytest
import torch

from lenspinn.fitting import SMOOTH_PARAMETERS, make_optics, smooth_image
from lenspinn.measure.plain_parameters import PlainParameters, plain_parameters

SIDE, SCALE = 61, 0.05
# Of the cusp of a source in pixels of a ninth of its radius.
FLUX = 0.02
SMOOTH = {
    "theta_E": 1.1,
    "e1": 0.12,
    "e2": -0.16,
    "center_x": 0.02,
    "center_y": -0.03,
    "gamma1": 0.03,
    "gamma2": 0.04,
    "source_x": 0.1,
    "source_y": 0.05,
    "source_e1": 0.0,
    "source_e2": 0.2,
    "log_R_sersic": math.log(0.15),
    "log_n_sersic": math.log(2.0),
    "log_amplitude": 1.0,
}
DRAWS = 400
# Of a standard deviation of so many draws, and what is not linear about 1 % of a parameter.
SCATTER = 0.2


def plain(parameters: dict[str, float], covariance: np.ndarray) -> PlainParameters:
    return plain_parameters(parameters, covariance, num_pix=SIDE, pixel_scale=SCALE)


@pytest.fixture(scope="module")
def covariance() -> np.ndarray:
    """Errors of a hundredth, correlated as those of size and brightness of a source are."""
    sigma = np.full(len(SMOOTH_PARAMETERS), 0.01)
    correlation = np.eye(len(sigma))
    size, brightness = (SMOOTH_PARAMETERS.index(f"log_{n}") for n in ("R_sersic", "amplitude"))
    correlation[size, brightness] = correlation[brightness, size] = -0.95
    return correlation * np.outer(sigma, sigma)


def test_numbers_are_in_plain_units(covariance: np.ndarray) -> None:
    found = plain(SMOOTH, covariance)
    assert found.lens["theta_E_arcsec"] == 1.1
    assert found.lens["axis_ratio"] == pytest.approx(0.8 / 1.2)
    assert found.lens["position_angle_deg"] == pytest.approx(-26.565, abs=1e-3)
    assert found.lens["shear"] == pytest.approx(0.05)
    assert found.source["R_sersic_arcsec"] == pytest.approx(0.15)
    assert found.source["n_sersic"] == pytest.approx(2.0)
    assert found.source["position_angle_deg"] == pytest.approx(45.0)
    assert found.source_errors["R_sersic_arcsec"] == pytest.approx(0.15 * 0.01)
    assert not [name for name in (*found.lens, *found.source) if "log" in name]


def test_the_flux_is_that_of_an_image_of_the_source_without_a_lens(covariance) -> None:
    unlensed = SMOOTH | dict.fromkeys(("theta_E", "gamma1", "gamma2"), 0.0)
    wide = make_optics(401, SCALE, (1.0,), supersampling=3, dtype=torch.float64)
    values = torch.tensor([list(unlensed.values())], dtype=torch.float64)
    found = plain(SMOOTH, covariance)
    assert found.source["flux"] == pytest.approx(float(smooth_image(values, wide).sum()), rel=FLUX)
    lensed = smooth_image(torch.tensor([list(SMOOTH.values())], dtype=torch.float64), wide)
    assert found.source["magnification"] * found.source["flux"] == pytest.approx(
        float(lensed.sum()), rel=0.05
    )


def test_errors_are_what_numbers_scatter_by(covariance: np.ndarray) -> None:
    found = plain(SMOOTH, covariance)
    rng = np.random.default_rng(2)
    drawn = rng.multivariate_normal(list(SMOOTH.values()), covariance, size=DRAWS)
    none = np.zeros_like(covariance)
    others = [plain(dict(zip(SMOOTH, row, strict=True)), none) for row in drawn]
    for part, names in (("lens", found.lens), ("source", found.source)):
        errors = getattr(found, f"{part}_errors")
        for name in names:
            scatter = np.std([getattr(other, part)[name] for other in others])
            assert errors[name] == pytest.approx(scatter, rel=SCATTER), name


def test_a_round_lens_has_no_direction(covariance: np.ndarray) -> None:
    found = plain(SMOOTH | {"e1": 0.0, "e2": 0.0}, covariance)
    assert found.lens["axis_ratio"] == 1.0
    assert found.lens_errors["position_angle_deg"] == 90.0
    assert math.isfinite(found.lens_errors["axis_ratio"])


def test_a_zero_point_gives_a_magnitude(covariance: np.ndarray) -> None:
    found = plain(SMOOTH, covariance)
    with_magnitude = found.with_magnitude(25.0)
    flux, error = found.source["flux"], found.source_errors["flux"]
    assert with_magnitude.source["magnitude"] == pytest.approx(25 - 2.5 * math.log10(flux))
    expected = 2.5 / math.log(10) * error / flux
    assert with_magnitude.source_errors["magnitude"] == pytest.approx(expected)
    assert "magnitude" not in found.source
