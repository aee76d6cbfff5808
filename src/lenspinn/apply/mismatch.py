"""Differences of an image from the training data of a model, each with its numbers.

A network answers any image, also one unlike all it has learnt from. These checks compare the facts
that the training run recorded about its dataset with what is known of an image, or can be measured
in it.
"""

import re
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lenspinn.apply.answer import Mismatch
from lenspinn.apply.recipe_mismatch import recipe_mismatches
from lenspinn.data.background import background_sigma
from lenspinn.data.info import DatasetInfo
from lenspinn.measure.psf import instrument_words
from lenspinn.models.classifier import Image

SAME_SCALE = 0.02
"""Relative difference below which two pixel scales count as equal (0.1 and 0.101 arcsec do)."""
SERIOUS_SCALE_FACTOR = 1.25
"""Resampling by more than this changes the sharpness of every structure a network has learnt."""
MOST_FINER = 2.0
"""Factor up to which pixels may be finer for a network that is told noise and PSF: by
`results/survey_hst/shifts_complex.json` prediction sets then hold the truth nearly as often."""
SAME_NOISE_FACTOR = 2.0
"""Factor between two noise levels up to which they count as equal."""
SERIOUS_NOISE_FACTOR = 4.0
SATURATED_PIXELS = 5
"""Number of pixels of exactly the same highest value from which on an image is saturated."""
LENS_LIGHT_ABOVE = 0.5
"""Central brightness that only a lens galaxy reaches: 0.77 and more in real HST, JWST and Euclid
images, 0.27 and less in simulated images without lens light (Einstein radii from 0.45 arcsec)."""
REAL_LENSES_HAVE = {"gamma": "another density slope", "multipoles": "multipoles"}
"""Parameters that the recipe of the training images must vary, and their names in words. Lens
about the isothermal slope (Auger et al. 2010, arXiv:1007.2880). A network trained without this
scatter takes it for substructure, and no score notices: `results/survey_hst/shifts_clumpy.json`."""
UNKNOWN = "unknown"
"""Instrument of a dataset that was imported without the name of one."""
CENTRE_RADIUS = 0.2
"""Radius within which a lens galaxy shows, arcsec."""
FAINT_QUANTILE = 0.125
"""Quantile of the pixels that is the background: the median of their faintest quarter."""

_ELECTRONS_PER_SECOND = re.compile(r"e(-|lectrons?)?\s*(/\s*s(ec)?|s\*{0,2}-1)", re.IGNORECASE)


@dataclass(frozen=True)
class Measured:
    """Measurements of images on the pixel grid of a model."""

    noise_sigma: float
    """Background noise (1 sigma) of a pixel, in the unit of the image; 0 if noise-free."""
    peak: float
    """Brightest pixel, in the unit of the image."""
    central_brightness: float
    """Brightness of the centre relative to the brightest pixels; see the function
    `central_brightness`."""


@dataclass(frozen=True, kw_only=True)
class Observed:
    """Facts known of an image, or of all images of a dataset."""

    measured: Measured
    pixel_scale: float
    """Pixel scale of the image as delivered, arcsec per pixel."""
    scale_assumed: bool = False
    """Whether the pixel scale is unknown, and that of the model is assumed."""
    instrument: str | None = None
    dataset: DatasetInfo | None = None
    """Description of the dataset that the images are from."""
    unit: str | None = None
    num_at_peak: int = 1
    """Number of pixels, as delivered, that share the highest value."""
    lens_light: bool | None = None
    """Whether the lens galaxy shows; None if unknown: then the brightness of the centre decides."""
    told: bool = False
    """Whether the model gets the noise of each pixel and the PSF: then these and the instrument
    need not be those of training."""
    light_taken_away: bool = False
    """Whether lens light was modelled and subtracted, or masked."""


def measure(images: Image, pixel_scale: float) -> Measured:
    """Measure noise, peak and central brightness: the medians over images.

    Parameters
    ----------
    images : (batch, 1, y, x)
        Images on the pixel grid of the model.
    pixel_scale
        Arcsec per pixel.
    """
    return Measured(
        noise_sigma=float(background_sigma(images).median()),
        peak=float(images.amax(dim=(1, 2, 3)).median()),
        central_brightness=float(central_brightness(images, pixel_scale).median()),
    )


def central_brightness(images: Image, pixel_scale: float) -> Float[Tensor, " batch"]:
    """Mean brightness within `CENTRE_RADIUS`, relative to as many of the brightest pixels.

    Parameters
    ----------
    images : (batch, 1, y, x)
    pixel_scale
        Arcsec per pixel.

    Returns
    -------
    (batch,)
        Ratio, at most 1, of brightnesses above the faint level of the image. A lens galaxy gives
        about 1. Without one the centre is dark, as a steep lens leaves no visible image of the
        source there.
    """
    y, x = (
        (torch.arange(size, device=images.device) - (size - 1) / 2) * pixel_scale
        for size in images.shape[-2:]
    )
    radius = torch.hypot(y[:, None], x[None, :]).flatten()
    centre = radius <= radius.min().clamp(min=CENTRE_RADIUS)
    pixels = images.flatten(1)
    faint = torch.quantile(pixels, FAINT_QUANTILE, dim=1)
    brightest = pixels.topk(int(centre.sum()), dim=1).values.mean(dim=1) - faint
    central = pixels[:, centre].mean(dim=1) - faint
    return central / brightest.clamp(min=torch.finfo(images.dtype).tiny)


