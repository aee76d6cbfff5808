"""Limit of detection: how well any method can tell substructure from a smooth lens."""

from typing import TYPE_CHECKING

from lenspinn.lazy import lazy_package

if TYPE_CHECKING:
    from lenspinn.simulate.limit.config import LimitConfig
    from lenspinn.simulate.limit.run import detection_limit

__all__ = ["LimitConfig", "detection_limit"]

lazy_package(__name__)
