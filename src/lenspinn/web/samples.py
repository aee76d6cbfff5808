"""Sample images for the page, simulated when they are asked for."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lenspinn.data.fits import write_fits
from lenspinn.simulate.noise import add_noise, noise_sigma
from lenspinn.simulate.render import render
from lenspinn.web.played_lens import LensChoice, play_lens

__all__ = ["SAMPLES", "SampleFiles", "write_sample"]

SAMPLES = {
    "smooth lens, HST": LensChoice(substructure="no_sub", source_x=0.16, magnitude=22.5, draw=3),
    "lens with a dark clump, HST": LensChoice(log_mass=9.2, source_x=0.16, magnitude=22.5, draw=3),
    "smooth lens, ten years of Rubin": LensChoice(
        substructure="no_sub", theta_E=1.5, source_x=0.3, instrument="Rubin i, ten years", draw=3
    ),
}
"""By the name on the page."""
SUPERSAMPLING = 4
"""Samples along a side of a pixel, more than a lens to play with has: a sky has none."""


class SampleFiles(NamedTuple):
    """The FITS files of a sample."""

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
        That is there.

    Returns
    -------
    SampleFiles
    """
    lens = play_lens(SAMPLES[name])
    instrument = lens.recipe.instrument
    exact = render(lens.scene, replace(lens.recipe, supersampling=SUPERSAMPLING).camera)
    noise = np.random.Generator(np.random.PCG64(lens.choice.draw))
    files = SampleFiles(*(folder / f"sample_{kind}.fits" for kind in SampleFiles._fields))
    write_fits(
        files.image,
        add_noise(exact.numpy(), instrument, noise)[0],
        lens.pixel_scale,
        BUNIT="e-/s",
        INSTRUME=instrument.name,
        EXPTIME=instrument.total_exposure,
    )
    sigma = noise_sigma(exact, instrument)[0].numpy()
    write_fits(files.noise, sigma, lens.pixel_scale, BUNIT="e-/s")
    write_fits(files.psf, lens.psf, lens.pixel_scale)
    return files
