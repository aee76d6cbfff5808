"""Images of any origin in, answers out, with plain warnings where they cannot be trusted."""

from lenspinn.apply.answer import Answer, Mismatch, Uncertainty
from lenspinn.apply.run import apply_model
from lenspinn.apply.table import TableAnswer

__all__ = ["Answer", "Mismatch", "TableAnswer", "Uncertainty", "apply_model"]
