"""Companions of the image of a lens: noise map, PSF and mask."""

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import Float

from lenspinn.data.extensions import Role
from lenspinn.data.fits import TelescopeImage, read_fits
from lenspinn.data.fits_parts import FitsPart, read_own_parts, read_part
from lenspinn.data.hdf5 import HDF5_SUFFIXES, read_hdf5, read_hdf5_psf
from lenspinn.data.npy import read_npy
from lenspinn.data.plausible_scale import check_pixel_scale
from lenspinn.errors import DataError, ImageError
from lenspinn.measure.deviations import kind_of_noise, standard_deviations
from lenspinn.measure.image_fits import ImageFits
from lenspinn.measure.noise_check import weights_fit
from lenspinn.measure.psf import MOST_WIDTH, full_width, rebinned_psf

IMAGE = "data.fits"
"""Name of the file of the image in the folder of a lens."""
IN_FOLDER = {"noise": "noise_map.fits", "psf": "psf.fits", "mask": "mask_extra_galaxies.fits"}
"""Names of the other files in the folder of a lens."""
KINDS = tuple(IN_FOLDER)
IN_WORDS = {"image": "image", "noise": "noise map", "psf": "PSF", "mask": "mask"}

COPY_TOLERANCE = 1e-5
"""Largest difference of an array from a multiple of another that counts as a copy, over its
brightest pixel."""
SCALE_TOLERANCE = 0.02
"""Largest relative difference of pixel scales that is passed over: rounding, distortion of the
field."""
MOST_MASKED = 0.5
"""Largest share of an image that a mask in its file may leave out; a larger one has another
meaning."""

AnyPixels = Float[np.ndarray, "_ _"]


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """Options of a user on the files of an image; None where the files themselves say it."""

    noise: Path | None = None
    """FITS file of standard deviations, variances or weights, which names and units tell apart, or
    .npy file of standard deviations."""
    psf: Path | None = None
    """FITS, HDF5 or .npy file of the PSF."""
    mask: Path | None = None
    """FITS or .npy file of the mask; pixels that are not 0 are left out."""
    pixel_scale: float | None = None
    """Side of a pixel, arcsec."""
    image_hdu: int | str | None = None
    """Number, from 0, or name of the extension of the image."""
    noise_hdu: int | str | None = None
    """Number, from 0, or name of the extension of the noise map."""
    psf_hdu: int | str | None = None
    """Number, from 0, or name of the extension of the PSF."""
    band: int | str | None = None
    """Band of a cube or of extensions; see `lenspinn.data.read_fits`."""

    @property
    def for_telescope_files(self) -> dict[str, Path | int | str]:
        """Options given that are of use for FITS and HDF5 files alone, by name."""
        names = (*KINDS, "image_hdu", "noise_hdu", "psf_hdu", "band")
        given = {name: getattr(self, name) for name in names}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, kw_only=True, eq=False)
class Companions:
    """Noise, PSF and mask of an image; None where one is not known."""

    noise: AnyPixels | None = None
    """Standard deviation of the noise in each pixel, in the unit of the image."""
    psf: AnyPixels | None = None
    """PSF in pixels of the image."""
    mask: AnyPixels | None = None
    """Mask; anything but 0 leaves a pixel out."""
    notes: tuple[str, ...] = ()
    """Sentences on what was found and done without being asked for."""

    def fits_of(self, image: AnyPixels, pixel_scale: float) -> ImageFits:
        """Return an `ImageFits` of the image with these companions; no fit is made yet."""
        return ImageFits(
            image, pixel_scale=pixel_scale, noise=self.noise, psf=self.psf, mask=self.mask
        )


def is_lens_folder(path: Path) -> bool:
    """Return whether a folder holds one lens, not a dataset."""
    return (path / IMAGE).is_file()


def is_hdf5(path: Path) -> bool:
    """Return whether a file has the name of an HDF5 file."""
    return path.name.lower().endswith(HDF5_SUFFIXES)


def is_array(path: Path) -> bool:
    """Return whether a file has the name of an array of numpy."""
    return path.name.lower().endswith(".npy")


