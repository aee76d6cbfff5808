"""Trained network in a file that runs without torch and without lenspinn: ONNX."""

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from lenspinn.errors import ConfigError, ModelError
from lenspinn.evaluate.image_set import ImageSet, all_images, own_test_images
from lenspinn.files import write_whole
from lenspinn.models import Classifier
from lenspinn.train import Run, load_run

__all__ = ["export_run"]

SUFFIX = ".onnx"
MOST_DIFFERENCE = 1e-5
"""Largest difference between logits of onnxruntime and of torch."""
MOST_IMAGES = 64
"""Largest number of images that are compared."""
TRACED = 2
"""Number of images with which the graph is traced: a batch of one becomes a constant."""
INPUT, OUTPUT = "image", "logits"
INSTALL = "pip install 'lenspinn[onnx]'"
_TALKATIVE = ("onnx_ir", "onnxscript", "torch.onnx")


def export_run(
    run: Path | str, *, out: Path, format: Literal["onnx"] = "onnx", data: Path | None = None
) -> Path:
    """Write the network of a run as an ONNX file: images in, logits out, its preprocessing inside.

    Before the file is put in its place, onnxruntime classifies stored images with it, alone and
    many at a time, and no logit may differ from those of torch by more than 1e-5. The graph checks
    nothing: images must be finite, with unit and background as in training.

    Parameters
    ----------
    run
        Run folder of `train_model`, finished, or name of a trained network; see
        `lenspinn.load_run`.
    out
        File to write, named ``.onnx``; it must not exist, its folder must.
    format
        Format of the file.
    data
        Dataset whose images are compared; by default the test images of the run's own dataset.

    Returns
    -------
    Path
        The file. Its input ``image`` is (batch, 1, y, x), float32, of any number of images, its
        output ``logits`` (batch, classes). Classes, side in pixels, pixel scale, unit and
        preprocessing stand in its metadata, all text, the classes as JSON.

    Raises
    ------
    ConfigError
        The folder holds no finished run, the file cannot be written, or the packages that write it
        are not installed.
    DataError
        The dataset is missing or does not fit the network.
    ModelError
        The network fits a lens to each image, or cannot be written as a graph, or the graph does
        not give the logits of the network.
    """
    out = Path(out)
    _check_place(out)
    _check_installed()
    trained = load_run(run)
    _check_graph(trained.model)
    chosen = own_test_images(trained) if data is None else all_images(trained, data)
    images = _some_images(chosen)
    with torch.inference_mode():
        logits = trained.model(images).numpy()
    graph = _graph(trained.model, images[:TRACED].clone(), _metadata(trained))
    _check_parity(graph, images.numpy(), logits)
    return write_whole(out, graph)


def _check_place(out: Path) -> None:
    if out.suffix != SUFFIX:
        raise ConfigError(f"out is {out}: give a file whose name ends with {SUFFIX}")
    if out.exists():
        raise ConfigError(f"{out} exists: give another name, or delete it")
    if not out.parent.is_dir():
        raise ConfigError(f"out is {out}, but there is no folder {out.parent}: make it first")


def _check_installed() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed: {INSTALL}") from error


def _check_graph(model: Classifier) -> None:
    """Refuse a network whose answer is not a graph from pixels to logits."""
    if type(model).solve is Classifier.solve:
        return
    raise ModelError(
        f"{model.config['name']} cannot be exported: it solves the lens of each image, in steps "
        "that take derivatives of a simulation with the noise and PSF of that image, and ONNX has "
        "no derivatives; use it with `lenspinn apply` or lenspinn.from_pretrained"
    )


def _some_images(chosen: ImageSet) -> torch.Tensor:
    """Return the first images of a set, and at least as many as are traced."""
    found = torch.from_numpy(chosen.store.images(chosen.indices[:MOST_IMAGES]))
    return found if len(found) >= TRACED else found.expand(TRACED, -1, -1, -1)


def _metadata(run: Run) -> dict[str, str]:
    model, info = run.model, run.data_info
    return {
        "lenspinn_version": version("lenspinn"),
        "network": model.config["name"],
        "classes": json.dumps(model.classes),
        "num_pix": str(model.num_pix),
        "pixel_scale_arcsec": repr(model.pixel_scale),
        "unit": info.unit,
        "preprocessing": f"{model.transform}, inside of the graph",
        "trained_on": info.recipe,
    }


def _graph(model: Classifier, images: torch.Tensor, metadata: dict[str, str]) -> bytes:
    """Return a network as the content of an ONNX file."""
    batch = {0: torch.export.Dim("batch")}
    try:
        with _unchecked(model), _quiet():
            program = torch.onnx.export(
                model,
                (images,),
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=(batch,),
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # torch has no one error for networks that it cannot trace
        reason = " ".join(str(error.__cause__ or error).split())[:200]
        raise ModelError(
            f"{model.config['name']} cannot be exported: torch makes no ONNX graph of it ({reason})"
        ) from error
    assert program is not None
    program.model.metadata_props.update(metadata)
    content: bytes = program.model_proto.SerializeToString()
    return content


def _check_parity(graph: bytes, images: np.ndarray, logits: np.ndarray) -> None:
    """Refuse a graph whose logits differ from those of the network, in batches of any size."""
    import onnxruntime

    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    for count in (len(images), 1):
        try:
            (found,) = session.run([OUTPUT], {INPUT: images[:count]})
        except Exception as error:  # onnxruntime has no class of its own for them
            raise ModelError(
                f"onnxruntime cannot run the exported network on {count} images, so nothing was "
                f"written: {' '.join(str(error).split())[:200]}"
            ) from error
        difference = np.abs(found - logits[:count]).max()
        if not difference <= MOST_DIFFERENCE:
            raise ModelError(
                f"the exported network differs from torch by {difference:.2g} in a logit of "
                f"{count} stored images, more than {MOST_DIFFERENCE:g}, so nothing was written"
            )


@contextlib.contextmanager
def _unchecked(model: Classifier) -> Iterator[None]:
    model.checks_values = False
    try:
        yield
    finally:
        model.checks_values = True


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence messages of torch and its helpers about their own code."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
