"""Grids of trainings, run with one resumable command, and the tables and figures of them."""

from typing import TYPE_CHECKING

from lenspinn.lazy import lazy_package

if TYPE_CHECKING:
    from lenspinn.benchmark.run import benchmark

__all__ = ["benchmark"]

lazy_package(__name__)
