"""How little substructure can be seen: by a network, and by an observer that is told of it."""

from lenspinn.sensitivity.run import measure_sensitivity
from lenspinn.sensitivity.sweep import SensitivityConfig

__all__ = ["SensitivityConfig", "measure_sensitivity"]
