from pathlib import Path

import numpy as np
import pytest

from lenspinn.measure.companions import FileOptions, read_with_companions
from lenspinn.web import SAMPLES, write_sample


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_read_as_a_telescopes_files_are(name: str, tmp_path: Path) -> None:
    files = write_sample(name, tmp_path)
    found, known = read_with_companions(files.image, FileOptions(noise=files.noise, psf=files.psf))
    assert found.unit == "e-/s"
    assert 0.05 < found.pixel_scale < 0.25
    assert known.noise is not None
    assert known.psf is not None
    assert known.noise.shape == found.data.shape
    assert float(known.psf.sum()) == pytest.approx(1.0, abs=1e-3)
    assert np.median(abs(found.data) / known.noise) < 3
