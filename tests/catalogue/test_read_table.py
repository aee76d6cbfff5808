from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from astropy.table import MaskedColumn, Table

from lenspinn.catalogue.read_table import column_of, is_table, read_table, unit_of
from lenspinn.errors import DataError


@pytest.fixture
def lenses() -> Table:
    """Two lenses; the second has no redshift, and nothing is said of its position."""
    return Table(
        {
            "id": ["007", "008"],
            "image": ["a.fits", "b.fits"],
            "z_lens": MaskedColumn([0.3, 0.0], mask=[False, True]),
            "vector": np.array([[1.0, 2.0], [3.0, 4.0]]),
        }
    )


@pytest.mark.parametrize("suffix", ["csv", "ecsv", "fits", "parquet"])
def test_every_format_gives_the_same_lenses(lenses: Table, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"lenses.{suffix}"
    if suffix == "csv":
        path.write_text("id,image,z_lens\n007,a.fits,0.3\n008,b.fits,\n")
    elif suffix == "parquet":
        columns = {"id": ["007", "008"], "image": ["a.fits", "b.fits"], "z_lens": [0.3, None]}
        pa.parquet.write_table(pa.table(columns), path)
    else:
        lenses.write(path)
    assert is_table(path)
    table = read_table(path)
    assert table["id"].to_pylist() == ["007", "008"]
    assert table["image"].to_pylist() == ["a.fits", "b.fits"]
    first, second = table["z_lens"].to_pylist()
    assert first == 0.3
    assert second is None or np.isnan(second)
    if suffix in ("ecsv", "fits"):
        assert table["vector"].to_pylist() == [[1.0, 2.0], [3.0, 4.0]]


def test_positions_are_brought_to_degrees_and_sizes_to_arcsec(tmp_path: Path) -> None:
    path = tmp_path / "lenses.ecsv"
    table = Table({"image": ["a.fits"], "RA": [10.0], "size": [0.5], "flux": [3.0]})
    table["RA"].unit, table["size"].unit, table["flux"].unit = "hourangle", "arcmin", "nJy"
    table.write(path)
    read = read_table(path)
    assert read["RA"].to_pylist() == pytest.approx([150.0])
    assert read["size"].to_pylist() == pytest.approx([30.0])
    assert read["flux"].to_pylist() == [3.0]
    assert [unit_of(field) for field in read.schema] == [None, "deg", "arcsec", "nJy"]


def test_a_column_is_found_however_it_is_capitalised() -> None:
    table = pa.table({"IMAGE": ["a"], "Ra": [1.0], "ra": [2.0]})
    assert column_of(table, "image") == "IMAGE"
    assert column_of(table, "ra") == "ra"
    assert column_of(table, "psf") is None


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("lenses.csv", b"id,file\n1,a.fits\n", "has no column image, only id, file"),
        ("lenses.csv", b"image\n", "has no rows"),
        ("lenses.csv", b"image,z\na,1\nb,2,3\n", "cannot be read as a table"),
        ("lenses.parquet", b"PAR1 not really", "cannot be read as a table"),
        ("lenses.fits", b"SIMPLE  = ", "cannot be read as a table"),
        ("lenses.txt", b"image\na\n", "is no table: give a CSV"),
    ],
)
def test_what_is_no_table_of_lenses_is_refused(tmp_path: Path, name, content, says) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=says):
        read_table(path)


def test_a_unit_that_is_no_angle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lenses.ecsv"
    table = Table({"image": ["a.fits"], "size": [0.5]})
    table["size"].unit = "kg"
    table.write(path)
    with pytest.raises(DataError, match="size is in kg"):
        read_table(path)


def test_a_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no table"):
        read_table(tmp_path / "lenses.csv")


def test_a_misspelt_column_is_told_and_others_are_not(tmp_path: Path) -> None:
    path = tmp_path / "lenses.csv"
    path.write_text("image,pixelscale,note,measure_theta_E\na.fits,0.08,x,1.2\n")
    with pytest.warns(
        UserWarning, match="pixelscale is carried .* if pixel_scale is meant"
    ) as told:
        read_table(path)
    assert len(told) == 1
