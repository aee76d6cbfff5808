"""The page of a benchmark: tables, figures, commands, and what was not run."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lenspinn.benchmark.cell import Finished, read_cell
from lenspinn.benchmark.figures import cam_figure, comparison_figure
from lenspinn.benchmark.grid import Cell, Grid, TableConfig
from lenspinn.benchmark.table import (
    Line,
    csv_rows,
    csv_text,
    latex_table,
    markdown_table,
    table_lines,
)
from lenspinn.evaluate.files import save_figure
from lenspinn.files import write_whole

README = "README.md"

_HEAD = """# Benchmarks

Written by `lenspinn benchmark`, from the files in `cells/` alone: one JSON a training, with its
settings, seed, versions, hardware and date. Change nothing here by hand.

One seed: the score and its 95 % bootstrap interval over test images, without the scatter between
seeds. Several: mean ± standard deviation over seeds. Differences are paired, image by image, at the
chosen epoch, with the 95 % interval over resampled images. *Chosen*: the weights of the epoch with
the best score on validation images; *final*: those after the last one. AUC, ECE and ROC curves are
those of the chosen epoch. Micro F1 equals accuracy where each image has one class. Images a second
count validation, on whatever else the machine did. Under each map of Grad-CAM stand the network's
answer and its probability, orange where it is wrong.

"Paper" is Ojha, Toomey, Gleyzer & Kumbam (2024), whatever the protocol beside it: 50 epochs, CNNs
from ImageNet weights, and the epoch chosen on the test images.
"""


@dataclass
class _Output:
    """Text and numbers that one grid writes."""

    markdown: list[str] = field(default_factory=list)
    latex: list[str] = field(default_factory=list)
    numbers: list[dict[str, Any]] = field(default_factory=list)


def write_page(grid: Grid, cells: Sequence[Cell], out: Path) -> Path:
    """Build tables and figures of a grid, and the page of all grids that share a folder.

    Parameters
    ----------
    grid
    cells
        All cells of the grid; what is not finished is "not run".
    out
        Gets ``<grid>.md``, ``.tex``, ``.csv``, the figures ``<grid>_*.png``, and ``README.md``.

    Returns
    -------
    Path
        ``README.md``.
    """
    out.mkdir(parents=True, exist_ok=True)
    finished = [(cell, read_cell(cell)) for cell in cells]
    output = _Output()
    output.markdown += [f"## {grid.config.title}", "", f"`lenspinn benchmark {grid.path}`", ""]
    output.markdown += [_made_with([content for _, content in finished if content]), ""]
    for protocol in grid.config.protocols:
        for recipe in grid.config.recipes:
            here = [(c, f) for c, f in finished if (c.protocol, c.recipe) == (protocol, recipe)]
            _write_section(grid, protocol, recipe, here, out, output)
    output.markdown += _not_run([cell for cell, content in finished if content is None])
    for suffix, text in (
        ("md", "\n".join(output.markdown)),
        ("tex", "\n".join(output.latex)),
        ("csv", csv_text(output.numbers)),
    ):
        write_whole(out / f"{grid.name}.{suffix}", text.encode())
    pages = sorted(path for path in out.glob("*.md") if path.name != README)
    text = "\n".join([_HEAD, *(path.read_text() for path in pages)])
    return write_whole(out / README, text.encode())


def _write_section(
    grid: Grid,
    protocol: str,
    recipe: str,
    finished: Sequence[tuple[Cell, Finished | None]],
    out: Path,
    output: _Output,
) -> None:
    """Add the tables and figures of one protocol and recipe."""
    cells: dict[str, dict[int, Finished]] = {}
    for cell, content in finished:
        if content is not None:
            cells.setdefault(cell.row, {})[cell.seed] = content
    output.markdown += [f"### Protocol `{protocol}` on `{recipe}`", ""]
    output.markdown += [grid.protocols[protocol].title, ""]
    for number, table in enumerate(grid.config.tables, start=1):
        lines = table_lines(table, grid.rows, cells)
        reference = grid.rows[table.reference].title
        caption = f"{table.title} Protocol {protocol} on {recipe}."
        output.markdown += [f"**{table.title}**", "", markdown_table(lines, reference), ""]
        output.latex.append(latex_table(lines, reference, caption))
        output.numbers += csv_rows(
            lines, {"table": table.title, "protocol": protocol, "recipe": recipe}
        )
        stem = f"{grid.name}_{protocol}_{recipe.replace('/', '_')}_{number}"
        output.markdown += _draw(lines, table, out, stem)


def _draw(lines: Sequence[Line], table: TableConfig, out: Path, stem: str) -> list[str]:
    """Draw the figures of a table, if anything was run, and return the Markdown that shows them."""
    if not any(line.cells for line in lines):
        return []
    pictures = {
        "learning": (comparison_figure(lines), "micro F1, training loss and ROC"),
        "cam": (cam_figure(lines), "Grad-CAM over preprocessed images"),
    }
    text = []
    for name, (figure, meaning) in pictures.items():
        path = save_figure(figure, out / f"{stem}_{name}.png")
        text += [f"![{table.title} {meaning}]({path.name})", ""]
    return text


def _made_with(finished: Sequence[Finished]) -> str:
    if not finished:
        return "Nothing was run yet."
    machines = sorted({_machine(cell) for cell in finished})
    commits = sorted({_commit(cell["trained_with"]["git"]) for cell in finished})
    dates = sorted(cell["date"][:10] for cell in finished)
    when = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    return (
        f"{len(finished)} cells, trained on {'; '.join(machines)}; measured {when}; commits "
        f"{', '.join(commits)}."
    )


def _commit(git: dict[str, Any] | None) -> str:
    if git is None:
        return "unknown"
    return git["commit"][:7] + (" with changes" if git["dirty"] else "")


def _machine(cell: Finished) -> str:
    trained = cell["trained_with"]
    hardware = trained["hardware"]
    gpu = hardware["gpu"] or "no GPU"
    threads = f"{trained['num_threads']} of {hardware['cores']} cores"
    return f"{hardware['cpu']}, {threads} a cell, {gpu}, torch {trained['versions']['torch']}"


def _not_run(cells: Sequence[Cell]) -> list[str]:
    if not cells:
        return ["Every cell of this grid was run.", ""]
    places: dict[str, list[str]] = {}
    for cell in cells:
        place = f"`{cell.protocol}` on `{cell.recipe}`, seed {cell.seed}"
        places.setdefault(place, []).append(f"`{cell.row}`")
    return ["**Not run**", "", *(f"- {p}: {', '.join(rows)}" for p, rows in places.items()), ""]
