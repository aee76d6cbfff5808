"""Dark clumps in the image of a telescope: files in; JSON, maps, regions and a picture out."""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path

from lenspinn.data.fits import TelescopeImage
from lenspinn.detect.detect_lens import INJECTED, MOCKS, Setting, search
from lenspinn.detect.detection import Detection
from lenspinn.detect.detection_maps import region_file, write_maps
from lenspinn.detect.detection_picture import detection_figure
from lenspinn.detect.observed_lens import observe_lens
from lenspinn.evaluate.files import save_figure
from lenspinn.files import write_whole
from lenspinn.measure.arcs import LensLightMode
from lenspinn.measure.companions import FileOptions, read_with_companions
from lenspinn.measure.output_names import origin_of, output_names
from lenspinn.path_arguments import takes_paths

__all__ = ["detect_image", "write_detection"]

COMMAND = "detect"
WRITTEN = (".json", ".fits", ".reg", ".png")
"""Suffixes of the files that are written about an image."""


@takes_paths
def detect_image(  # noqa: PLR0913 - each is an option of the command
    image: Path,
    *,
    noise: Path | None = None,
    psf: Path | None = None,
    mask: Path | None = None,
    pixel_scale: float | None = None,
    image_hdu: int | str | None = None,
    noise_hdu: int | str | None = None,
    psf_hdu: int | str | None = None,
    band: int | str | None = None,
    theta_E_guess: float | None = None,
    lens_light: LensLightMode | None = None,
    z_lens: float | None = None,
    z_source: float | None = None,
    mocks: int = MOCKS,
    injected: int = INJECTED,
    seed: int = 0,
    out: Path = Path("clumps"),
) -> Detection:
    """Look for dark clumps in the image of a lens, and write candidates and mass limits.

    Parameters
    ----------
    image, noise, psf, mask, pixel_scale, image_hdu, noise_hdu, psf_hdu, band
        Files and options as in `lenspinn measure`. Without a PSF nothing is trusted.
    theta_E_guess
        Einstein radius to begin with, arcsec; by default the radius of the ring that is seen.
    lens_light
        Treatment of the lens light: "model", "mask" (leave out the inner part of the ring), or
        "none". By default it is modelled if the lens galaxy shows.
    z_lens
        Redshift of the lens. Masses are in solar masses where both redshifts are given, else they
        are squared Einstein radii, arcsec^2.
    z_source
        Redshift of the source.
    mocks
        Number of mocks of this lens without clumps, from which the chance of a peak is measured:
        at least 10, or 0, and no chance is known.
    injected
        Number of mocks with a point mass each, from which the mass limit is measured.
    seed
        Seed of the mocks.
    out
        Folder for NAME.json, NAME.fits (maps), NAME.reg (candidates for DS9) and NAME.png.

    Raises
    ------
    DataError, ImageError
        If a file is missing or cannot be used.
    ConfigError
        If a number is out of range, or only one redshift is given.
    """
    image, out = Path(image), Path(out)
    setting = Setting(z_lens=z_lens, z_source=z_source, mocks=mocks, injected=injected, seed=seed)
    (name,) = output_names([image], out, COMMAND, WRITTEN)
    options = FileOptions(
        noise=noise,
        psf=psf,
        mask=mask,
        pixel_scale=pixel_scale,
        image_hdu=image_hdu,
        noise_hdu=noise_hdu,
        psf_hdu=psf_hdu,
        band=band,
    )
    found, known = read_with_companions(image, options)
    if known.psf is None:
        warnings.warn(f"{image}: no PSF was given: no clump will be claimed", stacklevel=2)
    fits = known.fits_of(found.data, found.pixel_scale)
    fitted = fits.fitted(theta_E_guess=theta_E_guess, lens_light=lens_light)
    detection = search(observe_lens(fitted), setting)
    write_detection(detection, found, known.notes, image=image, out=out, name=name, seed=seed)
    return detection


def write_detection(
    detection: Detection,
    found: TelescopeImage,
    notes: Sequence[str],
    *,
    image: Path,
    out: Path,
    name: str,
    seed: int,
) -> None:
    """Write NAME.json, NAME.fits, NAME.reg and NAME.png of a search into a folder.

    Parameters
    ----------
    detection, found, notes
        Result of the search, the image, and sentences on what was done without being asked for.
    image
        Path of the image, for the JSON file.
    out, name
        Folder, made if missing, and name of the files without suffix.
    seed
        Seed of the mocks.
    """
    out.mkdir(parents=True, exist_ok=True)
    record = {
        "image": str(image),
        **detection.to_json(),
        "seed": seed,
        "notes": list(notes),
        "maps": f"{name}.fits",
        "regions": f"{name}.reg",
        "picture": f"{name}.png",
        "origin": origin_of(COMMAND, image, out),
    }
    write_whole(out / f"{name}.json", (json.dumps(record, indent=2) + "\n").encode())
    write_maps(out / f"{name}.fits", detection, found)
    write_whole(out / f"{name}.reg", region_file(detection, found.data.shape).encode())
    save_figure(detection_figure(detection, name), out / f"{name}.png")
