"""A dataset that anybody may have damaged is read, or refused in one sentence."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lenspinn.data.store import DatasetInfo, ImageStore, StoreWriter
from lenspinn.errors import LenspinnError

from .damage import DAMAGES, Damage, check_sentence, damaged

NUM = 20
INFO = DatasetInfo(
    num_images=NUM,
    num_pix=8,
    pixel_scale=0.08,
    classes=("axion", "cdm", "no_sub"),
    recipe="test",
    instrument="none",
    unit="e-/s",
    noise_sigma=0.1,
    lens_light=False,
    recipe_config={"instrument": {"psf_fwhm": 0.1}, "source": {"magnitude": 23.0}},
    seed=0,
)
FIELDS = {"theta_E": (), "point_x": (3,), "main_mass": ()}
SETTINGS = {
    "derandomize": True,
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow],
}
A_LIST = st.lists(DAMAGES, min_size=1, max_size=2)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fuzz") / "whole.zarr"
    writer = StoreWriter.open(path, INFO, FIELDS)
    rng = np.random.default_rng(0)
    for rows in writer.pending_shards():
        images = rng.random((len(rows), 1, 8, 8), dtype=np.float32)
        truth = {name: rng.random((len(rows), *shape)) for name, shape in FIELDS.items()}
        writer.write_shard(rows, images, np.arange(len(rows)) % 3, truth)
    writer.finish()
    return path


def read_or_refuse(path: Path) -> None:
    """Read all of a store; whatever it returns is what a store may hold."""
    try:
        store = ImageStore.open(path)
        images, labels = store.images(slice(None)), store.labels
        truth = store.truth
    except LenspinnError as error:
        check_sentence(error)
        return
    assert len(images) == len(labels) == store.info.num_images
    assert np.isfinite(images).all()
    assert set(np.unique(labels)) <= set(range(len(store.info.classes)))
    assert not any(np.isinf(values).any() for values in truth.values())
    assert isinstance(store.info.camera, dict)


def write_or_refuse(path: Path) -> None:
    """Open a store to go on with it."""
    try:
        StoreWriter.open(path, INFO, FIELDS).pending_shards()
    except LenspinnError as error:
        check_sentence(error)


@settings(max_examples=60, **SETTINGS)
@given(damages=A_LIST)
def test_a_damaged_store_is_read_or_refused(store: Path, damages: list[Damage]) -> None:
    path = damaged(store, store.with_name("damaged.zarr"), damages)
    read_or_refuse(path)
    write_or_refuse(path)


@pytest.mark.slow
@settings(max_examples=3000, **SETTINGS)
@given(damages=A_LIST)
def test_many_damaged_stores_are_read_or_refused(store: Path, damages: list[Damage]) -> None:
    path = damaged(store, store.with_name("damaged.zarr"), damages)
    read_or_refuse(path)
    write_or_refuse(path)
