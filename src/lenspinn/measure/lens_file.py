"""The Einstein radius of a telescope's image: files in, a row of JSON and a picture out."""

import json
import warnings
from pathlib import Path

from lenspinn.evaluate.files import save_figure
from lenspinn.files import write_whole
from lenspinn.measure.arcs import LensLightMode
from lenspinn.measure.companions import FileOptions, read_with_companions
from lenspinn.measure.lens_fit import fit_lens
from lenspinn.measure.lens_measurement import LensMeasurement
from lenspinn.measure.lens_picture import measurement_figure
from lenspinn.measure.output_names import origin_of, output_names
from lenspinn.measure.psf import instrument_psf

__all__ = ["fit_image"]

COMMAND = "fit"


def fit_image(  # noqa: PLR0913 - each is an option of the command
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
    out: Path = Path("fits"),
) -> LensMeasurement:
    """Measure the Einstein radius of a lens in a FITS or HDF5 image.

    Parameters
    ----------
    image
        FITS file with the lens near its centre, whose other extensions may hold noise, PSF and
        mask (ERR, WHT, VIS_RMS, VARIANCE, PSF, DQ, MASK and their like are used, which is said);
        HDF5 file of lenstronomy, with its noise; or a folder with ``data.fits`` and, if there are
        any, ``noise_map.fits``, ``psf.fits`` and ``mask_extra_galaxies.fits``.
    noise
        FITS file of standard deviations in the unit of the image, or of variances or weights
        (1 / variance), where its name, its extension or its BUNIT says so; 0, 1e8 and above leave
        a pixel out. By default that of the image's file, or it is estimated from the image.
    psf
        FITS or HDF5 file of the PSF in pixels of the image, or in finer ones where it states their
        scale (PIXSCALE, PIXELSCL, OVERSAMP). By default that of the image's file, or a Gaussian as
        of the instrument that the header names.
    mask
        FITS file; what is not 0 is left out.
    pixel_scale
        Arcsec per pixel; by default what the file says.
    image_hdu
        Number, from 0, or name of the extension of the image.
    noise_hdu
        The same of the noise, in its file or in that of the image.
    psf_hdu
        The same of the PSF.
    band
        Which image of a cube (bands, y, x): its number, from 1, or its name; or a word in the names
        of extensions.
    theta_E_guess
        Where to begin, arcsec; by default the radius of the ring that is seen.
    lens_light
        "model", "mask" (leave out the inner part of the ring), or "none". By default modelled if
        the lens galaxy shows.
    out
        Folder for NAME.json and NAME.png. Those of the same image are replaced, those of another
        image are not: NAME then begins with the image's folder.

    Raises
    ------
    DataError, ImageError
        If a file is missing or cannot be used.
    """
    image, out = Path(image), Path(out)
    (name,) = output_names([image], out, COMMAND)
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
    notes, kernel = list(known.notes), known.psf
    if kernel is None:
        of_instrument = instrument_psf(found.names, found.pixel_scale)
        if of_instrument is not None:
            kernel, instrument = of_instrument
            notes.append(f"no PSF was given: it is a Gaussian as of {instrument}")
        else:
            notes.append("no PSF was given and none is known: the image is taken as unblurred")
        warnings.warn(f"{image}: {notes[-1]}", stacklevel=2)
    measured = fit_lens(
        found.data,
        pixel_scale=found.pixel_scale,
        noise=known.noise,
        psf=kernel,
        mask=known.mask,
        theta_E_guess=theta_E_guess,
        lens_light=lens_light,
    )
    out.mkdir(parents=True, exist_ok=True)
    record = {
        "image": str(image),
        **measured.to_json(),
        "notes": notes,
        "picture": f"{name}.png",
        "origin": origin_of(COMMAND, image, out),
    }
    write_whole(out / f"{name}.json", (json.dumps(record, indent=2) + "\n").encode())
    save_figure(measurement_figure(measured, name), out / f"{name}.png")
    return measured
