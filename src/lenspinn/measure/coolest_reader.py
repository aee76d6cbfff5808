"""A lens model of any code, read from a COOLEST template into lenstronomy's arguments."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lenspinn.errors import DataError
from lenspinn.files import read_json

__all__ = ["read_coolest"]

Numbers = Mapping[str, float]


def read_coolest(file: Path | str) -> dict[str, Any]:
    """Read the model in a COOLEST template, executing nothing in it.

    Parameters
    ----------
    file
        Template, plain JSON, written by any code. (coolest's own reader prefers a file
        ``_pyAPI.json`` beside the template, which may contain a program; this reader never opens
        that file.)

    Returns
    -------
    dict
        Arguments as in `LensMeasurement.to_lenstronomy`, without ``supersampling_factor``: lists of
        profiles of lens, source and lens light, their ``kwargs_*``, and ``kwargs_data``, in which x
        points to the right as in COOLEST. Values are the first point estimates.

    Raises
    ------
    DataError
        If the file is no template, or has a profile or lens planes that are not known here.
    """
    file = Path(file)
    content = read_json(file)
    try:
        return _arguments(content)
    except (LookupError, TypeError, AttributeError) as error:
        raise DataError(
            f"{file} is no COOLEST template with a lens model: {error!r} where it should say more"
        ) from error
    except ValueError as error:
        raise DataError(f"{file}: {error}") from error


def _arguments(content: Mapping[str, Any]) -> dict[str, Any]:
    entities = content["lensing_entities"]
    planes = {entity["redshift"] for entity in entities if entity["mass_model"]}
    if len(planes) != 1 or None in planes:
        raise ValueError(f"its masses are at redshifts {sorted(map(str, planes))}, not at one")
    (z_lens,) = planes
    lens = _profiles(entities, "mass_model", MASSES, lambda entity: True)
    source = _profiles(entities, "light_model", LIGHTS, lambda e: e["redshift"] > z_lens)
    light = _profiles(entities, "light_model", LIGHTS, lambda e: e["redshift"] <= z_lens)
    return {
        "lens_model_list": [name for name, _ in lens],
        "kwargs_lens": [kwargs for _, kwargs in lens],
        "source_light_model_list": [name for name, _ in source],
        "kwargs_source": [kwargs for _, kwargs in source],
        "lens_light_model_list": [name for name, _ in light],
        "kwargs_lens_light": [kwargs for _, kwargs in light],
        "kwargs_data": _frame(content["observation"]["pixels"]),
    }


def _profiles(
    entities: list[Any],
    model: str,
    known: Mapping[str, tuple[str, Callable[[Numbers], dict[str, float]]]],
    chosen: Callable[[Any], bool],
) -> list[tuple[str, dict[str, float]]]:
    """Return lenstronomy's name and arguments of the profiles of some entities."""
    found = []
    for entity in entities:
        for profile in entity.get(model, ()) if chosen(entity) else ():
            kind = profile["type"]
            if kind not in known:
                raise ValueError(
                    f"its profile {kind} cannot be read; those that can are {', '.join(known)}"
                )
            name, convert = known[kind]
            found.append((name, convert(_values(kind, profile["parameters"]))))
    return found


def _values(kind: str, parameters: Mapping[str, Any]) -> dict[str, float]:
    values = {name: each["point_estimate"]["value"] for name, each in parameters.items()}
    for name, value in values.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or (name == "q" and not 0 < value <= 1):
            raise ValueError(f"{name} of its {kind} is {value!r}, which cannot be")
    return values


def _frame(pixels: Mapping[str, Any]) -> dict[str, Any]:
    (left, right), (below, above) = pixels["field_of_view_x"], pixels["field_of_view_y"]
    scale_x = (right - left) / pixels["num_pix_x"] if pixels["num_pix_x"] else 0.0
    scale_y = (above - below) / pixels["num_pix_y"] if pixels["num_pix_y"] else 0.0
    return {
        "ra_at_xy_0": left + scale_x / 2,
        "dec_at_xy_0": below + scale_y / 2,
        "transform_pix2angle": [[scale_x, 0.0], [0.0, scale_y]],
    }


def _ellipticity(p: Numbers) -> dict[str, float]:
    size = (1 - p["q"]) / (1 + p["q"])
    return _doubled(size, p["phi"], "e1", "e2")


def _doubled(size: float, from_y: float, first: str, second: str) -> dict[str, float]:
    twice = 2 * math.radians(from_y + 90)
    return {first: size * math.cos(twice), second: size * math.sin(twice)}


def _centre(p: Numbers) -> dict[str, float]:
    return {"center_x": p["center_x"], "center_y": p["center_y"]}


def _isothermal(p: Numbers) -> dict[str, float]:
    return {"theta_E": p["theta_E"], **_ellipticity(p), **_centre(p)}


def _sersic(p: Numbers) -> dict[str, float]:
    sizes = {"amp": p["I_eff"], "R_sersic": p["theta_eff"], "n_sersic": p["n"]}
    return {**sizes, **_ellipticity(p), **_centre(p)}


MASSES: dict[str, tuple[str, Callable[[Numbers], dict[str, float]]]] = {
    "SIE": ("SIE", _isothermal),
    "PEMD": ("EPL", lambda p: {"gamma": p["gamma"], **_isothermal(p)}),
    "ExternalShear": (
        "SHEAR",
        lambda p: _doubled(p["gamma_ext"], p["phi_ext"], "gamma1", "gamma2"),
    ),
    "ConvergenceSheet": ("CONVERGENCE", lambda p: {"kappa": p["kappa_s"]}),
}
"""Names of mass profiles in COOLEST, each with lenstronomy's name and a function that returns
lenstronomy's arguments."""
LIGHTS = {"Sersic": ("SERSIC_ELLIPSE", _sersic)}
"""Names of light profiles in COOLEST, as in `MASSES`."""
