"""Damaged and hostile HDF5 files: whatever the bytes are, one clear error or an image."""

import random
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lenspinn.data import read_hdf5, read_hdf5_psf
from lenspinn.errors import LenspinnError

MOST_SECONDS = 10.0
FAST = settings(
    max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
LONG = settings(FAST, max_examples=4000)
NAMES = [
    "image_data", "noise_map", "background_rms", "exposure_time", "transform_pix2angle",
    "kernel_point_source", "point_source_supersampling_factor",
]  # fmt: skip
SOUND = {
    "image_data": np.random.default_rng(1).normal(size=(8, 8)),
    "background_rms": 0.1,
    "exposure_time": np.full((8, 8), 100.0),
    "transform_pix2angle": 0.05 * np.eye(2),
    "kernel_point_source": np.ones((3, 3)),
}
VALUES = [
    "text", b"bytes", 1 + 2j, np.nan, np.inf, -1.0, 10**18, True, np.zeros((0, 4)), np.ones((2, 2)),
    np.ones((8, 8)) * 1j, np.full((8, 8), np.nan), np.ones((3, 8, 8)), np.array([b"a", b"b"]),
    np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]), h5py.Empty("f8"),
    np.ones((8, 8), dtype=">f2"), np.ones((8, 8), dtype=bool), np.full((8, 8), 2**63, dtype="u8"),
]  # fmt: skip


def _write(path: Path, chance: random.Random) -> None:
    content = dict(SOUND)
    for _ in range(chance.choice([0, 1, 1, 3])):
        content[chance.choice(NAMES)] = chance.choice(VALUES)
    if chance.random() < 0.2:
        content.pop(chance.choice(list(content)))
    with h5py.File(path, "w") as file:
        for name, value in content.items():
            file[name] = value


def _damage(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(chance.choice([0, 1, 4, 30])):
        content[chance.randrange(len(content))] = chance.randrange(256)
    if chance.random() < 0.2:
        content = content[: chance.randrange(len(content))]
    path.write_bytes(content)


def _try(seed: int, folder: Path) -> None:
    chance = random.Random(seed)
    path = folder / "a.h5"
    _write(path, chance)
    if chance.random() < 0.5:
        _damage(path, chance)
    for read in (read_hdf5, read_hdf5_psf):
        start = time.monotonic()
        try:
            read(path)
        except LenspinnError as error:
            said = str(error)
        else:
            said = ""
        assert "\n" not in said
        assert time.monotonic() - start < MOST_SECONDS


@FAST
@given(seed=st.integers(0, 2**32))
def test_a_damaged_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, seed: int):
    _try(seed, tmp_path_factory.getbasetemp())


@pytest.mark.slow
@LONG
@given(seed=st.integers(2**32, 2**40))
def test_many_damaged_files_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    _try(seed, tmp_path_factory.getbasetemp())
