"""Reconstructed lens and source of each image."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

from lenspinn.data.figure_html import figure_html
from lenspinn.fitting.smooth import SmoothParameters

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FittedReconstruction", "Reconstruction"]

PerImage = Float[Tensor, " batch"]
Map = Float[Tensor, "batch y x"]


@dataclass(frozen=True)
class Reconstruction:
    """Lens and source of each image, as a physics model reconstructs them.

    Maps have shape (batch, y, x). The unit of brightness is that of the model: the image min-max
    scaled to 0..1.
    """

    theta_E: PerImage
    """Einstein radius, arcsec."""
    alpha_x: Map
    alpha_y: Map
    """Deflection at each image pixel, arcsec."""
    beta_x: Map
    beta_y: Map
    """Source-plane position of each image pixel, arcsec."""
    source: Map
    """Reconstructed source on the image's grid."""
    coverage: Map
    """Summed weights of the image pixels that fell on each source pixel; 0 where none did."""
    residual: Map
    """Consistency residual: the source lensed again, minus the image."""

    @property
    def pixel_scale(self) -> float:
        """Pixel scale of the maps, arcsec per pixel."""
        theta_x = self.alpha_x + self.beta_x
        return float(theta_x[0, 0, 1] - theta_x[0, 0, 0])

    # Matplotlib is imported only when a picture is asked for.

    def plot(self) -> "Figure":
        """Draw source, deflection and residual of the first images; ``savefig`` writes it."""
        from lenspinn.models.reconstruction_picture import reconstruction_figure

        return reconstruction_figure(self)

    def _repr_html_(self) -> str:
        return figure_html(self.plot(), "source, deflection and residual of each image")


@dataclass(frozen=True)
class FittedReconstruction(Reconstruction):
    """Fitted lens, source and residual of each image, with standard errors.

    `source` is the fitted Sersic profile, with structure where it was fitted too, `coverage` is 1
    everywhere, and `residual` is the image minus its model, in units of the noise.
    """

    parameters: SmoothParameters
    """Fitted parameters in the order of `lenspinn.fitting.SMOOTH_PARAMETERS`."""
    standard_errors: SmoothParameters
    """Standard errors (1 sigma) of `parameters` from the noise alone, for a lens that the model can
    describe."""
    model: Map
    """Model image of the fit, in the unit of the image."""
    chi2: PerImage
    """Reduced chi^2: about 1 where the smooth lens explains the image."""
    point_mass_significance: Map
    """Significance of a point mass in each pixel, standard deviations; see
    `lenspinn.fitting.scan`."""

    @property
    def theta_E_error(self) -> PerImage:
        """Standard error of `theta_E`, arcsec."""
        return self.standard_errors[:, 0]
