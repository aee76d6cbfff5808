import pytest

from lenspinn.data.plausible_scale import check_pixel_scale
from lenspinn.errors import ImageError


@pytest.mark.parametrize("scale", [0.0, -0.1, 1e308, 1e-300, float("nan"), float("inf"), 11.0])
def test_an_absurd_scale_that_is_given_is_refused(scale: float) -> None:
    with pytest.raises(ImageError, match=r"it must be positive, from 0\.001 to 10"):
        check_pixel_scale(scale)
    assert check_pixel_scale(0.05) == 0.05
