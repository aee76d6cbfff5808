import numpy as np
import pytest
import torch

from lenspinn.models import create_model
from lenspinn.models.reconstruction_picture import MOST_ROWS, reconstruction_figure


@pytest.fixture(scope="module")
def found():
    torch.manual_seed(0)
    model = create_model("lenspinn_small", num_pix=64, pixel_scale=0.125).eval()
    with torch.no_grad():
        return model.reconstruct(torch.rand(MOST_ROWS + 1, 1, 64, 64))


def test_each_image_has_a_row_and_maps_are_in_arcsec(found):
    figure = reconstruction_figure(found)
    maps = [axes for axes in figure.axes if axes.images]
    assert len(maps) == 3 * MOST_ROWS
    assert found.pixel_scale == pytest.approx(0.125)
    np.testing.assert_allclose(maps[0].images[0].get_extent(), (-4, 4, -4, 4), rtol=1e-5)
    assert f"theta_E {float(found.theta_E[0]):.3f}" in maps[0].get_title()


def test_notebooks_show_it(found):
    assert found.plot().axes
    assert "data:image/png" in found._repr_html_()