def has_lens_light(measured: Measured) -> bool:
    """Return whether the centre is as bright as a lens galaxy makes it."""
    return measured.central_brightness > LENS_LIGHT_ABOVE


def find_mismatches(observed: Observed, trained: DatasetInfo) -> tuple[Mismatch, ...]:
    """Compare an image with the training data.

    Parameters
    ----------
    observed
        Facts of the image, or of the dataset.
    trained
        Description of the training data that the run recorded.

    Returns
    -------
    tuple of Mismatch
        Mismatches, at most one of each kind; empty if nothing was found.
    """
    recipes = () if observed.dataset is None else recipe_mismatches(observed.dataset, trained)
    found = (
        _pixel_scale(observed, trained),
        None if observed.told else _noise(observed, trained),
        None if observed.light_taken_away else _lens_light(observed, trained),
        _saturation(observed),
        _instrument(observed, trained),
        _lens_model(trained) if observed.told else None,
    )
    return tuple(mismatch for mismatch in (*found, *recipes) if mismatch is not None)


def _pixel_scale(observed: Observed, trained: DatasetInfo) -> Mismatch | None:
    if observed.scale_assumed:
        message = (
            f'the file states none, so {trained.pixel_scale:g}" of the training images is assumed; '
            "give the right one with --pixel_scale"
        )
        return Mismatch("pixel scale", message, serious=False)
    factor = trained.pixel_scale / observed.pixel_scale
    if abs(factor - 1) <= SAME_SCALE:
        return None
    message = (
        f'{observed.pixel_scale:.4g}" was resampled by a factor {factor:.2f} to '
        f'{trained.pixel_scale:g}" of the training images'
    )
    finest = MOST_FINER if observed.told else SERIOUS_SCALE_FACTOR
    serious = not 1 / SERIOUS_SCALE_FACTOR <= factor <= finest
    return Mismatch("pixel scale", message, serious)


def _noise(observed: Observed, trained: DatasetInfo) -> Mismatch | None:
    here, there = observed.measured.noise_sigma, trained.noise_sigma
    if here > 0 and there == 0:
        share = here / observed.measured.peak
        message = f"background noise is {share:.2%} of the peak; the training images have none"
        return Mismatch("noise", message, serious=True)
    if here == 0 and there > 0:
        message = f"the image has none; the training images have {there:.3g} {trained.unit}"
        return Mismatch("noise", message, serious=True)
    if here == there == 0:
        return None
    unit = _same_unit(observed.unit, trained.unit)
    if unit is None:
        given = observed.unit or "unknown"
        message = f"cannot be compared: its unit is {given}, that of training is {trained.unit}"
        return Mismatch("noise", message, serious=False)
    factor = max(here / there, there / here)
    if factor <= SAME_NOISE_FACTOR:
        return None
    message = f"{here:.3g} {unit} a pixel; the training images have {there:.3g}"
    return Mismatch("noise", message, serious=factor > SERIOUS_NOISE_FACTOR)


def _lens_light(observed: Observed, trained: DatasetInfo) -> Mismatch | None:
    present = observed.lens_light
    where = "its images have it" if present else "its images have none"
    if present is None:
        centre = observed.measured.central_brightness
        present = has_lens_light(observed.measured)
        where = (
            f"the centre is {centre:.0%} as bright as the brightest pixels, "
            f"{'a' if present else 'no'} sign of a lens galaxy"
        )
    if present == trained.lens_light:
        return None
    there = "have lens light" if trained.lens_light else "have none; subtract it first"
    return Mismatch("lens light", f"{where}; the training images {there}", serious=True)


def _saturation(observed: Observed) -> Mismatch | None:
    if observed.num_at_peak < SATURATED_PIXELS:
        return None
    message = f"{observed.num_at_peak} pixels share the highest value, as where a detector clips"
    return Mismatch("saturation", message, serious=True)


def _instrument(observed: Observed, trained: DatasetInfo) -> Mismatch | None:
    if observed.instrument in (None, UNKNOWN) or trained.instrument == UNKNOWN:
        return None
    here, there = instrument_words(observed.instrument), instrument_words(trained.instrument)
    if here <= there or there <= here:
        return None
    message = f"{observed.instrument}; the training images are {trained.instrument}"
    return Mismatch("instrument", message, serious=not observed.told)


def _lens_model(trained: DatasetInfo) -> Mismatch | None:
    lens = trained.lens_prior
    if not lens:  # not simulated here
        return None
    missing = [words for key, words in REAL_LENSES_HAVE.items() if lens.get(key) is None]
    if not missing:
        return None
    message = (
        f"no lens of the training images has {' or '.join(missing)}, as real ones do; what that "
        "leaves looks like substructure"
    )
    return Mismatch("lens model", message, serious=True)


def _same_unit(here: str | None, there: str) -> str | None:
    """Return the common unit; None if the units differ or one is unknown."""
    if here is None:
        return None
    names = {
        "e-/s" if _ELECTRONS_PER_SECOND.fullmatch(unit.strip()) else unit.strip().lower()
        for unit in (here, there)
    }
    return names.pop() if len(names) == 1 else None
