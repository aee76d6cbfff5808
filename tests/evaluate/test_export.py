import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from lenspinn.data.store import ImageStore
from lenspinn.errors import ConfigError, DataError, ModelError
from lenspinn.evaluate import export, export_run
from lenspinn.models import create_model, list_models
from lenspinn.train import load_run

WITHOUT_SOLVER = set(list_models()) - {"lenspinn_fit"}
# Of the bytes of all weights, that the file holds at least.
LEAST_SHARE = 0.99


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_run(run, out=tmp_path_factory.mktemp("onnx") / "small.onnx")


@pytest.fixture(scope="module")
def images(other_store: Path) -> np.ndarray:
    return ImageStore.open(other_store).images(np.arange(30))


def answers(file: Path, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(file)
    (logits,) = session.run(["logits"], {"image": images})
    return logits


@pytest.mark.parametrize("count", [1, 7, 30])
def test_onnxruntime_says_of_new_images_what_torch_says(exported, run, images, count) -> None:
    with torch.inference_mode():
        expected = load_run(run).model(torch.from_numpy(images[:count])).numpy()
    assert expected.std() > 100 * export.MOST_DIFFERENCE
    np.testing.assert_allclose(
        answers(exported, images[:count]), expected, rtol=0, atol=export.MOST_DIFFERENCE
    )


def test_the_file_says_what_the_network_takes_and_what_it_tells_apart(exported, run) -> None:
    model, info = load_run(run).model, load_run(run).data_info
    graph = onnx.load(exported)
    onnx.checker.check_model(graph)
    said = {entry.key: entry.value for entry in graph.metadata_props}
    assert json.loads(said["classes"]) == list(model.classes)
    assert int(said["num_pix"]) == model.num_pix
    assert float(said["pixel_scale_arcsec"]) == model.pixel_scale
    assert (said["network"], said["unit"]) == ("lenspinn_small", info.unit)
    assert said["preprocessing"].startswith(model.transform)
    (entrance,) = onnxruntime.InferenceSession(exported).get_inputs()
    assert entrance.shape == ["batch", 1, model.num_pix, model.num_pix]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "transform"),
    [("resnet18", "min_max+paper"), *((each, "noise_safe") for each in sorted(WITHOUT_SOLVER))],
)
def test_every_network_without_a_solver_keeps_its_logits(name, transform, images) -> None:
    torch.manual_seed(0)
    model = create_model(name, transform=transform).eval()
    sizes = [value.numel() for value in model.parameters()]
    positive = torch.from_numpy(images)[:20].clamp_min(1e-4)
    with torch.inference_mode():
        expected = model(positive).numpy()
    graph = export._graph(model, positive[:2].clone(), {})
    assert len(graph) > LEAST_SHARE * 4 * sum(sizes)
    export._check_parity(graph, positive.numpy(), expected)
    assert model.checks_values


def test_a_network_that_solves_lenses_is_refused_with_the_reason(tmp_path) -> None:
    out = tmp_path / "fit.onnx"
    with pytest.raises(ModelError, match="lenspinn_fit cannot be exported: it solves the lens"):
        export_run("lenspinn_fit_hst", out=out)
    assert not list(tmp_path.iterdir())


def test_a_graph_that_differs_is_not_put_in_its_place(exported, run, tmp_path, monkeypatch) -> None:
    trained = load_run(run)
    with torch.no_grad():
        trained.model.head[-1].bias += 1e-3
    monkeypatch.setattr(export, "load_run", lambda run: trained)
    monkeypatch.setattr(export, "_graph", lambda *_: exported.read_bytes())
    with pytest.raises(ModelError, match=r"differs from torch by 0\.001 .* nothing was written"):
        export_run(run, out=tmp_path / "small.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("small.pt", "name ends with .onnx"),
        ("there.onnx", "exists: give another name"),
        ("nowhere/small.onnx", "no folder"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_first(run, tmp_path, name, message) -> None:
    (tmp_path / "there.onnx").write_text("mine")
    with pytest.raises(ConfigError, match=message):
        export_run(run, out=tmp_path / name)
    assert (tmp_path / "there.onnx").read_text() == "mine"


def test_without_the_extra_the_sentence_says_how_to_get_it(run, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r"not installed: pip install 'lenspinn\[onnx\]'"):
        export_run(run, out=tmp_path / "small.onnx")


def test_without_images_to_compare_nothing_is_written(run, tmp_path) -> None:
    with pytest.raises(DataError, match=r"none\.zarr"):
        export_run(run, out=tmp_path / "small.onnx", data=tmp_path / "none.zarr")
    assert not list(tmp_path.iterdir())
