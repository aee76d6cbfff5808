"""`lenspinn apply`: images in, answers with pictures out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from tqdm import tqdm

from lenspinn.apply.answer import Answer, Uncertainty
from lenspinn.apply.arcs import LensLightMode, lens_light_shown
from lenspinn.apply.estimates import Estimate, answered_classes, estimates_of
from lenspinn.apply.fit_mismatch import fit_mismatches
from lenspinn.apply.inputs import ImageFile, ImageTable, read_inputs
from lenspinn.apply.mismatch import Observed, find_mismatches, measure
from lenspinn.apply.observation import observe
from lenspinn.apply.picture import answer_figure
from lenspinn.apply.prepare import Prepared, prepare
from lenspinn.apply.table import TableAnswer
from lenspinn.data.transforms import resample
from lenspinn.errors import DataError, ImageError, ModelError
from lenspinn.evaluate import classification_metrics
from lenspinn.evaluate.calibration import scaled_probabilities
from lenspinn.evaluate.files import save_figure, write_whole
from lenspinn.evaluate.predict import BATCH_SIZE, network_outputs
from lenspinn.evaluate.trust import Calibration, Judgement, join_judgements, load_calibration
from lenspinn.explain.view import Pixels, View, reconstruct, view_images
from lenspinn.models import Classifier, LensFit
from lenspinn.train import Run, load_run

TABLE_PICTURES = 6
"""Images of a dataset, its first ones, that get a picture and a JSON file of their own."""
MEASURED = 256
"""Images of a dataset, its first ones, whose noise and brightness are looked at."""

Batch = Float[np.ndarray, "batch 1 y x"]
Seen = Float[np.ndarray, "batch 1 v u"]
"""On the pixel grid of the model."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Sheet:
    """One answer with what its picture shows."""

    answer: Answer
    view: View
    delivered: Pixels
    prepared: Prepared | None = None


def apply_model(
    images: list[Path],
    *,
    model: Path,
    out: Path = Path("answers"),
    pixel_scale: float | None = None,
    noise: Path | None = None,
    psf: Path | None = None,
    lens_light: LensLightMode | None = None,
    progress: bool = True,
) -> list[Answer | TableAnswer]:
    """Classify images, and say of each whether the answer can be trusted.

    An image is resampled to the pixel scale of the model and its centre is cut to the model's
    size. It gets a PNG (image, preprocessed image, Grad-CAM, reconstructed source, probabilities)
    and a JSON file; a dataset gets a CSV table of all its images, a JSON summary, and pictures of
    its first `TABLE_PICTURES`. Each way in which an image differs from the training data is named.

    Where the run is calibrated (`lenspinn evaluate` does it), probabilities are calibrated, classes
    that cannot be told apart are named together, and an image too unlike the calibration images is
    not answered.

    For a network that fits the lens (`lenspinn_fit`) a FITS or HDF5 image is made ready: its lens
    light is taken away, lens and source are fitted as `lenspinn fit` does it, and the network sees
    the rest with its noise and PSF; the PNG shows data, lens light, model, residual, source and
    curves. A .npy image and a dataset are taken to be as the training images are.

    Everything is read, checked and computed before the first file is written: if one image is
    unusable nothing is written at all, and the same call without it loses nothing.

    Parameters
    ----------
    images
        .npy files, FITS files, HDF5 files of lenstronomy, and folders: of one lens, with
        ``data.fits`` and, if there are any, ``noise_map.fits``, ``psf.fits`` and
        ``mask_extra_galaxies.fits``, or of a dataset.
    model
        Folder of a finished training run.
    out
        Folder for the answers; made if missing, files of the same name are replaced.
    pixel_scale
        Arcsec per pixel of single images. By default what their files say; for .npy that of the
        model, with a warning.
    noise
        FITS file of standard deviations in the unit of the one image; 0, 1e8 and above leave a
        pixel out. By default that of an HDF5 file, or estimated from the image. This and the next
        two are for networks that fit the lens.
    psf
        FITS or HDF5 file of the PSF in pixels of the one image. By default a Gaussian as of the
        instrument that the header names; failing that, as in training, which is said.
    lens_light
        "model" (and subtract it), "mask" (leave out the inner part of the ring), or "none", which
        leaves the image as it is. By default modelled where the centre shows any.
    progress
        Whether to show a progress bar over the images of a dataset.

    Returns
    -------
    list of Answer and TableAnswer
        One for each input, in their order.

    Raises
    ------
    ConfigError, DataError, ModelError
        The run is missing, unfinished or damaged.
    DataError, ImageError, StoreError
        An input is missing, is not what it claims to be, or holds nothing that can be classified;
        see `read_inputs`. Or an option is given that the network or the image has no use for.
        ImageError also if an image covers less than the model's field.
    """
    trained = load_run(model)
    calibration = load_calibration(trained.folder)
    inputs = read_inputs(images, pixel_scale=pixel_scale, noise=noise, psf=psf)
    _check_options(trained, inputs, {"noise": noise, "psf": psf, "lens_light": lens_light})
    answers: list[Answer | TableAnswer] = []
    sheets: list[_Sheet] = []
    for item in inputs:
        try:
            answer, pictured = (
                _answer_image(item, trained, calibration, out, lens_light)
                if isinstance(item, ImageFile)
                else _answer_table(item, trained, calibration, out, progress)
            )
        except ModelError as error:
            raise ModelError(f"{item.path}: {error}") from error
        answers.append(answer)
        sheets += pictured
    out.mkdir(parents=True, exist_ok=True)
    for sheet in sheets:
        figure = answer_figure(sheet.answer, sheet.view, sheet.delivered, sheet.prepared)
        save_figure(figure, out / f"{sheet.answer.name}.png")
        _write_json(sheet.answer.to_json(), trained, out / f"{sheet.answer.name}.json")
    for answer in answers:
        if isinstance(answer, TableAnswer):
            write_whole(answer.table, answer.to_csv().encode())
            _write_json(answer.to_json(), trained, out / f"{answer.name}.json")
    return answers


