"""Images of any origin in, answers out, with plain warnings where they cannot be trusted."""

from typing import TYPE_CHECKING

from lenspinn.lazy import lazy_package

if TYPE_CHECKING:
    from lenspinn.apply.answer import Answer, Mismatch, Uncertainty
    from lenspinn.apply.grounds import Judge
    from lenspinn.apply.image import answer_image
    from lenspinn.apply.picture import answer_figure
    from lenspinn.apply.run import apply_model
    from lenspinn.apply.table import TableAnswer

__all__ = [
    "Answer",
    "Judge",
    "Mismatch",
    "TableAnswer",
    "Uncertainty",
    "answer_figure",
    "answer_image",
    "apply_model",
]

lazy_package(__name__)
