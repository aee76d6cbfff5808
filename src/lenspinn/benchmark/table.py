"""Finished cells to tables: Markdown for readers, LaTeX for papers, CSV for machines."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lenspinn.benchmark.cell import CHOSEN, FINAL, Finished, decode_bits
from lenspinn.benchmark.grid import RowConfig, TableConfig
from lenspinn.evaluate.metrics import paired_difference

NOT_RUN = "not run"
NOTHING = "-"
"""Text of an empty entry."""
SCORES = ("accuracy", "micro_f1", "macro_f1", "auc_axion", "auc_cdm", "auc_no_sub", "auc_micro")
CSV_SCORES = (*SCORES, "ece")


@dataclass(frozen=True)
class Line:
    """One row of a table: the finished cells of a row, one a seed."""

    label: str
    row: RowConfig
    cells: dict[int, Finished]
    """Finished cells by seed; empty where nothing was run."""
    difference: tuple[float, float, float] | None
    """Accuracy minus that of the reference row on the same images, and its 95 % interval."""

    def values(self, weights: str, score: str) -> list[float]:
        """Return a score of the chosen or the final epoch for each seed, where it is defined."""
        records = [record(cell, weights) for cell in self.cells.values()]
        return [float(item[score]) for item in records if item.get(score) is not None]

    @property
    def images_per_second(self) -> float:
        """Training images a second over all seeds, validation included."""
        ends = [cell["history"][-1] for cell in self.cells.values()]
        return float(sum(e["images_seen"] for e in ends) / sum(e["seconds"] for e in ends))


def record(cell: Finished, weights: str) -> dict[str, Any]:
    """Return the record of the chosen or of the final epoch."""
    return next(item for item in cell["records"] if item["weights"] == weights)


def table_lines(
    table: TableConfig, rows: dict[str, RowConfig], cells: dict[str, dict[int, Finished]]
) -> list[Line]:
    """Gather the lines of a table from the finished cells of one protocol and recipe.

    Parameters
    ----------
    table
    rows
        Rows by label.
    cells
        Finished cells by label and seed.
    """
    reference = cells.get(table.reference, {})
    return [
        Line(label, rows[label], cells.get(label, {}), _difference(cells.get(label, {}), reference))
        for label in table.rows
    ]


def _difference(
    cells: dict[int, Finished], reference: dict[int, Finished]
) -> tuple[float, float, float] | None:
    """Compare over the seeds that both have."""
    seeds = sorted(cells.keys() & reference.keys())
    if not seeds or cells is reference:
        return None
    ours, theirs = (
        np.mean([_correct(group[seed]) for seed in seeds], axis=0) for group in (cells, reference)
    )
    return paired_difference(ours, theirs)


def _correct(cell: Finished) -> np.ndarray:
    num = record(cell, CHOSEN)["n_test"]
    return decode_bits(cell["correct"][CHOSEN], num).astype(np.float64)


Column = tuple[str, Callable[[Line], str]]


def columns(reference: str) -> list[Column]:
    """Return heading and content of each column of the printed tables.

    Parameters
    ----------
    reference
        Title of the row that others are compared with.
    """
    return [
        ("model", lambda line: line.row.title),
        ("parameters (M)", _parameters),
        ("accuracy in the paper", lambda line: _paper(line, "accuracy")),
        ("accuracy, chosen epoch", lambda line: _score(line, CHOSEN, "accuracy")),
        ("accuracy, final epoch", lambda line: _score(line, FINAL, "accuracy")),
        (f"difference to {reference}", _compared),
        *((f"AUC {name}", _auc(name)) for name in ("no_sub", "cdm", "axion")),
        ("ECE", lambda line: _mean(line, "ece", 3)),
        ("chosen after images", lambda line: _mean(line, "images_seen", 0)),
        ("images/s", lambda line: f"{line.images_per_second:.0f}" if line.cells else NOTHING),
        ("seeds", lambda line: ", ".join(map(str, sorted(line.cells))) or NOTHING),
    ]


def markdown_table(lines: Sequence[Line], reference: str) -> str:
    """Print a table in Markdown."""
    spec = columns(reference)
    rows = [[content(line) for _, content in spec] for line in lines]
    header = [heading for heading, _ in spec]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(spec), *rows))


def latex_table(lines: Sequence[Line], reference: str, caption: str) -> str:
    """Print a table in LaTeX, for the package booktabs."""
    spec = columns(reference)
    body = [[content(line) for _, content in spec] for line in lines]
    rows = [" & ".join(map(_tex, row)) + r" \\" for row in body]
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{_tex(caption)}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(spec) - 1)}}}",
            r"\toprule",
            " & ".join(_tex(heading) for heading, _ in spec) + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def csv_rows(lines: Sequence[Line], place: dict[str, str]) -> list[dict[str, Any]]:
    """Return the numbers of a table, one dictionary a line; `place` says which table it is."""
    return [place | _csv_row(line) for line in lines]


def csv_text(rows: Sequence[dict[str, Any]]) -> str:
    """Write dictionaries of equal keys as CSV."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def _csv_row(line: Line) -> dict[str, Any]:
    parameters = line.values(FINAL, "parameters")
    row: dict[str, Any] = {
        "row": line.label,
        "title": line.row.title,
        "status": "run" if line.cells else NOT_RUN,
        "seeds": " ".join(map(str, sorted(line.cells))),
        "parameters": int(parameters[0]) if parameters else None,
        "images_per_s": round(line.images_per_second, 1) if line.cells else None,
    }
    for weights in (CHOSEN, FINAL):
        for score in CSV_SCORES:
            values = line.values(weights, score)
            single = len(line.cells) == 1
            row[f"{weights}_{score}"] = np.mean(values) if values else None
            row[f"{weights}_{score}_spread"] = np.std(values, ddof=1) if len(values) > 1 else None
            for end in ("low", "high"):
                ends = line.values(weights, f"{score}_{end}")
                row[f"{weights}_{score}_{end}"] = ends[0] if single and ends else None
    names = ("difference", "difference_low", "difference_high")
    row |= dict(zip(names, line.difference or (None,) * 3, strict=True))
    for score in ("parameters", "accuracy", "micro_f1", "auc_axion", "auc_cdm", "auc_no_sub"):
        row[f"paper_{score}"] = line.row.paper.get(score)
    return row


