"""Exact changes of the image by point masses, and how much of each is in a residual.

A mass that bends light by more than the image is smooth over does not change it in proportion to
the mass, so the linear theory of `lenspinn.fitting.scan` looks in the wrong places for it. Here the
changes by masses of several sizes at many places are computed once a lens, as a bank of templates,
and looked for in the residuals of the image and of all its mocks.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.spatial import KDTree
from torch import Tensor
from torch.nn.functional import grid_sample

from lenspinn.detect.dark_solution import DarkSolution
from lenspinn.detect.observed_lens import ObservedLens
from lenspinn.detect.subhalo import Subhalo, deflection_subhalo
from lenspinn.fitting.smooth import by_name, exposed, smooth_deflection
from lenspinn.lensing.grid import pixel_grid

__all__ = ["LEAST_LENGTH", "MASSES", "TemplateBank", "apart_from_free", "changes_by", "make_bank"]

Pixels = Float[np.ndarray, "y x"]
Scores = Float[np.ndarray, "batch masses places"]
PerTemplate = Float[np.ndarray, "masses places"]

MASSES = (0.002, 0.006, 0.02, 0.06)
"""Squared Einstein radii of the templates, arcsec^2: some 10^8.5 to 10^10 solar masses at the
redshifts of SLACS."""
PLACES_APART = 0.1
"""Distance between the places of templates along x and y, to the nearest number of pixels,
arcsec."""
LEAST_AMPLITUDE = 0.3
"""Least amplitude at which a template counts: one that is seen much fainter stands for a lighter
mass. The true mass is seen at 0.3 to 1, since lens and source adapt to it. Chosen in mocks of
J0029-0055, J0252+0039 and J0946+1006, of which it finds most."""
AROUND_PEAK = 0.25
"""Radius around the highest peak that is left out of the roughness of the residual, arcsec, in
image and mocks: a dark clump in the image must not raise the roughness of its mocks."""
TABLE_FIELD, TABLE_CELLS = 4.0, 641
"""Half side, in half-light radii, and cells a side of the table of the source's brightness from
which templates are interpolated."""
AT_ONCE = 32
"""Number of templates that are computed together: their samples fill the cache of a CPU."""
LEAST_LENGTH = 1e-12
"""Least length of a template, in units of the noise, that is divided by."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TemplateBank:
    """Changes by `MASSES` at many places of one lens, apart from what free parameters imitate."""

    lens: ObservedLens
    rows: Float[np.ndarray, " places"]
    columns: Float[np.ndarray, " places"]
    """Columns of the places, as `rows` in pixels from 0."""
    unit: Float[Tensor, "templates pixels"]
    """Templates of unit length in units of the noise, for all places of the first mass, then of the
    next."""
    length: PerTemplate
    """Lengths of the templates: the significance that each mass has in the mean, standard
    deviations of the stated noise."""

    @cached_property
    def x(self) -> Float[np.ndarray, " places"]:
        """Positions of the places along x, arcsec from the middle of the frame."""
        return self.lens.position(self.rows, self.columns)[0]

    @cached_property
    def y(self) -> Float[np.ndarray, " places"]:
        """Positions of the places along y, arcsec from the middle of the frame."""
        return self.lens.position(self.rows, self.columns)[1]

    def significance(self, solution: DarkSolution) -> Scores:
        """Return the significance of each template in each residual.

        Parameters
        ----------
        solution
            Solution of images of the lens.

        Returns
        -------
        array of shape (batch, masses, places)
            Inner products of residuals and templates, standard deviations of the stated noise:
            positive where the mass improves the fit.
        """
        scores = solution.residual.flatten(1) @ self.unit.T
        return scores.double().numpy().reshape(-1, *self.length.shape)

    def amplitude(self, solution: DarkSolution) -> Scores:
        """Return by what factor of each template each residual is explained best."""
        return self.significance(solution) / self.length.clip(min=LEAST_LENGTH)

    def heights(self, solution: DarkSolution, spread: PerTemplate | None) -> Scores:
        """Return the height of each template in each image; 0 where its amplitude is too small.

        Parameters
        ----------
        solution
            Solution of images of the lens.
        spread
            Spread of `scaled` in mocks; without it heights are significances.
        """
        plausible = self.amplitude(solution) >= LEAST_AMPLITUDE
        seen = self.significance(solution) if spread is None else self.scaled(solution) / spread
        return np.where(plausible, seen, 0.0)

    def roughness_left(self, solution: DarkSolution) -> Float[np.ndarray, " batch"]:
        """Return the mean square residual on the arcs of each image, away from the highest peak.

        The residual is in units of `ObservedLens.sigma`.
        """
        arcs = self.lens.arcs
        rows, columns = np.indices(arcs.shape)
        best = self.significance(solution).max(axis=1).argmax(axis=1)
        left = []
        for residual, place in zip(solution.residual.double().numpy(), best, strict=True):
            away = np.hypot(rows - self.rows[place], columns - self.columns[place])
            kept = arcs & (away * self.lens.pixel_scale > AROUND_PEAK)
            left.append(float((residual[kept] ** 2).mean()))
        return np.array(left)

    def scaled(self, solution: DarkSolution) -> Scores:
        """Return the significance of each template, scaled by the roughness of each image.

        The significance in units of the stated noise is divided by the root mean square of the
        residual on the arcs away from the highest peak: sources of mocks are not equally rough,
        nor is the noise exactly that of the noise map.
        """
        left = self.roughness_left(solution)
        return self.significance(solution) / np.sqrt(left)[:, None, None]

    def nearest(self, x: Float[np.ndarray, " some"], y: Float[np.ndarray, " some"]) -> np.ndarray:
        """Return the number of the place nearest to each position, both in arcsec."""
        return np.asarray(self._tree.query(np.stack([x, y], axis=-1))[1])

    @cached_property
    def _tree(self) -> KDTree:
        return KDTree(np.stack([self.x, self.y], axis=1))

    def as_map(self, values: Float[np.ndarray, " places"]) -> Pixels:
        """Return a map whose pixels have the value of the nearest place, NaN outside the region."""
        shown = np.full(self.lens.region.shape, np.nan)
        rows, columns = np.nonzero(self.lens.region)
        shown[rows, columns] = values[self.nearest(*self.lens.position(rows, columns))]
        return shown


