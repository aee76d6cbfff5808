import math

import numpy as np
import pytest
import torch

from lenspinn.detect.peaks import find_peaks
from lenspinn.detect.robustness import SecondLook, broadened, second_looks
from lenspinn.measure.psf import full_width

from .conftest import small_psf


def test_a_peak_survives_with_height_and_mass():
    assert SecondLook("other", 0.8, 1.3).survives
    assert not SecondLook("other", 0.5, 1.0).survives
    assert not SecondLook("other", 1.0, 2.5).survives
    assert not SecondLook("other", 1.0, -1.0).survives


def variance(psf):
    x = torch.arange(len(psf), dtype=psf.dtype) - len(psf) // 2
    return float((psf.sum(dim=0) * x**2).sum() / psf.sum())


@pytest.mark.parametrize("width", [1.0, 6.0])
def test_a_psf_is_made_broader_by_its_share(width):
    radius = np.hypot(*(np.indices((61, 61)) - 30))
    pixels = np.exp(-(radius**2) / (2 * width**2))
    psf = torch.from_numpy(pixels / pixels.sum())
    wider = broadened(psf, 0.03)
    assert float(wider.sum()) == pytest.approx(1)
    # Of a Gaussian as its pixels sample it; its width is told from the area above half its peak.
    assert variance(wider) / variance(psf) == pytest.approx(1.03**2, abs=0.012)
    assert full_width(wider.numpy()) >= full_width(psf.numpy())


def test_every_other_model_looks_at_every_peak(lens, bank, solution):
    (peaks,) = find_peaks(bank, solution, None, most=2)
    looks = second_looks(bank, peaks)
    assert len(looks) == len(peaks)
    # No lens light is in this image: four models of source, lens and PSF are left.
    assert [len(of_peak) for of_peak in looks] == [4] * len(peaks)
    assert all(math.isfinite(look.height) for of_peak in looks for look in of_peak)
    assert small_psf().shape == tuple(lens.optics.psf.shape)
