"""Sensitivity to substructure of a network, and of an ideal observer that is told of it."""

from typing import TYPE_CHECKING

from lenspinn.lazy import lazy_package

if TYPE_CHECKING:
    from lenspinn.sensitivity.config import SensitivityConfig
    from lenspinn.sensitivity.run import measure_sensitivity

__all__ = ["SensitivityConfig", "measure_sensitivity"]

lazy_package(__name__)
