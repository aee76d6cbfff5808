"""`lenspinn apply`: images in, answers with pictures out."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from lenspinn.apply.answer import Answer, Uncertainty
from lenspinn.apply.dataset import answer_table
from lenspinn.apply.estimates import answered_classes, estimates_of
from lenspinn.apply.fit_mismatch import fit_mismatches
from lenspinn.apply.grounds import Judge
from lenspinn.apply.inputs import COMMAND, ImageFile, ImageTable, read_inputs
from lenspinn.apply.mismatch import Observed, find_mismatches, measure
from lenspinn.apply.picture import Sheet, answer_figure
from lenspinn.apply.prepare import Prepared, prepare, without_bad_pixels
from lenspinn.apply.table import TableAnswer
from lenspinn.data.transforms import check_image
from lenspinn.errors import DataError, ImageError, ModelError
from lenspinn.evaluate.files import save_figure
from lenspinn.evaluate.predict import network_outputs
from lenspinn.explain.view import View, view_images
from lenspinn.files import write_whole
from lenspinn.measure.arcs import LensLightMode, lens_light_shown
from lenspinn.measure.companions import FileOptions
from lenspinn.measure.observation import observe
from lenspinn.measure.output_names import origin_of
from lenspinn.models import LensFit
from lenspinn.train import Run


def apply_model(  # noqa: PLR0913 - each is an option of the command
    images: list[Path],
    *,
    model: Path | str,
    out: Path = Path("answers"),
    pixel_scale: float | None = None,
    noise: Path | None = None,
    psf: Path | None = None,
    image_hdu: int | str | None = None,
    noise_hdu: int | str | None = None,
    psf_hdu: int | str | None = None,
    band: int | str | None = None,
    lens_light: LensLightMode | None = None,
    progress: bool = True,
) -> list[Answer | TableAnswer]:
    """Classify images, and say of each whether the answer can be trusted.

    An image is resampled to the pixel scale of the model and its centre is cut to the model's
    size. It gets a PNG (image, preprocessed image, Grad-CAM, reconstructed source, probabilities)
    and a JSON file; a dataset gets a CSV table of all its images, a JSON summary, and pictures of
    its first `lenspinn.apply.dataset.TABLE_PICTURES`. Each way in which an image differs from the
    training data is named.

    No answer is given without grounds: the run was evaluated above chance and calibrated
    (`lenspinn evaluate` does both), its files are those that were written then, nothing serious
    speaks against the image, and it is not too unlike the calibration images. Then probabilities
    are calibrated, and classes that cannot be told apart are named together.

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
        Folder of a finished training run, or name of a trained network; see
        `lenspinn.load_run`.
    out
        Folder for the answers; made if missing. Those of the same image are replaced, those of
        another image of the same name are not: the name then begins with the image's folder.
    pixel_scale
        Arcsec per pixel of single images. By default what their files say; for .npy that of the
        model, with a warning.
    noise
        FITS file of standard deviations in the unit of the one image, or of variances or weights,
        as for `lenspinn fit`. By default that of the image's file, or estimated from the image.
        This, the PSF and `lens_light` are for networks that fit the lens.
    psf
        FITS or HDF5 file of the PSF in pixels of the one image, or in finer ones whose scale it
        states. By default that of the image's file, or a Gaussian as of the instrument that the
        header names; failing that, as in training, which is said.
    image_hdu
        Number, from 0, or name of the extension of the one image.
    noise_hdu
        The same of the noise, in its file or in that of the image.
    psf_hdu
        The same of the PSF.
    band
        Which image of a cube (bands, y, x): its number, from 1, or its name; or a word in the names
        of extensions.
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
    judge = Judge.of(model)
    trained = judge.run
    files = FileOptions(
        noise=noise,
        psf=psf,
        pixel_scale=pixel_scale,
        image_hdu=image_hdu,
        noise_hdu=noise_hdu,
        psf_hdu=psf_hdu,
        band=band,
    )
    inputs = read_inputs(images, files, out)
    _check_options(trained, inputs, {"noise": noise, "psf": psf, "lens_light": lens_light})
    answers: list[Answer | TableAnswer] = []
    sheets: list[Sheet] = []
    for item in inputs:
        answer: Answer | TableAnswer
        try:
            if isinstance(item, ImageFile):
                answer, sheet = _answer_image(item, judge, out, lens_light)
                sheets.append(sheet)
            else:
                answer, pictured = answer_table(item, judge, out, progress=progress)
                sheets += pictured
        except ModelError as error:
            raise ModelError(f"{item.path}: {error}") from error
        answers.append(answer)
    out.mkdir(parents=True, exist_ok=True)
    for sheet in sheets:
        save_figure(answer_figure(sheet), out / f"{sheet.answer.name}.png")
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
    image: ImageFile, judge: Judge, out: Path, lens_light: LensLightMode | None
) -> tuple[Answer, Sheet]:
    model = judge.model
    scale = model.pixel_scale if image.pixel_scale is None else image.pixel_scale
    prepared = None
    if isinstance(model, LensFit) and image.from_telescope:
        image = without_bad_pixels(image)
        light = lens_light or _lens_light_of(image, scale, judge.run)
        prepared = _prepared(image, scale, model, light)
        model, seen = prepared.model, prepared.seen
    else:
        check_image(torch.from_numpy(image.pixels), str(image.path))  # here nothing is left out
        model = judge.for_images(1).model
        seen = judge.on_its_grid(image.pixels[None, None], scale, str(image.path))
    outputs = network_outputs(model, seen)
    judgement = None if judge.calibration is None else judge.calibration.judge(outputs)
    (view,) = view_images(model, seen)
    if judgement is not None:
        view = replace(view, probabilities=judgement.probabilities[0])
    mismatches = (
        *judge.lacking,
        *find_mismatches(_observed(image, scale, seen, prepared, judge), judge.run.data_info),
        *(fit_mismatches(prepared, view.fit.chi2) if prepared and view.fit else ()),
        *judge.outside(judgement, 0),
    )
    answered: list[tuple[str, ...]] = [()]
    if judgement is not None and not any(mismatch.serious for mismatch in mismatches):
        answered = answered_classes(judgement, model.classes)
    answer = Answer(
        name=image.name,
        path=image.path,
        probabilities=dict(zip(model.classes, map(float, view.probabilities), strict=True)),
        theta_E=view.theta_E,
        pixel_scale=scale,
        mismatches=mismatches,
        picture=out / f"{image.name}.png",
        uncertainty=Uncertainty.of(judgement, 0, model.classes),
        estimates=estimates_of(model.quantities, outputs, answered)[0],
        preparation=_preparation(prepared, view),
    )
    return answer, Sheet(answer=answer, view=view, delivered=image.pixels, prepared=prepared)


def _observed(
    image: ImageFile,
    scale: float,
    seen: Float[np.ndarray, "1 1 v u"],
    prepared: Prepared | None,
    judge: Judge,
) -> Observed:
    return Observed(
        pixel_scale=scale,
        scale_assumed=image.pixel_scale is None,
        instrument=image.instrument,
        unit=image.unit,
        num_at_peak=int((image.pixels == np.nanmax(image.pixels)).sum()),
        measured=measure(torch.from_numpy(seen), judge.model.pixel_scale),
        told=prepared is not None,
        light_taken_away=prepared is not None and prepared.light_mode != "none",
    )


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


def _write_json(content: dict[str, Any], trained: Run, path: Path) -> None:
    about = {
        "run": str(trained.folder),
        "model": trained.config.model.name,
        "trained_on": trained.data_info.recipe,
        "origin": origin_of(COMMAND, Path(content.get("image") or content["dataset"]), path.parent),
    }
    write_whole(path, (json.dumps(content | about, indent=2) + "\n").encode())
