from pathlib import Path
from types import SimpleNamespace

import pytest

from lenspinn.errors import StoreError
from lenspinn.simulate import SimulateConfig, simulate
from lenspinn.simulate.exclusive import exclusive_writer


def test_a_dataset_is_written_once_at_a_time(tmp_path: Path):
    path = tmp_path / "x.zarr"

    def opened() -> SimpleNamespace:
        path.mkdir(exist_ok=True)
        return SimpleNamespace(path=path)

    with exclusive_writer(path, opened) as writer:
        assert writer.path == path
        with pytest.raises(StoreError, match="another process is writing"):  # noqa: SIM117
            with exclusive_writer(path, opened):
                pass
    with exclusive_writer(path, opened):  # free again
        assert list(tmp_path.iterdir()) == [path]


def test_a_second_simulation_into_one_place_is_told_to_wait(tmp_path: Path):
    out = tmp_path / "x.zarr"
    out.mkdir()
    config = SimulateConfig(recipe="survey/hst", num=1, out=out, engine="eager")
    with exclusive_writer(out, lambda: SimpleNamespace()):  # noqa: SIM117
        with pytest.raises(StoreError, match="another process is writing"):
            simulate(config, progress=False)
    assert not list(out.iterdir())
