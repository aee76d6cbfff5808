from pathlib import Path

import numpy as np
import pytest

from lenspinn import answer_image
from lenspinn.apply import Answer, Judge, answer_figure, apply_model
from lenspinn.apply.answer import LACKING
from lenspinn.apply.image import NAME
from lenspinn.data.fits import write_fits
from lenspinn.errors import DataError, ImageError
from lenspinn.evaluate import predict
from lenspinn.train import load_run

FLOAT32 = 1e-5  # probabilities of one image alone and in a batch


@pytest.fixture
def shipped() -> Path:
    """The network that comes with the repository, which fits the lens."""
    return Path(__file__).resolve().parents[2] / "models" / "lenspinn_fit_hst"


def test_an_array_is_answered_and_nothing_is_written(
    run_folder: Path, image: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = answer_image(image, run_folder, pixel_scale=0.08, telescope=False)
    assert not list(tmp_path.iterdir())
    expected = predict(load_run(run_folder).model, image[None, None])[0]
    assert list(answer.probabilities.values()) == pytest.approx(expected, abs=FLOAT32)
    assert (answer.path, answer.picture) == (None, None)
    assert answer.to_json()["image"] is None
    assert answer_figure(answer).axes


def test_a_run_that_was_read_once_answers_alike(run_folder: Path, image: np.ndarray) -> None:
    one, other = (
        answer_image(image, run, pixel_scale=0.08) for run in (run_folder, Judge.of(run_folder))
    )
    assert one == other


def test_a_pixel_scale_that_nobody_knows_is_that_of_the_network(
    run_folder: Path, image: np.ndarray
) -> None:
    answer = answer_image(image, run_folder, pixel_scale=None)
    assert answer.pixel_scale == 0.08
    kinds = [found.kind for found in answer.mismatches if found.kind not in LACKING]
    assert kinds == ["pixel scale"]


@pytest.mark.parametrize(
    "known", [{"noise": np.ones((64, 64))}, {"psf": np.eye(3)}, {"lens_light": "mask"}]
)
def test_what_a_network_has_no_use_for_is_refused(
    run_folder: Path, image: np.ndarray, known: dict
) -> None:
    with pytest.raises(DataError, match=f"{next(iter(known))} is for images of a telescope"):
        answer_image(image, run_folder, pixel_scale=0.08, **known)


@pytest.mark.parametrize(
    "bad", [np.full((64, 64), np.nan), np.ones((64, 64)), np.eye(64)[:32], np.eye(40)]
)
def test_an_image_that_cannot_be_used_is_named(run_folder: Path, bad: np.ndarray) -> None:
    with pytest.raises(ImageError, match=NAME):
        answer_image(bad, run_folder, pixel_scale=0.08)


def test_a_telescope_image_is_solved_once_and_the_file_of_it_answers_alike(
    shipped: Path, scene, tmp_path: Path, solved: list[int]
) -> None:
    pixels, sigma = (part.astype(np.float32) for part in (scene.image, scene.sigma))
    known = {"psf": scene.psf.astype(np.float32), "mask": scene.mask.astype(np.float32)}
    answer = answer_image(pixels, shipped, pixel_scale=scene.pixel_scale, noise=sigma, **known)
    assert solved == [1]
    assert answer.theta_E == pytest.approx(scene.theta_E, rel=0.02)
    assert answer.preparation is not None
    assert answer.shown is not None
    assert answer.shown.view.fit is not None
    folder = tmp_path / "lens"
    folder.mkdir()
    for name, part in (("data", pixels), ("noise_map", sigma), ("psf", known["psf"])):
        write_fits(folder / f"{name}.fits", part, scene.pixel_scale)
    write_fits(folder / "mask_extra_galaxies.fits", known["mask"], scene.pixel_scale)
    (found,) = apply_model([folder], model=shipped, out=tmp_path / "out", progress=False)
    assert solved == [1, 1]
    assert isinstance(found, Answer)
    assert found.probabilities == pytest.approx(answer.probabilities, abs=1e-3)  # the scale's text
    assert found.preparation is not None
    assert found.preparation["lens_light"] == answer.preparation["lens_light"] == "model"
