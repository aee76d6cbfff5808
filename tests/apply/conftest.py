"""An image of the shared dataset."""

from pathlib import Path

import numpy as np
import pytest

from lenspinn.data.store import ImageStore


@pytest.fixture
def image(dataset: Path) -> np.ndarray:
    """One image of the dataset, (64, 64)."""
    return ImageStore.open(dataset).images([1])[0, 0]
