"""Roles of the extensions of a FITS file: image, noise, PSF or mask, told by their names.

Surveys and pipelines name their extensions in some hundred ways, e.g. SCI, ERR, DQ, WHT (HST,
JWST); VIS_FLUX, VIS_RMS, VIS_PSF (Euclid Q1); IMAGE, MASK, VARIANCE (Rubin); UNCERT (astropy's
CCDData); DATA, STAT (MUSE). So the words of a name are compared, not whole names.
"""

import itertools
import re
from collections.abc import Sequence
from typing import Literal

from lenspinn.data.fits_file import FitsFile
from lenspinn.errors import ImageError

__all__ = ["Role", "companion_of", "find_extension", "other_images", "role_of", "stem_of"]

Role = Literal["image", "noise", "variance", "weight", "psf", "mask", "other", "unknown"]
"""Role of an extension. ``weight``: 1 / variance; ``unknown``: the name says nothing; ``other``:
something that is not used."""

NOISE: tuple[Role, ...] = ("noise", "variance", "weight")
"""Roles that give standard deviations; the first of them that a file has is used."""

MOST_LISTED = 30
"""Largest number of extensions that an error names."""

SUFFIX = r"(map|maps|image|img|array|plane|data|model|kernel|s)?\d*"
_WORDS: dict[Role, str] = {
    "psf": rf"(e?psfs?|prf|kernel|detsamp|detdist|oversamp|overdist){SUFFIX}",
    "mask": rf"(mask|dq|dqf|flags?|badpix(els?)?|bpm|quality|badmask){SUFFIX}",
    "weight": rf"(inv|inverse)?(wht|wgt|weights?|ivar|invvar|ivm){SUFFIX}",
    "variance": rf"(vars?|variances?|stat){SUFFIX}",
    "noise": rf"(err|errors?|rms|noise|sigma|sig|std|stddev|stdev|unc|uncert|uncertainty){SUFFIX}",
    "other": rf"(ctx|con|context|exp|exptime|exposures?|time|texp|cov|coverage|bkg|background|sky|"
    rf"model|residuals?|resid|area|nimage|cat|catalog|hits|ncovgt|wmap|poisson|rnoise|flat|"
    rf"transmission|aperture|segm?|segmentation|detection|dmap){SUFFIX}",
    "image": rf"(sci|science|image|img|flux|data|signal|intensity|counts?|drz|drc|i2d|cutout|"
    rf"compressedimage|stack|coadd){SUFFIX}",
}
# Of two words the earlier kind counts: FLUX_ERR is noise, IMAGE_MASK is a mask.
_PATTERNS = {role: re.compile(pattern) for role, pattern in _WORDS.items()}
_JOINED = re.compile(
    r"(sci|science|image|img|flux|data)"
    r"(err|errors?|rms|noise|sigma|std|var|variance|ivar|weight|wht|mask|dq|psf|flags?)"
)
_INVERSE = ("inv", "inverse", "invers")
SAME_KIND = {"noise": NOISE, "image": ("image",), "psf": ("psf",), "mask": ("mask",)}


def role_of(name: str) -> Role:
    """Return the role of an extension or file by its name, in upper or lower case."""
    words = _words(name)
    found = [role for role in _PATTERNS if _has(role, words)]
    if "variance" in found and set(words) & set(_INVERSE):
        return "weight"
    if "psf" in found and set(found) & {"mask", *NOISE}:
        return "other"  # the noise of a PSF
    if "variance" in found and "other" in found:
        return "other"  # a part of the variance, e.g. VAR_POISSON
    return found[0] if found else "unknown"


def stem_of(name: str) -> tuple[str, ...]:
    """Return the words of a name that do not tell its role, e.g. the band."""
    words = [word for word in _words(name) if word not in _INVERSE]
    return tuple(word for word in words if not any(_has(role, [word]) for role in _PATTERNS))


