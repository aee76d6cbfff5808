"""One telescope image in, the lens in it out: theta_E with its error, lens light and source."""

from typing import TYPE_CHECKING

from lenspinn.lazy import lazy_package

if TYPE_CHECKING:
    from lenspinn.measure.coolest_file import write_coolest
    from lenspinn.measure.coolest_reader import read_coolest
    from lenspinn.measure.former_names import fit_image, fit_lens
    from lenspinn.measure.image_fits import measure_lens
    from lenspinn.measure.lens_file import measure_image
    from lenspinn.measure.lens_measurement import LensMeasurement
    from lenspinn.measure.ring import ring_radius

__all__ = [
    "LensMeasurement",
    "fit_image",
    "fit_lens",
    "measure_image",
    "measure_lens",
    "read_coolest",
    "ring_radius",
    "write_coolest",
]

lazy_package(__name__)
