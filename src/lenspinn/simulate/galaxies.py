"""Real galaxies as sources: a library made of a folder of images, and its three parts."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from lenspinn.data.instrument import Instrument, flux_from_magnitude
from lenspinn.errors import ConfigError, ImageError
from lenspinn.simulate.cutouts import FINER, Cutout, isolated_galaxy, read_cutouts, resampled
from lenspinn.simulate.distributions import (
    Distribution,
    require_positive,
    require_within,
)
from lenspinn.simulate.priors import MAGNITUDES
from lenspinn.simulate.scene import GalaxyLight
from lenspinn.simulate.stamps import find_catalogue, read_stamps

__all__ = ["PARTS", "GalaxyLibrary", "GalaxyPrior", "load_galaxies", "part_of"]

PARTS = {"train": 0.6, "validation": 0.2, "test": 0.2}
"""Expected share of each part of a library; large enough for a few tens of galaxies to fill all."""

SAME_PLACE = 1.0
"""Separation, arcsec, below which two names that state positions on the sky are one galaxy."""

SCALE_TOLERANCE = 0.01
"""Largest relative difference of the pixel scales of one library."""

# Right ascension and declination in decimal degrees, e.g. in 0007_149.825905_2.27702_acs.fits.
_POSITION = re.compile(r"(?<![\d.])(\d{1,3}\.\d{3,})_([+-]?\d{1,2}\.\d{3,})(?![\d.])")


@dataclass(frozen=True, eq=False, kw_only=True)
class GalaxyLibrary:
    """Galaxies without sky, noise and neighbours, each of them once, sorted by name."""

    names: tuple[str, ...]
    images: np.ndarray
    """Surface brightness for a flux of 1, per square arcsec, (G, v, u) float32, read-only. The
    centre of light is within half a pixel of the middle, and the outermost pixels are 0."""
    pixel_scale: float
    """Pixel scale, arcsec; half that of the cutouts, see `resampled`."""
    rejected: Mapping[str, str]
    """Reason why each other image of the folder is not in the library, by name."""

    def __len__(self) -> int:
        return len(self.names)

    def part(self, part: str) -> np.ndarray:
        """Return the numbers of the galaxies of a part, (n,) int64; for ``all``, of every galaxy.

        Raises
        ------
        ConfigError
            If there is no such part, or no galaxy in it.
        """
        _check_part(part)
        chosen = self._parts[part]
        if not len(chosen):
            raise ConfigError(
                f"source.part: none of the {len(self)} galaxies falls into {part!r} (a share of "
                f"{PARTS[part]:.0%} is expected there): add galaxies"
            )
        return chosen

    @cached_property
    def _parts(self) -> dict[str, np.ndarray]:
        parts = np.array([part_of(name) for name in self.names])
        return {part: np.flatnonzero(parts == part) for part in PARTS} | {
            "all": np.arange(len(self))
        }

    @property
    def digest(self) -> str:
        """SHA-256 of names, pixel scale and images: equal libraries give equal sources."""
        facts = repr((self.names, self.pixel_scale, self.images.shape)).encode()
        digest = hashlib.sha256(facts)
        for image in self.images:  # one by one: a copy of all may be a gigabyte
            digest.update(image.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class GalaxyPrior:
    """The source: the image of a real galaxy, drawn with equal chances from a part of a library.

    The galaxy is turned by an angle that is uniform over the circle.
    """

    galaxies: str
    """Folder of FITS or npz cutouts, or of a GalSim catalogue; see `load_galaxies`."""
    part: str = "all"
    """Galaxies to use: train, validation, test (see `part_of`) or all."""
    magnitude: Distribution
    """AB magnitude of the unlensed galaxy."""
    size: Distribution
    """Factor by which the galaxy is larger on the sky than in its cutout."""
    center_x: Distribution
    center_y: Distribution
    """Position of the centre in the source plane, arcsec, as `center_x`."""

    def __post_init__(self) -> None:
        _check_part(self.part)
        require_positive(self, "size")
        require_within(self, 1e-2, 1e2, "size")
        require_within(self, *MAGNITUDES, "magnitude")
        require_within(self, -1e3, 1e3, "center_x", "center_y")

    def draw(
        self, rng: np.random.Generator, instrument: Instrument, num: int
    ) -> tuple[GalaxyLight, dict[str, np.ndarray]]:
        """Draw galaxy, magnitude, size, center_x, center_y and angle, in this order.

        Returns
        -------
        light : GalaxyLight
        truth : dict of (num,) arrays
            ``source_magnitude``, and ``source_galaxy``: the number of the galaxy in the whole
            library; its name is ``load_galaxies(galaxies).names[number]``.

        Raises
        ------
        ConfigError
            If the folder cannot be used, or the part of it is empty.
        """
        library = load_galaxies(self.galaxies)
        candidates = library.part(self.part)
        chosen = candidates[(len(candidates) * rng.random(num)).astype(np.int64)]
        magnitude = self.magnitude.draw(rng, num)
        assert instrument.zero_point is not None  # Recipe has refused magnitudes without it
        light = GalaxyLight(
            images=library.images[chosen],
            pixel_scale=library.pixel_scale,
            flux=flux_from_magnitude(magnitude, instrument.zero_point),
            size=self.size.draw(rng, num),
            center_x=self.center_x.draw(rng, num),
            center_y=self.center_y.draw(rng, num),
            angle=2 * np.pi * rng.random(num),
        )
        return light, {"source_magnitude": magnitude, "source_galaxy": chosen.astype(np.float64)}


def part_of(name: str) -> str:
    """Return the part, of `PARTS`, to which a galaxy belongs for ever.

    The part is a function of the galaxy's name alone, so it does not change when others are added.
    Where the name holds a position on the sky (``149.825905_2.27702``: decimal degrees), the
    position rounded to 0.001 degrees counts as the name: other files of the same galaxy then fall
    into the same part, unless they straddle a boundary of the rounding. Files of one galaxy whose
    names hold neither the same text nor a position cannot be recognised.
    """
    position = _position(name)
    key = name if position is None else f"{position[0]:.3f} {position[1]:.3f}"
    place = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64
    for part, end in zip(PARTS, np.cumsum(list(PARTS.values())), strict=True):
        if place < end:
            return part
    return "test"  # the shares may add up to a little less than 1


def load_galaxies(folder: Path | str) -> GalaxyLibrary:
    """Make a library of the images in a folder.

    A folder with a GalSim catalogue (`find_catalogue`) holds its stamps, see `read_stamps`; any
    other holds cutouts, see `read_cutouts`. `isolated_galaxy` takes the galaxies out of both.

    Images that cannot be used are left out, and so are all images of a galaxy but the first: those
    of equal pixels, and those whose names state positions within `SAME_PLACE`. ``rejected`` lists
    both. A folder is read once in the life of a process.

    Raises
    ------
    ConfigError
        If the folder holds no usable galaxy or several catalogues, a file is refused, or pixel
        scales differ.
    """
    if not str(folder):
        raise ConfigError(
            "source.galaxies is empty: give a folder of FITS or npz cutouts, or of a GalSim "
            "catalogue"
        )
    return _load(Path(folder).resolve())


@lru_cache(maxsize=8)
def _load(folder: Path) -> GalaxyLibrary:
    catalogue = find_catalogue(folder)
    cutouts = read_cutouts(folder) if catalogue is None else read_stamps(catalogue)
    _check_same_scale(cutouts)
    scale = cutouts[0].pixel_scale / FINER
    rejected = _repeated(cutouts)
    galaxies: dict[str, np.ndarray] = {}
    for cutout in cutouts:
        if cutout.name in rejected:
            continue
        try:
            galaxy = isolated_galaxy(cutout.image, cutout.pixel_scale)
        except ImageError as error:
            rejected[cutout.name] = str(error)
        else:
            # In float32 at once: of a thousand galaxies, the float64 frames would take gigabytes.
            framed = _framed(resampled(galaxy))
            galaxies[cutout.name] = (framed / scale**2).astype(np.float32)
    if not galaxies:
        name, reason = next(iter(rejected.items()))
        raise ConfigError(
            f"source.galaxies: none of the {len(cutouts)} images in {str(folder)!r} can be used; "
            f"{name!r} {reason}"
        )
    images = _stacked(list(galaxies.values()))
    images.setflags(write=False)
    return GalaxyLibrary(names=tuple(galaxies), images=images, pixel_scale=scale, rejected=rejected)


def _check_part(part: str) -> None:
    if part not in ("all", *PARTS):
        raise ConfigError(f"part must be all, {', '.join(PARTS)}, not {part!r}")


def _check_same_scale(cutouts: list[Cutout]) -> None:
    first = cutouts[0]
    for other in cutouts:
        if abs(other.pixel_scale / first.pixel_scale - 1) > SCALE_TOLERANCE:
            raise ConfigError(
                f"source.galaxies: {other.name!r} has pixels of {other.pixel_scale:g} arcsec, "
                f"{first.name!r} of {first.pixel_scale:g}; one folder must have one pixel scale"
            )


def _repeated(cutouts: list[Cutout]) -> dict[str, str]:
    """Return the cutouts of galaxies that an earlier cutout shows, with the reason."""
    positions = np.array([_position(cutout.name) or (np.nan, np.nan) for cutout in cutouts])
    pixels: dict[bytes, str] = {}
    reasons: dict[str, str] = {}
    for number, cutout in enumerate(cutouts):
        digest = hashlib.sha256(cutout.image.tobytes()).digest()
        first = pixels.setdefault(digest, cutout.name)
        near = np.flatnonzero(_separation(positions[number], positions[:number]) < SAME_PLACE)
        if len(near):
            first = cutouts[near[0]].name
        if first != cutout.name:
            reasons[cutout.name] = f"shows the same galaxy as {first!r}"
    return reasons


def _position(name: str) -> tuple[float, float] | None:
    """Return right ascension and declination in degrees, None where the name holds none."""
    found = _POSITION.search(name)
    return None if found is None else (float(found[1]), float(found[2]))


def _separation(position: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the distances of a position, (2,) degrees, to near ones, (n, 2); (n,) arcsec."""
    across, along = (others - position).T
    return 3600 * np.hypot(across * np.cos(np.radians(position[1])), along)


def _framed(galaxy: np.ndarray) -> np.ndarray:
    """Cut a galaxy of total 1 out, in the smallest square about its centre of light."""
    total = galaxy.sum()
    y, x = (
        round(float((np.arange(size) * galaxy.sum(axis=axis)).sum() / total))
        for axis, size in ((1, galaxy.shape[0]), (0, galaxy.shape[1]))
    )
    lit = np.argwhere(galaxy > 0) - (y, x)
    reach = int(np.abs(lit).max()) + 1
    padded = np.pad(galaxy / total, reach)
    return padded[y : y + 2 * reach + 1, x : x + 2 * reach + 1]


def _stacked(galaxies: list[np.ndarray]) -> np.ndarray:
    """Give all galaxies the size of the largest, (G, v, u) float32."""
    side = max(map(len, galaxies))
    images = np.zeros((len(galaxies), side, side), dtype=np.float32)
    for image, galaxy in zip(images, galaxies, strict=True):
        border = (side - len(galaxy)) // 2  # all sides are odd
        image[border : side - border, border : side - border] = galaxy
    return images
