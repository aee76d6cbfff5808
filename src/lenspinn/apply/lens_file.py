"""The Einstein radius of a FITS image: files in, a row of JSON and a picture out."""

import json
from pathlib import Path

from lenspinn.apply.inputs import unique_names
from lenspinn.apply.lens_fit import LensMeasurement, fit_lens
from lenspinn.apply.lens_picture import measurement_figure
from lenspinn.data.fits import read_fits
from lenspinn.errors import DataError
from lenspinn.evaluate.files import save_figure, write_whole

__all__ = ["fit_image"]

IN_FOLDER = {"noise": "noise_map.fits", "psf": "psf.fits", "mask": "mask_extra_galaxies.fits"}
"""Names of files in a folder."""


def fit_image(
    image: Path,
    *,
    noise: Path | None = None,
    psf: Path | None = None,
    mask: Path | None = None,
    pixel_scale: float | None = None,
    theta_E_guess: float | None = None,
    out: Path = Path("fits"),
) -> LensMeasurement:
    """Measure the Einstein radius of a lens in a FITS image.

    Parameters
    ----------
    image
        FITS file with the lens near its centre, or a folder with ``data.fits`` and, if there are
        any, ``noise_map.fits``, ``psf.fits`` and ``mask_extra_galaxies.fits``.
    noise
        FITS file of standard deviations in the unit of the image; 0, 1e8 and above leave a pixel
        out. By default it is estimated from the image.
    psf
        FITS file of the PSF in pixels of the image.
    mask
        FITS file; what is not 0 is left out.
    pixel_scale
        Arcsec per pixel; by default what the header says.
    theta_E_guess
        Where to begin, arcsec; by default the radius of the ring that is seen.
    out
        Folder for NAME.json and NAME.png.

    Raises
    ------
    DataError, ImageError
        If a file is missing or cannot be used.
    """
    image = Path(image)
    files = {"noise": noise, "psf": psf, "mask": mask}
    name = unique_names([image])[0]
    if image.is_dir():
        files = {key: path or _in_folder(image, key) for key, path in files.items()}
        image = image / "data.fits"
        if not image.exists():
            raise DataError(f"the folder {image.parent} holds no data.fits")
    found = read_fits(image, pixel_scale=pixel_scale)
    pixels = {
        key: None if path is None else read_fits(path, pixel_scale=found.pixel_scale).data
        for key, path in files.items()
    }
    measured = fit_lens(
        found.data,
        pixel_scale=found.pixel_scale,
        noise=pixels["noise"],
        psf=pixels["psf"],
        mask=pixels["mask"],
        theta_E_guess=theta_E_guess,
    )
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    record = {"image": str(image), **measured.to_json(), "picture": f"{name}.png"}
    write_whole(out / f"{name}.json", (json.dumps(record, indent=2) + "\n").encode())
    save_figure(measurement_figure(measured, name), out / f"{name}.png")
    return measured


def _in_folder(folder: Path, key: str) -> Path | None:
    path = folder / IN_FOLDER[key]
    return path if path.exists() else None
