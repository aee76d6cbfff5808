from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from lenspinn.data.store import ImageStore
from lenspinn.errors import ConfigError, DataError
from lenspinn.explain import explain_run, explanation_figure, view_images
from lenspinn.explain.figure import UNTAUGHT
from lenspinn.models import Classifier, create_model
from lenspinn.simulate import SimulateConfig, simulate
from lenspinn.train import load_run


def test_the_picture_and_its_numbers_are_written_to_the_run(
    run_folder: Path, tmp_path: Path
) -> None:
    picture = explain_run(run_folder, out=tmp_path / "new" / "pictures", num_per_class=1)
    assert picture == tmp_path / "new" / "pictures" / "explanation.png"
    height, width, _ = imread(picture).shape
    assert width > height > 600
    assert sorted(path.name for path in picture.parent.iterdir()) == [
        "explanation.npz",
        "explanation.png",
    ]


def test_without_a_folder_the_picture_goes_into_the_run(run_folder: Path) -> None:
    assert (
        explain_run(run_folder, num_per_class=1) == run_folder / "explanation" / "explanation.png"
    )


def test_of_a_network_given_by_name_the_picture_goes_where_the_user_works(
    run_folder: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published
) -> None:
    published("someone/small", run_folder)
    monkeypatch.chdir(tmp_path)
    picture = explain_run("someone/small", data=dataset, num_per_class=1)
    assert picture == Path("explanation_model_3/explanation.png")
    assert picture.is_file()


def test_the_arrays_are_those_of_test_images_class_by_class(
    run_folder: Path, tmp_path: Path
) -> None:
    explain_run(run_folder, out=tmp_path, num_per_class=2)
    with np.load(tmp_path / "explanation.npz") as arrays:
        assert arrays["cam"].shape == arrays["image"].shape == (6, 64, 64)
        assert arrays["labels"].tolist() == ["axion", "axion", "cdm", "cdm", "no_sub", "no_sub"]
        assert arrays["probabilities"].sum(axis=1) == pytest.approx(np.ones(6))
        rows = arrays["rows"]
        image = arrays["image"][0]
    run = load_run(run_folder)
    assert set(rows) <= set(run.split["test"])
    stored = ImageStore.open(run.config.data).images(rows[:1])[0, 0]
    span = stored.max() - stored.min()
    np.testing.assert_allclose(image, (stored - stored.min()) / span, atol=1e-6)  # float32


def test_the_same_seed_chooses_the_same_images(run_folder: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        explain_run(run_folder, out=tmp_path / name, num_per_class=1, seed=4)
    for name in ("explanation.png", "explanation.npz"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_images_can_come_from_another_dataset(run_folder: Path, tmp_path: Path) -> None:
    config = SimulateConfig(
        recipe="deeplense/model_3", num=3, seed=9, out=tmp_path / "other.zarr", num_workers=1
    )
    other = simulate(config, progress=False)
    explain_run(run_folder, data=other, out=tmp_path / "out", num_per_class=1)
    with np.load(tmp_path / "out" / "explanation.npz") as arrays:
        assert arrays["rows"].tolist() == [0, 1, 2]


def test_a_dataset_of_another_pixel_scale_is_refused(run_folder: Path, tmp_path: Path) -> None:
    config = SimulateConfig(
        recipe="deeplense/model_2", num=3, out=tmp_path / "other.zarr", num_workers=1
    )
    other = simulate(config, progress=False)
    with pytest.raises(DataError, match=r"64 pixels of 0\.101 arcsec"):
        explain_run(run_folder, data=other, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("num_per_class", "message"), [(500, "500 images of 'axion' are wanted"), (0, "at least 1")]
)
def test_a_wrong_number_of_images_is_refused(
    num_per_class: int, message: str, run_folder: Path
) -> None:
    with pytest.raises(DataError, match=message):
        explain_run(run_folder, num_per_class=num_per_class)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a run folder"):
        explain_run(tmp_path)


def test_a_model_without_physics_has_no_source_column(mean_classifier: Classifier) -> None:
    images = np.random.default_rng(0).uniform(size=(2, 1, 8, 8)).astype(np.float32)
    figure = explanation_figure(view_images(mean_classifier, images), ["cdm", "axion"])
    titles = [axes.get_title() for axes in figure.axes[:5]]
    assert titles == [
        "image",
        "preprocessed",
        "Grad-CAM over image",
        "over preprocessed",
        "probability",
    ]


def test_each_image_is_solved_once(quantities_run: Path, tmp_path: Path, solved: list[int]) -> None:
    explain_run(quantities_run, out=tmp_path, num_per_class=1)
    assert sum(solved) == 3


@pytest.mark.parametrize(
    ("weight", "title"), [(0.0, UNTAUGHT), (1.0, "reconstructed source")], ids=["classes", "taught"]
)
def test_a_source_of_a_theta_E_that_was_not_taught_is_called_so(weight: float, title: str) -> None:
    torch.manual_seed(0)
    model = create_model("lenspinn_small", theta_E_weight=weight).eval()
    images = np.random.default_rng(0).uniform(1, 2, size=(1, 1, 64, 64)).astype(np.float32)
    figure = explanation_figure(view_images(model, images), ["cdm"])
    assert figure.axes[4].get_title() == title
