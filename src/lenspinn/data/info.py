"""What a dataset is: the facts a model, a run and a report need about its images."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lenspinn.errors import StoreError


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
        # As JSON returns it (tuples become lists), so that equality survives the disk.
        config = json.loads(json.dumps(self.recipe_config))
        object.__setattr__(self, "recipe_config", config)

    @property
    def lens_prior(self) -> dict[str, Any]:
        """What the recipe says of its lenses; nothing for images not simulated here."""
        lens = self.recipe_config.get("lens")
        return lens if isinstance(lens, dict) else {}

    @property
    def camera(self) -> dict[str, Any]:
        """What a model that fits images is told of them, where the recipe says it.

        Returns
        -------
        ``background_sigma`` (in `unit`), ``exposure_time`` (total, s), ``psf_fwhm`` (arcsec, of a
        Gaussian) and ``supersampling`` (samples along a side of a pixel). What differs from image
        to image, or is no single number, is left out; images not simulated here have nothing.
        """
        recipe, instrument = self.recipe_config, self.recipe_config.get("instrument")
        if not isinstance(instrument, dict):
            return {}
        facts = {"supersampling": recipe["supersampling"]}
        if recipe.get("exposure_time") is None and self.noise_sigma > 0:
            facts["background_sigma"] = self.noise_sigma
            facts["exposure_time"] = instrument["exposure_time"] * instrument["num_exposures"]
        if instrument.get("psf_kernel") is None and instrument["psf_fwhm"] > 0:
            facts["psf_fwhm"] = instrument["psf_fwhm"]
        return facts

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary that `from_json` turns back into an equal object."""
        return dataclasses.asdict(self) | {"classes": list(self.classes)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "DatasetInfo":
        """Rebuild from what `to_json` returned."""
        return cls(**(dict(record) | {"classes": tuple(record["classes"])}))
