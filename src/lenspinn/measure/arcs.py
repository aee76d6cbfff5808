"""A lens with its light subtracted, before any lens model is fitted to its arcs."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from lenspinn.errors import ImageError
from lenspinn.fitting.smooth import SMOOTH_PARAMETERS, SmoothParameters, smooth_image
from lenspinn.measure.frame import LEAST_PIXELS, Frame, cut_frame, light_peak
from lenspinn.measure.joint_fit import SUPERSAMPLING, fit_source, frame_optics, starts_around
from lenspinn.measure.lens_galaxy import find_lens_galaxy
from lenspinn.measure.lens_light import LensLight, fit_lens_light, only_sky
from lenspinn.measure.mass_and_light import CENTRE_ERROR, LensPrior
from lenspinn.measure.neighbours import neighbours
from lenspinn.measure.noise_check import are_variances
from lenspinn.measure.noise_map import AnyPixels
from lenspinn.measure.observation import Observation, observe
from lenspinn.measure.ring import other_rings, ring_radius, rival_ring

Pixels = Float[np.ndarray, "y x"]
LensLightMode = Literal["model", "mask", "none"]

SEARCH_RADIUS = 4.0
"""Radius around the centre within which a ring is looked for first, arcsec."""
SEARCH = 2.5
"""Search radius in units of a given theta_E, where that is larger than `SEARCH_RADIUS`."""
AT_EDGE, WIDER = 0.9, 2.0
"""Share of the search radius beyond which a ring is looked for again, and factor by which the
search radius is then enlarged."""
FIELD = 2.0
"""Radius of the pixels that are fitted, in units of the guess of theta_E."""
LEAST_USED = 100
"""Least number of pixels around a lens that count."""
NEIGHBOURS = 1.6
"""Radius, in ring radii, beyond which light that peaks there is taken for a neighbour and left
out."""
INNERMOST = 4.0
"""Radius of the smallest ring that is looked for, pixels."""
UNSEEN_CENTRE = 0.25
"""Standard deviation of the centre of mass about the middle of the image where no light shows it,
in units of the guess of theta_E."""
MOVED = 2.0
"""Distance of the centre of mass from the middle, pixels, above which the image is searched again
around the centre of mass."""
ROUNDS = 3
"""Largest number of searches around a new centre of mass."""
LARGEST_GUESS = 3.0
"""Largest guess of theta_E that is fitted as it is, arcsec. For larger lenses all angles are made
smaller by a factor: the bounds and steps of `lenspinn.fitting.solver` are for galaxies."""
MASKED = 0.6
"""Radius within which lens light is left out where it is masked, in ring radii."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Arcs:
    """Position of a lens, its light, and the ring that is seen when this light is subtracted."""

    around: Frame
    """Frame around the lens with neighbours, in units of `unit`."""
    bare: Pixels
    """Image of `around` minus the lens light, in which a ring is looked for."""
    frame: Frame
    """Frame `around` with neighbours, and lens light that is masked, left out."""
    lens_light: LensLightMode
    """Treatment of the lens light."""
    light: LensLight
    """Lens light in the frame as modelled; the sky alone where it is masked or there is none."""
    radius: float
    """Radius of the ring, arcsec, as found by `lenspinn.measure.ring_radius`."""
    others: tuple[float, ...]
    """Radii of other circles that could be the ring, arcsec, as found by
    `lenspinn.measure.ring.other_rings`; empty where a guess is given."""
    rival: float | None
    """Radius of another ring, outside of the fitted pixels, that could be the right one, arcsec;
    None if there is none."""
    guess: float
    """Guess of theta_E, arcsec."""
    unit: float
    """Unit of brightness of the frame, in the unit of the image."""
    doubts: tuple[str, ...] = ()
    """Reasons against any fit of this image."""

    @property
    def reach(self) -> float:
        """Distance from the middle of the frame to its border, arcsec."""
        return len(self.frame.image) / 2 * self.frame.pixel_scale

    @property
    def expected(self) -> LensPrior:
        """Priors of the lens before its arcs are fitted."""
        if self.lens_light == "none":
            return LensPrior.of_nothing(UNSEEN_CENTRE * self.guess)
        if self.lens_light == "mask":
            return LensPrior.of_nothing(CENTRE_ERROR * self.frame.pixel_scale)
        return LensPrior.of_light(self.light.galaxy, self.guess, self.frame.pixel_scale)

    @property
    def zoom(self) -> float:
        """Factor by which angles are made smaller for a fit."""
        return max(1.0, self.guess / LARGEST_GUESS)

    def with_ring(self, radius: float) -> "Arcs":
        """Return the arcs of the same image for another radius of the ring, arcsec."""
        return _with_ring(replace(self, guess=radius))

    def shrunk(self, factor: float) -> "Arcs":
        """Return the arcs with all angles made smaller by a factor."""
        shape = self.light.shape / np.array([factor, factor, 1, 1, 1, 1])
        return replace(
            self,
            around=_shrunk(self.around, factor),
            frame=_shrunk(self.frame, factor),
            light=self.light._replace(shape=shape),
            radius=self.radius / factor,
            others=tuple(radius / factor for radius in self.others),
            rival=None if self.rival is None else self.rival / factor,
            guess=self.guess / factor,
        )

    def light_of(
        self,
        frame: Frame,
        source_image: Pixels | None = None,
        start: LensLight | None = None,
    ) -> LensLight:
        """Fit the lens light of a part of the frame; where it is not modelled, the sky alone.

        Parameters
        ----------
        frame
            Part of the frame.
        source_image
            Image of the lensed source, which is subtracted first, where it is known.
        start
            Lens light whose shape the fit begins with; by default that of the whole frame.
        """
        if self.lens_light != "model":
            return only_sky(frame.image, frame.sigma)
        shape = self.light.shape if start is None else start.shape
        return _lens_light(frame, shape, source_image)

    def without_light(self, parameters: SmoothParameters) -> tuple[Frame, LensLight | None]:
        """Subtract the lens light in the whole frame.

        Parameters
        ----------
        parameters : (1, 14)
            Parameters of the fitted lens and source.

        Returns
        -------
        frame
            Frame without lens light; its weights allow for the error of the lens light model.
        light
            Lens light that was subtracted; None if there was none.
        """
        if self.lens_light == "none":
            return self.frame, None
        light = self.light_of(self.frame, lensed_source(parameters, self.frame))
        lit = self.frame.lit(light.galaxy) if self.lens_light == "model" else self.frame
        return lit.minus(light.model), light


