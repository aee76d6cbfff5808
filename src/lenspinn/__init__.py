"""From a dark-matter model to an answer on a telescope image.

The names below are the public interface; each room (`lenspinn.lensing`, `lenspinn.simulate`, ...)
has more. They are imported when first used, so that ``import lenspinn`` itself costs nothing.
"""

from typing import TYPE_CHECKING

from lenspinn.compile_cache import ensure_compile_cache
from lenspinn.lazy import lazy_package

if TYPE_CHECKING:
    from lenspinn.apply import Answer, answer_image, apply_model
    from lenspinn.catalogue import Catalogue, run_catalogue
    from lenspinn.data import DatasetInfo, ImageStore, import_deeplense, read_fits
    from lenspinn.detect import Detection, detect_image, detect_substructure
    from lenspinn.evaluate import classification_metrics, compare_runs, evaluate_run, predict
    from lenspinn.explain import explain_run, grad_cam
    from lenspinn.lensing import delens, pixel_grid, ray_trace, relens
    from lenspinn.measure import (
        LensMeasurement,
        fit_image,
        fit_lens,
        measure_image,
        measure_lens,
    )
    from lenspinn.models import (
        create_model,
        from_pretrained,
        list_models,
        register_model,
        save_pretrained,
        wrap,
    )
    from lenspinn.own_code import import_file
    from lenspinn.simulate import (
        SceneStream,
        SimulateConfig,
        get_recipe,
        list_recipes,
        register_population,
        simulate_images,
    )
    from lenspinn.train import ModelConfig, TrainConfig, load_run, register_loss, train_model

__all__ = [
    "Answer",
    "Catalogue",
    "DatasetInfo",
    "Detection",
    "ImageStore",
    "LensMeasurement",
    "ModelConfig",
    "SceneStream",
    "SimulateConfig",
    "TrainConfig",
    "answer_image",
    "apply_model",
    "classification_metrics",
    "compare_runs",
    "create_model",
    "delens",
    "detect_image",
    "detect_substructure",
    "evaluate_run",
    "explain_run",
    "fit_image",
    "fit_lens",
    "from_pretrained",
    "get_recipe",
    "grad_cam",
    "import_deeplense",
    "import_file",
    "list_models",
    "list_recipes",
    "load_run",
    "measure_image",
    "measure_lens",
    "pixel_grid",
    "predict",
    "ray_trace",
    "read_fits",
    "register_loss",
    "register_model",
    "register_population",
    "relens",
    "run_catalogue",
    "save_pretrained",
    "simulate_images",
    "train_model",
    "wrap",
]

ensure_compile_cache()  # before anything imports torch
lazy_package(__name__)
