"""Answers of `apply_model`, in words and as JSON."""

import html
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lenspinn.apply.estimates import Estimate
from lenspinn.apply.prepare import Prepared
from lenspinn.data.figure_html import figure_html, verdict_html
from lenspinn.evaluate.judgement import FALSE_ALARMS, Judgement
from lenspinn.evaluate.shift import FEATURES, LENS, PIXELS
from lenspinn.explain.view import Pixels, View

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REASONS = {
    FEATURES: "what the network sees",
    PIXELS: "noise, brightness or sharpness",
    LENS: "the lens and source that fit it",
    "chi2": "chi^2 of the fitted lens",
    "source": "how much of its residual structure of the source would explain",
    "psf": "how much broader or narrower its PSF seems than it is said to be",
}
"""Properties of an image that each score of `lenspinn.evaluate.shift` and of the physics models
tests, in words."""
NOT_ANSWERED = "not answered"
"""Words in the place of an answer where none is given: an untrusted answer is never given."""

RunKind = Literal["verification", "calibration", "evaluation", "chance"]
"""Checks that a run itself may fail: without them no answer of the run for any image has
grounds."""
Kind = (
    RunKind
    | Literal[
        "pixel scale",
        "noise",
        "lens light",
        "saturation",
        "instrument",
        "recipe",
        "classes",
        "lens model",
        "PSF",
        "residual",
        "pixels left out",
        "lens fit",
        "fitted lens",
    ]
)

LACKING: dict[Kind, str] = {
    "verification": "nothing vouches for the files of the run",
    "calibration": "the run is not calibrated",
    "evaluation": "the run was never evaluated",
    "chance": "the run is no better than chance",
}
"""Words of a verdict for each check that a run fails."""


@dataclass(frozen=True)
class Mismatch:
    """Difference of an image from the training data, or failure of a check of its run.

    Mismatches of a kind in `RunKind` are about the run, whatever the image.
    """

    kind: Kind
    message: str
    """Sentence with the numbers of the image and of the training data."""
    serious: bool
    """Whether the answer is not to be trusted because of this mismatch."""


