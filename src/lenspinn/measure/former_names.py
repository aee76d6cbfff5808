"""Functions under their former names, which are kept for one release."""

import warnings
from typing import Any

from lenspinn.measure.image_fits import measure_lens
from lenspinn.measure.lens_file import measure_image
from lenspinn.measure.lens_measurement import LensMeasurement

__all__ = ["fit_image", "fit_lens"]


def fit_lens(*arguments: Any, **options: Any) -> LensMeasurement:
    """Measure a lens: `lenspinn.measure_lens` under its former name.

    Warns
    -----
    DeprecationWarning
        Always.
    """
    _warn("fit_lens", "measure_lens")
    return measure_lens(*arguments, **options)


def fit_image(*arguments: Any, **options: Any) -> LensMeasurement:
    """Measure an image: `lenspinn.measure_image` under its former name.

    Warns
    -----
    DeprecationWarning
        Always.
    """
    _warn("fit_image", "measure_image")
    return measure_image(*arguments, **options)


def _warn(former: str, name: str) -> None:
    warnings.warn(
        f"lenspinn.{former} is now lenspinn.{name}; the former name goes with the next release",
        DeprecationWarning,
        stacklevel=3,
    )
