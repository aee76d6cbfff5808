"""Parameters that the encoder of `LensFit` predicts of a lens, and the loss of their errors."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from lenspinn.fitting.smooth import SmoothParameters
from lenspinn.fitting.solver import SmoothFit
from lenspinn.models.baselines import timm_cnn

__all__ = [
    "LENS_TRUTH",
    "TYPICAL_LENSES",
    "encoder_loss",
    "guess_error",
    "guessing_networks",
    "true_parameters",
]

TYPICAL_LENSES = {
    "theta_E": (1.0, 0.03, "theta_E"),
    "e1": (0.0, 0.05, "e1"),
    "e2": (0.0, 0.05, "e2"),
    "center_x": (0.0, 0.03, "center_x"),
    "center_y": (0.0, 0.03, "center_y"),
    "gamma1": (0.0, 0.03, "gamma1"),
    "gamma2": (0.0, 0.03, "gamma2"),
    "source_x": (0.0, 0.05, "source_x"),
    "source_y": (0.0, 0.05, "source_y"),
    "source_e1": (0.0, 0.08, "source_e1"),
    "source_e2": (0.0, 0.08, "source_e2"),
    "log_R_sersic": (-1.6, 0.15, "R_sersic"),
    "log_n_sersic": (0.5, 0.2, "n_sersic"),
}
"""Parameters that the encoder predicts. Each has the middle of its range, an error from which the
fit still converges (the unit of the encoder's output and of its loss), and the name of its true
value; angles are in arcsec. The brightness of the source is left to the fit."""
LENS_TRUTH = tuple(key for *_, key in TYPICAL_LENSES.values())
ENCODER_SIDE = 4
"""Side of the encoder's last map, pixels, as for an image of 64 x 64 pixels."""
ENCODER_HIDDEN = 128
TRUTH_WEIGHT, SELF_WEIGHT = 1.0, 0.1
"""Weights of the two losses of the encoder: against the truth, and against the result of the
fit."""
HUBER = 2.0
"""Error of the encoder, in units of `TYPICAL_LENSES`, above which its loss grows linearly."""

_WIDTHS = torch.tensor([width for _, width, _ in TYPICAL_LENSES.values()])


def guessing_networks(name: str) -> tuple[Any, nn.Module]:
    """Return the first three stages of a timm network, and layers that read guesses off its map."""
    encoder: Any = timm_cnn(name, num_classes=0)
    # The last stage is left out: its map of 2 x 2 pixels holds no positions.
    encoder.layer4 = nn.Identity()
    num_maps = encoder.layer3[-1].conv2.out_channels
    readout = nn.Sequential(
        nn.AdaptiveAvgPool2d(ENCODER_SIDE),
        nn.Flatten(),
        nn.Linear(num_maps * ENCODER_SIDE**2, ENCODER_HIDDEN),
        nn.GELU(),
        nn.Linear(ENCODER_HIDDEN, len(TYPICAL_LENSES)),
    )
    return encoder, readout


def true_parameters(truth: Mapping[str, Float[Tensor, " batch"]]) -> Float[Tensor, "batch 13"]:
    """Return the true values as the encoder predicts them: R_sersic and n_sersic as logarithms."""
    known = torch.stack([truth[key] for key in LENS_TRUTH], dim=1)
    is_log = [name.startswith("log_") for name in TYPICAL_LENSES]
    return torch.where(known.new_tensor(is_log, dtype=torch.bool), known.log(), known)


def guess_error(
    start: SmoothParameters, target: Float[Tensor, "batch 13"]
) -> Float[Tensor, "batch 13"]:
    """Huber loss of each parameter in units of its width; 0 where the target is unknown."""
    guess = start[:, : len(TYPICAL_LENSES)]
    target = torch.where(target.isnan(), guess.detach(), target)
    widths = _WIDTHS.to(guess)
    return functional.huber_loss(guess / widths, target / widths, delta=HUBER, reduction="none")


def encoder_loss(
    start: SmoothParameters, fit: SmoothFit, truth: Mapping[str, Float[Tensor, " batch"]]
) -> Tensor:
    """Return the loss of the encoder, from its guesses and the fits that began at them."""
    trust = 1 / (fit.chi2 / fit.freedom).clamp(min=1.0)
    own = guess_error(start, fit.parameters[:, : len(TYPICAL_LENSES)]) * trust[:, None]
    return (
        TRUTH_WEIGHT * guess_error(start, true_parameters(truth)).mean() + SELF_WEIGHT * own.mean()
    )
