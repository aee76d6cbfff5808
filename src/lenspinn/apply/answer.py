"""What `apply_model` answers, in words and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["pixel scale", "noise", "lens light", "saturation", "instrument", "recipe"]


@dataclass(frozen=True)
class Mismatch:
    """One way in which an image differs from what the model was trained on."""

    kind: Kind
    message: str
    """One sentence with the numbers of both sides."""
    serious: bool
    """Whether the answer is not to be trusted because of it."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a model says about one image, and whether it can be trusted."""

    name: str
    """Of the image; the files written for it begin with it."""
    path: Path
    """Where the image came from."""
    probabilities: dict[str, float]
    """By class; they sum to 1."""
    theta_E: float | None
    """Einstein radius, arcsec; None if the model has no lens."""
    pixel_scale: float
    """Arcsec per pixel of the image, before it was resampled to that of the model."""
    mismatches: tuple[Mismatch, ...]
    label: str | None = None
    """The true class, where it is known."""
    picture: Path | None = None

    @property
    def prediction(self) -> str:
        """The most probable class."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def trusted(self) -> bool:
        """Whether no serious mismatch was found."""
        return not any(mismatch.serious for mismatch in self.mismatches)

    @property
    def verdict(self) -> str:
        """The answer in one line, with a plain warning if it is not to be trusted."""
        chance = self.probabilities[self.prediction]
        radius = "" if self.theta_E is None else f', theta_E {self.theta_E:.2f}"'
        return f"{self.prediction} (probability {chance:.3f}){radius}{trust(self.mismatches)}"

    def __str__(self) -> str:
        return "\n".join([f"{self.name}: {self.verdict}", *mismatch_lines(self.mismatches)])

    def to_json(self) -> dict[str, Any]:
        """Return the answer as what JSON can hold."""
        return {
            "schema": 1,
            "image": str(self.path),
            "name": self.name,
            "verdict": self.verdict,
            "prediction": self.prediction,
            "probabilities": self.probabilities,
            "theta_E_arcsec": self.theta_E,
            "label": self.label,
            "trusted": self.trusted,
            "mismatches": [asdict(mismatch) for mismatch in self.mismatches],
            "pixel_scale_arcsec": self.pixel_scale,
            "picture": None if self.picture is None else self.picture.name,
        }


def trust(mismatches: Sequence[Mismatch]) -> str:
    """End a verdict: nothing, or that it is not to be trusted and why."""
    serious = [mismatch.kind for mismatch in mismatches if mismatch.serious]
    return (
        f"; NOT TO BE TRUSTED: {', '.join(serious)} unlike the training images" if serious else ""
    )


def mismatch_lines(mismatches: Sequence[Mismatch]) -> list[str]:
    """One line a mismatch, for the terminal."""
    return [f"  warning: {mismatch.kind}: {mismatch.message}" for mismatch in mismatches]