def read_with_companions(
    image: Path, options: FileOptions | None = None
) -> tuple[TelescopeImage, Companions]:
    """Read an image with its noise map, PSF and mask.

    Parameters
    ----------
    image
        FITS file, whose extensions may hold noise, PSF and mask (`lenspinn.data.extensions`); HDF5
        file of lenstronomy, which has its noise (`lenspinn.data.read_hdf5`); .npy file, whose pixel
        scale must be among the options; or a folder with
        ``data.fits`` and, if there are any, ``noise_map.fits``, ``psf.fits`` and
        ``mask_extra_galaxies.fits``.
    options
        Options of the user. They go before files in the folder, and these before extensions of the
        image's file.

    Raises
    ------
    DataError, ImageError
        If a file is missing or cannot be used, or one array is given as two things.

    Warns
    -----
    UserWarning
        Sentences of `Companions.notes`.
    """
    options = options or FileOptions()
    if image.is_dir():
        options = with_folder(image, options)
        image = image / IMAGE
    _check_hdf5(image, options)
    own: dict[str, FitsPart] = {}
    notes: list[str] = []
    if is_hdf5(image):
        found = read_hdf5(image, pixel_scale=options.pixel_scale)
    elif is_array(image):
        found = _read_array(image, options)
    else:
        found = read_fits(
            image, pixel_scale=options.pixel_scale, hdu=options.image_hdu, band=options.band
        )
        if found.others:
            name = f" ({' '.join(found.stem).upper()})" if found.stem else ""
            notes.append(
                f"the image is extension {found.extension}{name}, the first of "
                f"{found.others + 1}: name another by image_hdu or band"
            )
        own = _own_parts(image, found, options, notes)
    notes += _other_scale(found)
    parts = own | _given_parts(found, options)
    _refuse_copies(found, parts)
    noise = _noise(found, parts.get("noise"), notes)
    known = Companions(
        noise=noise,
        psf=_psf(found, parts.get("psf"), notes),
        mask=_mask(parts.get("mask"), notes),
    )
    if "noise" in own and noise is None:  # weights that say which pixels count, and no more
        known = replace(known, mask=_unweighted(own["noise"], known.mask))
    if notes:
        warnings.warn(f"{image}: {'; '.join(notes)}", stacklevel=2)
    return found, replace(known, notes=tuple(notes))


def _other_scale(found: TelescopeImage) -> list[str]:
    """Return a note if the given pixel scale is not that of the file: every arcsec hangs on it."""
    given, stated = found.pixel_scale, found.stated_scale
    if stated is None or abs(given / stated - 1) <= SCALE_TOLERANCE:
        return []
    return [
        f"the pixel scale was given as {given:g} arcsec, and the file says {stated:.4g}: if that "
        "is right, leave pixel_scale out"
    ]


def with_folder(folder: Path, options: FileOptions) -> FileOptions:
    """Return options with the noise map, PSF and mask of a lens folder where none are given.

    Raises
    ------
    DataError
        If the folder is no lens folder.
    """
    if not is_lens_folder(folder):
        raise DataError(f"the folder {folder} holds no {IMAGE}; name the file of an image")
    there = {kind: folder / name for kind, name in IN_FOLDER.items() if (folder / name).exists()}
    return replace(
        options,
        noise=options.noise or there.get("noise"),
        psf=options.psf or there.get("psf"),
        mask=options.mask or there.get("mask"),
    )


def _check_hdf5(image: Path, options: FileOptions) -> None:
    """Refuse options that name extensions of HDF5 files and arrays, which have none."""
    files = {"image_hdu": image, "noise_hdu": options.noise, "psf_hdu": options.psf, "band": image}
    for name, path in files.items():
        file = path or image
        if getattr(options, name) is not None and (is_hdf5(file) or is_array(file)):
            raise DataError(f"{name} is for FITS files, {file} is none; leave it out")


def _read_array(image: Path, options: FileOptions) -> TelescopeImage:
    if options.pixel_scale is None:
        raise DataError(f"{image} does not say how large its pixels are; give pixel_scale, arcsec")
    scale = check_pixel_scale(options.pixel_scale)
    return TelescopeImage(data=read_npy(image), pixel_scale=scale)


def _own_parts(
    image: Path, found: TelescopeImage, options: FileOptions, notes: list[str]
) -> dict[str, FitsPart]:
    """Read noise, PSF and mask from the image's own file where no other file is given."""
    hdus = {
        kind: getattr(options, f"{kind}_hdu")
        for kind in ("noise", "psf")
        if getattr(options, kind) is None
    }
    wanted = tuple(kind for kind in KINDS if getattr(options, kind) is None)
    band = None if options.band is None else str(options.band)
    parts = read_own_parts(image, found.extension, wanted, hdus=hdus, band=band)
    for kind, part in list(parts.items()):
        if kind != "psf" and part.data.shape != found.data.shape and hdus.get(kind) is None:
            notes.append(f"{part.label} is of another shape than the image, and is not used")
            del parts[kind]
        else:
            notes.append(f"the {IN_WORDS[kind]} is {part.label}")
    return parts


