"""Images of any origin in, answers out, with plain warnings where they cannot be trusted."""

from typing import TYPE_CHECKING

from lenspinn.lazy import lazy_package

if TYPE_CHECKING:
    from lenspinn.apply.answer import Answer, Mismatch, Uncertainty
    from lenspinn.apply.lens_file import fit_image
    from lenspinn.apply.lens_fit import LensMeasurement, fit_lens
    from lenspinn.apply.ring import ring_radius
    from lenspinn.apply.run import apply_model
    from lenspinn.apply.table import TableAnswer

__all__ = [
    "Answer",
    "LensMeasurement",
    "Mismatch",
    "TableAnswer",
    "Uncertainty",
    "apply_model",
    "fit_image",
    "fit_lens",
    "ring_radius",
]

lazy_package(__name__)
