"""Physics of lensing: pure functions on tensors, arcsec in, arcsec out."""

from typing import TYPE_CHECKING

from lenspinn.lazy import lazy_package

if TYPE_CHECKING:
    from lenspinn.lensing.cosmology import (
        Distances,
        angular_diameter_distances,
        deeplense_distances,
        deflection_scaling,
        mass_from_theta_E,
        sigma_critical,
        theta_E_point_mass,
    )
    from lenspinn.lensing.fit import SmoothFit, continue_fit, fit_smooth_lens
    from lenspinn.lensing.grid import Map, PerLens, pixel_grid
    from lenspinn.lensing.light import interpolated_source, sersic, sersic_total_flux
    from lenspinn.lensing.profiles import (
        SIEConstants,
        axis_ratio_to_ellipticity,
        convergence_epl,
        convergence_multipole,
        convergence_point_mass,
        convergence_rod,
        convergence_shear,
        convergence_sie,
        convergence_sis,
        convergence_tnfw,
        deflection_epl,
        deflection_multipole,
        deflection_point_mass,
        deflection_rod,
        deflection_shear,
        deflection_sie,
        deflection_sie_with,
        deflection_sis,
        deflection_tnfw,
        ellipticity_to_axis_ratio,
        potential_epl,
        potential_multipole,
        potential_point_mass,
        potential_rod,
        potential_shear,
        potential_sie,
        potential_sis,
        potential_tnfw,
        sie_constants,
    )
    from lenspinn.lensing.raytrace import MIN_COVERAGE, SourceImage, delens, relens
    from lenspinn.lensing.scan import PointMassScan, scan_point_masses
    from lenspinn.lensing.smooth import SMOOTH_PARAMETERS, make_optics, smooth_image
    from lenspinn.lensing.structure import StructuredFit, fit_structure, scan_beside_structure

__all__ = [
    "MIN_COVERAGE",
    "SMOOTH_PARAMETERS",
    "Distances",
    "Map",
    "PerLens",
    "PointMassScan",
    "SIEConstants",
    "SmoothFit",
    "SourceImage",
    "StructuredFit",
    "angular_diameter_distances",
    "axis_ratio_to_ellipticity",
    "continue_fit",
    "convergence_epl",
    "convergence_multipole",
    "convergence_point_mass",
    "convergence_rod",
    "convergence_shear",
    "convergence_sie",
    "convergence_sis",
    "convergence_tnfw",
    "deeplense_distances",
    "deflection_epl",
    "deflection_multipole",
    "deflection_point_mass",
    "deflection_rod",
    "deflection_scaling",
    "deflection_shear",
    "deflection_sie",
    "deflection_sie_with",
    "deflection_sis",
    "deflection_tnfw",
    "delens",
    "ellipticity_to_axis_ratio",
    "fit_smooth_lens",
    "fit_structure",
    "interpolated_source",
    "make_optics",
    "mass_from_theta_E",
    "pixel_grid",
    "potential_epl",
    "potential_multipole",
    "potential_point_mass",
    "potential_rod",
    "potential_shear",
    "potential_sie",
    "potential_sis",
    "potential_tnfw",
    "relens",
    "scan_beside_structure",
    "scan_point_masses",
    "sersic",
    "sersic_total_flux",
    "sie_constants",
    "sigma_critical",
    "smooth_image",
    "theta_E_point_mass",
]

lazy_package(__name__)
