"""Datasets on disk, images in and out, what happens to pixels, and batches.

`lenspinn.data.datamodule` and `lenspinn.data.contact_sheet` are imported by name only: they need
Lightning and matplotlib, which take seconds to load.
"""

from typing import TYPE_CHECKING

from lenspinn.lazy import lazy_package

if TYPE_CHECKING:
    from lenspinn.data.background import background_sigma
    from lenspinn.data.fits import TelescopeImage, read_fits, write_fits
    from lenspinn.data.hdf5 import read_hdf5, read_hdf5_psf
    from lenspinn.data.info import DatasetInfo
    from lenspinn.data.legacy import import_deeplense
    from lenspinn.data.npy import read_npy
    from lenspinn.data.store import ImageStore, StoreWriter
    from lenspinn.data.transforms import (
        TRANSFORMS,
        check_image,
        deeplense_preprocess,
        min_max,
        noise_safe_preprocess,
        resample,
    )

__all__ = [
    "TRANSFORMS",
    "DatasetInfo",
    "ImageStore",
    "StoreWriter",
    "TelescopeImage",
    "background_sigma",
    "check_image",
    "deeplense_preprocess",
    "import_deeplense",
    "min_max",
    "noise_safe_preprocess",
    "read_fits",
    "read_hdf5",
    "read_hdf5_psf",
    "read_npy",
    "resample",
    "write_fits",
]

lazy_package(__name__)