def make_bank(lens: ObservedLens, solution: DarkSolution) -> TemplateBank:
    """Compute the templates of a lens.

    Parameters
    ----------
    lens
        Observed lens.
    solution
        Solution of its image: its lens and source are those of the templates.
    """
    rows, columns = np.nonzero(_places(lens))
    x, y = lens.position(rows, columns)
    numbers = [(*at, mass) for mass in MASSES for at in zip(x, y, strict=True)]
    maps = apart_from_free(changes_by(lens, solution, np.array(numbers)), solution)
    length = maps.norm(dim=1, keepdim=True)
    return TemplateBank(
        lens=lens,
        rows=rows.astype(float),
        columns=columns.astype(float),
        unit=maps / length.clamp(min=LEAST_LENGTH),
        length=length.double().numpy().reshape(len(MASSES), -1),
    )


def _places(lens: ObservedLens) -> Bool[np.ndarray, "y x"]:
    """Return the mask of each so many rows and columns of the region."""
    every = max(1, round(PLACES_APART / lens.pixel_scale))
    kept = np.zeros_like(lens.region)
    kept[::every, ::every] = lens.region[::every, ::every]
    return kept


def apart_from_free(
    maps: Float[Tensor, "templates pixels"], solution: DarkSolution
) -> Float[Tensor, "templates pixels"]:
    """Return templates less what the free parameters of the first image's model imitate.

    Parameters
    ----------
    maps
        Templates in units of the noise.
    solution
        Solution, whose first image counts.
    """
    derivatives, covariance = solution.free(0)
    rows = derivatives[0].flatten(1)
    share = (maps @ rows.T).double() @ covariance[0].double()
    return maps - share.to(maps.dtype) @ rows


def changes_by(
    lens: ObservedLens, solution: DarkSolution, numbers: Float[np.ndarray, "templates 3"]
) -> Float[Tensor, "templates pixels"]:
    """Return by how much point masses change the image of a solution, in units of the noise.

    Parameters
    ----------
    lens
        Observed lens.
    solution
        Solution of its image.
    numbers
        Position x and y from the middle of the frame, arcsec, and squared Einstein radius,
        arcsec^2, of each mass.

    Notes
    -----
    The brightness of the source is interpolated in a table, which costs a tenth of its sum of
    shapelets.
    """
    optics = lens.optics
    x, y = optics.theta_x, optics.theta_y
    alpha_x, alpha_y = smooth_deflection(solution.parameters, x, y)
    source = _SourceTable(solution)

    def seen(beta_x: Tensor, beta_y: Tensor) -> Tensor:
        return exposed(source.brightness(beta_x, beta_y)[:, None], optics)[:, 0]

    without = seen(x - alpha_x, y - alpha_y)
    changes = []
    for part in torch.from_numpy(numbers).float()[:, :, None, None].split(AT_ONCE):
        mass = Subhalo(profile="point", x=part[:, 0], y=part[:, 1], mass=part[:, 2])
        more_x, more_y = deflection_subhalo(mass, x, y)
        change = seen(x - alpha_x - more_x, y - alpha_y - more_y) - without
        changes.append((change / lens.sigma).flatten(1))
    return torch.cat(changes)


class _SourceTable:
    """Surface brightness of the source of a solution on a fine grid, interpolated linearly."""

    def __init__(self, solution: DarkSolution) -> None:
        p = by_name(solution.parameters)
        self.x, self.y = p["source_x"], p["source_y"]
        self.half = TABLE_FIELD * p["log_R_sersic"].exp()
        cell = 2 * float(self.half) / (TABLE_CELLS - 1)
        x, y = pixel_grid(TABLE_CELLS, cell)
        self.table = solution.brightness(x + self.x, y + self.y)[:, None]

    def brightness(self, beta_x: Tensor, beta_y: Tensor) -> Tensor:
        """Return the brightness at positions in the source plane; the table's edge goes on."""
        place = torch.stack([beta_x - self.x, beta_y - self.y], dim=-1) / self.half[..., None]
        table = self.table.expand(len(place), -1, -1, -1)
        return grid_sample(table, place, mode="bicubic", padding_mode="border", align_corners=True)[
            :, 0
        ]
