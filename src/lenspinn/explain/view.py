"""Results of a trained model for images: the content of pictures, before anything is drawn."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from lenspinn.data.transforms import min_max
from lenspinn.explain.gradcam import grad_cam
from lenspinn.models import Classifier, FittedReconstruction, NetworkInput, Solution
from lenspinn.models.classifier import FEWEST_COMPILED, Image, Logits

Pixels = Float[np.ndarray, "y x"]
Batch = Float[np.ndarray, "batch 1 y x"]


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """Image as a model sees it, with the results of the model."""

    image: Pixels
    """Image, min-max scaled to 0..1."""
    preprocessed: Pixels
    """Image after the transform of the model."""
    cam: Pixels
    """Grad-CAM of the most probable class, 0..1."""
    probabilities: Float[np.ndarray, " classes"]
    classes: tuple[str, ...]
    pixel_scale: float
    """Pixel scale of every map, the source included, arcsec per pixel."""
    theta_E: float | None = None
    """Einstein radius, arcsec; None for a model without physics."""
    theta_E_error: float | None = None
    """Standard error of `theta_E` from noise alone, arcsec; None for a model without one."""
    measures_theta_E: bool = False
    """Whether `theta_E` is a measurement of the lens, not a number that helps to classify."""
    source: Pixels | None = None
    """Reconstructed source, in units of `image`; None for a model without physics."""
    coverage: Pixels | None = None
    """Weight of the image pixels on each source pixel; where it is 0 the source is unknown."""
    fit: "FitView | None" = None
    """Fitted lens and source of a network that fits the lens; None for others."""

    @property
    def prediction(self) -> str:
        """Most probable class."""
        return self.classes[int(self.probabilities.argmax())]


@dataclass(frozen=True, kw_only=True, eq=False)
class FitView:
    """Smooth lens and source fitted to the image of a `View`."""

    parameters: Float[np.ndarray, "1 parameters"]
    """Fitted parameters in the order of `lenspinn.fitting.SMOOTH_PARAMETERS`."""
    model: Pixels
    """Model image of the fit, in units of the image of the `View`."""
    residual: Pixels
    """Image minus model in units of the noise, NaN where a pixel was left out."""
    chi2: float
    """Reduced chi^2 of the fit."""


def view_images(model: Classifier, images: Batch) -> list[View]:
    """Run a model and Grad-CAM on a few images.

    Parameters
    ----------
    model
        Any registered model, in evaluation mode. Physics is shown for those that `reconstruct`.
    images : (batch, 1, y, x)
        All at once in memory: for pictures, not for whole datasets.
    """
    device = next(model.parameters()).device
    batch = torch.from_numpy(np.asarray(images, dtype=np.float32)).to(device=device)
    with torch.no_grad():
        solution = model.solve(NetworkInput(batch), compiled=len(batch) >= FEWEST_COMPILED)
        maps, classifier = model.classifier_of(solution)
        logits = classifier(maps)
    return view_solution(model, solution, logits)


def view_solution(model: Classifier, solution: Solution, logits: Logits) -> list[View]:
    """Return the results of a model for images, and Grad-CAM of the most probable class.

    Parameters
    ----------
    model
        Model in evaluation mode.
    solution
        Solution by `model.solve` of a few images, not in inference mode.
    logits : (batch, classes)
        Logits of the model for this solution.
    """
    batch = solution.image
    cam = grad_cam(model, solution, logits.argmax(dim=1))
    with torch.no_grad():
        maps = {"image": min_max(batch)[:, 0], "preprocessed": model.preprocess(batch)[:, 0]}
        probabilities = torch.softmax(logits.double(), dim=1)
        physics = model.reconstruct(solution)
    errors = physics.standard_errors[:, 0] if isinstance(physics, FittedReconstruction) else None
    if physics is not None:
        maps |= {"source": physics.source, "coverage": physics.coverage}
    fits = _fit_views(physics, batch) if isinstance(physics, FittedReconstruction) else None
    arrays = {name: values.cpu().numpy() for name, values in (maps | {"cam": cam}).items()}
    return [
        View(
            probabilities=probabilities[index].cpu().numpy(),
            classes=model.classes,
            pixel_scale=model.pixel_scale,
            theta_E=None if physics is None else float(physics.theta_E[index]),
            theta_E_error=None if errors is None else float(errors[index]),
            measures_theta_E=model.measures_theta_E,
            fit=None if fits is None else fits[index],
            **{name: values[index] for name, values in arrays.items()},
        )
        for index in range(len(batch))
    ]


def _fit_views(found: FittedReconstruction, images: Image) -> list[FitView]:
    low, high = (extreme(images, dim=(1, 2, 3)) for extreme in (torch.amin, torch.amax))
    models = (found.model - low[:, None, None]) / (high - low)[:, None, None]
    residuals = torch.where(found.residual == 0, torch.nan, found.residual)
    return [
        FitView(
            parameters=found.parameters[index : index + 1].cpu().numpy(),
            model=models[index].cpu().numpy(),
            residual=residuals[index].cpu().numpy(),
            chi2=float(found.chi2[index]),
        )
        for index in range(len(images))
    ]
