"""Grad-CAM: where in the image the evidence for a class lies."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lenspinn.errors import ModelError
from lenspinn.models.classifier import Classifier, Image, Solution


def grad_cam(
    model: Classifier, image: Image | Solution, target: Int[Tensor, " batch"] | None = None
) -> Float[Tensor, "batch y x"]:
    """Map the evidence for one class over each image.

    Parameters
    ----------
    model
        Any registered model; its `cam_layer` names the layer that is looked at. It is run in
        evaluation mode and left in the mode it was in.
    image : (batch, 1, y, x), in the unit the model takes
        Or what `model.solve` made of them, not in inference mode.
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
        with torch.no_grad():
            solution = model.solved(image)
            maps, classifier = model.classifier_of(solution)
            if target is None:
                target = classifier(maps).argmax(dim=1)
        with torch.enable_grad():
            # Gradients of the maps make Grad-CAM work on frozen weights too.
            evidence = LayerGradCam(classifier, layer).attribute(
                maps.detach().clone().requires_grad_(), target=target, relu_attributions=True
            )
    finally:
        model.train(was_training)
    if evidence.ndim != 4 or len(evidence) != len(maps):
        raise ModelError(
            f"layer '{model.cam_layer}' gives {tuple(evidence.shape)} for {len(maps)} images; "
            "Grad-CAM needs one map of features an image"
        )
    pixels = solution.image.shape[-2:]
    cam = LayerAttribution.interpolate(evidence.detach(), pixels, "bilinear")[:, 0]
    largest = cam.amax(dim=(1, 2), keepdim=True)
    return cam / largest.clamp(min=torch.finfo(cam.dtype).tiny)
