"""Mass profiles: deflection, potential and convergence as pure functions of tensors.

Positions are relative to the centre of the lens, in arcsec. Names and definitions of parameters
are lenstronomy's; the formulas are those of `caustics.func` where they reach double precision.
Deflection ``alpha`` is reduced (``beta = theta - alpha``), potential ``psi`` is in arcsec^2 with
``alpha = grad psi``, and ``kappa = div(alpha) / 2`` is in units of the critical surface density.

Every function broadcasts positions (*batch, y, x) against parameters (*batch, 1, 1), has no branch
that depends on data, and has finite values and gradients everywhere: see `CENTRE_RADIUS` and
`ellipticity_to_axis_ratio` for what happens where the formulas themselves are singular.
caustics brings all of astropy.cosmology, which takes half as long to import as torch: it is
imported where one of its formulas is called.
"""

from lenspinn.lensing.profiles.centre import CENTRE_RADIUS
from lenspinn.lensing.profiles.ellipticity import (
    MAX_ELLIPTICITY,
    axis_ratio_to_ellipticity,
    ellipticity_to_axis_ratio,
)
from lenspinn.lensing.profiles.external import (
    convergence_shear,
    deflection_shear,
    potential_shear,
)
from lenspinn.lensing.profiles.isothermal import (
    SIEConstants,
    convergence_sie,
    convergence_sis,
    deflection_sie,
    deflection_sie_with,
    deflection_sis,
    potential_sie,
    potential_sis,
    sie_constants,
)
from lenspinn.lensing.profiles.multipole import (
    convergence_multipole,
    deflection_multipole,
    deflection_multipole_parts,
    potential_multipole,
)
from lenspinn.lensing.profiles.point_mass import (
    convergence_point_mass,
    deflection_point_mass,
    potential_point_mass,
)
from lenspinn.lensing.profiles.power_law import (
    EPLDerivatives,
    convergence_epl,
    deflection_epl,
    epl_derivatives,
    potential_epl,
)
from lenspinn.lensing.profiles.rod import (
    convergence_rod,
    deflection_rod,
    potential_rod,
)
from lenspinn.lensing.profiles.tnfw import (
    convergence_tnfw,
    deflection_tnfw,
    potential_tnfw,
)

__all__ = [
    "CENTRE_RADIUS",
    "MAX_ELLIPTICITY",
    "EPLDerivatives",
    "SIEConstants",
    "axis_ratio_to_ellipticity",
    "convergence_epl",
    "convergence_multipole",
    "convergence_point_mass",
    "convergence_rod",
    "convergence_shear",
    "convergence_sie",
    "convergence_sis",
    "convergence_tnfw",
    "deflection_epl",
    "deflection_multipole",
    "deflection_multipole_parts",
    "deflection_point_mass",
    "deflection_rod",
    "deflection_shear",
    "deflection_sie",
    "deflection_sie_with",
    "deflection_sis",
    "deflection_tnfw",
    "ellipticity_to_axis_ratio",
    "epl_derivatives",
    "potential_epl",
    "potential_multipole",
    "potential_point_mass",
    "potential_rod",
    "potential_shear",
    "potential_sie",
    "potential_sis",
    "potential_tnfw",
    "sie_constants",
]
