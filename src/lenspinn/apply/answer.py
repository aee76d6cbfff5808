"""What `apply_model` answers, in words and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from lenspinn.apply.estimates import Estimate
from lenspinn.evaluate.shift import FEATURES, PIXELS

REASONS = {
    FEATURES: "what the network sees",
    PIXELS: "noise, brightness or sharpness",
    "chi2": "what the fitted lens leaves unexplained",
    "source": "how much structure of the source would explain of what the fitted lens leaves",
    "psf": "how much broader or narrower its PSF seems than it is said to be",
}
"""What the scores of `lenspinn.evaluate.shift` and of the physics models look at."""
NOT_ANSWERED = "not answered"
"""The answer where an image is too unlike those that the model's answers were checked on."""

Kind = Literal[
    "pixel scale",
    "noise",
    "lens light",
    "saturation",
    "instrument",
    "recipe",
    "lens model",
    "PSF",
    "residual",
    "pixels left out",
    "lens fit",
]


@dataclass(frozen=True)
class Mismatch:
    """One way in which an image differs from what the model was trained on."""

    kind: Kind
    message: str
    """One sentence with the numbers of both sides."""
    serious: bool
    """Whether the answer is not to be trusted because of it."""


@dataclass(frozen=True, kw_only=True)
class Uncertainty:
    """What a calibrated run says of one image beyond its probabilities."""

    possible: tuple[str, ...]
    """Prediction set: the classes that cannot be ruled out, at least one."""
    coverage: float
    """Share of such sets that hold the true class, if the image is like the calibration images."""
    shift: float
    """p-value: share of calibration images that are as unlike the rest of them as this image is,
    or more so, corrected for several scores."""
    by_score: dict[str, float]
    """p-value of each score alone."""
    refused: bool
    """Whether no answer is given, for that p-value is too low."""

    @property
    def answer(self) -> str:
        """The classes that are possible, in words."""
        return NOT_ANSWERED if self.refused else in_words(self.possible)

    @property
    def reason(self) -> str:
        """Why no answer is given: the scores with the lowest p-value."""
        lowest = min(self.by_score.values())
        worst = [REASONS.get(name, name) for name, p in self.by_score.items() if p == lowest]
        return f"unlike the calibration images in {' and '.join(worst)} (p = {self.shift:.2g})"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a model says about one image, and whether it can be trusted."""

    name: str
    """Of the image; the files written for it begin with it."""
    path: Path
    """Where the image came from."""
    probabilities: dict[str, float]
    """By class; they sum to 1. Calibrated if there is an `uncertainty`."""
    theta_E: float | None
    """Einstein radius, arcsec; None if the model has no lens."""
    pixel_scale: float
    """Arcsec per pixel of the image, before it was resampled to that of the model."""
    mismatches: tuple[Mismatch, ...]
    label: str | None = None
    """The true class, where it is known."""
    picture: Path | None = None
    uncertainty: Uncertainty | None = None
    """None if the run is not calibrated."""
    estimates: tuple[Estimate, ...] = ()
    """Quantities that the model predicts for the class that is answered."""
    preparation: dict[str, Any] | None = None
    """What was done to a telescope image before a network that fits the lens saw it."""

    @property
    def prediction(self) -> str:
        """The most probable class."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def answer(self) -> str:
        """The class, the classes that cannot be told apart, or "not answered"."""
        return self.prediction if self.uncertainty is None else self.uncertainty.answer

    @property
    def refused(self) -> bool:
        """Whether no answer is given, for the image is unlike the calibration images."""
        return self.uncertainty is not None and self.uncertainty.refused

    @property
    def trusted(self) -> bool:
        """Whether an answer is given and no serious mismatch was found."""
        return not self.refused and not any(mismatch.serious for mismatch in self.mismatches)

    @property
    def verdict(self) -> str:
        """The answer in one line, with a plain warning if it is not to be trusted."""
        radius = "" if self.theta_E is None else f', theta_E {self.theta_E:.2f}"'
        chances = {name: f"{chance:.3f}" for name, chance in self.probabilities.items()}
        if self.uncertainty is None:
            text = f"{self.prediction} (probability {chances[self.prediction]}, not calibrated)"
        elif self.refused:
            untrusted = ", ".join(f"{name} {chance}" for name, chance in chances.items())
            text = f"{NOT_ANSWERED}: {self.uncertainty.reason}; untrusted probabilities {untrusted}"
        else:
            among = " and ".join(chances[name] for name in self.uncertainty.possible)
            coverage = f"{self.uncertainty.coverage:.0%} set"
            text = (
                f"{self.answer} (calibrated probability {among}; {coverage})"
                if self.trusted
                else f"{self.answer} (untrusted probability {among})"
            )
        return f"{text}{radius}{trust(self.mismatches)}"

    def __str__(self) -> str:
        estimates = [f"  predicted: {estimate}" for estimate in self.estimates]
        warnings = mismatch_lines(self.mismatches)
        return "\n".join([f"{self.name}: {self.verdict}", *estimates, *warnings])

    def to_json(self) -> dict[str, Any]:
        """Return the answer as what JSON can hold."""
        return {
            "schema": 1,
            "image": str(self.path),
            "name": self.name,
            "verdict": self.verdict,
            "answer": self.answer,
            "prediction": self.prediction,
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
    """End a verdict: nothing, or that it is not to be trusted and why."""
    serious = [mismatch.kind for mismatch in mismatches if mismatch.serious]
    return (
        f"; NOT TO BE TRUSTED: {', '.join(serious)} unlike the training images" if serious else ""
    )


def mismatch_lines(mismatches: Sequence[Mismatch]) -> list[str]:
    """One line a mismatch, for the terminal."""
    return [f"  warning: {mismatch.kind}: {mismatch.message}" for mismatch in mismatches]
