"""How well substructure can be told from a smooth lens at all, whoever looks."""

from lenspinn.simulate.limit.run import LimitConfig, detection_limit

__all__ = ["LimitConfig", "detection_limit"]
