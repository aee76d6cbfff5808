from pathlib import Path

import pytest

from lenspinn.errors import ConfigError
from lenspinn.simulate import get_recipe
from lenspinn.simulate.needs import check_disk, check_memory

FIELDS = {"theta_E": (), "ends": (4,)}
BYTES = 4 * 64 * 64 + 8 * 5 + 1
"""Of one image with these fields and its label."""


def test_a_dataset_larger_than_the_disk_is_refused_with_its_size(tmp_path: Path):
    said = r"^1000000000 images of 64 x 64 .* 16,425\.0 GB, and .* GB are free at .*: lower num$"
    with pytest.raises(ConfigError, match=said):
        check_disk(tmp_path / "new" / "x.zarr", get_recipe("survey/hst"), 10**9, FIELDS)


def test_what_is_there_already_needs_no_room(tmp_path: Path, monkeypatch):
    out = tmp_path / "x.zarr"
    out.mkdir()
    usage = type("usage", (), {"free": BYTES})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    check_disk(out, get_recipe("survey/hst"), 1, FIELDS)
    with pytest.raises(ConfigError, match="lower num"):
        check_disk(out, get_recipe("survey/hst"), 2, FIELDS)
    (out / "images").write_bytes(bytes(BYTES))
    check_disk(out, get_recipe("survey/hst"), 2, FIELDS)


def test_images_larger_than_the_memory_are_refused_with_their_size():
    check_memory(get_recipe("survey/hst"), 64, 64, 2)
    large = get_recipe("survey/hst", num_pix=4096, supersampling=8)
    with pytest.raises(ConfigError, match="GB of memory, and this machine has"):
        check_memory(large, 1, 64, 2)