def _check_options(
    trained: Run, inputs: list[ImageFile | ImageTable], options: Mapping[str, Path | str | None]
) -> None:
    """Refuse options that would change nothing."""
    given = " and ".join(name for name, value in options.items() if value is not None)
    if not given:
        return
    if not isinstance(trained.model, LensFit):
        raise DataError(
            f"{given} is for networks that fit the lens, such as lenspinn_fit; the one in "
            f"{trained.folder} is {trained.config.model.name}"
        )
    for item in inputs:
        if not (isinstance(item, ImageFile) and item.from_telescope):
            raise DataError(
                f"{given} is for FITS and HDF5 images; {item.path} is none, and taken to be as the "
                "training images are"
            )


def _answer_image(
    image: ImageFile,
    trained: Run,
    calibration: Calibration | None,
    out: Path,
    lens_light: LensLightMode | None,
) -> tuple[Answer, list[_Sheet]]:
    model = trained.model
    scale = model.pixel_scale if image.pixel_scale is None else image.pixel_scale
    prepared = None
    if isinstance(model, LensFit) and image.from_telescope:
        light = lens_light or _lens_light_of(image, scale, trained)
        prepared = _prepared(image, scale, model, light)
        model, seen = prepared.model, prepared.seen
    else:
        seen = _to_model(image.pixels[None, None], scale, model, str(image.path))
    observed = Observed(
        pixel_scale=scale,
        scale_assumed=image.pixel_scale is None,
        instrument=image.instrument,
        unit=image.unit,
        num_at_peak=int((image.pixels == image.pixels.max()).sum()),
        measured=measure(torch.from_numpy(seen), model.pixel_scale),
        told=prepared is not None,
        light_taken_away=prepared is not None and prepared.light_mode != "none",
    )
    outputs = network_outputs(model, seen)
    judgement = None if calibration is None else calibration.judge(outputs)
    (view,) = _judged(view_images(model, seen), judgement)
    mismatches = find_mismatches(observed, trained.data_info)
    if prepared is not None and view.fit is not None:
        mismatches += fit_mismatches(prepared, view.fit.chi2)
    answered = answered_classes(view.probabilities[None], judgement, model.classes)
    if any(mismatch.serious for mismatch in mismatches):
        answered = [()]
    answer = Answer(
        name=image.name,
        path=image.path,
        probabilities=_by_class(view),
        theta_E=view.theta_E,
        pixel_scale=scale,
        mismatches=mismatches,
        picture=out / f"{image.name}.png",
        uncertainty=_uncertainty(judgement, 0, model.classes),
        estimates=estimates_of(model.quantities, outputs, answered)[0],
        preparation=_preparation(prepared, view),
    )
    sheet = _Sheet(
        answer=answer,
        view=view,
        delivered=image.pixels,
        prepared=prepared,
    )
    return answer, [sheet]


