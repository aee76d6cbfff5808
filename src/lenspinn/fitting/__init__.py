"""Inference: models of lens, source and lens light fitted to images, on tensors alone."""

from typing import TYPE_CHECKING

from lenspinn.lazy import lazy_package

if TYPE_CHECKING:
    from lenspinn.fitting.critical import caustics, critical_curves
    from lenspinn.fitting.priors import Priors, known_parameters
    from lenspinn.fitting.scan import PointMassScan, scan_point_masses
    from lenspinn.fitting.smooth import SMOOTH_PARAMETERS, make_optics, smooth_image
    from lenspinn.fitting.solver import SmoothFit, continue_fit, fit_smooth_lens
    from lenspinn.fitting.structure import StructuredFit, fit_structure, scan_beside_structure

__all__ = [
    "SMOOTH_PARAMETERS",
    "PointMassScan",
    "Priors",
    "SmoothFit",
    "StructuredFit",
    "caustics",
    "continue_fit",
    "critical_curves",
    "fit_smooth_lens",
    "fit_structure",
    "known_parameters",
    "make_optics",
    "scan_beside_structure",
    "scan_point_masses",
    "smooth_image",
]

lazy_package(__name__)
