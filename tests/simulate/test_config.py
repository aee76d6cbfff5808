from pathlib import Path

import pytest

from lenspinn.errors import ConfigError
from lenspinn.simulate.config import SimulateConfig


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num": 0}, "num must be at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"recipe": "survey/hts"}, "did you mean 'survey/hst'"),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    settings = {"recipe": "survey/hst", "num": 3, "out": Path("x.zarr")} | changes
    with pytest.raises(ConfigError, match=message):
        SimulateConfig(**settings)
