"""Networks: image (B, 1, H, W) -> logits (B, C), made by name.

Images are solved once, `solve(NetworkInput(image)) -> Solution`; `examine` and `reconstruct` take
images, or this solution.
"""

from typing import TYPE_CHECKING

from lenspinn.lazy import lazy_package

if TYPE_CHECKING:
    from lenspinn.models.baselines import (
        CaiT,
        TimmCNN,
        cait,
        cait_patch8,
        efficientnet_b0,
        efficientnet_lite0,
        mobilenetv3,
        resnet18,
        resnet18_stride1,
    )
    from lenspinn.models.classifier import (
        CLASSES,
        Classifier,
        Examination,
        ImageOptions,
        NetworkInput,
        Solution,
    )
    from lenspinn.models.inverse_lens import InverseLens
    from lenspinn.models.lens_fit import LensFit, lenspinn_fit
    from lenspinn.models.lensformer import Lensformer, lensformer, lensformer_patch8
    from lenspinn.models.lenspinn import (
        LensPINN,
        lenspinn_large,
        lenspinn_small,
    )
    from lenspinn.models.names import list_models
    from lenspinn.models.overview import describe_models
    from lenspinn.models.pretrained import (
        from_pretrained,
        load_weights,
        read_options,
        save_pretrained,
    )
    from lenspinn.models.reconstruction import FittedReconstruction, Reconstruction
    from lenspinn.models.registry import create_model, list_options, register_model
    from lenspinn.models.trained import find_trained, is_name, list_trained
    from lenspinn.models.vit import VisionTransformer, vit, vit_patch8, vitsd, vitsd_patch8
    from lenspinn.models.wrapped import WrappedNetwork, wrap

__all__ = [
    "CLASSES",
    "CaiT",
    "Classifier",
    "Examination",
    "FittedReconstruction",
    "ImageOptions",
    "InverseLens",
    "LensFit",
    "LensPINN",
    "Lensformer",
    "NetworkInput",
    "Reconstruction",
    "Solution",
    "TimmCNN",
    "VisionTransformer",
    "WrappedNetwork",
    "cait",
    "cait_patch8",
    "create_model",
    "describe_models",
    "efficientnet_b0",
    "efficientnet_lite0",
    "find_trained",
    "from_pretrained",
    "is_name",
    "lensformer",
    "lensformer_patch8",
    "lenspinn_fit",
    "lenspinn_large",
    "lenspinn_small",
    "list_models",
    "list_options",
    "list_trained",
    "load_weights",
    "mobilenetv3",
    "read_options",
    "register_model",
    "resnet18",
    "resnet18_stride1",
    "save_pretrained",
    "vit",
    "vit_patch8",
    "vitsd",
    "vitsd_patch8",
    "wrap",
]

lazy_package(__name__)
