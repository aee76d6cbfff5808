"""Noise (the functions of `instrument`, until they move here)."""

import numpy as np

from lenspinn.simulate import instrument as _instrument
from lenspinn.simulate.faults import Faults
from lenspinn.simulate.instrument import Instrument, add_noise, background_sigma, noise_sigma

__all__ = ["add_noise", "background_sigma", "noise_sigma", "observe"]


def observe(
    image: np.ndarray,
    instrument: Instrument,
    faults: Faults,
    generator: np.random.Generator,
    *,
    exposure_time: float | None = None,
    subtracted: np.ndarray | None = None,
) -> np.ndarray:
    """See `instrument.observe`."""
    return _instrument.observe(image, instrument, faults, generator, exposure_time)
