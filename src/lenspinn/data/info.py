"""What a dataset is: the facts a model, a run and a report need about its images."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lenspinn.errors import StoreError

MAX_NUM_IMAGES = 10**8
MAX_NUM_PIX = 4096
MAX_CLASSES = 127
"""Labels are stored as int8."""
PIXEL_SCALES = (1e-4, 1e2)
"""Least and largest arcsec per pixel that an image of a lens can have, and far beyond."""
_KINDS: dict[str, tuple[type, ...]] = {
    "num_images": (int,),
    "num_pix": (int,),
    "pixel_scale": (int, float),
    "classes": (list, tuple),
    "recipe": (str,),
    "instrument": (str,),
    "unit": (str,),
    "noise_sigma": (int, float),
    "lens_light": (bool,),
    "recipe_config": (dict,),
    "seed": (int, type(None)),
}
"""Of each field of `DatasetInfo`, as JSON has it."""


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """What a dataset is, independent of how it was computed."""

    num_images: int
    num_pix: int
    """Pixels along a side."""
    pixel_scale: float
    """Arcsec per pixel."""
    classes: tuple[str, ...]
    """Class names; a label is an index into this tuple."""
    recipe: str
    """Name of the simulation recipe, or what the images were imported from."""
    instrument: str
    unit: str
    """Unit of the pixels, e.g. ``"e-/s"``."""
    noise_sigma: float
    """Background standard deviation of one pixel in ``unit``; 0 means noise-free."""
    lens_light: bool
    """Whether the images contain the light of the lens galaxy."""
    recipe_config: dict[str, Any]
    """The resolved recipe, JSON-able."""
    seed: int | None

    def __post_init__(self) -> None:
        for name in ("num_images", "num_pix", "pixel_scale"):
            value = getattr(self, name)
            if not value > 0:
                raise StoreError(f"A dataset needs {name} > 0, not {value}")
        for name, most in (("num_images", MAX_NUM_IMAGES), ("num_pix", MAX_NUM_PIX)):
            if getattr(self, name) > most:
                raise StoreError(f"A dataset has at most {name} {most}, not {getattr(self, name)}")
        check_pixel_scale(self.pixel_scale)
        if not 0 <= self.noise_sigma < math.inf:
            raise StoreError(f"noise_sigma must be finite and not negative, not {self.noise_sigma}")
        self._check_classes()
        # As JSON returns it (tuples become lists), so that equality survives the disk.
        try:
            config = json.loads(json.dumps(self.recipe_config))
        except (TypeError, ValueError, RecursionError) as error:
            raise StoreError("The recipe_config of a dataset is not what JSON can hold") from error
        object.__setattr__(self, "recipe_config", config)

    def _check_classes(self) -> None:
        classes = self.classes
        named = all(isinstance(name, str) and name.strip() for name in classes)
        if not (named and 1 <= len(classes) == len(set(classes)) <= MAX_CLASSES):
            raise StoreError(
                f"A dataset has 1 to {MAX_CLASSES} classes of different names, not "
                f"{str(list(classes))[:200]}"
            )

    def of_recipe(self, part: str) -> dict[str, Any]:
        """Return a part of the recipe, as "source"; nothing for images not simulated here."""
        content = self.recipe_config.get(part)
        return content if isinstance(content, dict) else {}

    @property
    def lens_prior(self) -> dict[str, Any]:
        """What the recipe says of its lenses; nothing for images not simulated here."""
        return self.of_recipe("lens")

    @property
    def camera(self) -> dict[str, Any]:
        """What a model that fits images is told of them, where the recipe says it.

        Returns
        -------
        ``background_sigma`` (in `unit`), ``exposure_time`` (total, s), ``psf_fwhm`` (arcsec, of a
        Gaussian) and ``supersampling`` (samples along a side of a pixel). What differs from image
        to image, or is no single number, is left out; images not simulated here have nothing.
        """
        recipe, instrument = self.recipe_config, self.of_recipe("instrument")
        if not instrument:
            return {}
        facts: dict[str, Any] = {"supersampling": recipe.get("supersampling")}
        if recipe.get("exposure_time") is None and self.noise_sigma > 0:
            times = [_positive(instrument.get(key)) for key in ("exposure_time", "num_exposures")]
            facts["background_sigma"] = self.noise_sigma
            facts["exposure_time"] = math.prod(times) if None not in times else None
        if instrument.get("psf_kernel") is None:
            facts["psf_fwhm"] = instrument.get("psf_fwhm")
        return {key: value for key, value in facts.items() if _positive(value) is not None}

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary that `from_json` turns back into an equal object."""
        return dataclasses.asdict(self) | {"classes": list(self.classes)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "DatasetInfo":
        """Rebuild from what `to_json` returned, or from what anybody wrote in its place.

        Raises
        ------
        StoreError
            If a field is missing, unknown, of another kind or out of range.
        """
        differing = sorted(map(str, record.keys() ^ _KINDS.keys()))
        if differing:
            raise StoreError(
                f"What a dataset says of itself lacks or has too much: {', '.join(differing)[:200]}"
            )
        for name, kinds in _KINDS.items():
            value = record[name]
            if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
                raise StoreError(
                    f"What a dataset says of itself is damaged: {name} is {str(value)[:80]}"
                )
        try:
            numbers = {key: float(record[key]) for key in ("pixel_scale", "noise_sigma")}
            return cls(**(dict(record) | numbers | {"classes": tuple(record["classes"])}))
        except (TypeError, OverflowError) as error:  # unhashable names, integers beyond floats
            raise StoreError("What a dataset says of itself is damaged: no such numbers") from error


def check_pixel_scale(pixel_scale: float) -> None:
    """Refuse a pixel scale, in arcsec, that no image of a lens has.

    Raises
    ------
    StoreError
        If it is not within `PIXEL_SCALES`.
    """
    least, most = PIXEL_SCALES
    if not least <= pixel_scale <= most:
        raise StoreError(
            f"pixel_scale is {pixel_scale}; give the size of a pixel in arcsec, between {least} "
            f"and {most:g}"
        )


def _positive(value: Any) -> int | float | None:
    """Return a number that is positive and finite, else None."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and 0 < value < math.inf else None
