"""Sample images for the page, simulated when they are asked for."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from lenspinn.data.fits import write_fits
from lenspinn.web.played_lens import LensChoice, draw_choice, observe_choice, psf_of

__all__ = ["SAMPLES", "SampleFiles", "write_sample"]

SAMPLES = {
    "smooth lens, HST": LensChoice(substructure="no_sub", source_x=0.16, magnitude=22.5, draw=3),
    "lens with a dark clump, HST": LensChoice(log_mass=9.2, source_x=0.16, magnitude=22.5, draw=3),
    "smooth lens, ten years of Rubin": LensChoice(
        substructure="no_sub", theta_E=1.5, source_x=0.3, instrument="Rubin i, ten years", draw=3
    ),
}
"""Samples by their name on the page."""
SUPERSAMPLING = 4
"""Number of points along a side of a pixel: more than for a played lens, as the sky has no
pixels."""


class SampleFiles(NamedTuple):
    """FITS files of a sample."""

    image: Path
    noise: Path
    psf: Path


def write_sample(name: str, folder: Path) -> SampleFiles:
    """Write image, noise map and PSF of a sample as a telescope's files come.

    Parameters
    ----------
    name
        One of `SAMPLES`.
    folder
        Folder that exists.

    Returns
    -------
    SampleFiles
    """
    choice = SAMPLES[name]
    recipe, scene = draw_choice(choice)
    recipe = replace(recipe, supersampling=SUPERSAMPLING)
    image, sigma = observe_choice(choice, scene, recipe)
    instrument = recipe.instrument
    files = SampleFiles(*(folder / f"sample_{kind}.fits" for kind in SampleFiles._fields))
    write_fits(
        files.image,
        image[0],
        instrument.pixel_scale,
        BUNIT="e-/s",
        INSTRUME=instrument.name,
        EXPTIME=instrument.total_exposure,
    )
    write_fits(files.noise, sigma[0].numpy(), instrument.pixel_scale, BUNIT="e-/s")
    write_fits(files.psf, psf_of(recipe), instrument.pixel_scale)
    return files
