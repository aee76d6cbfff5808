import pyarrow as pa
import pytest

from lenspinn.catalogue import folder as room
from lenspinn.catalogue.folder import CatalogueFolder, settle_plan
from lenspinn.errors import ConfigError, DataError

SCHEMA = pa.schema([("row", pa.int64()), ("measure_status", pa.string())])


def rows(*numbers: int) -> list[dict]:
    return [{"row": number, "measure_status": f"of {number}"} for number in numbers]


def test_rows_come_back_in_order_each_once_whatever_the_parts_were(tmp_path):
    folder = CatalogueFolder(tmp_path, SCHEMA)
    for part in ((5, 1), (0,), (1, 2)):
        folder.add(rows(*part))
        folder.flush()
    assert CatalogueFolder(tmp_path, SCHEMA).results().to_pylist() == rows(0, 1, 2, 5)
    assert len(list((tmp_path / "parts").iterdir())) == 3


def test_rows_are_written_when_there_are_enough_or_some_time_has_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "PART_ROWS", 3)
    folder = CatalogueFolder(tmp_path, SCHEMA)
    folder.add(rows(0, 1))
    assert folder.results().num_rows == 0
    folder.add(rows(2))
    assert folder.results().num_rows == 3
    monkeypatch.setattr(room, "PART_SECONDS", -1.0)
    folder.add(rows(3))
    assert folder.results().num_rows == 4


def test_what_a_killed_writer_left_counts_for_nothing_and_is_removed(tmp_path):
    (tmp_path / "parts").mkdir()
    draft = tmp_path / "parts" / f".{'0' * 16}.lenspinn_draft"
    draft.write_bytes(b"half a part")
    assert CatalogueFolder(tmp_path, SCHEMA).results().num_rows == 0
    assert not draft.exists()


def test_a_damaged_part_and_one_of_another_version_are_named(tmp_path):
    folder = CatalogueFolder(tmp_path, SCHEMA)
    (tmp_path / "parts" / "000000.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"000000\.parquet is damaged: remove it"):
        folder.results()
    (tmp_path / "parts" / "000000.parquet").unlink()
    folder.add(rows(0))
    folder.flush()
    other = pa.schema([("row", pa.int64()), ("other", pa.string())])
    with pytest.raises(DataError, match="has other columns"):
        CatalogueFolder(tmp_path, other).results()


def test_a_folder_keeps_to_its_plan(tmp_path):
    settle_plan(tmp_path, {"do": ("measure",), "where": None}, {"git": None})
    settle_plan(tmp_path, {"do": ("measure",), "where": None}, {"git": "of another day"})
    with pytest.raises(ConfigError, match="where None, not 'z > 1'"):
        settle_plan(tmp_path, {"do": ("measure",), "where": "z > 1"}, {})
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"plan\.json is damaged"):
        settle_plan(tmp_path, {"do": ("measure",), "where": None}, {})
