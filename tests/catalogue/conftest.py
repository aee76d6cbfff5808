"""A table of lenses whose fit is not run: what is tested is what happens around it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lenspinn.catalogue import work
from lenspinn.data.fits import write_fits
from lenspinn.measure import LensMeasurement


@pytest.fixture
def lenses(scene, tmp_path: Path) -> Path:
    """Five rows: the third has no image, and the fourth one that is none."""
    folder = tmp_path / "lenses"
    for name in ("A", "B", "E"):
        (folder / name).mkdir(parents=True)
        write_fits(folder / name / "data.fits", scene.image, scene.pixel_scale)
        write_fits(folder / name / "noise_map.fits", scene.sigma, scene.pixel_scale)
        write_fits(folder / name / "psf.fits", scene.psf, scene.pixel_scale)
    (folder / "D.fits").write_bytes(b"nothing")
    table = folder / "lenses.csv"
    rows = ["A,0.2,first", "B,0.4,second", "C,0.5,third", "D.fits,,fourth", "E,0.9,fifth"]
    table.write_text("\n".join(["image,z_lens,comment", *rows]) + "\n")
    return table


@pytest.fixture
def fits(measured: LensMeasurement, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Images that were measured in this process; the fit is not run."""
    seen: list[np.ndarray] = []

    def measure(found, known, **_) -> tuple[LensMeasurement, list[str]]:
        seen.append(found.data)
        return measured, ["a note"]

    monkeypatch.setattr(work, "measure_telescope_image", measure)
    return seen


@pytest.fixture
def stop_after(fits: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the process be interrupted when so many lenses were measured, or not any more (0)."""
    measure = work.measure_telescope_image

    def set_number(number: int) -> None:
        def interrupted(*arguments, **options):
            if number and len(fits) >= number:
                raise KeyboardInterrupt
            return measure(*arguments, **options)

        monkeypatch.setattr(work, "measure_telescope_image", interrupted)

    return set_number
