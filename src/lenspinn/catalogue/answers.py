"""The answers of a network for some lenses; only who asks for them imports networks."""

import functools
import time
from dataclasses import replace

from lenspinn.apply.answer import Answer
from lenspinn.apply.grounds import Judge
from lenspinn.apply.image import ReadyImage, answer_ready, make_ready
from lenspinn.apply.run import write_answer
from lenspinn.catalogue.columns import Values, answer_values
from lenspinn.catalogue.one_lens import OneLens, Work
from lenspinn.errors import LenspinnError
from lenspinn.models import LensFit

__all__ = ["answer_lenses"]


def answer_lenses(work: Work, lenses: list[OneLens]) -> None:
    """Let the network answer all lenses together, or each alone where that does not work."""
    judge = _judge(str(work.model))
    ready: dict[OneLens, ReadyImage] = {}
    for lens in lenses:
        lens.timed("apply", functools.partial(_make_ready, work, judge, ready))
    begin = time.perf_counter()
    try:
        answers = answer_ready([*ready.values()], judge)
    except LenspinnError:  # of one of them
        for lens, image in ready.items():
            lens.timed("apply", functools.partial(_answer_alone, work, judge, image))
        return
    share = (time.perf_counter() - begin) / max(1, len(ready))
    for lens, answer in zip(ready, answers, strict=True):
        seconds = lens.values["apply"]["seconds"] + share
        lens.timed("apply", functools.partial(_answered, work, judge, answer))
        lens.values["apply"]["seconds"] += seconds


def _make_ready(
    work: Work, judge: Judge, ready: dict[OneLens, ReadyImage], lens: OneLens
) -> Values:
    image = lens.image
    told = image.from_telescope and isinstance(judge.model, LensFit)
    ready[lens] = make_ready(
        image.found.data,
        judge,
        pixel_scale=image.pixel_scale,
        fits=image.fits if told else None,
        lens_light=work.lens_light if told else None,
        unit=image.found.unit,
        instrument=image.found.names,
        telescope=image.from_telescope,
    )
    return {}


def _answer_alone(work: Work, judge: Judge, image: ReadyImage, lens: OneLens) -> Values:
    (answer,) = answer_ready([image], judge)
    return _answered(work, judge, answer, lens)


def _answered(work: Work, judge: Judge, answer: Answer, lens: OneLens) -> Values:
    if work.products is not None:
        out, name = work.products / "apply", lens.row.id
        named = replace(answer, name=name, path=lens.row.image, picture=out / f"{name}.png")
        write_answer(named, judge.run, out)
    return answer_values(answer) | {"notes": "; ".join(lens.image.known.notes)}


@functools.cache
def _judge(model: str) -> Judge:
    """Read a network once a process."""
    return Judge.of(model)
