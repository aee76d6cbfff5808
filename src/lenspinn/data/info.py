"""Facts about the images of a dataset that a model, a run and a report need."""

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
"""Largest number of classes: labels are stored as int8."""
PIXEL_SCALES = (1e-4, 1e2)
"""Range of pixel scales, arcsec per pixel, far wider than that of images of lenses."""
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
"""Types that each field of `DatasetInfo` may have in JSON."""


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """Facts about the images of a dataset, independent of how they were computed."""

    num_images: int
    num_pix: int
    """Number of pixels along a side of an image."""
    pixel_scale: float
    """Pixel scale, arcsec per pixel."""
    classes: tuple[str, ...]
    """Class names; a label is an index into this tuple."""
    recipe: str
    """Name of the simulation recipe, or ``imported``."""
    instrument: str
    unit: str
    """Unit of the pixels, e.g. ``"e-/s"``."""
    noise_sigma: float
    """Background standard deviation of one pixel in ``unit``; 0 means noise-free."""
    lens_light: bool
    """Whether the images contain the light of the lens galaxy."""
    recipe_config: dict[str, Any]
    """Resolved recipe as JSON can hold it; of imported images, their folder and files."""
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
        """Return a part of the recipe, as "source"; empty for images not simulated here."""
        content = self.recipe_config.get(part)
        return content if isinstance(content, dict) else {}

    @property
    def lens_prior(self) -> dict[str, Any]:
        """Prior of the lenses in the recipe; empty for images not simulated here."""
        return self.of_recipe("lens")

    @property
    def camera(self) -> dict[str, Any]:
        """Facts about the images that a model which fits them needs, as far as the recipe has them.

        Returns
        -------
        ``background_sigma`` (in `unit`), ``exposure_time`` (total, s), ``psf_fwhm`` (arcsec, of a
        Gaussian) and ``supersampling`` (samples along a side of a pixel). Facts that differ from
        image to image, or are no single number, are left out; the dictionary is empty for images
        not simulated here.
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
        """Rebuild from a record of `to_json`, which is checked, for it may come from a stranger.

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