def _shrunk(frame: Frame, factor: float) -> Frame:
    return replace(
        frame,
        pixel_scale=frame.pixel_scale / factor,
        middle=(frame.middle[0] / factor, frame.middle[1] / factor),
    )


def lensed_source(parameters: SmoothParameters, frame: Frame) -> Pixels:
    """Return the blurred image of a fitted source in a frame."""
    return smooth_image(parameters, frame_optics(frame, SUPERSAMPLING))[0].double().numpy()


def find_arcs(
    image: AnyPixels,
    *,
    pixel_scale: float,
    noise: AnyPixels | None,
    psf: AnyPixels | None,
    mask: AnyPixels | None,
    theta_E_guess: float | None,
    lens_light: LensLightMode | None,
) -> Arcs:
    """Subtract the lens light and look for a ring; see `lenspinn.measure.measure_lens`."""
    seen = observe(image, pixel_scale=pixel_scale, noise=noise, psf=psf, mask=mask)
    _check_guess(theta_E_guess, seen)
    galaxy = find_lens_galaxy(seen.image, seen.sigma, pixel_scale)
    mode = lens_light or _mode(galaxy)
    centre = None if mode == "none" else galaxy or light_peak(seen.image, seen.sigma)
    radius = max(SEARCH_RADIUS, SEARCH * (theta_E_guess or 0))
    arcs = _arcs_within(radius, seen, mode, centre, theta_E_guess)
    while theta_E_guess is None and arcs.radius > AT_EDGE * radius and arcs.reach >= radius:
        radius *= WIDER
        arcs = _arcs_within(radius, seen, mode, centre, None)
    for _ in range(ROUNDS if mode == "none" else 0):
        beside = _centre_of_mass(arcs, seen, centre)
        if beside is None:
            break
        centre = beside
        arcs = _arcs_within(radius, seen, mode, centre, theta_E_guess)
    return replace(arcs, doubts=_doubts(image, noise))


def _doubts(image: AnyPixels, noise: AnyPixels | None) -> tuple[str, ...]:
    if noise is None or not are_variances(np.asarray(image), np.asarray(noise)):
        return ()
    return (
        "the noise map rises in proportion to the light, as variances do: give their square roots",
    )


