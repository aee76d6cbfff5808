"""Lenses for the populations to live in."""

import dataclasses

import numpy as np

from lenspinn.simulate import get_recipe
from lenspinn.simulate.faults import Faults
from lenspinn.simulate.populations import POPULATIONS, MainLens, Substructure

PLANE = get_recipe("survey/hst").lens_plane
UNIT = PLANE.theta_E_unit
NUM = 400


def lenses(num: int = NUM, **faults) -> MainLens:
    """Return lenses at (0.2, -0.1) arcsec."""
    centre = np.full(num, 0.2), np.full(num, -0.1)
    return MainLens(*centre, np.full(num, 1.0), PLANE, Faults(**faults))


def drawn(name: str, num: int = NUM, faults: dict | None = None, **changes) -> Substructure:
    population = dataclasses.replace(POPULATIONS[name], **changes)
    return population.draw(np.random.default_rng(5), lenses(num, **(faults or {})))