def _lens_light_of(image: ImageFile, scale: float, trained: Run) -> LensLightMode:
    """Return what to do about lens light: to model it, if any shows and training had none."""
    if trained.data_info.lens_light:
        return "none"
    known = image.known
    try:
        return lens_light_shown(
            observe(image.pixels, pixel_scale=scale, noise=known.noise, psf=None, mask=known.mask)
        )
    except ImageError as error:
        raise ImageError(f"{image.path}: {error}") from error


def _prepared(
    image: ImageFile, scale: float, model: LensFit, lens_light: LensLightMode
) -> Prepared:
    try:
        return prepare(image, scale, model, lens_light)
    except ImageError as error:
        raise ImageError(f"{image.path}: {error}") from error


def _preparation(prepared: Prepared | None, view: View) -> dict[str, Any] | None:
    if prepared is None or view.fit is None:
        return None
    return {"chi2": view.fit.chi2, **prepared.to_json()}


def _answer_table(
    table: ImageTable,
    trained: Run,
    calibration: Calibration | None,
    out: Path,
    progress: bool,
) -> tuple[TableAnswer, list[_Sheet]]:
    store, model = table.store, trained.model
    first = store.images(slice(0, MEASURED))
    seen = _to_model(first, store.info.pixel_scale, model, str(table.path))
    observed = Observed(
        pixel_scale=store.info.pixel_scale,
        instrument=store.info.instrument,
        recipe=store.info.recipe,
        unit=store.info.unit,
        lens_light=store.info.lens_light,
        measured=measure(torch.from_numpy(seen), model.pixel_scale),
    )
    mismatches = find_mismatches(observed, trained.data_info)
    labels = tuple(store.info.classes[label] for label in store.labels)
    scan = _scan(table, model, calibration, progress)
    sheets = [
        _Sheet(
            answer=Answer(
                name=f"{table.name}_{row:05d}",
                path=table.path,
                probabilities=_by_class(view),
                theta_E=view.theta_E,
                pixel_scale=store.info.pixel_scale,
                mismatches=mismatches,
                label=labels[row],
                picture=out / f"{table.name}_{row:05d}.png",
                uncertainty=_uncertainty(scan.judgement, row, model.classes),
                estimates=scan.estimates[row],
            ),
            view=view,
            delivered=first[row, 0],
        )
        for row, view in enumerate(
            _judged(view_images(model, seen[:TABLE_PICTURES]), scan.judgement)
        )
    ]
    summary = TableAnswer(
        name=table.name,
        path=table.path,
        classes=model.classes,
        probabilities=scan.probabilities,
        theta_E=scan.theta_E,
        labels=labels,
        accuracy=_accuracy(scan.probabilities, labels, model.classes),
        mismatches=mismatches,
        table=out / f"{table.name}.csv",
        answers=tuple(sheet.answer for sheet in sheets),
        judgement=scan.judgement,
        quantities=model.quantities,
        estimates=scan.estimates,
    )
    return summary, sheets


@dataclass(frozen=True, kw_only=True, eq=False)
class _Scan:
    """What a network makes of all images of a dataset."""

    probabilities: Float[np.ndarray, "images classes"]
    theta_E: Float[np.ndarray, " images"] | None
    judgement: Judgement | None
    estimates: tuple[tuple[Estimate, ...], ...]


