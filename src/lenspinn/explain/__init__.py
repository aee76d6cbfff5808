"""Where a trained network looks, and which source it sees behind the lens."""

from lenspinn.explain.figure import explain_run, explanation_figure
from lenspinn.explain.gradcam import grad_cam
from lenspinn.explain.view import View, view_images

__all__ = ["View", "explain_run", "explanation_figure", "grad_cam", "view_images"]
