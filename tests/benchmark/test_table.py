import csv
import io

import numpy as np
import pytest

from lenspinn.benchmark.cell import CHOSEN, decode_bits
from lenspinn.benchmark.grid import RowConfig, TableConfig
from lenspinn.benchmark.table import (
    csv_rows,
    csv_text,
    latex_table,
    markdown_table,
    table_lines,
)

ROWS = {
    "small": RowConfig(
        title="LensPINN_small",
        train={},
        paper={"parameters": 7.17, "accuracy": 0.956, "auc_cdm": 0.99},
    ),
    "other": RowConfig(title="Other", train={}),
}
TABLE = TableConfig(title="T & T", rows=["small", "other"], reference="small")


def cells_of(text, label):
    line = next(line for line in text.splitlines() if label in line)
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.fixture
def lines(make_cell):
    return table_lines(TABLE, ROWS, {"small": {0: make_cell(0.9)}, "other": {0: make_cell(0.7)}})


def test_one_seed_is_printed_with_its_interval_beside_the_paper(lines):
    record = lines[0].cells[0]["records"][0]
    title, parameters, paper, chosen, *_ = cells_of(
        markdown_table(lines, "LensPINN_small"), "| LensPINN_small"
    )
    assert (title, parameters, paper) == ("LensPINN_small", "7.17 (paper 7.17)", "0.956")
    low, high = record["accuracy_low"], record["accuracy_high"]
    assert chosen == f"{record['accuracy']:.4f} ({low:.4f} to {high:.4f})"


def test_several_seeds_are_printed_with_their_mean_and_spread(make_cell):
    cells = {"small": {seed: make_cell(0.9, seed=seed) for seed in (0, 2)}}
    lines = table_lines(TABLE, ROWS, cells)
    accuracies = [cell["records"][0]["accuracy"] for cell in cells["small"].values()]
    row = cells_of(markdown_table(lines, "LensPINN_small"), "| LensPINN_small")
    assert row[3] == f"{np.mean(accuracies):.4f} ± {np.std(accuracies, ddof=1):.4f}"
    assert row[-1] == "0, 2"


def test_a_row_without_cells_is_not_run(make_cell):
    lines = table_lines(TABLE, ROWS, {"small": {0: make_cell()}})
    row = cells_of(markdown_table(lines, "LensPINN_small"), "| Other")
    assert row[3:5] == ["not run", "not run"]
    assert row[5] == "-"
    (_, other) = csv_rows(lines, {"table": "T"})
    assert (other["status"], other["chosen_accuracy"]) == ("not run", None)


def test_rows_are_compared_with_the_reference_on_the_same_images(lines):
    rates = [
        decode_bits(line.cells[0]["correct"][CHOSEN], 300).mean() for line in (lines[1], lines[0])
    ]
    assert lines[0].difference is None
    difference, low, high = lines[1].difference
    assert difference == pytest.approx(rates[0] - rates[1])
    assert low < difference < high < 0


def test_seeds_that_only_one_row_has_are_not_compared(make_cell):
    cells = {"small": {0: make_cell(0.9)}, "other": {1: make_cell(0.7, seed=1)}}
    assert table_lines(TABLE, ROWS, cells)[1].difference is None


def test_speed_counts_all_seeds(make_cell):
    cells = {"small": {0: make_cell(epochs=5), 1: make_cell(epochs=3)}}
    assert table_lines(TABLE, ROWS, cells)[0].images_per_second == pytest.approx(360)


def test_latex_has_the_same_columns_and_no_bare_special_characters(lines):
    text = latex_table(lines, "LensPINN_small", TABLE.title)
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    widths = {line.replace(r"\&", "").count(" & ") for line in body}
    assert widths == {markdown_table(lines, "x").splitlines()[1].count("---") - 1}
    assert r"\caption{T \& T}" in text
    assert r"LensPINN\_small" in text
    assert "±" not in text


def test_csv_holds_the_numbers_unrounded(lines):
    rows = list(csv.DictReader(io.StringIO(csv_text(csv_rows(lines, {"table": "T"})))))
    record = lines[1].cells[0]["records"][0]
    assert rows[1]["row"] == "other"
    assert float(rows[1]["chosen_macro_f1"]) == record["macro_f1"]
    assert float(rows[1]["chosen_macro_f1_high"]) == record["macro_f1_high"]
    assert float(rows[0]["paper_auc_cdm"]) == 0.99
