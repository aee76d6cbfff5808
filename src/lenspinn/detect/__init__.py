"""Dark clumps in one telescope image: position, mass, chance, and the least mass to be found."""

from typing import TYPE_CHECKING

from lenspinn.lazy import lazy_package

if TYPE_CHECKING:
    from lenspinn.detect.detect_file import detect_image
    from lenspinn.detect.detect_lens import detect_substructure
    from lenspinn.detect.detection import Detection

__all__ = ["Detection", "detect_image", "detect_substructure"]

lazy_package(__name__)
