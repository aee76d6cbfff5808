"""The Einstein radius of a telescope's image: files in, a row of JSON and a picture out."""

import json
from pathlib import Path

from lenspinn.apply.arcs import LensLightMode
from lenspinn.apply.companions import read_with_companions
from lenspinn.apply.inputs import unique_names
from lenspinn.apply.lens_fit import LensMeasurement, fit_lens
from lenspinn.apply.lens_picture import measurement_figure
from lenspinn.evaluate.files import save_figure, write_whole

__all__ = ["fit_image"]


def fit_image(
    image: Path,
    *,
    noise: Path | None = None,
    psf: Path | None = None,
    mask: Path | None = None,
    pixel_scale: float | None = None,
    theta_E_guess: float | None = None,
    lens_light: LensLightMode | None = None,
    out: Path = Path("fits"),
) -> LensMeasurement:
    """Measure the Einstein radius of a lens in a FITS or HDF5 image.

    Parameters
    ----------
    image
        FITS file with the lens near its centre; HDF5 file of lenstronomy, with its noise; or a
        folder with ``data.fits`` and, if there are any, ``noise_map.fits``, ``psf.fits`` and
        ``mask_extra_galaxies.fits``.
    noise
        FITS file of standard deviations in the unit of the image; 0, 1e8 and above leave a pixel
        out. By default that of the HDF5 file, or it is estimated from the image.
    psf
        FITS or HDF5 file of the PSF in pixels of the image.
    mask
        FITS file; what is not 0 is left out.
    pixel_scale
        Arcsec per pixel; by default what the file says.
    theta_E_guess
        Where to begin, arcsec; by default the radius of the ring that is seen.
    lens_light
        "model", "mask" (leave out the inner part of the ring), or "none". By default modelled if
        the lens galaxy shows.
    out
        Folder for NAME.json and NAME.png.

    Raises
    ------
    DataError, ImageError
        If a file is missing or cannot be used.
    """
    image = Path(image)
    name = unique_names([image])[0]
    found, known = read_with_companions(
        image, noise=noise, psf=psf, mask=mask, pixel_scale=pixel_scale
    )
    measured = fit_lens(
        found.data,
        pixel_scale=found.pixel_scale,
        noise=known.noise,
        psf=known.psf,
        mask=known.mask,
        theta_E_guess=theta_E_guess,
        lens_light=lens_light,
    )
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    record = {"image": str(image), **measured.to_json(), "picture": f"{name}.png"}
    write_whole(out / f"{name}.json", (json.dumps(record, indent=2) + "\n").encode())
    save_figure(measurement_figure(measured, name), out / f"{name}.png")
    return measured
