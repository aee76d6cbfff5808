"""What the fits of a batch of images found, and what a classifier sees of it."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from lenspinn.fitting.alternatives import psf_broadening, structure_share
from lenspinn.fitting.scan import PointMassScan
from lenspinn.fitting.smooth import (
    SMOOTH_PARAMETERS,
    Optics,
    SmoothParameters,
    parameter_names,
    smooth_image,
)
from lenspinn.fitting.solver import SmoothFit, last_step
from lenspinn.fitting.structure import StructuredFit, structure_image

__all__ = ["MAPS", "NUMBERS", "LensSolution", "Seen"]

PerImage = Float[Tensor, " batch"]
Maps = Float[Tensor, "batch y x"]

TYPICAL_STRENGTH_ERROR = 1e-3
"""Squared Einstein radius, arcsec^2, that is one standard deviation in a middling pixel."""
MAPS, NUMBERS = 3, 2
"""Of each fit, as `Seen` has them."""


class Seen(NamedTuple):
    """What the networks behind the fits are given of a batch of images.

    Turned with its maps it is that of turned images; quantities are brought near to 1.
    """

    maps: Float[Tensor, "batch maps y x"]
    """The image; then, for each fit, residual, significance of a point mass in each pixel, and how
    small a mass could be seen there. The first residual has a gradient towards the start."""
    numbers: Float[Tensor, "batch numbers"]
    """For each fit, significance of chi^2, and the highest of a point mass."""
    theta_E: PerImage
    """Einstein radius of the best fit, arcsec."""
    theta_E_error: PerImage
    """Its standard error, arcsec."""


class LensSolution(NamedTuple):
    """A fit with a Sersic source, and one from there with structure, if it was asked for."""

    start: SmoothParameters
    """Where the first fit began."""
    sersic: SmoothFit
    structured: StructuredFit | None
    scans: tuple[PointMassScan, ...]
    """Searches for point masses beside each fit, the best last."""

    @property
    def best(self) -> SmoothFit:
        """The fit that knows most of the source."""
        return self.sersic if self.structured is None else self.structured.smooth

    @property
    def chi2(self) -> PerImage:
        """Of the best fit, for a degree of freedom."""
        fit = self.sersic if self.structured is None else self.structured
        return self.best.chi2 / fit.freedom

    def image(self, parameters: SmoothParameters, optics: Optics) -> Maps:
        """Return the image of the source that was found, with lens and Sersic profile of others."""
        image = smooth_image(parameters, optics)
        if self.structured is None:
            return image
        return image + structure_image(self.structured, parameters, optics)

    def source(self, optics: Optics) -> Maps:
        """Return the source that was found, as it would be seen without any lens."""
        unlensed = self.best.parameters.clone()
        unlensed[:, [SMOOTH_PARAMETERS.index(name) for name in ("theta_E", "gamma1", "gamma2")]] = 0
        return self.image(unlensed, optics)

    def fitted(self, optics: Optics) -> dict[str, PerImage]:
        """Return what was found of each image, by name.

        Returns
        -------
        dict
            The smooth parameters (`lenspinn.fitting.smooth.parameter_names`), and
            ``signal_to_noise`` of all pixels of the model together.
        """
        fit = self.best
        names = parameter_names(fit.parameters.shape[1])
        seen = self.image(fit.parameters, optics) / fit.sigma
        return {
            **dict(zip(names, fit.parameters.unbind(dim=1), strict=True)),
            "signal_to_noise": seen.square().sum(dim=(1, 2)).sqrt(),
        }

    def structure_share(self, optics: Optics) -> PerImage:
        """Return what of the excess of chi^2 with a Sersic source is structure of that."""
        return structure_share(self.sersic, self.scans[0], optics)

    def psf_broadening(self, optics: Optics) -> PerImage:
        """Return by how much the PSF seems broader than that of the optics, square pixels."""
        fit = self.best
        free, _ = fit.free if self.structured is None else self.structured.free
        return psf_broadening(fit.residual, free, self.image(fit.parameters, optics), fit.sigma)

    def seen(self, image: Float[Tensor, "batch 1 y x"]) -> Seen:
        """Return what a network is given of these fits and of the image, which is near to 1."""
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
