from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.image import imread

from lenspinn.evaluate.files import RESOLUTION, save_figure


def test_a_figure_becomes_a_png_of_its_size(tmp_path: Path) -> None:
    path = save_figure(Figure(figsize=(2, 1)), tmp_path / "empty.png")
    assert imread(path).shape[:2] == (RESOLUTION, 2 * RESOLUTION)
