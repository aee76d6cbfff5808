import numpy as np
import pytest

from lenspinn.errors import ConfigError
from lenspinn.simulate.psf import load_psf


def test_a_psf_is_normalised_as_it_is_read(tmp_path):
    np.save(tmp_path / "psf.npy", np.random.default_rng(5).random((5, 5)))
    assert load_psf(str(tmp_path / "psf.npy"), 0.08).sum().item() == pytest.approx(1.0, abs=1e-15)


def test_a_psf_without_light_is_refused(tmp_path):
    np.save(tmp_path / "psf.npy", np.zeros((3, 3)))
    with pytest.raises(ConfigError, match=r"instrument.psf_kernel: .* no positive sum"):
        load_psf(str(tmp_path / "psf.npy"), 0.08)


def test_real_psfs_are_read(shared_data):
    for name, scale in (("tdlmc_rung0_f160w.fits", 0.08), ("dolphin_psf_wfc3_f160w.npy", 0.08)):
        kernel = load_psf(str(shared_data / "psf" / name), scale)
        middle = len(kernel) // 2
        assert kernel.max() == kernel[middle, middle]
