import numpy as np
import pytest

import lenspinn
import lenspinn.measure.former_names as room
from lenspinn.measure import LensMeasurement


@pytest.mark.parametrize("name", ["lens", "image"])
def test_a_former_name_does_the_same_and_says_how_it_is_called_now(
    name: str, measured: LensMeasurement, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def measure(*arguments, **options) -> LensMeasurement:
        calls.append((arguments, options))
        return measured

    monkeypatch.setattr(room, f"measure_{name}", measure)
    former = getattr(lenspinn, f"fit_{name}")
    image = np.zeros((2, 2))
    with pytest.warns(DeprecationWarning, match=f"is now lenspinn.measure_{name}"):
        found = former(image, pixel_scale=0.05)
    assert found is measured
    assert calls == [((image,), {"pixel_scale": 0.05})]