def _scan(
    table: ImageTable, model: Classifier, calibration: Calibration | None, progress: bool
) -> _Scan:
    store = table.store
    probabilities, radii, judgements = [], [], []
    estimates: list[tuple[Estimate, ...]] = []
    starts = range(0, len(store), BATCH_SIZE)
    for start in tqdm(starts, desc=table.name, unit="batch", disable=not progress):
        images = store.images(slice(start, start + BATCH_SIZE))
        seen = _to_model(images, store.info.pixel_scale, model, str(table.path))
        outputs = network_outputs(model, seen)
        if calibration is None:
            probabilities.append(scaled_probabilities(outputs.logits))
        else:
            judgements.append(calibration.judge(outputs))
            probabilities.append(judgements[-1].probabilities)
        theta_E = outputs.theta_E if outputs.theta_E is not None else _theta_E(model, seen)
        if theta_E is not None:
            radii.append(theta_E)
        judgement = judgements[-1] if judgements else None
        answered = answered_classes(probabilities[-1], judgement, model.classes)
        estimates += estimates_of(model.quantities, outputs, answered)
    return _Scan(
        probabilities=np.concatenate(probabilities),
        theta_E=np.concatenate(radii) if radii else None,
        judgement=join_judgements(judgements) if judgements else None,
        estimates=tuple(estimates),
    )


def _theta_E(model: Classifier, seen: Seen) -> Float[np.ndarray, " images"] | None:
    """Return the Einstein radii in the physics of a network that does not measure them."""
    with torch.inference_mode():
        physics = reconstruct(model, torch.from_numpy(seen))
    return None if physics is None else physics.theta_E.numpy()


def _judged(views: list[View], judgement: Judgement | None) -> list[View]:
    """Give views of the first images the calibrated probabilities."""
    if judgement is None:
        return views
    return [
        replace(view, probabilities=probabilities)
        for view, probabilities in zip(views, judgement.probabilities, strict=False)
    ]


def _uncertainty(
    judgement: Judgement | None, row: int, classes: tuple[str, ...]
) -> Uncertainty | None:
    if judgement is None:
        return None
    return Uncertainty(
        possible=tuple(np.array(classes)[judgement.possible[row]].tolist()),
        coverage=judgement.coverage,
        shift=float(judgement.shift[row]),
        by_score={name: float(values[row]) for name, values in judgement.by_score.items()},
        refused=bool(judgement.refused[row]),
    )


def _to_model(images: Batch, from_scale: float, model: Classifier, name: str) -> Seen:
    """Resample images to the pixel scale of a model and cut their centre to its size."""
    if from_scale == model.pixel_scale and images.shape[-1] == model.num_pix:
        return images
    try:
        pixels = torch.from_numpy(images)
        return resample(pixels, from_scale, model.pixel_scale, model.num_pix).numpy()
    except ImageError as error:
        raise ImageError(f"{name} cannot be used with this model: {error}") from error


def _by_class(view: View) -> dict[str, float]:
    return {name: float(p) for name, p in zip(view.classes, view.probabilities, strict=True)}


def _accuracy(
    probabilities: Float[np.ndarray, "images classes"],
    labels: tuple[str, ...],
    classes: tuple[str, ...],
) -> tuple[float, float, float] | None:
    """Share of right answers and its interval; None if the dataset has classes of its own."""
    if not set(labels) <= set(classes):
        return None
    indices = np.array([classes.index(label) for label in labels])
    metrics = classification_metrics(probabilities, indices, classes)
    return metrics["accuracy"], metrics["accuracy_low"], metrics["accuracy_high"]


def _write_json(content: dict[str, Any], trained: Run, path: Path) -> None:
    about = {
        "run": str(trained.folder),
        "model": trained.config.model.name,
        "trained_on": trained.data_info.recipe,
    }
    write_whole(path, (json.dumps(content | about, indent=2) + "\n").encode())
