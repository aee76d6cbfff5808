from pathlib import Path

import pyarrow as pa
import pytest

from lenspinn.catalogue.lens_rows import LensRow, lens_rows
from lenspinn.errors import DataError


def test_lenses_without_ids_are_named_by_as_much_of_their_place_as_tells_them_apart(tmp_path):
    table = pa.table({"image": ["A/VIS_data.fits", "B/VIS_data.fits"]})
    assert [row.id for row in lens_rows(table, tmp_path)] == ["A_VIS_data", "B_VIS_data"]


def test_several_lenses_of_one_image_are_named_by_their_row_too(tmp_path):
    table = pa.table({"image": ["tile.fits", "tile.fits", "one.fits"]})
    assert [row.id for row in lens_rows(table, tmp_path)] == ["tile_0", "tile_1", "one"]


def test_what_a_row_says_becomes_the_options_of_its_files(tmp_path):
    table = pa.table(
        {
            "id": [7],
            "image": ["a.fits"],
            "noise": ["/elsewhere/n.fits"],
            "psf": [" "],
            "hdu": [1.0],
            "psf_hdu": ["PSF"],
            "Pixel_Scale": ["0.05"],
            "comment": ["nice"],
        }
    )
    (row,) = lens_rows(table, tmp_path)
    assert row.id == "7"
    assert row.image == tmp_path / "a.fits"
    files = row.files
    assert files.noise == Path("/elsewhere/n.fits")
    assert files.psf is None
    assert (files.image_hdu, files.psf_hdu, files.pixel_scale) == (1, "PSF", 0.05)


def test_ids_that_stand_twice_are_refused(tmp_path):
    table = pa.table({"id": ["a", "b", "a"], "image": ["x", "y", "z"]})
    with pytest.raises(DataError, match="1 ids stand in several rows of the table, such as 'a'"):
        lens_rows(table, tmp_path)


@pytest.mark.parametrize("name", ["x/y", ".hidden", "a" * 201])
def test_ids_that_no_file_can_have_are_refused(tmp_path, name):
    table = pa.table({"id": [name], "image": ["x"]})
    with pytest.raises(DataError, match=r"row 1 of the table has the id .* no file can be"):
        lens_rows(table, tmp_path)


def test_a_row_without_an_id_is_refused(tmp_path):
    table = pa.table({"id": ["a", None], "image": ["x", "y"]})
    with pytest.raises(DataError, match="row 2 of the table has no id"):
        lens_rows(table, tmp_path)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({}, "names no image"),
        ({"image": 3.0}, "image is 3.0, no path"),
        ({"image": "a", "pixel_scale": "fine"}, "pixel_scale is 'fine', no number"),
    ],
)
def test_a_row_that_cannot_be_used_says_why_when_it_is_its_turn(tmp_path, said, says):
    row = LensRow(row=0, id="a", said=said, folder=tmp_path)
    with pytest.raises(DataError, match=says):
        _ = row.image, row.files
