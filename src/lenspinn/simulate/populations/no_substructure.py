"""A smooth halo and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lenspinn.simulate.populations.base import MainLens, Substructure


@dataclass(frozen=True, kw_only=True)
class NoSubstructure:
    """A smooth halo and nothing else."""

    truth_fields: ClassVar[Mapping[str, tuple[int, ...]]] = {"num_subhalos": ()}

    @property
    def capacity(self) -> dict[str, int]:
        """Largest number of each kind of substructure: none."""
        return {}

    def draw(self, rng: np.random.Generator, lens: MainLens) -> Substructure:
        """Draw nothing."""
        return Substructure(truth={"num_subhalos": np.zeros(len(lens.center_x))})
