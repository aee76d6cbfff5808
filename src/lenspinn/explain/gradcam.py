"""Grad-CAM: where in the image the evidence for a class lies."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lenspinn.errors import ModelError
from lenspinn.models.classifier import Classifier, Image


def grad_cam(
    model: Classifier, image: Image, target: Int[Tensor, " batch"] | None = None
) -> Float[Tensor, "batch y x"]:
    """Map the evidence for one class over each image.

    Parameters
    ----------
    model
        Any registered model; its `cam_layer` names the layer that is looked at. It is run in
        evaluation mode and left in the mode it was in.
    image : (batch, 1, y, x), in the unit the model takes
    target : (batch,), optional
        Index of the class to explain; by default each image's most probable one.

    Returns
    -------
    (batch, y, x), 0..1
        The coarse map of the layer, interpolated to the size of the image and divided by its
        largest value. It is 0 everywhere when nothing in the image speaks for the class.

    Raises
    ------
    ModelError
        The model has no such layer, or the layer's output is not one map of features an image.

    References
    ----------
    Selvaraju et al. (2017), arXiv:1610.02391, eqs. 1 and 2; Fig. 3 of the LensPINN paper.
    """
    from captum.attr import LayerAttribution, LayerGradCam  # with matplotlib

    try:
        layer = model.get_submodule(model.cam_layer)
    except AttributeError as error:
        raise ModelError(f"the model has no layer '{model.cam_layer}' for Grad-CAM") from error
    was_training = model.training
    model.eval()
    try:
        with torch.enable_grad():
            # Gradients of the image make Grad-CAM work on frozen weights too.
            tracked = image.detach().clone().requires_grad_()
            if target is None:
                target = model(tracked).argmax(dim=1)
            evidence = LayerGradCam(model, layer).attribute(
                tracked, target=target, relu_attributions=True
            )
    finally:
        model.train(was_training)
    if evidence.ndim != 4 or len(evidence) != len(image):
        raise ModelError(
            f"layer '{model.cam_layer}' gives {tuple(evidence.shape)} for {len(image)} images; "
            "Grad-CAM needs one map of features an image"
        )
    maps = LayerAttribution.interpolate(evidence.detach(), image.shape[-2:], "bilinear")[:, 0]
    largest = maps.amax(dim=(1, 2), keepdim=True)
    return maps / largest.clamp(min=torch.finfo(maps.dtype).tiny)
