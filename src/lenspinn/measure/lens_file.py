"""The lens in a telescope's image: files in; numbers, maps and a picture of the lens out."""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lenspinn.data.fits import TelescopeImage
from lenspinn.evaluate.files import save_figure
from lenspinn.files import write_whole
from lenspinn.measure.arcs import LensLightMode
from lenspinn.measure.companions import Companions, FileOptions, read_with_companions
from lenspinn.measure.coolest_file import require_coolest
from lenspinn.measure.image_fits import ImageFits
from lenspinn.measure.lens_fit import MOST_ERROR
from lenspinn.measure.lens_measurement import LensMeasurement
from lenspinn.measure.lens_picture import measurement_figure
from lenspinn.measure.maps_file import write_maps
from lenspinn.measure.output_names import origin_of, output_names
from lenspinn.measure.psf import ASSUMED_PSF_ERROR, instrument_psf
from lenspinn.measure.sky_position import sky_position
from lenspinn.path_arguments import takes_paths

__all__ = ["measure_image", "measure_telescope_image", "numbers_of", "write_measurement"]

COMMAND = "measure"
WRITTEN = (".json", ".fits", ".png")
"""Suffixes of the files that are written about an image."""


@takes_paths
def measure_image(  # noqa: PLR0913 - each is an option of the command
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
    coolest: bool = False,
    out: Path = Path("measured"),
) -> LensMeasurement:
    """Measure a lens in a FITS, HDF5 or .npy image, and write the result.

    Parameters
    ----------
    image
        FITS file with the lens near its centre, whose other extensions may hold noise, PSF and
        mask (ERR, WHT, VIS_RMS, VARIANCE, PSF, DQ, MASK and similar names are used, with a note);
        HDF5 file of lenstronomy, with its noise; .npy file, for which pixel_scale must be given; or
        a folder with ``data.fits`` and, if there are any, ``noise_map.fits``, ``psf.fits`` and
        ``mask_extra_galaxies.fits``.
    noise
        FITS or .npy file of standard deviations in the unit of the image, or FITS file of variances
        or weights (1 / variance), where its name, its extension or its BUNIT says so; 0, and 1e5
        times the noise of the sky and above, leave a pixel out. By default the noise in the image's
        file, else an estimate from the image.
    psf
        FITS, HDF5 or .npy file of the PSF in pixels of the image, or in finer pixels where the file
        states their scale (PIXSCALE, PIXELSCL, OVERSAMP). By default the PSF in the image's file,
        else a Gaussian as of the instrument that the header names, for which theta_E gets a larger
        error. Without any of these the image is taken as unblurred, and the measurement is not
        trusted.
    mask
        FITS or .npy file; pixels that are not 0 are left out.
    pixel_scale
        Side of a pixel, arcsec; by default that in the file.
    image_hdu
        Number, from 0, or name of the extension of the image.
    noise_hdu
        Number, from 0, or name of the extension of the noise, in its own file or in the image's.
    psf_hdu
        Number, from 0, or name of the extension of the PSF, in its own file or in the image's.
    band
        Image of a cube (bands, y, x) that is measured: its number, from 1, or its name; or a word
        in the names of extensions.
    theta_E_guess
        Einstein radius to begin with, arcsec; by default the radius of the ring that is seen.
    lens_light
        Treatment of the lens light: "model", "mask" (leave out the inner part of the ring), or
        "none". By default it is modelled if the lens galaxy shows.
    coolest
        Whether the model is also written as a COOLEST template, ``NAME_coolest/NAME.json``; see
        `lenspinn.measure.write_coolest`.
    out
        Folder for NAME.json (every number with its error, in plain units, and as arguments of
        lenstronomy), NAME.fits (image, model, residual, lens light, lensed source, source and
        noise, with the WCS of the image) and NAME.png. Files of the same image are replaced, files
        of another image are not: NAME then begins with the image's folder.

    Raises
    ------
    DataError, ImageError
        If a file is missing or cannot be used.
    ConfigError
        If a COOLEST template is asked for and the package coolest is not installed.
    """
    image, out = Path(image), Path(out)
    if coolest:
        require_coolest()
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
    measured, notes = measure_telescope_image(
        found, known, theta_E_guess=theta_E_guess, lens_light=lens_light
    )
    if len(notes) > len(known.notes):
        warnings.warn(f"{image}: {notes[-1]}", stacklevel=2)
    write_measurement(measured, found, notes, image=image, out=out, name=name)
    if coolest:
        measured.to_coolest(out / f"{name}_coolest" / f"{name}.json", image=found)
    return measured


