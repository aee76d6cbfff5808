"""What is done with some rows of a table, in whichever process and on whichever machine."""

import functools
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from lenspinn.apply.answer import Answer
from lenspinn.apply.grounds import Judge
from lenspinn.apply.image import ReadyImage, answer_ready, make_ready
from lenspinn.apply.run import write_answer
from lenspinn.catalogue.columns import (
    Job,
    Values,
    answer_values,
    detection_values,
    measurement_values,
)
from lenspinn.catalogue.lens_files import LensImage, read_lens
from lenspinn.catalogue.lens_rows import LensRow
from lenspinn.detect.detect_file import write_detection
from lenspinn.detect.detect_lens import INJECTED, MOCKS, detect_substructure
from lenspinn.errors import LenspinnError
from lenspinn.measure.arcs import LensLightMode
from lenspinn.measure.lens_file import measure_telescope_image, numbers_of, write_measurement
from lenspinn.measure.lens_measurement import LensMeasurement
from lenspinn.models import LensFit

__all__ = ["FAILED", "OK", "Work", "do_rows", "failed_rows"]

OK, FAILED = "ok", "failed"
"""Values of the status of a job."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is asked for, of every lens."""

    jobs: tuple[Job, ...]
    model: str | None = None
    """For ``apply``: a run folder, or the name of a trained network."""
    lens_light: LensLightMode | None = None
    mocks: int = MOCKS
    injected: int = INJECTED
    seed: int = 0
    products: Path | None = None
    """Folder for files of each lens, in a folder a job; None for none."""


@dataclass(eq=False)
class _Lens:
    """One row on its way."""

    row: LensRow
    values: dict[str, Values] = field(default_factory=dict)
    """By job."""
    image: LensImage | None = None
    ready: ReadyImage | None = None
    answer: Answer | None = None


def do_rows(work: Work, rows: Iterable[LensRow]) -> list[Values]:
    """Do all jobs for some rows.

    Parameters
    ----------
    work
        What is asked for.
    rows
        A network that takes images as they are sees all of them at once.

    Returns
    -------
    list of dict
        Of each row, its number as ``row``, and the values of all columns of all jobs. Whatever goes
        wrong with a lens is the status and the message of its row.
    """
    lenses = [_Lens(row) for row in rows]
    for lens in lenses:
        with _failing(lens, work.jobs):
            lens.image = read_lens(lens.row)
    if "apply" in work.jobs:  # first, since it may have measured what is to be measured
        _apply(work, [lens for lens in lenses if lens.image is not None])
    for lens in lenses:
        if "measure" in work.jobs and lens.image is not None:
            _timed(lens, "measure", functools.partial(_measure, work))
        if "detect" in work.jobs and lens.image is not None:
            _timed(lens, "detect", functools.partial(_detect, work))
    return [_row_values(lens) for lens in lenses]


def failed_rows(work: Work, rows: Iterable[LensRow], message: str) -> list[Values]:
    """Return the values of rows of which nothing is known but why."""
    failed: Values = {"status": FAILED, "message": message}
    return [_row_values(_Lens(row, dict.fromkeys(work.jobs, failed))) for row in rows]


def _row_values(lens: _Lens) -> Values:
    flat = {
        f"{job}_{name}": value
        for job, values in lens.values.items()
        for name, value in values.items()
    }
    return {"row": lens.row.row, **flat}


@contextmanager
def _failing(lens: _Lens, jobs: Iterable[Job]) -> Iterator[None]:
    """Make what goes wrong in a block the status and message of a lens."""
    try:
        yield
    except Exception as error:
        text = " ".join(str(error).split())
        if not isinstance(error, LenspinnError | OSError):
            text = f"this is a bug: {type(error).__name__}: {text}"
        lens.values |= {job: {"status": FAILED, "message": text} for job in jobs}


