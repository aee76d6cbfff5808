from pathlib import Path

import pytest

from lenspinn.errors import ConfigError
from lenspinn.simulate.limit.config import LimitConfig


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num": 1}, "num must be at least 2, got 1"),
        ({"magnitudes": [41.0]}, "magnitudes must lie between 0 and 40, got 41.0"),
        ({"recipe": "survey/hst_clumpy"}, "have clumps"),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        LimitConfig(**{"recipe": "survey/hst", "out": Path("x")} | changes)