def measure_telescope_image(
    found: TelescopeImage,
    known: Companions,
    *,
    theta_E_guess: float | None = None,
    lens_light: LensLightMode | None = None,
    fits: ImageFits | None = None,
) -> tuple[LensMeasurement, list[str]]:
    """Measure a lens in an image that was read, and return notes on what was done unasked.

    Parameters
    ----------
    found, known
        Image and companions as `lenspinn.measure.companions.read_with_companions` returns them.
    theta_E_guess, lens_light
        Options as in `measure_image`.
    fits
        Fits of this image, where they are shared with other callers.

    Raises
    ------
    ImageError
        If the image cannot be measured.
    """
    notes, kernel, assumed = list(known.notes), known.psf, False
    if kernel is None:
        of_instrument = instrument_psf(found.names, found.pixel_scale)
        if of_instrument is not None:
            (kernel, instrument), assumed = of_instrument, True
            notes.append(
                f"no PSF was given: it is a Gaussian as of {instrument}, which adds "
                f"{ASSUMED_PSF_ERROR:.1%} to the error of theta_E"
            )
        else:
            notes.append("no PSF was given and none is known: the image is taken as unblurred")
    fits = fits or known.fits_of(found.data, found.pixel_scale)
    fitted = fits.fitted(psf=kernel, theta_E_guess=theta_E_guess, lens_light=lens_light)
    measured = fitted.measurement
    return (_with_assumed_psf(measured) if assumed else measured), notes


def write_measurement(
    measured: LensMeasurement,
    found: TelescopeImage,
    notes: Sequence[str],
    *,
    image: Path,
    out: Path,
    name: str,
) -> None:
    """Write NAME.json, NAME.fits and NAME.png of a measurement into a folder; see `measure_image`.

    Parameters
    ----------
    measured, found, notes
        Measurement, its image, and sentences on what was done without being asked for.
    image
        Path of the image, for the JSON file.
    out, name
        Folder, made if missing, and name of the files without suffix.
    """
    out.mkdir(parents=True, exist_ok=True)
    record = {
        "image": str(image),
        **numbers_of(measured, found),
        "notes": list(notes),
        "maps": f"{name}.fits",
        "picture": f"{name}.png",
        "origin": origin_of(COMMAND, image, out),
    }
    write_whole(out / f"{name}.json", (json.dumps(record, indent=2) + "\n").encode())
    write_maps(out / f"{name}.fits", measured, found)
    save_figure(measurement_figure(measured, name), out / f"{name}.png")


def _with_assumed_psf(measured: LensMeasurement) -> LensMeasurement:
    """Add the error of an assumed PSF, and distrust a measurement whose error is then too large."""
    wider = measured.with_systematic_error(ASSUMED_PSF_ERROR)
    if not wider.theta_E_error >= MOST_ERROR * wider.theta_E > measured.theta_E_error:
        return wider
    reason = (
        f"theta_E has an error of {wider.theta_E_error / wider.theta_E:.0%} with that of the PSF, "
        f"which is assumed, above {MOST_ERROR:.0%}: give the PSF"
    )
    return wider.doubted(reason)


def numbers_of(measured: LensMeasurement, image: TelescopeImage) -> dict[str, Any]:
    """Return the numbers of a measurement, and its position in its image and on the sky."""
    content = measured.to_json(image.zero_point)
    column, row = measured.middle_pixel(image.data.shape)
    content["frame"] |= {"middle_column_from_0": column, "middle_row_from_0": row}
    content |= {"unit": image.unit, "zero_point_AB": image.zero_point}
    if image.celestial is not None:
        content["sky"] = sky_position(
            measured, content["parameters"], image.celestial, image.data.shape
        )
    return content
