"""Split of the images of a store into training, validation and test."""

import math

import numpy as np

from lenspinn.errors import ConfigError

__all__ = ["split_rows"]

_NAMES = ("train", "validation", "test")

# First word after the seed: keeps this module's random numbers apart from others of the seed.
_SPLIT = 0


def split_rows(
    labels: np.ndarray,
    fractions: tuple[float, float, float],
    seed: int,
    galaxies: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Split images into three disjoint parts that have the classes in equal proportions.

    Parameters
    ----------
    labels : (n,) integers
    fractions
        Fractions of train, validation and test; they add up to 1.
    seed
        Seed; the split is a function of it and of the other arguments.
    galaxies : (n,) numbers, optional
        Number of the source galaxy of each image. Where given, all images of a galaxy go to the
        same part; sizes and proportions of the parts are then as near to `fractions` as whole
        galaxies, dealt one after the other, allow.

    Returns
    -------
    dict of (n_part,) int64
        Rows of train, validation and test in rising order.

    Raises
    ------
    ConfigError
        If the fractions are impossible, or there are too few galaxies for a part.
    """
    if min(fractions) < 0 or not math.isclose(sum(fractions), 1):
        raise ConfigError(f"The split {fractions} is not three fractions that add up to 1")
    if galaxies is None:
        return _split_images(labels, fractions, seed)
    return _split_galaxies(labels, galaxies, fractions, seed)


def _split_images(
    labels: np.ndarray, fractions: tuple[float, float, float], seed: int
) -> dict[str, np.ndarray]:
    parts: list[list[np.ndarray]] = [[], [], []]
    for label in np.unique(labels):
        generator = _generator(seed, int(label))
        rows = generator.permutation(np.flatnonzero(labels == label))
        cuts = np.round(np.cumsum(fractions[:2]) * len(rows)).astype(int)
        for part, chosen in zip(parts, np.split(rows, cuts), strict=True):
            part.append(chosen)
    return {name: np.sort(np.concatenate(part)) for name, part in zip(_NAMES, parts, strict=True)}


def _split_galaxies(
    labels: np.ndarray, galaxies: np.ndarray, fractions: tuple[float, float, float], seed: int
) -> dict[str, np.ndarray]:
    """Deal galaxies, in random order, each to the part that lacks most images of its classes."""
    classes, label_of = np.unique(labels, return_inverse=True)
    numbers, galaxy_of = np.unique(galaxies, return_inverse=True)
    counts = np.zeros((len(numbers), len(classes)))
    np.add.at(counts, (galaxy_of, label_of), 1)
    lacking = np.outer(fractions, counts.sum(axis=0))
    part_of = np.empty(len(numbers), dtype=np.int64)
    for galaxy in _generator(seed).permutation(len(numbers)):
        part = np.argmax(lacking @ counts[galaxy])
        part_of[galaxy] = part
        lacking[part] -= counts[galaxy]
    parts = {name: np.flatnonzero(part_of[galaxy_of] == i) for i, name in enumerate(_NAMES)}
    for (name, rows), fraction in zip(parts.items(), fractions, strict=True):
        if fraction > 0 and not len(rows):
            raise ConfigError(
                f"The split {fractions} leaves no galaxy for {name}: the images have only "
                f"{len(numbers)} galaxies as sources, and no galaxy may be in two parts"
            )
    return parts


def _generator(seed: int, *numbers: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, _SPLIT, *numbers])))
