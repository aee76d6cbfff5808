"""Lens with the parameters of the sliders: its image, and the residual of the best smooth lens.

Nothing here is physics of its own: a recipe whose numbers are all fixed is drawn, seen and fitted
by the functions that `lenspinn simulate` and the networks call.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lenspinn.errors import ConfigError
from lenspinn.fitting import SmoothFit, fit_smooth_lens, make_optics, scan_point_masses
from lenspinn.fitting.scan import PointMassScan
from lenspinn.fitting.smooth import Optics
from lenspinn.lensing import sersic_total_flux
from lenspinn.lensing.psf import gaussian_kernel
from lenspinn.simulate import Recipe, Scene, add_noise, draw_scene, get_recipe, noise_sigma, render
from lenspinn.simulate.populations import PointMasses
from lenspinn.simulate.scene import SersicLight

__all__ = ["INSTRUMENTS", "SUBSTRUCTURE", "LensChoice", "PlayedLens", "play_lens"]

Pixels = Float[np.ndarray, "y x"]

INSTRUMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    # With the PSF that the shipped network knows.
    "HST WFC3/F160W": ("survey/hst", {"instrument.psf_fwhm": 0.12, "supersampling": 2}),
    "Euclid VIS": ("survey/euclid", {}),
    "JWST NIRCam F277W": ("survey/jwst", {}),
    "Rubin i, ten years": ("survey/rubin", {}),
}
"""Recipe of each instrument, and changes to it."""
SUBSTRUCTURE = ("no_sub", "one clump", "cdm", "axion")
LEAST_SUBHALO = 1e6
"""Least mass of a subhalo, solar masses."""
SUBHALO_SLOPE = -0.9
"""Slope of the subhalo mass function, as in the training of the shipped network."""
CLAIMED = 5.0
"""Significance of a mass that counts as visible, standard deviations."""
ON_ARCS = 3.0
"""Signal-to-noise ratio from which a pixel of the image belongs to the arcs."""


@dataclass(frozen=True, kw_only=True)
class LensChoice:
    """Choice of a lens: the values of the sliders."""

    theta_E: float = 1.1
    """Einstein radius, arcsec, as all positions and sizes."""
    ellipticity: float = 0.1
    """Ellipticity |e| of the lens."""
    ellipticity_angle: float = 30.0
    """Angle from x towards y, degrees, as that of the shear."""
    shear: float = 0.04
    shear_angle: float = 60.0
    source_x: float = 0.12
    source_y: float = 0.08
    R_sersic: float = 0.2
    n_sersic: float = 1.0
    magnitude: float = 23.0
    """AB magnitude of the source without lensing."""
    substructure: str = "one clump"
    """Substructure, one of `SUBSTRUCTURE`; the last two are the populations of the recipes."""
    log_mass: float = 9.0
    """Mass of the clump, of the heaviest subhalo that may be, or of the vortex, log10 of solar
    masses."""
    clump_x: float = 0.95
    clump_y: float = 0.55
    instrument: str = "HST WFC3/F160W"
    """Instrument, one of `INSTRUMENTS`."""
    draw: int = 1
    """Seed of noise and populations."""

    def __post_init__(self) -> None:
        for key, known in (("instrument", tuple(INSTRUMENTS)), ("substructure", SUBSTRUCTURE)):
            if getattr(self, key) not in known:
                raise ConfigError(f"{key} must be one of {', '.join(known)}")


@dataclass(frozen=True, kw_only=True, eq=False)
class PlayedLens:
    """Image of a choice, and the smooth lens that fits it best."""

    choice: LensChoice
    recipe: Recipe
    scene: Scene
    image: Pixels
    """Image with noise, e-/s."""
    sigma: Pixels
    """Standard deviation of the noise, e-/s."""
    fit: SmoothFit
    scan: PointMassScan

    @property
    def pixel_scale(self) -> float:
        """Pixel scale, arcsec per pixel."""
        return self.recipe.instrument.pixel_scale

    @property
    def residual(self) -> Pixels:
        """Image minus the smooth lens, in units of the noise."""
        return _pixels(self.fit.residual)

    @property
    def significance(self) -> Pixels:
        """Significance of one more point mass in each pixel, standard deviations."""
        return _pixels(self.scan.significance)

    @property
    def visible_mass(self) -> Pixels:
        """Point mass that would stand out by `CLAIMED` in each pixel, solar masses."""
        per_mass = (self.recipe.lens_plane.theta_E_unit) ** 2
        return CLAIMED * _pixels(self.scan.strength_error) / per_mass

    @property
    def chi2(self) -> float:
        """Reduced chi^2 of the smooth lens."""
        return float(self.fit.chi2[0] / self.fit.freedom[0])

    @property
    def sentence(self) -> str:
        """Residual of the smooth lens in one sentence."""
        best = self.significance
        row, column = np.unravel_index(int(best.argmax()), best.shape)
        x, y = ((at - (len(best) - 1) / 2) * self.pixel_scale for at in (column, row))
        left = (
            f"The smooth lens that fits best leaves chi^2 = {self.chi2:.2f} per degree of freedom"
        )
        place = f"({x:.2f}, {y:.2f}) arcsec"
        peak = f"one more point mass helps most at {place}, by {best.max():.1f} sigma"
        on_arcs = self.image / self.sigma > ON_ARCS
        if not on_arcs.any():
            return f"{left}; {peak}; the arcs are too faint to hide or show a clump."
        visible = np.median(self.visible_mass[on_arcs])
        limit = (
            f"on half of the arcs {visible:.1e} solar masses would stand out by {CLAIMED:.0f} sigma"
        )
        return f"{left}; {peak}; {limit}."

    @property
    def psf(self) -> Pixels:
        """PSF in pixels of the image."""
        return psf_of(self.recipe)


def play_lens(choice: LensChoice) -> PlayedLens:
    """Draw the lens of a choice, observe it, and fit a smooth lens to the image.

    Parameters
    ----------
    choice
        Choice of the lens; the same choice gives the same image.

    Returns
    -------
    PlayedLens
        Lens whose fit begins at the true smooth lens, so that the residual is not due to a failed
        fit.

    Raises
    ------
    ConfigError
        A number is impossible.
    """
    recipe, scene = draw_choice(choice)
    image, sigma = observe_choice(choice, scene, recipe)
    with torch.no_grad():
        fit = fit_smooth_lens(_true_lens(scene), torch.from_numpy(image), sigma, _optics(recipe))
        scan = scan_point_masses(fit, recipe.instrument.pixel_scale)
    return PlayedLens(
        choice=choice,
        recipe=recipe,
        scene=scene,
        image=image[0],
        sigma=sigma[0].numpy(),
        fit=fit,
        scan=scan,
    )


def draw_choice(choice: LensChoice) -> tuple[Recipe, Scene]:
    """Return the recipe of a choice, and the scene that is drawn from it."""
    recipe = _recipe(choice)
    label = 0 if choice.substructure == "one clump" else recipe.classes.index(choice.substructure)
    scene, _ = draw_scene(recipe, choice.draw, len(recipe.classes) * choice.draw + label)
    if choice.substructure == "one clump":
        scene = dataclasses.replace(scene.smooth(), points=_clump(choice, recipe))
    return recipe, scene


def observe_choice(
    choice: LensChoice, scene: Scene, recipe: Recipe
) -> tuple[Float[np.ndarray, "1 y x"], Float[Tensor, "1 y x"]]:
    """Return the noisy image of a lens, and the standard deviation of its noise, e-/s."""
    seen = render(scene, recipe.camera)
    noise = np.random.Generator(np.random.PCG64(choice.draw))
    image = add_noise(seen.numpy(), recipe.instrument, noise)
    return image, noise_sigma(seen, recipe.instrument)


def _recipe(choice: LensChoice) -> Recipe:
    name, changes = INSTRUMENTS[choice.instrument]
    mass = 10.0**choice.log_mass
    e1, e2 = _components(choice.ellipticity, choice.ellipticity_angle)
    gamma1, gamma2 = _components(choice.shear, choice.shear_angle)
    lens = {"theta_E": choice.theta_E, "e1": e1, "e2": e2, "gamma1": gamma1, "gamma2": gamma2}
    source = {
        "magnitude": choice.magnitude,
        "R_sersic": choice.R_sersic,
        "n_sersic": choice.n_sersic,
        "center_x": choice.source_x,
        "center_y": choice.source_y,
    }
    return get_recipe(
        name,
        **changes,
        lens=lens | {"center_x": 0.0, "center_y": 0.0},
        source=source | {"e1": 0.1, "e2": -0.05},
        populations={
            "axion": {"mass": mass},
            "cdm": {"mass": {"power_law": [LEAST_SUBHALO, mass, SUBHALO_SLOPE]}},
        },
    )


def _components(size: float, angle: float) -> tuple[float, float]:
    twice = math.radians(2 * angle)
    return size * math.cos(twice), size * math.sin(twice)


def _clump(choice: LensChoice, recipe: Recipe) -> PointMasses:
    mass = 10.0**choice.log_mass
    theta_E = recipe.lens_plane.theta_E_unit * mass**0.5
    values = (choice.clump_x, choice.clump_y, theta_E, mass)
    return PointMasses(*(np.array([[value]]) for value in values))


def _true_lens(scene: Scene) -> Float[Tensor, "batch 14"]:
    """Return the smooth parameters of a scene, in the order of `SMOOTH_PARAMETERS`."""
    lens, source = scene.lens, scene.source
    assert isinstance(source, SersicLight)  # no recipe of `INSTRUMENTS` has other sources
    amplitude = source.flux / np.asarray(sersic_total_flux(source.R_sersic, source.n_sersic))
    columns = (
        *(lens.theta_E, lens.e1, lens.e2, lens.center_x, lens.center_y, lens.gamma1, lens.gamma2),
        *(source.center_x, source.center_y, source.e1, source.e2),
        *map(np.log, (source.R_sersic, source.n_sersic, amplitude)),
    )
    return torch.from_numpy(np.stack(columns, axis=1)).float()


def _optics(recipe: Recipe) -> Optics:
    return make_optics(
        recipe.num_pix,
        recipe.instrument.pixel_scale,
        _psf_axis(recipe),
        supersampling=recipe.supersampling,
    )


def psf_of(recipe: Recipe) -> Pixels:
    """Return the PSF of a recipe in pixels of its images."""
    axis = np.array(_psf_axis(recipe))
    return np.outer(axis, axis)


def _psf_axis(recipe: Recipe) -> tuple[float, ...]:
    instrument = recipe.instrument
    return gaussian_kernel(instrument.psf_fwhm / instrument.pixel_scale, instrument.psf_truncation)


def _pixels(maps: Float[Tensor, "1 y x"]) -> Pixels:
    return maps[0].numpy()
