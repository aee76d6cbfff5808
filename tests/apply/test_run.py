import csv
import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from lenspinn.apply import Answer, TableAnswer, apply_model
from lenspinn.apply.answer import LACKING
from lenspinn.data.fits import write_fits
from lenspinn.data.store import ImageStore
from lenspinn.errors import ConfigError, DataError, ImageError, ModelError
from lenspinn.evaluate import predict
from lenspinn.evaluate.judgement import load_calibration
from lenspinn.evaluate.predict import network_outputs
from lenspinn.lensing.psf import gaussian_kernel
from lenspinn.simulate import get_recipe, simulate_images
from lenspinn.train import ModelConfig, load_run, train_model
from lenspinn.train.manifest import write_manifest

FLOAT32 = 1e-5  # probabilities of one image alone and in a batch


def answer_one(path: Path, run: Path, out: Path, pixel_scale: float | None = None) -> Answer:
    (answer,) = apply_model([path], model=run, out=out, pixel_scale=pixel_scale, progress=False)
    assert isinstance(answer, Answer)
    return answer


def of_image(answer: Answer | TableAnswer) -> list[str]:
    """Kinds of what speaks against an image, whatever its run lacks."""
    return [mismatch.kind for mismatch in answer.mismatches if mismatch.kind not in LACKING]


@pytest.fixture
def good_run(calibrated_run: Path, tmp_path: Path) -> Path:
    """A calibrated run whose evaluation says that it is above chance."""
    folder = shutil.copytree(calibrated_run, tmp_path / "good")
    path = folder / "evaluation" / "evaluation.json"
    content = json.loads(path.read_text())
    content["records"][0] |= {"accuracy": 0.8, "accuracy_low": 0.7, "accuracy_high": 0.9}
    path.write_text(json.dumps(content))
    write_manifest(folder)
    return folder


@pytest.fixture
def like_calibration(good_run: Path, tmp_path: Path) -> Path:
    """A test image of the run that is like its calibration images."""
    run, calibration = load_run(good_run), load_calibration(good_run)
    assert calibration is not None
    images = ImageStore.open(run.data).images(run.split["test"][:20])
    likeness = calibration.judge(network_outputs(run.model, images)).shift
    path = tmp_path / "like.npy"
    np.save(path, images[likeness.argmax(), 0])
    return path


@pytest.fixture
def npy(tmp_path: Path, image: np.ndarray) -> Path:
    path = tmp_path / "lens.npy"
    np.save(path, image)
    return path


@pytest.fixture
def few_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lenspinn.apply.dataset.TABLE_PICTURES", 2)


def test_an_image_on_the_models_grid_is_classified_as_it_is(
    npy: Path, run_folder: Path, image: np.ndarray, tmp_path: Path
) -> None:
    answer = answer_one(npy, run_folder, tmp_path / "out", pixel_scale=0.08)
    expected = predict(load_run(run_folder).model, image[None, None])[0]
    assert list(answer.probabilities.values()) == pytest.approx(expected, abs=FLOAT32)
    assert of_image(answer) == []
    assert answer.theta_E is not None


def test_a_fresh_run_is_never_trusted(
    npy: Path, dataset: Path, run_folder: Path, tmp_path: Path, few_pictures: None
) -> None:
    """Uncalibrated, in JSON, table, sentence and object alike."""
    out = tmp_path / "out"
    one, table = apply_model([npy, dataset], model=run_folder, out=out, progress=False)
    for answer in (one, table):
        assert not answer.trusted
        kinds = [mismatch.kind for mismatch in answer.mismatches if mismatch.serious]
        assert kinds == ["calibration", "evaluation"]
        assert "NOT TO BE TRUSTED: the run is not calibrated; the run was never" in str(answer)
    assert str(one).startswith("lens: not answered; untrusted probabilities axion 0.")
    contents = [json.loads(path.read_text()) for path in sorted(out.glob("*.json"))]
    assert len(contents) == 4
    assert not any(content["trusted"] for content in contents)
    assert [content["answer"] for content in contents if "answer" in content] == [None] * 3
    with open(out / "model_3.csv", newline="") as file:
        assert {row["answer"] for row in csv.DictReader(file)} == {""}
    summary = json.loads((out / "model_3.json").read_text())
    assert summary["answers"] == {
        "axion": 0,
        "cdm": 0,
        "no_sub": 0,
        "not answered": 48,
        "cannot tell": 0,
    }


