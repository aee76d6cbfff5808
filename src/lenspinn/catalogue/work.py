"""Jobs for some rows of a table, in any process and on any machine."""

import functools
from collections.abc import Iterable

from lenspinn.catalogue.columns import Values, detection_values, measurement_values
from lenspinn.catalogue.lens_files import read_lens
from lenspinn.catalogue.lens_rows import LensRow
from lenspinn.catalogue.one_lens import FAILED, OneLens, Work
from lenspinn.detect.detect_file import write_detection
from lenspinn.detect.detect_lens import Setting, search
from lenspinn.detect.observed_lens import observe_lens
from lenspinn.measure.lens_file import measure_telescope_image, numbers_of, write_measurement

__all__ = ["do_rows", "failed_rows"]


def do_rows(work: Work, rows: Iterable[LensRow]) -> list[Values]:
    """Do all jobs for some rows.

    Parameters
    ----------
    work
        Jobs and settings.
    rows
        Rows; a network that takes images without preparation sees all of them at once.

    Returns
    -------
    list of dict
        For each row, its number as ``row``, and the values of all columns of all jobs. An error of
        a lens becomes the status and the message of its row.
    """
    lenses = [OneLens(row) for row in rows]
    for lens in lenses:
        with lens.failing(work.jobs):
            lens.read = read_lens(lens.row)
    read = [lens for lens in lenses if lens.read is not None]
    if "apply" in work.jobs:
        from lenspinn.catalogue.answers import answer_lenses

        answer_lenses(work, read)
    for lens in read:
        if "measure" in work.jobs:
            lens.timed("measure", functools.partial(_measure, work))
        if "detect" in work.jobs:
            lens.timed("detect", functools.partial(_detect, work))
    return [lens.row_values for lens in lenses]


def failed_rows(work: Work, rows: Iterable[LensRow], message: str) -> list[Values]:
    """Return the values of rows of which nothing is known but why."""
    failed: Values = {"status": FAILED, "message": message}
    return [OneLens(row, dict.fromkeys(work.jobs, failed)).row_values for row in rows]


def _measure(work: Work, lens: OneLens) -> Values:
    image = lens.image
    measured, notes = measure_telescope_image(
        image.measurable(),
        image.known,
        theta_E_guess=lens.row.number("theta_E_guess"),
        lens_light=work.lens_light,
        fits=image.fits,
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


def _detect(work: Work, lens: OneLens) -> Values:
    found, known = lens.image.measurable(), lens.image.known
    setting = Setting(
        z_lens=lens.row.number("z_lens"),
        z_source=lens.row.number("z_source"),
        mocks=work.mocks,
        injected=work.injected,
        seed=work.seed,
    )
    fitted = lens.image.fits.fitted(
        theta_E_guess=lens.row.number("theta_E_guess"), lens_light=work.lens_light
    )
    detection = search(observe_lens(fitted), setting)
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
