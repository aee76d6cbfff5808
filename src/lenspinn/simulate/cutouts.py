"""Cutouts of real galaxies: reading them, and taking the galaxy out of its sky.

The only module of this room that uses scipy.
"""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from lenspinn.data.fits import read_fits
from lenspinn.errors import ConfigError, DataError, ImageError
from lenspinn.regular_file import require_regular_file

__all__ = ["FINER", "Cutout", "finite_cutout", "isolated_galaxy", "read_cutouts", "resampled"]

MOST_BYTES = 2**32
"""Largest file of cutouts that is read, and most that an npz may unpack to, bytes."""

SMOOTHING = 0.06
"""Standard deviation of the Gaussian that smooths an image before its objects are found, arcsec."""

OBJECT_LEVEL = 3.0
"""Threshold of objects: the smoothed image is brighter than this many times its own noise."""

SKY_LEVEL = 2.0
"""Threshold of the sky: pixels of the smoothed image above this many times its noise, and pixels
around them, do not count as sky."""

NECK = 0.12
"""Half the width below which bridges between objects are cut, arcsec: noise and neighbours make
them. Also the least distance of a galaxy to the edge of its cutout, and to where a neighbour
fades."""

FADE = 0.36
"""Width over which a galaxy fades out beyond its isophote, arcsec; less where the edge is near."""

CENTRE = 0.5
"""Radius around the centre of a cutout, arcsec: its galaxy is the object with most light inside."""

DETAIL_WIDTHS = (1, 2, 4)
"""Standard deviations of the Gaussians that split an image into detail of three sizes, pixels."""

CLIPPED_PIXELS = 10
"""Number of pixels of exactly the highest value from which an image counts as clipped."""

FINER = 2
"""Pixels of a library along one pixel of its cutouts. Rendering interpolates linearly, and so cuts
peaks and shows facets: by 5 % of the peak of a core as sharp as HST/ACS sees it in pixels of 0.03
arcsec, by 1.3 % after the cubic splines of `resampled` have halved the pixels (tests/simulate)."""

_SKY_ROUNDS = 5
_LEAST_SKY = 0.05
_SIGMA_PER_MAD = 1.4826


@dataclass(frozen=True, kw_only=True)
class Cutout:
    """Image of a galaxy as it is in its file."""

    name: str
    """Name of the galaxy: the file name without suffix; in an npz, ``file/name``; in a catalogue of
    stamps, ``IDENT_RA_DEC``."""
    image: np.ndarray
    """Pixels (y, x), float64, finite, in any unit; square except in stamps."""
    pixel_scale: float
    """Pixel scale, arcsec."""


def read_cutouts(folder: Path) -> list[Cutout]:
    """Read all cutouts of a folder, sorted by name; subfolders are not read.

    ``*.fits`` hold one image each, and its pixel scale in a celestial WCS or as PIXSCALE. ``*.npz``
    hold ``images`` (n, y, x), ``names`` (n,) and ``pixel_scale``, one number in arcsec.

    Raises
    ------
    ConfigError
        If there is no cutout, or a file cannot be read, states no pixel scale, or holds an image
        that is not square or not finite.
    """
    files = sorted(path for path in folder.glob("*") if path.suffix in (".fits", ".npz"))
    if not files:
        found = "holds no *.fits or *.npz" if folder.is_dir() else "is not a folder"
        raise ConfigError(f"source.galaxies: {str(folder)!r} {found}")
    for file in files:
        try:
            require_regular_file(file, "cut-outs", most_bytes=MOST_BYTES, error=ConfigError)
        except ConfigError as error:
            raise ConfigError(f"source.galaxies: {error}") from None
    cutouts = [cutout for file in files for cutout in _read(file)]
    return sorted(cutouts, key=lambda cutout: cutout.name)


def finite_cutout(name: str, image: np.ndarray, pixel_scale: float, file: Path) -> Cutout:
    """Return an image (y, x) of a file as a cutout.

    Raises
    ------
    ConfigError
        If it has pixels that are not finite.
    """
    if not np.isfinite(image).all():
        raise ConfigError(f"source.galaxies: {name!r} of {file} has pixels that are not finite")
    return Cutout(name=name, image=image.astype(np.float64), pixel_scale=pixel_scale)