def test_a_good_run_answers_an_image_like_those_of_calibration(
    good_run: Path, like_calibration: Path, tmp_path: Path
) -> None:
    scale = load_run(good_run).data_info.pixel_scale
    answer = answer_one(like_calibration, good_run, tmp_path / "out", scale)
    assert answer.trusted
    assert answer.answer
    assert json.loads((tmp_path / "out" / "like.json").read_text())["answer"] == answer.answer


@pytest.mark.parametrize("lost", ["calibration", "evaluation", "manifest.json"])
def test_a_partial_copy_of_a_good_run_is_not_trusted(
    lost: str, good_run: Path, like_calibration: Path, tmp_path: Path
) -> None:
    """Where a manifest lists what is missing the run is refused, else its answers are."""
    path = good_run / lost
    path.unlink() if path.is_file() else shutil.rmtree(path)
    if lost != "manifest.json":
        with pytest.raises(ModelError, match=r"is missing: copy the whole run folder"):
            apply_model([like_calibration], model=good_run, out=tmp_path / "out")
        (good_run / "manifest.json").unlink()
    answer = answer_one(like_calibration, good_run, tmp_path / "out", 0.13)
    assert (answer.answer, answer.trusted) == (None, False)


def test_a_calibrated_run_at_chance_is_not_trusted(
    good_run: Path, like_calibration: Path, tmp_path: Path
) -> None:
    path = good_run / "evaluation" / "evaluation.json"
    content = json.loads(path.read_text())
    content["records"][0] |= {"accuracy": 0.367, "accuracy_low": 0.33, "accuracy_high": 0.40}
    path.write_text(json.dumps(content))
    write_manifest(good_run)
    answer = answer_one(like_calibration, good_run, tmp_path / "out", 0.13)
    assert (answer.answer, answer.trusted) == (None, False)
    assert "the run is no better than chance" in answer.verdict


