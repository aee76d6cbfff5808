"""One's own image on the page: measured, answered by the networks, and searched for dark clumps.

The jobs are those of `lenspinn measure`, `apply` and `detect`, by the same functions, with the
same files and pictures. The names of uploaded files are replaced by fixed ones.
"""

import functools
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from lenspinn.apply.image import answer_ready, make_ready
from lenspinn.apply.run import write_answer
from lenspinn.data.fits import TelescopeImage
from lenspinn.detect.detect_file import write_detection
from lenspinn.detect.detect_lens import INJECTED, MOCKS, Setting, search
from lenspinn.detect.observed_lens import observe_lens
from lenspinn.errors import LenspinnError
from lenspinn.measure.companions import Companions, FileOptions, read_with_companions
from lenspinn.measure.image_fits import ImageFits
from lenspinn.measure.lens_file import measure_telescope_image, write_measurement
from lenspinn.web.network_answers import judge_of, telescope_networks

__all__ = ["Finding", "Progress", "study_image"]

IMAGE = Path("image.fits")
"""Name of the image in all files that are written."""
SEED = 0
"""Seed of the mocks."""

Progress = Callable[[float, str], None]
"""Function that is called with the share that is done and the present step, in words."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Result of one job."""

    job: str
    """Name of the job: ``measure``, ``apply`` or ``detect``."""
    sentence: str
    picture: Path | None = None
    files: tuple[Path, ...] = ()
    """Files with the result: JSON, FITS and regions."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _OwnImage:
    """Image that was read, and the folder for files."""

    found: TelescopeImage
    known: Companions
    fits: ImageFits
    """Fits of the image, which all jobs share."""
    out: Path


def study_image(
    image: Path,
    out: Path,
    *,
    noise: Path | None = None,
    psf: Path | None = None,
    pixel_scale: float | None = None,
    mocks: int = MOCKS,
    injected: int = INJECTED,
    progress: Progress = lambda share, text: None,
) -> Iterator[Finding]:
    """Measure a lens, let the networks answer, and look for dark clumps; one finding after another.

    Parameters
    ----------
    image, noise, psf, pixel_scale
        See `lenspinn.measure_image`. The names of the files do not matter; they are read as FITS.
    out
        Folder that exists and is empty, for copies of the files and all that is written.
    mocks, injected
        See `lenspinn.detect_substructure`.
    progress

    Yields
    ------
    Finding
        One for each job, when it is done. One that cannot be done says so in its sentence, and the
        others go on.

    Raises
    ------
    DataError, ImageError
        A file cannot be used; the sentence calls it by the name of its copy.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they say is among the notes of the files
        progress(0.0, "reading")
        try:
            own = _read(image, out, noise=noise, psf=psf, pixel_scale=pixel_scale)
        except LenspinnError as error:
            raise type(error)(_without_folder(error, out)) from error
        progress(0.02, "measuring the lens")
        yield _done(own, "measure", _measure)
        for name in telescope_networks():
            progress(0.15, f"asking {name}")
            yield _done(own, "apply", functools.partial(_apply, name))

        done = 0

        def solved(number: int) -> None:
            nonlocal done
            done += number
            share = min(1.0, done / max(1, mocks + injected))
            progress(0.3 + 0.6 * share, "solving mocks without a clump, and with one")

        progress(0.25, "looking for dark clumps")
        yield _done(own, "detect", functools.partial(_detect, mocks, injected, solved))


def _read(
    image: Path, out: Path, *, noise: Path | None, psf: Path | None, pixel_scale: float | None
) -> _OwnImage:
    copies = {
        kind: shutil.copyfile(path, out / f"{kind}.fits")
        for kind, path in (("image", image), ("noise", noise), ("psf", psf))
        if path is not None
    }
    options = FileOptions(noise=copies.get("noise"), psf=copies.get("psf"), pixel_scale=pixel_scale)
    found, known = read_with_companions(copies["image"], options)
    fits = known.fits_of(found.data, found.pixel_scale)
    return _OwnImage(found=found, known=known, fits=fits, out=out)


def _done(own: _OwnImage, job: str, do: Callable[[_OwnImage], Finding]) -> Finding:
    try:
        return do(own)
    except LenspinnError as error:
        return Finding(job=job, sentence=f"Not possible: {_without_folder(error, own.out)}")


def _without_folder(error: LenspinnError, out: Path) -> str:
    """Return the sentence of an error without the folder of the copies."""
    return str(error).replace(f"{out}/", "")


def _measure(own: _OwnImage) -> Finding:
    measured, notes = measure_telescope_image(own.found, own.known, fits=own.fits)
    write_measurement(measured, own.found, notes, image=IMAGE, out=own.out, name="measured")
    sentence = "; ".join([measured.verdict, *notes])
    return _finding("measure", sentence, own.out / "measured", (".json", ".fits"))


def _apply(name: str, own: _OwnImage) -> Finding:
    judge = judge_of(name)
    ready = make_ready(
        own.found.data,
        judge,
        pixel_scale=own.found.pixel_scale,
        fits=own.fits,
        unit=own.found.unit,
        instrument=own.found.names,
    )
    (answer,) = answer_ready([ready], judge)
    path = own.out / f"answer_{name}"
    named = replace(answer, name=path.name, path=IMAGE, picture=path.with_suffix(".png"))
    write_answer(named, judge.run, own.out)
    return _finding("apply", f"{name}: {answer.verdict}", path, (".json",))


def _detect(mocks: int, injected: int, progress: Callable[[int], None], own: _OwnImage) -> Finding:
    setting = Setting(mocks=mocks, injected=injected, seed=SEED, progress=progress)
    detection = search(observe_lens(own.fits.fitted()), setting)
    write_detection(
        detection,
        own.found,
        own.known.notes,
        image=IMAGE,
        out=own.out,
        name="clumps",
        seed=SEED,
    )
    return _finding("detect", detection.verdict, own.out / "clumps", (".json", ".fits", ".reg"))


def _finding(job: str, sentence: str, path: Path, suffixes: tuple[str, ...]) -> Finding:
    return Finding(
        job=job,
        sentence=sentence,
        picture=path.with_name(f"{path.name}.png"),
        files=tuple(path.with_name(f"{path.name}{suffix}") for suffix in suffixes),
    )
