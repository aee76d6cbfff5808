"""Answer for one image: arrays in, an answer out, and no file is written."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lenspinn.apply.answer import Answer, Mismatch, Shown, Uncertainty
from lenspinn.apply.estimates import answered_classes, estimates_of
from lenspinn.apply.fit_mismatch import fit_mismatches
from lenspinn.apply.grounds import Judge
from lenspinn.apply.mismatch import Observed, find_mismatches, measure
from lenspinn.apply.prepare import Prepared, prepare
from lenspinn.data.plausible_scale import check_pixel_scale
from lenspinn.data.transforms import check_image
from lenspinn.errors import DataError
from lenspinn.evaluate.judgement import Judgement
from lenspinn.evaluate.predict import outputs_of
from lenspinn.explain.view import Pixels, View, view_solution
from lenspinn.measure.arcs import LensLightMode
from lenspinn.measure.image_fits import ImageFits
from lenspinn.measure.noise_map import AnyPixels
from lenspinn.models import Classifier, LensFit, NetworkInput
from lenspinn.path_arguments import takes_paths

__all__ = ["ReadyImage", "answer_image", "answer_ready", "make_ready"]

NAME = "The image"
"""Name of an image in error sentences."""


@takes_paths
def answer_image(  # noqa: PLR0913 - what is known of an image, all named
    image: AnyPixels,
    run: Path | Judge,
    *,
    pixel_scale: float | None,
    noise: AnyPixels | None = None,
    psf: AnyPixels | None = None,
    mask: AnyPixels | None = None,
    lens_light: LensLightMode | None = None,
    unit: str | None = None,
    instrument: str | None = None,
    telescope: bool = True,
) -> Answer:
    """Classify one image, and say whether the answer can be trusted, as `apply_model` does.

    Parameters
    ----------
    image : (y, x)
        Square image, centred on the lens.
    run
        Folder of a finished training run; for many images `Judge.of` it, which is read once.
    pixel_scale
        Pixel scale, arcsec per pixel; None takes that of the network, with a warning.
    noise : (y, x)
        Noise map: standard deviations in the unit of the image. By default estimated from the
        image. ``noise``, ``psf``, ``mask`` and ``lens_light`` are for networks that fit the lens,
        and images of a telescope.
    psf : (v, u)
        PSF in pixels of the image. By default a Gaussian as of the instrument, if that is known;
        otherwise the PSF of the training images, with a warning.
    mask : (y, x)
        Mask: any value except 0 leaves a pixel out.
    lens_light
        "model" (and subtract it), "mask" (leave out the inner part of the ring), or "none". By
        default modelled where the centre shows any, and training images had none.
    unit, instrument
        Unit and instrument of the image, in words, where they are known.
    telescope
        Whether the image is a telescope's, which is prepared for a network that fits the lens;
        otherwise it is taken to be like the training images.

    Returns
    -------
    Answer
        Answer, which `lenspinn.apply.picture.answer_figure` draws.

    Raises
    ------
    ConfigError, DataError, ModelError
        The run is missing, unfinished or damaged, or its network cannot take the image; or an
        argument is given that network or image have no use for.
    ImageError
        The image cannot be used, or what comes with it does not fit; or the image covers less than
        the field of the network.
    """
    judge = run if isinstance(run, Judge) else Judge.of(run)
    scale = judge.model.pixel_scale if pixel_scale is None else pixel_scale
    ready = make_ready(
        image,
        judge,
        pixel_scale=pixel_scale,
        fits=ImageFits(image, pixel_scale=scale, noise=noise, psf=psf, mask=mask),
        lens_light=lens_light,
        unit=unit,
        instrument=instrument,
        telescope=telescope,
    )
    (answer,) = answer_ready([ready], judge)
    return answer


@dataclass(frozen=True, kw_only=True, eq=False)
class ReadyImage:
    """Image as a network takes it, and what is known of it."""

    observed: NetworkInput
    """Image of the network, a batch of one, with noise and PSF where they are known."""
    prepared: Prepared | None
    """Preparation of a telescope image; None for an image that is like the training images."""
    delivered: Pixels
    pixel_scale: float | None
    instrument: str | None
    unit: str | None


def make_ready(
    image: AnyPixels,
    judge: Judge,
    *,
    pixel_scale: float | None,
    fits: ImageFits | None = None,
    lens_light: LensLightMode | None = None,
    unit: str | None = None,
    instrument: str | None = None,
    telescope: bool = True,
) -> ReadyImage:
    """Bring one image to the pixels of a network; see `answer_image` for parameters and errors.

    With `fits`, the fits to a telescope's image that were made already are not made again.
    """
    model = judge.model
    if pixel_scale is not None:
        check_pixel_scale(pixel_scale)
    scale = model.pixel_scale if pixel_scale is None else pixel_scale
    pixels = np.ascontiguousarray(image, dtype=np.float32)
    prepared = None
    if telescope and isinstance(model, LensFit):
        check_image(torch.from_numpy(pixels), NAME, may_miss=True)
        if lens_light is None and judge.run.data_info.lens_light:
            lens_light = "none"  # the network was trained with it
        fits = fits or ImageFits(pixels, pixel_scale=scale)
        prepared = prepare(fits, model, instrument=instrument, lens_light=lens_light)
        observed = prepared.observed
    else:
        _refuse_what_is_of_no_use(fits, lens_light)
        observed = _as_it_is(pixels, scale, judge)
    return ReadyImage(
        observed=observed,
        prepared=prepared,
        delivered=pixels,
        pixel_scale=pixel_scale,
        instrument=instrument,
        unit=unit,
    )


def answer_ready(images: Sequence[ReadyImage], judge: Judge) -> list[Answer]:
    """Classify images that are prepared; those without a fit of their own go in one batch.

    Parameters
    ----------
    images
        Images; those of a telescope, for a network that fits the lens, have a PSF each and are
        solved one by one.
    judge
        Judge for which they were prepared.

    Returns
    -------
    list of Answer
        Answers in the order of the images.

    Raises
    ------
    ModelError
        The network cannot take one of the images.
    """
    if any(image.prepared is not None for image in images) and len(images) > 1:
        return [answer for image in images for answer in answer_ready([image], judge)]
    if not images:
        return []
    model = judge.model
    observed = images[0].observed
    if len(images) > 1:
        observed = NetworkInput(torch.cat([image.observed.image for image in images]))
    with torch.no_grad():
        solution = model.solve(observed, compiled=False)
        found = model.examine(solution)
        outputs = outputs_of(found, solution.image)
    views = view_solution(model, solution, found.logits)
    judgement = None if judge.calibration is None else judge.calibration.judge(outputs)
    if judgement is not None:
        views = [
            replace(view, probabilities=chances)
            for view, chances in zip(views, judgement.probabilities, strict=True)
        ]
    mismatches = [
        _mismatches(judge, image, seen, view) + judge.outside(judgement, row)
        for row, (image, seen, view) in enumerate(zip(images, solution.image, views, strict=True))
    ]
    answered = _answered(mismatches, judgement, model.classes)
    estimates = estimates_of(model.quantities, outputs, answered)
    return [
        Answer(
            probabilities=dict(zip(model.classes, map(float, view.probabilities), strict=True)),
            theta_E=view.theta_E,
            pixel_scale=_scale_of(image, model),
            mismatches=found,
            uncertainty=Uncertainty.of(judgement, row, model.classes),
            estimates=estimates[row],
            preparation=_preparation(image.prepared, view),
            shown=Shown(view=view, delivered=image.delivered, prepared=image.prepared),
        )
        for row, (image, view, found) in enumerate(zip(images, views, mismatches, strict=True))
    ]


def _mismatches(judge: Judge, image: ReadyImage, seen: Tensor, view: View) -> tuple[Mismatch, ...]:
    """Say what speaks against an answer before it is known."""
    facts, prepared = _facts(image, seen[None], judge.model), image.prepared
    return (
        *judge.lacking,
        *find_mismatches(facts, judge.run.data_info),
        *(fit_mismatches(prepared, view.fit.chi2) if prepared and view.fit else ()),
    )


def _facts(image: ReadyImage, seen: Tensor, model: Classifier) -> Observed:
    prepared, pixels = image.prepared, image.delivered
    return Observed(
        pixel_scale=_scale_of(image, model),
        scale_assumed=image.pixel_scale is None,
        instrument=image.instrument,
        unit=image.unit,
        num_at_peak=int((pixels == np.nanmax(pixels)).sum()),
        measured=measure(seen, model.pixel_scale),
        told=prepared is not None,
        light_taken_away=prepared is not None and prepared.light_mode != "none",
    )


def _as_it_is(pixels: Pixels, pixel_scale: float, judge: Judge) -> NetworkInput:
    check_image(torch.from_numpy(pixels), NAME)  # here nothing is left out
    seen = judge.on_its_grid(pixels[None, None], pixel_scale, NAME)
    return NetworkInput(torch.from_numpy(seen))


def _scale_of(image: ReadyImage, model: Classifier) -> float:
    return model.pixel_scale if image.pixel_scale is None else image.pixel_scale


def _answered(
    mismatches: Sequence[Sequence[Mismatch]],
    judgement: Judgement | None,
    classes: tuple[str, ...],
) -> list[tuple[str, ...]]:
    """Return the classes that are answered for each image; none where an answer is not trusted."""
    if judgement is None:
        return [()] * len(mismatches)
    return [
        () if any(mismatch.serious for mismatch in found) else answered
        for found, answered in zip(mismatches, answered_classes(judgement, classes), strict=True)
    ]


def _preparation(prepared: Prepared | None, view: View) -> dict[str, Any] | None:
    if prepared is None or view.fit is None:
        return None
    return {"chi2": view.fit.chi2, **prepared.to_json()}


def _refuse_what_is_of_no_use(fits: ImageFits | None, lens_light: LensLightMode | None) -> None:
    options = {
        name: None if fits is None else getattr(fits, name) for name in ("noise", "psf", "mask")
    }
    options["lens_light"] = lens_light
    given = " and ".join(name for name, value in options.items() if value is not None)
    if given:
        raise DataError(
            f"{given} is for images of a telescope and networks that fit the lens, such as "
            "lenspinn_fit; leave it out"
        )