def _given_parts(found: TelescopeImage, options: FileOptions) -> dict[str, FitsPart]:
    parts = {}
    for kind in KINDS:
        path = getattr(options, kind)
        if path is None:
            continue
        if is_array(path):
            parts[kind] = FitsPart(data=read_npy(path), label=path.name, role=cast(Role, kind))
            continue
        if kind == "psf" and is_hdf5(path):
            psf = read_hdf5_psf(path)
            parts[kind] = FitsPart(
                data=psf.kernel, label=path.name, role="psf", oversampling=psf.oversampling
            )
            continue
        parts[kind] = read_part(
            path,
            kind,
            hdu=None if kind == "mask" else getattr(options, f"{kind}_hdu"),
            band=None if options.band is None else str(options.band),
            stem=found.stem,
        )
    return parts


def _refuse_copies(found: TelescopeImage, parts: dict[str, FitsPart]) -> None:
    """Refuse one array given in two roles, e.g. an image as its own noise map."""
    arrays = {"image": found.data} | {
        kind: part.data for kind, part in parts.items() if kind in ("noise", "psf")
    }
    names = list(arrays)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            if _is_copy(arrays[first], arrays[second]):
                raise ImageError(
                    f"the {IN_WORDS[second]} ({parts[second].label}) is the {IN_WORDS[first]} "
                    f"itself, or a multiple of it; give another file, or name its extension by "
                    f"{second}_hdu"
                )


def _is_copy(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether two arrays are equal but for a factor and the signs of pixels."""
    if one.shape != other.shape:
        return False
    known = np.isfinite(one) & np.isfinite(other)
    a, b = np.abs(one[known].astype(np.float64)), np.abs(other[known].astype(np.float64))
    if a.size < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return False  # two constant maps are no copies
    a, b = a / a.max(), b / b.max()
    factor = float(a @ b) / float(b @ b)
    return bool(np.abs(a - factor * b).max() <= COPY_TOLERANCE)


def _noise(found: TelescopeImage, part: FitsPart | None, notes: list[str]) -> AnyPixels | None:
    if part is None:
        return found.noise
    if part.data.shape != found.data.shape:
        raise ImageError(
            f"the noise map ({part.label}) has shape {part.data.shape}, the image "
            f"{found.data.shape}; they must agree"
        )
    kind: Role = kind_of_noise(part.role, part.unit, found.unit)
    deviations = standard_deviations(part.data, kind)
    if kind == "variance":
        notes.append(f"{part.label} holds variances; their square roots are the noise")
    if kind != "weight":
        return deviations
    if weights_fit(found.data, deviations):
        notes.append(f"{part.label} holds weights; one over their square roots is the noise")
        return deviations
    reason = (
        f"{part.label} holds weights that are not 1 / variance in the unit of the image, for they "
        "do not give the scatter of its sky (exposure times?)"
    )
    if not part.own:
        raise ImageError(f"{reason}: give a noise map, or leave it out")
    notes.append(f"{reason}: the noise is estimated from the image instead")
    return None


def _unweighted(weights: FitsPart, mask: AnyPixels | None) -> AnyPixels:
    """Return a mask that leaves out pixels without weight as well."""
    out = ~(weights.data > 0)
    return (out if mask is None else out | (mask != 0)).astype(np.float32)


def _psf(found: TelescopeImage, part: FitsPart | None, notes: list[str]) -> AnyPixels | None:
    if part is None:
        return None
    scale = part.pixel_scale
    if scale is None and part.oversampling is not None:
        scale = found.pixel_scale / part.oversampling
    try:
        psf = rebinned_psf(part.data, scale or found.pixel_scale, found.pixel_scale)
    except ImageError as error:
        raise ImageError(f"{part.label}: {error}") from error
    width = full_width(psf)
    if scale is None and width > MOST_WIDTH:
        raise ImageError(
            f"{part.label}: the PSF is {width:.1f} pixels wide at half its peak, so its pixels are "
            "probably finer than those of the image: write their size as PIXSCALE, in arcsec, into "
            f"its header ({found.pixel_scale:g} if they are not)"
        )
    if scale is not None and psf.shape != part.data.shape and scale < found.pixel_scale:
        notes.append(
            f"the PSF ({part.label}) has pixels of {scale:.4g} arcsec, the image "
            f"{found.pixel_scale:.4g}: it is brought to those of the image"
        )
    return psf


def _mask(part: FitsPart | None, notes: list[str]) -> AnyPixels | None:
    if part is None:
        return None
    share = float((part.data != 0).mean())
    if part.own and share > MOST_MASKED:
        notes.append(f"{part.label} would leave out {share:.0%} of the image, and is not used")
        return None
    return part.data
