from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from lenspinn.data import contact_sheet as module
from lenspinn.data.contact_sheet import contact_sheet
from lenspinn.data.store import ImageStore, StoreWriter
from lenspinn.errors import DataError, StoreError

from .conftest import small_info

NUM_PIX = 32


def ring(theta_E: float) -> np.ndarray:
    centres = (np.arange(NUM_PIX) - (NUM_PIX - 1) / 2) * 0.08
    radius = np.hypot(*np.meshgrid(centres, centres))
    return np.exp(-(((radius - theta_E) / 0.1) ** 2))


@pytest.fixture
def rings(tmp_path) -> Path:
    """Eleven rings of three classes with the truth a simulator writes."""
    num = 11
    fields = {"theta_E": (), "source_magnitude": (), "num_subhalos": (), "axion_mass_eV": ()}
    points = {"point_x": (5,), "point_y": (5,), "point_theta_E": (5,)}
    writer = StoreWriter.open(
        tmp_path / "rings.zarr", small_info(num, NUM_PIX), fields | points | {"vortex_ends": (4,)}
    )
    labels = np.arange(num) % 3
    axion, cdm = (labels == label for label in (0, 1))
    rng = np.random.default_rng(0)
    truth = {
        "theta_E": np.linspace(0.5, 1, num),
        "source_magnitude": np.full(num, 21.5),
        "num_subhalos": np.where(cdm, 4.0, 0.0),
        "axion_mass_eV": np.where(axion, 3.2e-24, np.nan),
        "point_x": rng.uniform(-1, 1, (num, 5)),
        "point_y": rng.uniform(-1, 1, (num, 5)),
        "point_theta_E": np.where(cdm[:, None], [0.001, 0.01, 0.02, 0.05, 0.0], 0.0),
        "vortex_ends": np.where(axion[:, None], [-0.5, -0.2, 0.5, 0.2], np.nan),
    }
    images = np.stack([ring(radius) for radius in truth["theta_E"]])[:, None]
    writer.write_shard(range(num), images.astype(np.float32), labels, truth)
    writer.finish()
    return tmp_path / "rings.zarr"


def sheet(store: Path, per_class: int):
    return module._draw_sheet(ImageStore.open(store), per_class)


def panels(figure, num_rows: int, num_columns: int) -> np.ndarray:
    return np.array(figure.axes[: num_rows * num_columns]).reshape(num_rows, num_columns)


def test_a_sheet_is_a_picture_on_disk(rings, tmp_path):
    out = contact_sheet(rings, tmp_path / "sheet.png", per_class=3)
    assert out == tmp_path / "sheet.png"
    pixels = matplotlib.image.imread(out)
    assert min(pixels.shape[:2]) > 400
    assert pixels[..., :3].std() > 0.05


def test_the_same_store_gives_the_same_bytes(rings, tmp_path):
    first, second = (contact_sheet(rings, tmp_path / name, per_class=2) for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_a_row_is_a_class(rings):
    grid = panels(sheet(rings, 3), 3, 3)
    assert [row[0].get_ylabel().strip() for row in grid] == ["axion", "cdm", "no_sub"]
    shown = np.asarray(grid[1][2].images[0].get_array())
    np.testing.assert_allclose(shown, ring(0.85) / ring(0.85).max(), atol=1e-6)


def test_a_caption_says_the_truth(rings):
    grid = panels(sheet(rings, 2), 3, 2)
    captions = [row[0].get_title() for row in grid]
    assert all("source 21.5 mag" in caption for caption in captions)
    assert r"$\theta_E$ 0.50" in captions[0]
    assert r"axion $3.2\times10^{-24}$ eV" in captions[0]
    assert "4 subhalos" in captions[1]
    assert "smooth" in captions[2]


def test_subhalos_and_vortices_are_marked_where_they_are(rings):
    axion, cdm, no_sub = (row[0] for row in panels(sheet(rings, 1), 3, 1))
    truth = ImageStore.open(rings).truth
    np.testing.assert_array_equal(axion.lines[0].get_xydata(), [[-0.5, -0.2], [0.5, 0.2]])
    circles = cdm.collections[0].get_offsets()
    np.testing.assert_array_equal(
        circles, np.stack([truth["point_x"][1, :4], truth["point_y"][1, :4]], axis=1)
    )
    assert len(no_sub.lines) == 0
    assert len(no_sub.collections[0].get_offsets()) == 0


def test_axes_are_in_arcsec_about_the_centre(rings):
    panel = panels(sheet(rings, 1), 3, 1)[0, 0]
    assert panel.get_xlim() == pytest.approx((-1.28, 1.28))
    assert panel.images[0].get_extent() == pytest.approx((-1.28, 1.28, -1.28, 1.28))


def test_a_class_with_few_images_leaves_its_row_short(rings):
    grid = panels(sheet(rings, 6), 3, 4)
    assert [sum(bool(panel.images) for panel in row) for row in grid] == [4, 4, 3]


def test_a_store_without_truth_is_drawn(tmp_path):
    info = small_info(3, NUM_PIX, noise_sigma=0.1)
    writer = StoreWriter.open(tmp_path / "a.zarr", info, {})
    images = np.stack([ring(0.8)] * 3)[:, None].astype(np.float32)
    writer.write_shard(range(3), images, np.arange(3), {})
    writer.finish()
    figure = sheet(tmp_path / "a.zarr", 2)
    assert figure.axes[0].get_title() == ""
    assert "noise 0.1 e-/s" in figure.get_suptitle()


def test_no_images_or_no_store_is_an_error(rings, tmp_path):
    with pytest.raises(DataError, match="at least 1 image a class, not 0"):
        contact_sheet(rings, tmp_path / "a.png", per_class=0)
    with pytest.raises(StoreError, match="no dataset"):
        contact_sheet(tmp_path / "nowhere.zarr", tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()
