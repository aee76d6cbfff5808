"""Fixtures shared by every room's tests."""

import os
from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real and reference images kept beside the checkout; skips where it is absent."""
    default = REPOSITORY.parent / "shared" / "data"
    folder = Path(os.environ.get("LENSPINN_SHARED", default))
    if not folder.is_dir():
        pytest.skip(f"needs the reference data at {folder} (set LENSPINN_SHARED to their folder)")
    return folder


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(20240817)