def _centre_of_mass(
    arcs: Arcs, seen: Observation, centre: tuple[int, int] | None
) -> tuple[int, int] | None:
    """Return row and column of the centre of mass of a lens without lens light.

    The result is None if the centre of mass is at `centre`, by default the middle, within `MOVED`.
    """
    arcs = arcs.shrunk(arcs.zoom)
    frame = arcs.frame.narrowed(FIELD * arcs.guess + 2 * arcs.expected.centre)
    if np.isfinite(frame.sigma).sum() < LEAST_USED:
        return None
    light = arcs.light_of(frame)
    starts = starts_around(frame, light, arcs.guess, arcs.expected)
    found = fit_source(frame, light, starts, arcs.expected, look=True)
    first = SMOOTH_PARAMETERS.index("center_x")
    x, y = (found.parameters[0, first : first + 2] / frame.pixel_scale).tolist()
    rows, columns = seen.image.shape
    before = (rows // 2, columns // 2) if centre is None else centre
    row, column = before[0] + round(y), before[1] + round(x)
    room = min(row, column, rows - 1 - row, columns - 1 - column)
    return (row, column) if math.hypot(x, y) > MOVED and room >= LEAST_PIXELS else None


def _mode(galaxy: tuple[int, int] | None) -> LensLightMode:
    return "none" if galaxy is None else "model"


def _check_guess(guess: float | None, seen: Observation) -> None:
    """Refuse a guess of theta_E below a pixel or above half the image."""
    if guess is None:
        return
    most = min(seen.image.shape) * seen.pixel_scale / 2
    if not seen.pixel_scale <= guess <= most:
        raise ImageError(
            f"theta_E_guess is {guess}; it must be in arcsec, between a pixel, "
            f'{seen.pixel_scale:g}", and half the image, {most:.3g}"'
        )


def _arcs_within(
    radius: float,
    seen: Observation,
    mode: LensLightMode,
    centre: tuple[int, int] | None,
    guess: float | None,
) -> Arcs:
    """Subtract the lens light within a radius in arcsec, and look for a ring there."""
    wide = cut_frame(
        seen.image,
        seen.sigma,
        seen.pixel_scale,
        seen.psf,
        centre=centre,
        radius=radius,
        lit=mode != "none",
    )
    num_used = int(np.isfinite(wide.sigma).sum())
    if num_used < LEAST_USED:
        raise ImageError(
            f"noise map and mask leave {num_used} pixels around the lens; at least {LEAST_USED} "
            "are needed: leave out fewer"
        )
    light = only_sky(wide.image, wide.sigma) if mode == "none" else _lens_light(wide)
    wide = wide if mode == "none" else wide.lit(light.galaxy)
    bare = wide.image - light.model
    within = {"inner": INNERMOST * seen.pixel_scale, "outer": len(bare) * seen.pixel_scale / 2}
    ring = ring_radius(bare, wide.weighted_sigma, seen.pixel_scale, **within)
    others: tuple[float, ...] = ()
    if guess is None:
        others = other_rings(bare, wide.weighted_sigma, seen.pixel_scale, **within)
    return _with_ring(
        Arcs(
            around=wide,
            bare=bare,
            frame=wide,
            lens_light=mode,
            light=light,
            radius=ring,
            others=others,
            rival=None,
            guess=ring if guess is None else guess,
            unit=seen.unit,
        )
    )


def _with_ring(arcs: Arcs) -> Arcs:
    """Leave out neighbours and masked lens light, given the guess of the ring's radius."""
    wide, guess, mode = arcs.around, arcs.guess, arcs.lens_light
    sigma = wide.weighted_sigma
    unsure = 2 * UNSEEN_CENTRE * guess if mode == "none" else 0.0
    far = wide.radius > NEIGHBOURS * guess + unsure
    beyond = wide.radius > guess
    frame = wide.without(neighbours(arcs.bare / sigma, far) & beyond)
    light = arcs.light
    if mode == "mask":
        frame = frame.without(frame.radius < MASKED * guess)
        light = only_sky(frame.image, frame.sigma)
    inner = INNERMOST * wide.pixel_scale
    rival = rival_ring(arcs.bare, sigma, wide.pixel_scale, inner=inner, field=FIELD * guess)
    return replace(arcs, frame=frame, light=light, rival=rival)


def _lens_light(
    frame: Frame, shape: np.ndarray | None = None, source_image: Pixels | None = None
) -> LensLight:
    """Fit the lens light to the image, minus the lensed source where that is known."""
    return fit_lens_light(
        frame.image if source_image is None else frame.image - source_image,
        frame.weighted_sigma,
        pixel_scale=frame.pixel_scale,
        psf=frame.psf,
        shape=shape,
        clip=source_image is None,
    )