def _parameters(line: Line) -> str:
    ours = line.values(FINAL, "parameters")
    paper = f" (paper {line.row.paper['parameters']:.2f})" if "parameters" in line.row.paper else ""
    return (f"{ours[0] / 1e6:.2f}" if ours else NOTHING) + paper


def _paper(line: Line, score: str) -> str:
    return f"{line.row.paper[score]:.3f}" if score in line.row.paper else NOTHING


def _score(line: Line, weights: str, score: str) -> str:
    values = line.values(weights, score)
    if not values:
        return NOT_RUN
    if len(values) > 1:
        return f"{np.mean(values):.4f} ± {np.std(values, ddof=1):.4f}"
    (low,), (high,) = (line.values(weights, f"{score}_{end}") for end in ("low", "high"))
    return f"{values[0]:.4f} ({low:.4f} to {high:.4f})"


def _compared(line: Line) -> str:
    if line.difference is None:
        return NOTHING
    difference, low, high = (100 * value for value in line.difference)
    return f"{difference:+.2f} ({low:+.2f} to {high:+.2f}) points"


def _auc(name: str) -> Callable[[Line], str]:
    def content(line: Line) -> str:
        ours = _mean(line, f"auc_{name}", 4)
        paper = line.row.paper.get(f"auc_{name}")
        return ours if paper is None else f"{ours} (paper {paper:.2f})"

    return content


def _mean(line: Line, score: str, decimals: int) -> str:
    values = line.values(CHOSEN, score)
    return f"{np.mean(values):,.{decimals}f}" if values else NOTHING


def _tex(text: str) -> str:
    for character, safe in (
        ("_", r"\_"),
        ("%", r"\%"),
        ("&", r"\&"),
        ("±", r"$\pm$"),
        ("+", "$+$"),
    ):
        text = text.replace(character, safe)
    return text
