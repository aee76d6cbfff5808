"""Grad-CAM and reconstructed source of a trained network, and positions of substructure."""

from typing import TYPE_CHECKING

from lenspinn.lazy import lazy_package

if TYPE_CHECKING:
    from lenspinn.explain.figure import explain_run, explanation_figure
    from lenspinn.explain.gradcam import grad_cam
    from lenspinn.explain.localization import (
        find_peaks,
        gradient_map,
        heaviest_clump,
        localization_score,
        significance_map,
    )
    from lenspinn.explain.view import View, view_images

__all__ = [
    "View",
    "explain_run",
    "explanation_figure",
    "find_peaks",
    "grad_cam",
    "gradient_map",
    "heaviest_clump",
    "localization_score",
    "significance_map",
    "view_images",
]

lazy_package(__name__)
