"""Picture of a played lens: four maps, drawn again in a fraction of the time of a figure.

Axes, titles and colour bars are drawn once for images of one size; a move of a slider draws its
maps into them.
"""

import functools
import io
import threading

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import AsinhNorm, Normalize
from matplotlib.figure import Figure
from PIL import Image

from lenspinn.data.map_panels import MOST_SIGMAS, draw_map, stretch
from lenspinn.web.played_lens import CLAIMED, PlayedLens

__all__ = ["played_picture"]

SIZE, RESOLUTION = (8.8, 7.8), 92
"""Size of the picture, inches, and its resolution, dots per inch."""
LINEAR_SIGNIFICANCE, MOST_SIGNIFICANCE = 5.0, 100.0
"""Significance at which the colours turn from linear to logarithmic, and at which they end."""
SIGNIFICANCE_TICKS = (-100, -30, -10, -3, 0, 3, 10, 30, 100)
LOG_MASSES = (7.0, 11.0)
"""Ends of the colours of the smallest visible mass, log10 of solar masses."""
PACKING = 1
"""Compression level of the PNG: a higher one takes longer than it saves."""
TITLES = (
    "image (brightness stretched)",
    "image minus the best smooth lens, in sigma",
    "how much a point mass there would help, in sigma",
    f"log10 of the solar masses that would stand out by {CLAIMED:.0f} sigma",
)


def played_picture(lens: PlayedLens) -> bytes:
    """Return the PNG of a played lens: image, residual, significance, and visible mass."""
    return _panels(lens.recipe.num_pix, lens.pixel_scale).draw(lens)


class _Panels:
    """Figure of four panels for images of one size, into which maps are drawn."""

    def __init__(self, num_pix: int, pixel_scale: float) -> None:
        figure = Figure(figsize=SIZE, dpi=RESOLUTION, layout="constrained")
        self.canvas = FigureCanvasAgg(figure)
        self.axes = list(figure.subplots(2, 2).flat)
        colors = ("inferno", "RdBu_r", "RdBu_r", "viridis_r")
        for axes, title, of_map in zip(self.axes, TITLES, colors, strict=True):
            draw_map(axes, np.zeros((num_pix, num_pix)), pixel_scale, colors=of_map)
            axes.set_title(title, fontsize=10)
            axes.set_xlabel("arcsec", fontsize=8, labelpad=1)
            axes.set_ylabel("arcsec", fontsize=8, labelpad=1)
        most = MOST_SIGNIFICANCE
        scales = (
            Normalize(-MOST_SIGMAS, MOST_SIGMAS),
            AsinhNorm(LINEAR_SIGNIFICANCE, vmin=-most, vmax=most),
            Normalize(*LOG_MASSES),
        )
        for axes, scale in zip(self.axes[1:], scales, strict=True):
            axes.images[0].set_norm(scale)
            bar = figure.colorbar(axes.images[0], ax=axes, shrink=0.8)
            bar.ax.tick_params(labelsize=8)
            if isinstance(scale, AsinhNorm):
                bar.set_ticks(SIGNIFICANCE_TICKS, labels=[*map(str, SIGNIFICANCE_TICKS)])
                bar.ax.minorticks_off()
        (self.mark,) = self.axes[2].plot([], [], "o", ms=14, mfc="none", mec="black")
        self.moved = [*(axes.images[0] for axes in self.axes), self.mark]
        for artist in self.moved:
            artist.set_animated(True)
        self.canvas.draw()
        self.empty = self.canvas.copy_from_bbox(figure.bbox)
        self.lock = threading.Lock()

    def draw(self, lens: PlayedLens) -> bytes:
        """Draw a lens, one at a time."""
        choice = lens.choice
        shows = choice.substructure == "one clump"
        with np.errstate(divide="ignore"):
            visible = np.log10(lens.visible_mass)
        maps = (stretch(lens.image), lens.residual, lens.significance, visible)
        with self.lock:
            for axes, values in zip(self.axes, maps, strict=True):
                axes.images[0].set_data(values)
            self.axes[0].images[0].set_clim(0, float(maps[0].max()))
            self.mark.set_data([choice.clump_x] if shows else [], [choice.clump_y] if shows else [])
            self.canvas.restore_region(self.empty)
            for axes, artist in zip((*self.axes, self.axes[2]), self.moved, strict=True):
                axes.draw_artist(artist)
                _draw_frame(axes)
            pixels = np.asarray(self.canvas.buffer_rgba())[..., :3].copy()
        packed = io.BytesIO()
        Image.fromarray(pixels).save(packed, format="png", compress_level=PACKING)
        return packed.getvalue()


def _draw_frame(axes: Axes) -> None:
    """Draw the border of a panel again, over its map."""
    for spine in axes.spines.values():
        axes.draw_artist(spine)


@functools.lru_cache(maxsize=8)
def _panels(num_pix: int, pixel_scale: float) -> _Panels:
    return _Panels(num_pix, pixel_scale)
