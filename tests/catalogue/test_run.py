import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from astropy.table import Table

from lenspinn.catalogue import run_catalogue
from lenspinn.errors import ConfigError, DataError
from lenspinn.files import FolderLock


def done(table: Path, out: Path, **options):
    return run_catalogue(table, out=out, workers=0, progress=False, **options)


def rows_of(out: Path, *, times: bool = False) -> list[dict]:
    rows = pyarrow.parquet.read_table(out / "catalogue.parquet").to_pylist()
    return [{k: v for k, v in row.items() if times or not k.endswith("_seconds")} for row in rows]


def test_a_row_comes_out_for_each_row_in_with_its_columns_and_its_numbers(
    lenses, fits, measured, tmp_path
):
    catalogue = done(lenses, tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert [row["id"] for row in rows] == ["A", "B", "C", "D", "E"]
    assert [row["comment"] for row in rows] == ["first", "second", "third", "fourth", "fifth"]
    assert [row["measure_status"] for row in rows] == ["ok", "ok", "failed", "failed", "ok"]
    assert rows[0]["measure_theta_E_arcsec"] == measured.theta_E
    assert rows[0]["measure_lens_gamma1"] == measured.plain.lens["gamma1"]
    assert rows[0]["measure_notes"] == "a note"
    assert catalogue.num_ok == {"measure": 3}
    assert "3 done" in str(catalogue)
    assert "2 failed" in str(catalogue)


def test_a_lens_that_fails_says_why_in_one_sentence(lenses, fits, tmp_path):
    done(lenses, tmp_path / "out")
    _, _, missing, damaged, _ = rows_of(tmp_path / "out")
    assert missing["measure_message"] == f"there is no file {lenses.parent / 'C'}"
    assert damaged["measure_message"].startswith(f"{lenses.parent / 'D.fits'} ")
    assert missing["measure_theta_E_arcsec"] is None


def test_a_bug_is_the_failure_of_one_lens(lenses, fits, monkeypatch, tmp_path):
    monkeypatch.setattr("lenspinn.catalogue.work.measurement_values", lambda _: 1 / 0)
    done(lenses, tmp_path / "out", limit=1)
    message = rows_of(tmp_path / "out")[0]["measure_message"]
    assert message == "this is a bug: ZeroDivisionError: division by zero"


def test_the_ecsv_table_has_the_same_numbers_with_units(lenses, fits, measured, tmp_path):
    done(lenses, tmp_path / "out")
    table = Table.read(tmp_path / "out" / "catalogue.ecsv")
    assert table["measure_theta_E_arcsec"][0] == measured.theta_E
    assert table["measure_theta_E_arcsec"].unit == "arcsec"
    assert table["measure_theta_E_arcsec"].mask.tolist() == [False, False, True, True, False]


def test_rows_are_chosen_by_conditions_and_by_number(lenses, fits, tmp_path):
    done(lenses, tmp_path / "out", where="z_lens > 0.3", limit=2)
    assert [row["id"] for row in rows_of(tmp_path / "out")] == ["B", "C"]


def test_a_larger_limit_continues(lenses, fits, tmp_path):
    done(lenses, tmp_path / "out", limit=1)
    done(lenses, tmp_path / "out")
    assert len(fits) == 3
    done(lenses, tmp_path / "out", limit=2)
    assert [row["id"] for row in rows_of(tmp_path / "out")] == ["A", "B"]


def test_what_was_interrupted_goes_on_and_ends_as_if_it_had_not_been(
    lenses, fits, stop_after, tmp_path
):
    stop_after(2)
    with pytest.raises(KeyboardInterrupt):
        done(lenses, tmp_path / "out")
    assert not (tmp_path / "out" / "catalogue.parquet").exists()
    stop_after(0)
    done(lenses, tmp_path / "out")
    assert len(fits) == 3  # none twice
    done(lenses, tmp_path / "whole")
    assert rows_of(tmp_path / "out") == rows_of(tmp_path / "whole")


def test_the_same_rows_give_the_same_bytes(lenses, fits, monkeypatch, tmp_path):
    monkeypatch.setattr("lenspinn.catalogue.one_lens.time.perf_counter", lambda: 0.0)
    for out in ("one", "other"):
        done(lenses, tmp_path / out)
    for name in ("catalogue.parquet", "catalogue.ecsv"):
        one, other = ((tmp_path / out / name).read_bytes() for out in ("one", "other"))
        assert one == other


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"where": "z_lens > 0.3"}, "a catalogue with where None, not 'z_lens > 0.3'"),
        ({"lens_light": "none"}, "with lens_light None, not 'none'"),
        ({"products": True}, "with products False, not True"),
        ({"do": "measure,detect"}, "with do"),
    ],
)
def test_another_command_into_the_same_folder_is_refused(lenses, fits, tmp_path, changed, says):
    done(lenses, tmp_path / "out", limit=1)
    with pytest.raises(ConfigError, match=says):
        done(lenses, tmp_path / "out", **changed)
    assert len(rows_of(tmp_path / "out")) == 1


def test_another_table_into_the_same_folder_is_refused(lenses, fits, tmp_path):
    done(lenses, tmp_path / "out", limit=1)
    lenses.write_text(lenses.read_text().replace("first", "changed"))
    with pytest.raises(ConfigError, match="another table, or the table has changed"):
        done(lenses, tmp_path / "out")


