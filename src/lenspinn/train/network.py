"""The network of a training: built for the images of a dataset, or refused."""

import math
from dataclasses import replace
from typing import Any

import torch

from lenspinn.config import to_dict
from lenspinn.data.info import DatasetInfo
from lenspinn.errors import ConfigError, ModelError
from lenspinn.models import (
    Classifier,
    LensFit,
    create_model,
    list_options,
    load_weights,
    read_options,
)
from lenspinn.train.config import ModelConfig, TrainConfig

__all__ = ["completed", "first_model"]

CAMERA_TOLERANCE = 0.01
"""Relative; noise and PSF that are given by hand may be rounded."""
TURNS_LEAVE = {"theta_E"}
"""Truth that is the same for an image however it is flipped and turned."""


def _facts(info: DatasetInfo) -> dict[str, Any]:
    """Return the options of a model that every dataset decides."""
    return {
        "num_pix": info.num_pix,
        "pixel_scale": info.pixel_scale,
        "classes": list(info.classes),
    }


def first_model(config: TrainConfig, info: DatasetInfo) -> Classifier:
    """Return a network as training begins: its first weights are random unless some are given.

    Parameters
    ----------
    config
        As `completed` returns it.
    info
        Description of the images, with which the options given by hand must agree.

    Raises
    ------
    ConfigError, ModelError
        The network is unknown, or does not fit the images, the weights or the configuration.
    """
    model = _fitting_model(config, info)
    if config.weights is not None:
        load_weights(model, config.weights)
    return model.to(memory_format=torch.channels_last) if config.channels_last else model


def completed(config: TrainConfig, info: DatasetInfo) -> TrainConfig:
    """Give a run that begins with weights their network, and options that neither else decides."""
    if config.weights is None:
        return config
    name, saved = read_options(config.weights)
    if config.model.name not in ("", name):
        return config  # `load_weights` refuses it
    decided = {*_facts(info), *info.camera, "pretrained"}
    options = {key: value for key, value in saved.items() if key not in decided}
    return replace(config, model=ModelConfig(name, options | config.model.options))


def _fitting_model(config: TrainConfig, info: DatasetInfo) -> Classifier:
    """Build the model for the dataset; options given by hand must agree with it."""
    facts = _facts(info)
    known = list_options(config.model.name)
    camera = {key: value for key, value in info.camera.items() if key in known}
    options = to_dict(config.model)["options"]
    for key, value in (facts | camera).items():
        given = options.get(key, value)
        near = key in camera and isinstance(given, int | float)
        if given != value and not (near and math.isclose(given, value, rel_tol=CAMERA_TOLERANCE)):
            raise ModelError(
                f"model option {key} is {given}, but the images in {config.data} have {value}: "
                "leave the option out to follow the dataset"
            )
    model = create_model(config.model.name, **(facts | camera | options))
    if model.takes_unit not in (None, info.unit):
        raise ModelError(
            f"{config.model.name} takes images in {model.takes_unit}, but those in {config.data} "
            f"are in {info.unit}"
        )
    if config.fit_once and not isinstance(model, LensFit):
        raise ConfigError(f"fit_once: {config.model.name} fits no lens; leave it out")
    if config.augment and set(model.truth_keys) - TURNS_LEAVE and not config.fit_once:
        raise ConfigError(
            f"augment turns images but not the truth that {config.model.name} learns from: "
            "leave it out"
        )
    return model
