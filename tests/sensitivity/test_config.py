from pathlib import Path

import pytest

from lenspinn.errors import ConfigError
from lenspinn.sensitivity.config import SensitivityConfig


def test_settings_are_checked_when_they_are_made():
    with pytest.raises(ConfigError, match="num_lenses must be at least 2, got 1"):
        SensitivityConfig(recipe="survey/hst", out=Path("x"), num_lenses=1)