def find_extension(
    file: FitsFile, kind: str, wanted: int | str | None = None, stem: tuple[str, ...] = ()
) -> int:
    """Return the number of the extension of a file that holds an image, noise, PSF or mask.

    Parameters
    ----------
    file
    kind
        "image", "noise", "psf" or "mask".
    wanted
        Number or name of the extension, in upper or lower case; by default the names decide.
    stem
        Other words of its name, e.g. the band: of several extensions the one with these is taken.

    Raises
    ------
    ImageError
        If there is no such extension, or several and no name tells.
    """
    if wanted is not None and str(wanted).strip():
        return _named(file, str(wanted).strip())
    images = _images(file)
    if not images:
        raise ImageError(f"{file.path} holds no image; give another file")
    names = {number: file.name(number) for number in images}
    for role in SAME_KIND[kind]:
        found = [number for number in images if role_of(names[number]) == role]
        same = [number for number in found if stem_of(names[number]) == stem]
        if same or len(found) == 1 or (found and (kind == "image" or role == "psf")):
            choice = same or found
            return _detector_sampled(file, choice) if role == "psf" else choice[0]
    unnamed = [number for number in images if role_of(names[number]) in ("unknown", "image")]
    if kind == "image" and (unnamed or len(images) == 1):
        return (unnamed or images)[0]
    if len(unnamed) == 1:
        return unnamed[0]
    raise ImageError(
        f"{file.path} does not say which of its extensions ({_listed(file, images)}) is the "
        f"{kind}: name it by {kind}_hdu"
        if kind != "mask"
        else f"{file.path} does not say which of its extensions is the mask: give a file of one"
    )


def other_images(file: FitsFile, chosen: int) -> int:
    """Count the extensions beside one that might as well be the image by their names."""
    role, shape = role_of(file.name(chosen)), file.shape(chosen)
    return sum(
        role_of(file.name(number)) == role and file.shape(number) == shape
        for number in _images(file)
        if number != chosen
    )


def companion_of(file: FitsFile, image: int, kind: str) -> int | None:
    """Return the extension that belongs to an image of the same file; None where there is none.

    Parameters
    ----------
    file
    image
        Number of the extension of the image.
    kind
        "noise", "psf" or "mask".

    Notes
    -----
    Of several extensions, the one whose name has the same other words (VIS_FLUX, VIS_RMS) is taken,
    then the first one after the image and before the next image (SCI, ERR, SCI, ERR).
    """
    images = _images(file)
    names = {number: file.name(number) for number in images}
    stem = stem_of(names[image])
    roles = {number: role_of(name) for number, name in names.items()}
    later = (n for n in images if n > image and roles[n] == "image" and stem_of(names[n]) == stem)
    end = next(later, max(images) + 1)
    for role in SAME_KIND[kind]:
        found = [number for number in images if roles[number] == role and number != image]
        same = [number for number in found if stem_of(names[number]) == stem]
        block = [number for number in same if image < number < end]
        several = sum(role == "image" for role in roles.values()) > 1
        for choice in (block, same, [] if several and stem else found):
            if choice:
                return _detector_sampled(file, choice) if role == "psf" else choice[0]
    return None


def _named(file: FitsFile, wanted: str) -> int:
    if re.fullmatch(r"-?\d{1,9}", wanted):
        found = [int(wanted)] if 0 <= int(wanted) < len(file) else []
        there = f"0 to {len(file) - 1}"
    else:
        found = [i for i in range(len(file)) if _called(file, i).upper() == wanted.upper()]
        there = _listed(file, range(min(len(file), MOST_LISTED)))
    if not found:
        raise ImageError(f"{file.path} has no extension {wanted}, only {there}; name one of them")
    if len(file.shape(found[0])) < 2:
        raise ImageError(f"Extension {wanted} of {file.path} holds no image; name another")
    return found[0]


def _images(file: FitsFile) -> list[int]:
    return [i for i in range(len(file)) if len(file.shape(i)) >= 2]


def _detector_sampled(file: FitsFile, found: Sequence[int]) -> int:
    """Return the PSF sampled as the image, of STPSF's OVERSAMP, DET_SAMP, OVERDIST, DET_DIST."""
    names = {file.name(number).upper(): number for number in found}
    return names.get("DET_DIST", names.get("DET_SAMP", found[0]))


def _listed(file: FitsFile, numbers: Sequence[int]) -> str:
    return ", ".join(f"{number} {_called(file, number)}".strip() for number in numbers)


def _called(file: FitsFile, number: int) -> str:
    return file.name(number) or ("" if number else "PRIMARY")


def _words(name: str) -> list[str]:
    return _JOINED.sub(r"\1 \2", re.sub(r"[^a-z0-9]+", " ", name.lower())).split()


def _has(role: Role, words: Sequence[str]) -> bool:
    """Return whether one word, or two in a row as in DET_SAMP, stands for a role."""
    pairs = ["".join(pair) for pair in itertools.pairwise(words)]
    return any(map(_PATTERNS[role].fullmatch, [*words, *pairs]))