def _timed(lens: _Lens, job: Job, do: Callable[[_Lens], Values]) -> None:
    begin = time.perf_counter()
    with _failing(lens, [job]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they say of a lens, its notes and reasons do too
        lens.values[job] = {"status": OK, **do(lens)}
    lens.values[job]["seconds"] = time.perf_counter() - begin


def _measure(work: Work, lens: _Lens) -> Values:
    image = _image_of(lens)
    guess = lens.row.number("theta_E_guess")
    measured, notes = measure_telescope_image(
        image.measurable(),
        image.known,
        theta_E_guess=guess,
        lens_light=work.lens_light,
        fitted=_same_fit(work, lens) if guess is None else None,
    )
    if work.products is not None:
        write_measurement(
            measured,
            image.found,
            notes,
            image=lens.row.image,
            out=work.products / "measure",
            name=lens.row.id,
        )
    values = measurement_values(numbers_of(measured, image.found))
    return values | {"notes": "; ".join(notes)}


def _same_fit(work: Work, lens: _Lens) -> LensMeasurement | None:
    """Return what ``apply`` measured of a lens, where it looked at it as ``measure`` does."""
    shown = None if lens.answer is None else lens.answer.shown
    if work.model is None or lens.image is None or shown is None or shown.prepared is None:
        return None
    changed_light = work.lens_light is None and _judge(work.model).run.data_info.lens_light
    same_pixels = lens.image.found.data.dtype == np.float32
    if shown.prepared.psf_assumed or changed_light or not same_pixels:
        return None
    return shown.prepared.measured


def _detect(work: Work, lens: _Lens) -> Values:
    image = _image_of(lens)
    found, known = image.measurable(), image.known
    detection = detect_substructure(
        found.data,
        pixel_scale=found.pixel_scale,
        noise=known.noise,
        psf=known.psf,
        mask=known.mask,
        theta_E_guess=lens.row.number("theta_E_guess"),
        lens_light=work.lens_light,
        z_lens=lens.row.number("z_lens"),
        z_source=lens.row.number("z_source"),
        mocks=work.mocks,
        injected=work.injected,
        seed=work.seed,
    )
    if work.products is not None:
        write_detection(
            detection,
            found,
            known.notes,
            image=lens.row.image,
            out=work.products / "detect",
            name=lens.row.id,
            seed=work.seed,
        )
    return detection_values(detection) | {"notes": "; ".join(known.notes)}


def _apply(work: Work, lenses: list[_Lens]) -> None:
    """Let the network answer all lenses together, or each alone where that does not work."""
    judge = _judge(str(work.model))
    for lens in lenses:
        _timed(lens, "apply", functools.partial(_make_ready, work, judge))
    ready = [lens for lens in lenses if lens.ready is not None]
    begin = time.perf_counter()
    try:
        answers = answer_ready([lens.ready for lens in ready if lens.ready is not None], judge)
    except LenspinnError:  # of one of them
        for lens in ready:
            _timed(lens, "apply", functools.partial(_answer_alone, work, judge))
        return
    share = (time.perf_counter() - begin) / max(1, len(ready))
    for lens, answer in zip(ready, answers, strict=True):
        seconds = lens.values["apply"]["seconds"] + share
        _timed(lens, "apply", functools.partial(_answered, work, judge, answer))
        lens.values["apply"]["seconds"] += seconds


def _make_ready(work: Work, judge: Judge, lens: _Lens) -> Values:
    image = _image_of(lens)
    made_ready = image.from_telescope and isinstance(judge.model, LensFit)
    lens.ready = make_ready(
        image.found.data,
        judge,
        pixel_scale=image.pixel_scale,
        known=image.known if made_ready else None,
        lens_light=work.lens_light if made_ready else None,
        unit=image.found.unit,
        instrument=image.found.names,
        telescope=image.from_telescope,
    )
    return {}


def _answer_alone(work: Work, judge: Judge, lens: _Lens) -> Values:
    assert lens.ready is not None
    (answer,) = answer_ready([lens.ready], judge)
    return _answered(work, judge, answer, lens)


def _answered(work: Work, judge: Judge, answer: Answer, lens: _Lens) -> Values:
    lens.answer = answer
    if work.products is not None:
        out, name = work.products / "apply", lens.row.id
        named = replace(answer, name=name, path=lens.row.image, picture=out / f"{name}.png")
        write_answer(named, judge.run, out)
    return answer_values(answer) | {"notes": "; ".join(_image_of(lens).known.notes)}


def _image_of(lens: _Lens) -> LensImage:
    assert lens.image is not None
    return lens.image


@functools.cache
def _judge(model: str) -> Judge:
    """Read a network once a process."""
    return Judge.of(model)
