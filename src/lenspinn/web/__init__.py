"""The local page: a lens to play with, one's own image, and the recipes; extra ``[web]``."""

from typing import TYPE_CHECKING

from lenspinn.lazy import lazy_package

if TYPE_CHECKING:
    from lenspinn.web.own_image import Finding, study_image
    from lenspinn.web.played_lens import LensChoice, PlayedLens, play_lens
    from lenspinn.web.samples import SAMPLES, write_sample
    from lenspinn.web.server import serve_page

__all__ = [
    "SAMPLES",
    "Finding",
    "LensChoice",
    "PlayedLens",
    "play_lens",
    "serve_page",
    "study_image",
    "write_sample",
]

lazy_package(__name__)
