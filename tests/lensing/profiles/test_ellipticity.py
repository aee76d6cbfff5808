import numpy as np
import pytest
import torch
from lenstronomy.Util import param_util

from lenspinn import lensing

from .conftest import ROUNDING, scalar


def test_ellipticity_agrees_with_lenstronomy():
    rng = np.random.default_rng(9)
    for e1, e2 in rng.uniform(-0.6, 0.6, (50, 2)):
        phi, q = param_util.ellipticity2phi_q(e1, e2)
        ours = lensing.ellipticity_to_axis_ratio(scalar(e1), scalar(e2))
        assert [value.item() for value in ours] == pytest.approx([q, phi], rel=ROUNDING)


def test_axis_ratio_and_ellipticity_are_inverse():
    q, phi = scalar(0.63), scalar(-1.1)
    back = lensing.ellipticity_to_axis_ratio(*lensing.axis_ratio_to_ellipticity(q, phi))
    torch.testing.assert_close(back, (q, phi), rtol=ROUNDING, atol=0)
