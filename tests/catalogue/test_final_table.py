import numpy as np
import pyarrow as pa
import pyarrow.parquet
from astropy.table import Table

from lenspinn.catalogue import final_table
from lenspinn.catalogue.final_table import joined, write_tables

CAME = pa.table({"image": ["a", "b", "c"], "measure_status": ["old"] * 3, "v": [[1, 2], [3], []]})
RESULTS = pa.table(
    {"row": [0, 2], "measure_status": ["ok", "failed"], "measure_trusted": [True, None]}
)


def test_what_was_found_stands_beside_what_came_in_and_replaces_what_was_found_before():
    table = joined(CAME, ["x", "y", "z"], np.array([0, 2]), RESULTS)
    assert table.column_names == ["id", "image", "v", "measure_status", "measure_trusted"]
    assert table["id"].to_pylist() == ["x", "z"]
    assert table["image"].to_pylist() == ["a", "c"]
    assert table["measure_status"].to_pylist() == ["ok", "failed"]


def test_both_files_hold_the_same(tmp_path):
    table = joined(CAME, ["x", "y", "z"], np.array([0, 2]), RESULTS)
    path = write_tables(table, tmp_path)
    assert pyarrow.parquet.read_table(path).equals(table)
    text = Table.read(tmp_path / "catalogue.ecsv")
    assert list(text["measure_status"]) == ["ok", "failed"]
    assert text["measure_trusted"].mask.tolist() == [False, True]


def test_a_long_table_is_not_written_as_text(tmp_path, monkeypatch):
    monkeypatch.setattr(final_table, "MOST_ECSV", 1)
    write_tables(joined(CAME, ["x", "y", "z"], np.array([0, 2]), RESULTS), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["catalogue.parquet"]