def isolated_galaxy(image: np.ndarray, pixel_scale: float) -> np.ndarray:
    """Return the galaxy in the middle of an image without its sky, neighbours and most noise.

    1. The sky level is the median, the noise the scaled median absolute deviation, of the pixels
       that belong to no object.
    2. The galaxy is the connected region of the smoothed image (`SMOOTHING`) above `OBJECT_LEVEL`
       with most light near the centre (`CENTRE`), after bridges (`NECK`) were cut. Beyond this
       region, and towards other regions, the light fades out (`FADE`).
    3. The image is split into detail of three sizes (`DETAIL_WIDTHS`) and a smooth rest. Detail is
       multiplied by ``1 - noise^2 / power``, at least 0, where ``power`` is that of the detail in
       a local window and ``noise`` that of detail of the same size in the sky. Detail thus stays
       where the galaxy has structure and vanishes where there is only noise. The galaxy's own
       Poisson noise is not known and counts as structure.

    Parameters
    ----------
    image : (y, x), any unit
    pixel_scale : arcsec

    Returns
    -------
    (y, x) float64, in the unit of `image`, at least 0, and 0 at the edge

    Raises
    ------
    ImageError
        If the image is blank (no object of at least twice `NECK` across near its centre), or
        clipped, or its galaxy reaches the edge or leaves no sky to measure.

    References
    ----------
    Wiener's filter in a local window: Lee (1980), IEEE Trans. PAMI 2, 165.
    """
    if image.min() == image.max():
        raise ImageError("is blank: all its pixels are equal")
    clipped = int((image == image.max()).sum())
    if clipped >= CLIPPED_PIXELS:
        raise ImageError(f"is clipped: {clipped} of its pixels have exactly its highest value")
    smoothed = ndimage.gaussian_filter(image, SMOOTHING / pixel_scale)
    sky = _sky(smoothed, pixel_scale)
    level, noise = _level_and_noise(smoothed[sky])
    galaxy, neighbours = _objects(smoothed - level, noise, pixel_scale)
    weight = _weight(galaxy, neighbours, pixel_scale)
    return np.clip(weight * _denoised(image - np.median(image[sky]), sky), 0, None)


def resampled(galaxy: np.ndarray) -> np.ndarray:
    """Return a galaxy, (y, x), in pixels `FINER` times smaller, its centre where it was.

    Pixels are interpolated by cubic splines, which overshoot: where they fall below 0, or beyond
    the last pixels that hold light, the result is 0.
    """
    fine, lit = (
        ndimage.zoom(galaxy, FINER, order=order, mode="grid-constant", grid_mode=True)
        for order in (3, 1)
    )
    return np.where(lit > 0, np.clip(fine, 0, None), 0)


def _read(file: Path) -> Iterator[Cutout]:
    images = _read_npz(file) if file.suffix == ".npz" else _read_fits(file)
    for name, image, pixel_scale in images:
        if image.ndim != 2 or image.shape[0] != image.shape[1]:
            raise ConfigError(
                f"source.galaxies: {name!r} of {file} must be a square image, its shape is "
                f"{image.shape}"
            )
        yield finite_cutout(name, image, pixel_scale, file)


def _read_fits(file: Path) -> Iterator[tuple[str, np.ndarray, float]]:
    try:
        found = read_fits(file)
    except (DataError, ImageError) as error:
        raise ConfigError(f"source.galaxies: {error}") from None
    yield file.stem, found.data, found.pixel_scale


def _read_npz(file: Path) -> Iterator[tuple[str, np.ndarray, float]]:
    try:
        with zipfile.ZipFile(file) as packed:
            declared = sum(entry.file_size for entry in packed.infolist())
        if declared > MOST_BYTES:
            raise ValueError(f"it unpacks to {declared} bytes, at most {MOST_BYTES} can be used")
        with np.load(file, allow_pickle=False) as content:
            arrays = {key: content[key] for key in content.files}
    except Exception as error:  # numpy, zipfile and zlib raise many kinds for garbled files
        raise ConfigError(f"source.galaxies: {file} cannot be read as npz: {error}") from None
    for key in ("images", "names", "pixel_scale"):
        if key not in arrays:
            raise ConfigError(
                f"source.galaxies: {file} has no {key!r}, only {', '.join(arrays)}; it must hold "
                "images (n, y, x), names (n,) and pixel_scale in arcsec"
            )
    images, names, pixel_scale = (arrays[key] for key in ("images", "names", "pixel_scale"))
    for key in ("images", "pixel_scale"):
        if arrays[key].dtype.kind not in "iuf":
            raise ConfigError(f"source.galaxies: {key} of {file} must hold numbers")
    if (
        pixel_scale.size != 1
        or not pixel_scale > 0
        or names.ndim != 1
        or names.shape != images.shape[:1]
    ):
        raise ConfigError(
            f"source.galaxies: {file} must hold one positive pixel_scale and a name for each "
            f"image, not {pixel_scale} and {names.shape} names for images of {images.shape}"
        )
    for name, image in zip(names, images, strict=True):
        yield f"{file.stem}/{name}", image, float(pixel_scale)


