"""`lenspinn apply`: images in, answers with pictures out."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lenspinn.apply.answer import Answer
from lenspinn.apply.dataset import answer_table
from lenspinn.apply.grounds import Judge
from lenspinn.apply.image import answer_image
from lenspinn.apply.inputs import COMMAND, ImageFile, ImageTable, read_inputs
from lenspinn.apply.picture import answer_figure
from lenspinn.apply.table import TableAnswer
from lenspinn.errors import DataError, ImageError, ModelError
from lenspinn.evaluate.files import save_figure
from lenspinn.files import write_whole
from lenspinn.measure.arcs import LensLightMode
from lenspinn.measure.companions import FileOptions
from lenspinn.measure.output_names import origin_of
from lenspinn.models import LensFit
from lenspinn.path_arguments import takes_paths
from lenspinn.train import Run


@takes_paths
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
    light is taken away, lens and source are fitted as `lenspinn measure` does it, and the network
    sees the rest with its noise and PSF; the PNG shows data, lens light, model, residual, source
    and curves. A .npy image and a dataset are taken to be as the training images are.

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
        as for `lenspinn measure`. By default that of the image's file, or estimated from the image.
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
    answers = [
        _answer_file(item, judge, out, lens_light)
        if isinstance(item, ImageFile)
        else answer_table(item, judge, out, progress=progress)
        for item in inputs
    ]
    out.mkdir(parents=True, exist_ok=True)
    for answer in answers:
        for pictured in answer.answers if isinstance(answer, TableAnswer) else (answer,):
            write_answer(pictured, trained, out)
    for answer in answers:
        if isinstance(answer, TableAnswer):
            write_whole(answer.table, answer.to_csv().encode())
            _write_json(answer.to_json(), trained, out / f"{answer.name}.json")
    return answers


def write_answer(answer: Answer, trained: Run, out: Path) -> None:
    """Write NAME.png and NAME.json of the answer to one image with a path into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    save_figure(answer_figure(answer), out / f"{answer.name}.png")
    _write_json(answer.to_json(), trained, out / f"{answer.name}.json")


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


def _answer_file(
    image: ImageFile, judge: Judge, out: Path, lens_light: LensLightMode | None
) -> Answer:
    made_ready = image.from_telescope and isinstance(judge.model, LensFit)
    try:
        answer = answer_image(
            image.pixels,
            judge,
            pixel_scale=image.pixel_scale,
            noise=image.known.noise if made_ready else None,
            psf=image.known.psf if made_ready else None,
            mask=image.known.mask if made_ready else None,
            lens_light=lens_light,
            unit=image.unit,
            instrument=image.instrument,
            telescope=image.from_telescope,
        )
    except (ImageError, ModelError) as error:
        raise type(error)(f"{image.path}: {error}") from error
    picture = out / f"{image.name}.png"
    return replace(answer, name=image.name, path=image.path, picture=picture)


def _write_json(content: dict[str, Any], trained: Run, path: Path) -> None:
    about = {
        "run": str(trained.folder),
        "model": trained.config.model.name,
        "trained_on": trained.data_info.recipe,
        "origin": origin_of(COMMAND, Path(content.get("image") or content["dataset"]), path.parent),
    }
    write_whole(path, (json.dumps(content | about, indent=2) + "\n").encode())