@dataclass(frozen=True, kw_only=True)
class Uncertainty:
    """Prediction set and p-values of a calibrated run for one image."""

    possible: tuple[str, ...]
    """Prediction set: the classes that cannot be ruled out, at least one."""
    coverage: float
    """Share of prediction sets that hold the true class, if the image is like the calibration
    images."""
    shift: float
    """p-value of being like the calibration images: share of these that are at least as unlike the
    others as this image is, corrected for several scores."""
    by_score: dict[str, float]
    """p-value of each score alone."""
    refused: bool
    """Whether no answer is given: `shift` is too low, or something is `outside`."""
    outside: tuple[str, ...] = ()
    """Numbers of the fitted lens outside the range of the calibration images, with this range."""

    @classmethod
    def of(
        cls, judgement: Judgement | None, row: int, classes: Sequence[str]
    ) -> "Uncertainty | None":
        """Return the uncertainty of one judged image; None without a judgement."""
        if judgement is None:
            return None
        return cls(
            possible=tuple(np.array(classes)[judgement.possible[row]].tolist()),
            coverage=judgement.coverage,
            shift=float(judgement.shift[row]),
            by_score={name: float(values[row]) for name, values in judgement.by_score.items()},
            refused=bool(judgement.refused[row]),
            outside=judgement.outside_in_words(row),
        )

    @property
    def reason(self) -> str:
        """Reason of a refusal: the scores with the lowest p-value, and what is `outside`."""
        if self.outside and self.shift > FALSE_ALARMS:
            return f"unlike the calibration images in its fitted lens: {'; '.join(self.outside)}"
        lowest = min(self.by_score.values())
        worst = [REASONS.get(name, name) for name, p in self.by_score.items() if p == lowest]
        return f"unlike the calibration images in {' and '.join(worst)} (p = {self.shift:.2g})"


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """Contents of the picture of an answer (`lenspinn.apply.picture.answer_figure`)."""

    view: View
    """Image and results as the network saw them."""
    delivered: Pixels
    """Image before it was resampled and cut, at `Answer.pixel_scale`."""
    prepared: Prepared | None = None
    """Preparation of a telescope image for a network that fits the lens; None for other images."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Answer of a model for one image, and whether it can be trusted."""

    name: str = "image"
    """Name of the image, with which the names of the files written for it begin."""
    path: Path | None = None
    """File of the image; None for an array."""
    probabilities: dict[str, float]
    """Probabilities by class, of sum 1; calibrated if there is an `uncertainty`."""
    theta_E: float | None
    """Einstein radius, arcsec; None if the model has no lens."""
    pixel_scale: float
    """Pixel scale of the image, arcsec per pixel, before it was resampled to that of the model."""
    mismatches: tuple[Mismatch, ...]
    label: str | None = None
    """True class, where it is known."""
    picture: Path | None = None
    uncertainty: Uncertainty | None = None
    """Prediction set and p-values; None if the run is not calibrated: then no answer is given."""
    estimates: tuple[Estimate, ...] = ()
    """Quantities that the model predicts for the class that is answered; none without an answer."""
    preparation: dict[str, Any] | None = None
    """Preparation of a telescope image for a network that fits the lens, as JSON can hold it."""
    shown: Shown | None = field(default=None, repr=False, compare=False)
    """Contents of the picture of the answer."""

    def __post_init__(self) -> None:
        if not self.trusted and self.estimates:
            raise ValueError("quantities are those of an answer, and none is given")

    @property
    def most_probable(self) -> str:
        """Most probable class. It is no answer, as it may not be trusted."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def answer(self) -> str | None:
        """Class, or classes that cannot be told apart, in words; None unless `trusted`."""
        if self.uncertainty is None or not self.trusted:
            return None
        return in_words(self.uncertainty.possible)

    @property
    def refused(self) -> bool:
        """Whether no answer is given because the image is unlike the calibration images."""
        return self.uncertainty is not None and self.uncertainty.refused

    @property
    def trusted(self) -> bool:
        """Whether the run is calibrated, the image not refused, and no mismatch serious."""
        calibrated = self.uncertainty is not None and not self.refused
        return calibrated and not any(mismatch.serious for mismatch in self.mismatches)

    @property
    def verdict(self) -> str:
        """Answer in one line; without an answer the reason, and the untrusted probabilities."""
        radius = "" if self.theta_E is None else f', theta_E {self.theta_E:.2f}"'
        chances = {name: f"{chance:.3f}" for name, chance in self.probabilities.items()}
        if self.uncertainty is not None and self.trusted:
            among = " and ".join(chances[name] for name in self.uncertainty.possible)
            coverage = f"{self.uncertainty.coverage:.0%} set"
            return f"{self.answer} (calibrated probability {among}; {coverage}){radius}"
        why = f": {self.uncertainty.reason}" if self.uncertainty and self.refused else ""
        untrusted = ", ".join(f"{name} {chance}" for name, chance in chances.items())
        text = f"{NOT_ANSWERED}{why}; untrusted probabilities {untrusted}"
        return f"{text}{radius}{trust(self.mismatches)}"

    # Matplotlib is imported only when a picture is asked for.

    def plot(self) -> "Figure":
        """Draw the image, what the model saw, and the verdict; ``savefig`` of the figure writes it.

        Raises
        ------
        ValueError
            The answer holds nothing to show, as one for an image of a dataset's table.
        """
        from lenspinn.apply.picture import answer_figure

        return answer_figure(self)

    def _repr_html_(self) -> str:
        picture = "" if self.shown is None else figure_html(self.plot(), f"image of {self.name}")
        lines = "".join(f"<li>{html.escape(str(one.message))}</li>" for one in self.mismatches)
        verdict = verdict_html(f"{self.name}: {self.verdict}", trusted=self.trusted)
        return f"{verdict}{picture}<ul>{lines}</ul>"

    def __str__(self) -> str:
        estimates = [f"  predicted: {estimate}" for estimate in self.estimates]
        warnings = mismatch_lines(self.mismatches)
        return "\n".join([f"{self.name}: {self.verdict}", *estimates, *warnings])

    def to_json(self) -> dict[str, Any]:
        """Return the answer as JSON can hold it; ``answer`` is null unless it is trusted."""
        return {
            "schema": 2,
            "image": None if self.path is None else str(self.path),
            "name": self.name,
            "verdict": self.verdict,
            "answer": self.answer,
            "probabilities": self.probabilities,
            "theta_E_arcsec": self.theta_E,
            "estimates": [estimate.to_json() for estimate in self.estimates],
            "label": self.label,
            "calibrated": self.uncertainty is not None,
            "uncertainty": None if self.uncertainty is None else asdict(self.uncertainty),
            "trusted": self.trusted,
            "mismatches": [asdict(mismatch) for mismatch in self.mismatches],
            "pixel_scale_arcsec": self.pixel_scale,
            "preparation": self.preparation,
            "picture": None if self.picture is None else self.picture.name,
        }


def in_words(possible: Sequence[str]) -> str:
    """Name the classes of a prediction set, and say so if they cannot be told apart."""
    if len(possible) == 1:
        return possible[0]
    return f"{', '.join(possible[:-1])} or {possible[-1]}: cannot tell"


def trust(mismatches: Sequence[Mismatch]) -> str:
    """Return the end of a verdict: empty, or that it is not to be trusted and why."""
    serious = [mismatch for mismatch in mismatches if mismatch.serious]
    if not serious:
        return ""
    reasons = [LACKING[m.kind] for m in serious if m.kind in LACKING]
    unlike = [m.kind for m in serious if m.kind not in LACKING]
    if unlike:
        reasons.append(f"{', '.join(unlike)} unlike the training images")
    return f"; NOT TO BE TRUSTED: {'; '.join(reasons)}"


def mismatch_lines(mismatches: Sequence[Mismatch]) -> list[str]:
    """One line a mismatch, for the terminal."""
    return [f"  warning: {mismatch.kind}: {mismatch.message}" for mismatch in mismatches]