def test_an_image_gets_one_picture_and_one_json(
    npy: Path, run_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "out"
    answer = answer_one(npy, run_folder, out)
    assert sorted(path.name for path in out.iterdir()) == ["lens.json", "lens.png"]
    assert answer.picture == out / "lens.png"
    assert imread(out / "lens.png").shape[1] > 1000
    content = json.loads((out / "lens.json").read_text())
    assert content["probabilities"] == answer.probabilities
    assert content["trained_on"] == "deeplense/model_3"
    kinds = [mismatch["kind"] for mismatch in content["mismatches"]]
    assert kinds == ["calibration", "evaluation", "pixel scale"]


def test_a_larger_finer_fits_image_is_resampled_and_cut(
    run_folder: Path, image: np.ndarray, tmp_path: Path
) -> None:
    fine = np.pad(np.kron(image, np.ones((2, 2), dtype=np.float32)) / 4, 20, mode="edge")
    path = tmp_path / "lens.fits"
    write_fits(path, fine, 0.04)
    answer = answer_one(path, run_folder, tmp_path / "out")
    expected = predict(load_run(run_folder).model, image[None, None])[0]
    assert answer.pixel_scale == pytest.approx(0.04)
    assert list(answer.probabilities.values()) == pytest.approx(expected, abs=1e-3)  # resampled
    (found,) = (m for m in answer.mismatches if m.kind not in LACKING)
    assert found.kind == "pixel scale"
    assert "factor 2.00" in found.message


def test_noise_is_noticed(run_folder: Path, image: np.ndarray, tmp_path: Path) -> None:
    noisy = image + np.random.default_rng(3).normal(0, 0.01 * image.max(), image.shape)
    np.save(tmp_path / "noisy.npy", noisy)
    answer = answer_one(tmp_path / "noisy.npy", run_folder, tmp_path / "out", pixel_scale=0.08)
    assert of_image(answer) == ["noise"]
    assert not answer.trusted


def test_a_clipped_image_is_noticed(run_folder: Path, image: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "clipped.npy", np.minimum(image, 0.5 * image.max()))
    answer = answer_one(tmp_path / "clipped.npy", run_folder, tmp_path / "out", pixel_scale=0.08)
    assert of_image(answer) == ["saturation"]


@pytest.mark.parametrize(
    "bad", [np.full((64, 64), np.nan), np.ones((64, 64)), np.eye(64)[:32], np.eye(40)]
)
def test_one_bad_image_stops_everything_before_anything_is_written(
    bad: np.ndarray, npy: Path, run_folder: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "bad.npy", bad)
    with pytest.raises(ImageError, match=r"bad\.npy"):
        apply_model([npy, tmp_path / "bad.npy"], model=run_folder, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_fits_image_without_pixel_scale_is_refused_unless_it_is_given(
    run_folder: Path, image: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "lens.fits"
    fits = pytest.importorskip("astropy.io.fits")
    fits.writeto(path, image)
    with pytest.raises(ImageError, match="pixel scale"):
        apply_model([path], model=run_folder, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert answer_one(path, run_folder, tmp_path / "out", pixel_scale=0.08).pixel_scale == 0.08


def test_a_fits_file_without_image_is_refused(run_folder: Path, tmp_path: Path) -> None:
    fits = pytest.importorskip("astropy.io.fits")
    fits.PrimaryHDU().writeto(tmp_path / "empty.fits")
    with pytest.raises(DataError, match=r"empty\.fits"):
        apply_model([tmp_path / "empty.fits"], model=run_folder, out=tmp_path / "out")


def test_an_image_unlike_those_of_calibration_is_refused_with_the_reason(
    calibrated_run: Path, tmp_path: Path
) -> None:
    run = load_run(calibrated_run)
    image = ImageStore.open(run.data).images(run.split["test"][:1])[0, 0]
    noisy = image + np.random.default_rng(3).normal(0, 0.01 * image.max(), image.shape)
    np.save(tmp_path / "noisy.npy", noisy.astype(np.float32))
    answer = answer_one(
        tmp_path / "noisy.npy", calibrated_run, tmp_path / "out", run.data_info.pixel_scale
    )
    assert answer.refused
    assert answer.verdict.startswith("not answered: unlike the calibration images in ")
    assert "noise, brightness or sharpness" in answer.verdict
    assert "noise unlike the training images" in answer.verdict
    content = json.loads((tmp_path / "out" / "noisy.json").read_text())
    assert content["answer"] is None
    assert sum(content["probabilities"].values()) == pytest.approx(1)


def test_a_damaged_calibration_stops_everything(
    npy: Path, calibrated_run: Path, tmp_path: Path
) -> None:
    damaged = shutil.copytree(calibrated_run, tmp_path / "run")
    (damaged / "calibration" / "calibration.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="is not the file that the run wrote"):
        apply_model([npy], model=damaged, out=tmp_path / "out")
    write_manifest(damaged)
    with pytest.raises(DataError, match="is damaged"):
        apply_model([npy], model=damaged, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_run_is_refused(npy: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no model folder .*nowhere"):
        apply_model([npy], model=tmp_path / "nowhere", out=tmp_path / "out")


def test_an_unfinished_run_is_refused(npy: Path, run_folder: Path, tmp_path: Path) -> None:
    unfinished = shutil.copytree(run_folder, tmp_path / "run")
    shutil.rmtree(unfinished / "model_last")
    with pytest.raises(ConfigError, match="unfinished"):
        apply_model([npy], model=unfinished, out=tmp_path / "out")


def test_an_image_that_the_network_cannot_take_is_named(
    npy: Path, dataset: Path, run_folder: Path, tmp_path: Path
) -> None:
    model = ModelConfig("lenspinn_small", {"transform": "paper"})
    config = load_run(run_folder).config
    paper = train_model(
        dataclasses.replace(config, model=model, out=tmp_path / "paper"), progress=False
    )
    image = np.load(npy)
    image[3, 5] = -image.max()
    np.save(tmp_path / "negative.npy", image)
    with pytest.raises(ModelError, match=r"negative\.npy: .* 1 pixels are <= 0: use a"):
        apply_model([npy, tmp_path / "negative.npy"], model=paper, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_answers_keep_the_order_of_the_images(
    npy: Path, dataset: Path, run_folder: Path, tmp_path: Path, few_pictures: None
) -> None:
    answers = apply_model([dataset, npy], model=run_folder, out=tmp_path / "out", progress=False)
    assert [answer.name for answer in answers] == ["model_3", "lens"]


def test_the_slacs_lens_is_answered_with_every_warning_it_deserves(
    run_folder: Path, shared_data: Path, tmp_path: Path
) -> None:
    path = shared_data / "hst_slacs" / "SDSSJ0946+1006" / "data.fits"
    answer = answer_one(path, run_folder, tmp_path)
    assert of_image(answer) == ["pixel scale", "noise", "lens light", "instrument"]
    assert "NOT TO BE TRUSTED" in answer.verdict


@pytest.mark.parametrize("name", ["nosub", "cdm"])
def test_nothing_speaks_against_the_published_images(
    name: str, run_folder: Path, shared_data: Path, tmp_path: Path
) -> None:
    path = shared_data / "deeplense_published" / f"{name}.npy"
    assert of_image(answer_one(path, run_folder, tmp_path, pixel_scale=0.08)) == []


def test_a_network_of_the_hub_answers_by_its_name(
    npy: Path, good_run: Path, tmp_path: Path, published
) -> None:
    published("someone/good", good_run)
    named, given = (
        answer_one(npy, run, tmp_path / "out", 0.08) for run in (Path("someone/good"), good_run)
    )
    assert named.probabilities == given.probabilities
    assert of_image(named) == of_image(given)
    assert named.uncertainty is not None


@pytest.fixture
def shipped() -> Path:
    """The network that comes with lenspinn, which fits the lens, by its name."""
    return Path("lenspinn_fit_hst")


def test_a_telescope_image_is_made_ready_for_a_network_that_fits_the_lens(
    shipped: Path, scene, tmp_path: Path
) -> None:
    folder = tmp_path / "J0000"
    folder.mkdir()
    names = {"data": "image", "noise_map": "sigma", "psf": "psf", "mask_extra_galaxies": "mask"}
    for name, part in names.items():
        write_fits(folder / f"{name}.fits", getattr(scene, part), scene.pixel_scale)
    answer = answer_one(folder, shipped, tmp_path / "out")
    assert answer.theta_E == pytest.approx(scene.theta_E, rel=0.02)
    assert answer.preparation is not None
    assert answer.preparation["lens_light"] == "model"
    serious = {mismatch.kind for mismatch in answer.mismatches if mismatch.serious}
    assert {"lens light", "PSF"} <= serious
    assert "lens model" not in serious
    assert "NOT TO BE TRUSTED" in answer.verdict
    content = json.loads((tmp_path / "out" / "J0000.json").read_text())
    assert content["preparation"]["noise"] == "the noise map"
    assert imread(tmp_path / "out" / "J0000.png").shape[0] > 1000


def test_an_array_goes_to_such_a_network_as_it_is(npy: Path, shipped: Path, tmp_path: Path) -> None:
    assert answer_one(npy, shipped, tmp_path / "out", 0.08).preparation is None


@pytest.mark.parametrize("option", [{"lens_light": "mask"}, {"psf": "psf.fits"}])
def test_an_option_that_a_network_has_no_use_for_is_refused(
    option: dict, run_folder: Path, image: np.ndarray, tmp_path: Path
) -> None:
    write_fits(tmp_path / "lens.fits", image, 0.08)
    if "psf" in option:
        kernel = np.exp(-(np.hypot(*np.mgrid[-7:8, -7:8]) ** 2) / 4).astype(np.float32)
        write_fits(tmp_path / "psf.fits", kernel, 0.08)
        option = {"psf": tmp_path / "psf.fits"}
    with pytest.raises(DataError, match="for networks that fit the lens"):
        apply_model([tmp_path / "lens.fits"], model=run_folder, out=tmp_path / "out", **option)


def test_lens_light_of_an_array_is_not_modelled(npy: Path, shipped: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lens_light is for FITS and HDF5 images"):
        apply_model([npy], model=shipped, out=tmp_path / "out", lens_light="model")
    assert not (tmp_path / "out").exists()


def test_the_ring_of_cosmos_is_not_answered(
    shipped: Path, shared_data: Path, tmp_path: Path
) -> None:
    stem = shared_data / "jwst_cowls" / "COSJ100024+015334"
    (answer,) = apply_model(
        [stem / "F277W_data.fits"],
        model=shipped,
        out=tmp_path / "out",
        noise=stem / "F277W_noise_map.fits",
        psf=stem / "F277W_psf.fits",
    )
    assert isinstance(answer, Answer)
    assert answer.refused
    assert answer.theta_E == pytest.approx(0.771, rel=0.1)  # COWLS I; codes differ by 5 %
    serious = {mismatch.kind for mismatch in answer.mismatches if mismatch.serious}
    assert {"lens light", "PSF"} <= serious
    assert "lens model" not in serious


def beside_the_middle(offset: tuple[float, float]) -> np.ndarray:
    """A smooth lens with a plain source, but for its place as the shipped network knows them."""
    x, y = offset
    recipe = get_recipe(
        "survey/hst_realistic",
        **{"lens.center_x": x, "lens.center_y": y, "lens.theta_E": 1.0, "lens.gamma": 2.0},
        **{"lens.e1": 0.05, "lens.e2": 0.1, "lens.gamma1": 0.02, "lens.gamma2": 0.0},
        **{"source.magnitude": 22.0, "source.clumps.share": 0.0, "num_pix": 96},
        **{"source.center_x": x + 0.1, "source.center_y": y + 0.05},
    )
    images, labels, _ = simulate_images(recipe, 3, 1)
    return images[labels == recipe.classes.index("no_sub")][0, 0]


def test_a_smooth_lens_beside_the_middle_is_not_answered_as_an_array(
    shipped: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "beside.npy", beside_the_middle((0.0, 0.4))[16:-16, 16:-16])
    answer = answer_one(tmp_path / "beside.npy", shipped, tmp_path / "out", 0.08)
    assert (answer.answer, answer.trusted) == (None, False)
    assert "fitted lens" in of_image(answer)
    assert re.search(r"offset from the middle 0\.(39|4)", str(answer))


def test_a_telescope_image_is_centred_on_its_lens_before_the_network_sees_it(
    shipped: Path, tmp_path: Path
) -> None:
    folder, pixels = tmp_path / "beside", beside_the_middle((0.0, 0.4))
    folder.mkdir()
    run = load_run(shipped)
    exposure_time = run.data_info.camera["exposure_time"]
    noise = np.sqrt(run.data_info.noise_sigma**2 + pixels.clip(min=0) / exposure_time)
    axis = np.array(gaussian_kernel(0.12 / 0.08, 5.0))
    for name, part in (("data", pixels), ("noise_map", noise), ("psf", np.outer(axis, axis))):
        write_fits(folder / f"{name}.fits", part, 0.08)
    (answer,) = apply_model([folder], model=shipped, out=tmp_path / "out", lens_light="none")
    assert isinstance(answer, Answer)
    assert answer.theta_E == pytest.approx(1.0, rel=0.02)
    assert "fitted lens" not in of_image(answer)
    assert answer.uncertainty is not None
    assert "no_sub" in answer.uncertainty.possible