def _sky(smoothed: np.ndarray, pixel_scale: float) -> np.ndarray:
    """Return where no object is, (y, x) bool."""
    sky = np.ones(smoothed.shape, dtype=bool)
    radius = SMOOTHING / pixel_scale
    for _ in range(_SKY_ROUNDS):
        level, noise = _level_and_noise(smoothed[sky])
        # Single bright spots are noise: they belong to the sky whose noise is measured.
        objects = ndimage.binary_opening(smoothed - level > SKY_LEVEL * noise, _disk(radius))
        sky = ~ndimage.binary_dilation(objects, _disk(2 * radius))
        if sky.mean() < _LEAST_SKY:
            raise ImageError("is filled by its galaxy: no sky is left to subtract")
    return sky


def _level_and_noise(values: np.ndarray) -> tuple[float, float]:
    level = np.median(values)
    return float(level), float(_SIGMA_PER_MAD * np.median(np.abs(values - level)))


def _objects(excess: np.ndarray, noise: float, pixel_scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels of the galaxy and those of its neighbours, both (y, x) bool."""
    bright = ndimage.binary_opening(excess > OBJECT_LEVEL * noise, _disk(NECK / pixel_scale))
    regions, number = ndimage.label(bright)
    y, x = np.indices(excess.shape) - (np.array(excess.shape)[:, None, None] - 1) / 2
    near = np.hypot(x, y) * pixel_scale < CENTRE
    light = np.bincount(regions[near], weights=excess[near], minlength=number + 1)[1:]
    if number == 0 or light.max() <= 0:
        raise ImageError(f"is blank: no object lies within {CENTRE} arcsec of its centre")
    central = 1 + light.argmax()
    galaxy = ndimage.binary_fill_holes(regions == central)
    return galaxy, (regions > 0) & (regions != central) & ~galaxy


def _weight(galaxy: np.ndarray, neighbours: np.ndarray, pixel_scale: float) -> np.ndarray:
    """Return the factor on the light: 1 in the galaxy, 0 far from the galaxy and in neighbours."""
    distance = ndimage.distance_transform_edt(~galaxy) * pixel_scale
    gap = min(edge.min() for edge in (distance[0], distance[-1], distance[:, 0], distance[:, -1]))
    if gap < NECK:
        raise ImageError("is cut off: its galaxy reaches the edge of the image")
    weight = _fading(distance, min(FADE, gap))
    if neighbours.any():
        apart = ndimage.distance_transform_edt(~neighbours) * pixel_scale
        weight = np.where(galaxy, 1, weight * (1 - _fading(apart, NECK)))
    return weight


def _fading(distance: np.ndarray, width: float) -> np.ndarray:
    """Return half a cosine that falls from 1 at distance 0 to 0 at ``width``."""
    return 0.5 + 0.5 * np.cos(np.pi * np.clip(distance / width, 0, 1))


def _denoised(image: np.ndarray, sky: np.ndarray) -> np.ndarray:
    tiny = np.finfo(np.float64).tiny
    kept = np.zeros_like(image)
    for width in DETAIL_WIDTHS:
        smoother = ndimage.gaussian_filter(image, width)
        detail = image - smoother
        _, noise = _level_and_noise(detail[sky])
        power = ndimage.gaussian_filter(detail**2, 2 * width)
        kept += detail * np.clip(1 - noise**2 / np.maximum(power, tiny), 0, None)
        image = smoother
    return image + kept


def _disk(radius: float) -> np.ndarray:
    """Return the pixels within a radius of the middle one, (2n + 1, 2n + 1) bool."""
    reach = int(radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return np.asarray(np.hypot(x, y) <= radius)
