"""Many lenses: a table in, a table out, written as it goes, on one machine or a cluster."""

from typing import TYPE_CHECKING

from lenspinn.lazy import lazy_package

if TYPE_CHECKING:
    from lenspinn.catalogue.run import Catalogue, run_catalogue

__all__ = ["Catalogue", "run_catalogue"]

lazy_package(__name__)
