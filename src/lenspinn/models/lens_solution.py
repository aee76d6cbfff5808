"""Fits of a batch of images, and the maps and numbers of them that a classifier sees."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from lenspinn.fitting.alternatives import psf_broadening, structure_share
from lenspinn.fitting.scan import PointMassScan
from lenspinn.fitting.smooth import (
    SMOOTH_PARAMETERS,
    Optics,
    SmoothParameters,
    make_optics,
    parameter_names,
    smooth_deflection,
    smooth_image,
)
from lenspinn.fitting.solver import SmoothFit, last_step
from lenspinn.fitting.structure import StructuredFit, structure_image
from lenspinn.models.classifier import Image, Solution
from lenspinn.models.reconstruction import FittedReconstruction

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["MAPS", "NUMBERS", "LensSolution", "Seen"]

PerImage = Float[Tensor, " batch"]
Maps = Float[Tensor, "batch y x"]

TYPICAL_STRENGTH_ERROR = 1e-3
"""Typical standard error of the strength (squared Einstein radius) of a point mass, arcsec^2."""
MAPS, NUMBERS = 3, 2
"""Number of maps and of numbers that `Seen` holds for each fit."""


class Seen(NamedTuple):
    """Maps and numbers of a batch of images that the networks behind the fits see.

    All are scaled near to 1. With its maps rotated or mirrored it describes rotated or mirrored
    images: the numbers do not depend on the orientation.
    """

    maps: Float[Tensor, "batch maps y x"]
    """Image; then, for each fit, the residual, the significance of a point mass in each pixel, and
    the standard error of its strength. The first residual has a gradient towards the start of the
    fit."""
    numbers: Float[Tensor, "batch numbers"]
    """Two numbers for each fit: significance of the excess of chi^2, and the highest significance
    of a point mass."""
    theta_E: PerImage
    """Einstein radius of the best fit, arcsec."""
    theta_E_error: PerImage
    """Standard error of `theta_E`, arcsec."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LensSolution(Solution):
    """Fit with a Sersic source, and a second fit with a structured source, if it was asked for."""

    start: SmoothParameters
    """Parameters at which the first fit began."""
    optics: Optics
    sersic: SmoothFit
    structured: StructuredFit | None
    scans: tuple[PointMassScan, ...]
    """Searches for point masses beside each fit, that of the best fit last."""

    @cached_property
    def image(self) -> Image:
        """Observed images without the lens light that was fitted with a known shape."""
        observed = self.observed.image
        if self.observed.lens_light is None:
            return observed
        fit = self.best
        without = self.model + fit.residual * fit.sigma  # neither holds the fitted lens light
        return torch.where(fit.sigma.isfinite(), without, observed[:, 0])[:, None]

    @property
    def best(self) -> SmoothFit:
        """Smooth part of the fit with the most complete source."""
        return self.sersic if self.structured is None else self.structured.smooth

    @property
    def chi2(self) -> PerImage:
        """Reduced chi^2 of the best fit."""
        fit = self.sersic if self.structured is None else self.structured
        return self.best.chi2 / fit.freedom

    @cached_property
    def model(self) -> Maps:
        """Model images of the best fit, without noise."""
        return self.image_behind(self.best.parameters, self.optics)

    def image_behind(self, parameters: SmoothParameters, optics: Optics) -> Maps:
        """Return images for other lens and Sersic parameters, with the fitted source structure."""
        image = smooth_image(parameters, optics)
        if self.structured is None:
            return image
        return image + structure_image(self.structured, parameters, optics)

    def source(self, optics: Optics) -> Maps:
        """Return the fitted source as seen without a lens, with the PSF of ``optics``."""
        unlensed = self.best.parameters.clone()
        unlensed[:, [SMOOTH_PARAMETERS.index(name) for name in ("theta_E", "gamma1", "gamma2")]] = 0
        return self.image_behind(unlensed, optics)

    def fitted(self) -> dict[str, PerImage]:
        """Return the fitted numbers of each image, by name.

        Returns
        -------
        dict
            The smooth parameters (`lenspinn.fitting.smooth.parameter_names`), and
            ``signal_to_noise`` of all pixels of the model together.
        """
        fit = self.best
        names = parameter_names(fit.parameters.shape[1])
        seen = self.model / fit.sigma
        return {
            **dict(zip(names, fit.parameters.unbind(dim=1), strict=True)),
            "signal_to_noise": seen.square().sum(dim=(1, 2)).sqrt(),
        }

    def shift_scores(self) -> dict[str, PerImage]:
        """Return scores that are high for images unlike those a network was trained for.

        Returns
        -------
        dict
            ``chi2``, the reduced chi^2; ``source``, the share of the excess of chi^2 with a Sersic
            source that structure of the source explains, less the share that a point mass explains;
            ``psf``, by how much broader the true PSF seems than that of the optics, absolute value,
            square pixels (`lenspinn.fitting.alternatives`).
        """
        fit = self.best
        free, _ = fit.free if self.structured is None else self.structured.free
        broadening = psf_broadening(fit.residual, free, self.model, fit.sigma)
        return {
            "chi2": self.chi2,
            "source": structure_share(self.sersic, self.scans[0], self.optics),
            "psf": broadening.abs(),
        }

    def reconstruction(self) -> FittedReconstruction:
        """Return lens and source on the grid of the images."""
        fit, observed = self.best, self.observed.image
        scale = self.optics.pixel_scale
        plain = make_optics(observed.shape[-1], scale, (1.0,), device=observed.device)
        alpha_x, alpha_y = smooth_deflection(fit.parameters, plain.theta_x, plain.theta_y)
        source = self.source(plain)
        return FittedReconstruction(
            theta_E=fit.parameters[:, 0],
            alpha_x=alpha_x,
            alpha_y=alpha_y,
            beta_x=plain.theta_x - alpha_x,
            beta_y=plain.theta_y - alpha_y,
            source=source,
            coverage=torch.ones_like(source),
            residual=fit.residual,
            parameters=fit.parameters,
            standard_errors=fit.standard_errors,
            model=self.model,
            chi2=self.chi2,
            point_mass_significance=self.scans[-1].significance,
        )

    def plot(self) -> "Figure":
        """Draw source, deflection and residual of the first images; ``savefig`` writes it."""
        return self.reconstruction().plot()

    def _repr_html_(self) -> str:
        return self.reconstruction()._repr_html_()

    def seen(self, image: Image) -> Seen:
        """Return what a classifier sees of these fits, and of an image that is scaled near to 1."""
        left = [(last_step(self.sersic, self.start)[1], self.sersic.freedom)]
        if self.structured is not None:
            left.append((self.best.residual, self.structured.freedom))
        maps, numbers = [*image.unbind(dim=1)], []
        for (residual, freedom), scan in zip(left, self.scans, strict=True):
            error = (scan.strength_error / TYPICAL_STRENGTH_ERROR).log()
            maps += [torch.asinh(residual), torch.asinh(scan.significance), torch.tanh(error / 2)]
            excess = residual.square().sum(dim=(1, 2)) - freedom
            most = scan.significance.amax(dim=(1, 2))
            numbers += [torch.asinh(excess / (2 * freedom) ** 0.5), torch.asinh(most)]
        return Seen(
            maps=torch.stack(maps, dim=1),
            numbers=torch.stack(numbers, dim=1),
            theta_E=self.best.parameters[:, 0],
            theta_E_error=self.best.standard_errors[:, 0],
        )