def test_a_folder_of_something_else_is_refused(lenses, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="holds files, but no catalogue"):
        done(lenses, tmp_path / "out")


def test_the_second_of_two_writers_is_told(lenses, fits, tmp_path):
    done(lenses, tmp_path / "out", limit=1)
    with FolderLock(tmp_path / "out"), pytest.raises(DataError, match="written by another process"):
        done(lenses, tmp_path / "out")


def test_each_lens_gets_its_files_where_they_are_asked_for(lenses, fits, tmp_path):
    done(lenses, tmp_path / "out", products=True, limit=2)
    files = sorted(path.name for path in (tmp_path / "out" / "products" / "measure").iterdir())
    assert files == ["A.fits", "A.json", "A.png", "B.fits", "B.json", "B.png"]
    record = json.loads((tmp_path / "out" / "products" / "measure" / "A.json").read_text())
    assert record["notes"] == ["a note"]


def test_a_catalogue_can_be_done_again_and_its_columns_are_replaced(lenses, fits, tmp_path):
    done(lenses, tmp_path / "out")
    before = tmp_path / "out" / "catalogue.parquet"
    moved = lenses.parent / "before.parquet"
    moved.write_bytes(before.read_bytes())
    done(moved, tmp_path / "again", where="measure_status == failed")
    rows = rows_of(tmp_path / "again")
    assert [row["id"] for row in rows] == ["C", "D"]
    assert list(rows[0]) == list(rows_of(tmp_path / "out")[0])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"do": "measure,guess"}, "do is 'measure,guess'; give measure, detect, apply"),
        ({"do": "apply"}, "model is missing"),
        ({"model": "lenspinn_fit_hst"}, "model is given, but not for apply"),
        ({"limit": 0}, "limit is 0"),
        ({"where": "z_lens > 9"}, "which no row of"),
        ({"scheduler": "tcp://a:1", "slurm": True}, "both scheduler and slurm"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is(lenses, fits, tmp_path, options, says):
    with pytest.raises(ConfigError, match=says):
        done(lenses, tmp_path / "out", **options)
    assert not fits
    assert not (tmp_path / "out").exists()


def test_a_folder_stands_for_a_table(lenses, fits, tmp_path):
    done(lenses.parent, tmp_path / "out")
    assert [row["id"] for row in rows_of(tmp_path / "out")] == ["A", "B", "D", "E"]


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A table of lenses that all fail, which takes no fit."""
    table = tmp_path / "many.csv"
    table.write_text("\n".join(["image", *(f"lens_{n}.fits" for n in range(400))]) + "\n")
    return table


WRITE_EVERY_ROW = """
import sys
from pathlib import Path
from lenspinn.catalogue import folder, run_catalogue
folder.PART_SECONDS = -1.0
run_catalogue(Path(sys.argv[1]), out=Path(sys.argv[2]), workers=0, progress=False)
"""


def test_a_kill_on_the_way_loses_no_lens_and_none_is_done_twice(many, tmp_path):
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", WRITE_EVERY_ROW, str(many), str(out)])
    while process.poll() is None and len([*out.glob("parts/*.parquet")]) < 5:
        time.sleep(0.001)
    process.kill()
    process.wait()
    before = {path: path.read_bytes() for path in out.glob("parts/*.parquet")}
    assert 5 <= len(before) < 400
    done(many, out)
    assert all(path.read_bytes() == content for path, content in before.items())
    parts = [pyarrow.parquet.read_table(path) for path in out.glob("parts/*.parquet")]
    assert sorted(row for part in parts for row in part["row"].to_pylist()) == [*range(400)]
    done(many, tmp_path / "whole")
    assert rows_of(out) == rows_of(tmp_path / "whole")


def test_processes_give_what_this_process_gives(many, tmp_path):
    words = ["catalogue", many, "--out", tmp_path / "out", "--workers", "1", "--progress", "false"]
    command = [sys.executable, "-m", "lenspinn.cli", *map(str, words)]
    subprocess.run(command, check=True, capture_output=True)
    done(many, tmp_path / "here")
    assert rows_of(tmp_path / "out") == rows_of(tmp_path / "here")
    assert [row["id"] for row in rows_of(tmp_path / "out")] == [f"lens_{n}" for n in range(400)]


def test_a_network_answers_lenses_together_as_it_does_alone(calibrated_run, tmp_path):
    from lenspinn.apply import answer_image
    from lenspinn.data.store import ImageStore
    from lenspinn.train import load_run

    images = ImageStore.open(load_run(calibrated_run).config.data).images(slice(0, 5))[:, 0]
    for number, image in enumerate(images):
        np.save(tmp_path / f"lens_{number}.npy", image)
    np.save(tmp_path / "lens_2.npy", np.full_like(images[0], np.nan))
    done(tmp_path / "*.npy", tmp_path / "out", do="apply", model=str(calibrated_run))
    rows = rows_of(tmp_path / "out")
    assert [row["apply_status"] for row in rows] == ["ok", "ok", "failed", "ok", "ok"]
    for row, image in zip(rows, images, strict=True):
        if row["apply_status"] == "ok":
            alone = answer_image(image, calibrated_run, pixel_scale=None, telescope=False)
            assert row["apply_answer"] == alone.answer
            assert row["apply_p_cdm"] == pytest.approx(alone.probabilities["cdm"], abs=1e-5)
