"""Grids of trainings, run with one resumable command, and the tables and figures of them."""

from lenspinn.benchmark.run import benchmark

__all__ = ["benchmark"]
