"""Grid of a benchmark: rows x protocols x recipes x seeds, read from YAML files."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lenspinn.config import build_config, parse_config, settings_command
from lenspinn.errors import ConfigError
from lenspinn.overlay import overlaid
from lenspinn.plain_yaml import Plain, shown
from lenspinn.simulate import get_recipe
from lenspinn.train import TrainConfig

ROWS, PROTOCOLS = "rows.yaml", "protocols.yaml"
"""Files beside the YAML file of a grid that define its labels."""

MOST_CELLS = 10_000
"""Largest number of cells of a grid."""

_PAPER_SCORES = ("parameters", "accuracy", "micro_f1", "auc_axion", "auc_cdm", "auc_no_sub")
_LABEL = re.compile(r"[a-z0-9][a-z0-9_.+-]*")


@dataclass(frozen=True, kw_only=True)
class RowConfig:
    """One row of a table: a network, its options and how it is trained."""

    title: str
    """Name of the row in tables and figures."""

    train: dict[str, Plain]
    """Settings of `lenspinn train`, nested or dotted: model.name at least."""

    under: dict[str, dict[str, Plain]] = field(default_factory=dict)
    """Further settings under single protocols, by the name of the protocol."""

    paper: dict[str, float] = field(default_factory=dict)
    """Values that a paper printed for the row: parameters (millions), accuracy, micro_f1,
    auc_<class>."""

    def __post_init__(self) -> None:
        for key in self.paper:
            if key not in _PAPER_SCORES:
                known = ", ".join(_PAPER_SCORES)
                raise ConfigError(f"paper has '{key}' in row '{self.title}'; known are {known}")


@dataclass(frozen=True, kw_only=True)
class ProtocolConfig:
    """Training of the networks of a grid, and the images on which they are measured."""

    title: str
    """Description in one line, for readers."""

    train: dict[str, Plain]
    """Settings of `lenspinn train`, nested or dotted; `data: stream` draws fresh images."""

    dataset: str = ""
    """Name of the dataset to train on; protocols may share it. Not with `data: stream`."""

    num_images: int = 0
    """Images of the dataset: training, validation and own test images together."""

    dataset_seed: int = 0
    """Seed of the dataset; that of a cell chooses the split and the weights."""

    num_test: int = 6000
    """Images of the test set that all cells of a recipe are measured on."""

    test_seed: int = 200
    """Seed of the test set."""

    def __post_init__(self) -> None:
        if self.dataset and not _LABEL.fullmatch(self.dataset):
            raise ConfigError(
                f"dataset {shown(self.dataset)} of protocol '{self.title}' must consist of a-z, "
                "0-9, '_', '.', '+', '-'"
            )
        for key, least in (
            ("num_images", 0),
            ("dataset_seed", 0),
            ("num_test", 1),
            ("test_seed", 0),
        ):
            if getattr(self, key) < least:
                raise ConfigError(
                    f"{key} of the protocol '{self.title}' must be at least {least}, got "
                    f"{getattr(self, key)}"
                )
        if self.streams == bool(self.dataset) or self.streams == bool(self.num_images):
            raise ConfigError(
                f"the protocol '{self.title}' needs either train.data: stream, or the name of a "
                "dataset and its num_images"
            )

    @property
    def streams(self) -> bool:
        """Whether training images are drawn as training goes on."""
        return self.train.get("data") == "stream"


@dataclass(frozen=True, kw_only=True)
class TableConfig:
    """One table and its figures."""

    title: str
    """Caption of the table."""

    rows: list[str]
    """Labels of rows, from top to bottom."""

    reference: str
    """The row that each row is compared with, image by image."""

    def __post_init__(self) -> None:
        if self.reference not in self.rows:
            raise ConfigError(
                f"reference '{self.reference}' of the table '{self.title}' is none of its rows: "
                f"{', '.join(self.rows)}"
            )


@dataclass(frozen=True, kw_only=True)
class GridConfig:
    """The YAML file of a benchmark."""

    title: str
    """Heading of its page."""

    protocols: list[str]
    """Names in protocols.yaml."""

    recipes: list[str]
    """Recipes of the images; `lenspinn recipes` lists them."""

    tables: list[TableConfig]
    """Each is made for every protocol and recipe."""

    seeds: list[int] = field(default_factory=lambda: [0])
    """Seeds of the split, the first weights and the order of the images."""

    def __post_init__(self) -> None:
        for key in ("protocols", "recipes", "tables", "seeds"):
            if not getattr(self, key):
                raise ConfigError(f"{key} must name at least one")
        for seed in self.seeds:
            if seed < 0:
                raise ConfigError(f"seeds must be at least 0, got {seed}")


@dataclass(frozen=True, kw_only=True)
class _RowsFile:
    rows: dict[str, RowConfig]


@dataclass(frozen=True, kw_only=True)
class _ProtocolsFile:
    protocols: dict[str, ProtocolConfig]


@dataclass(frozen=True, kw_only=True)
class TestSet:
    """Images on which the cells of a recipe are measured."""

    __test__ = False  # no test case, whatever pytest makes of the name

    path: Path
    recipe: str
    num: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One training and its measurement."""

    protocol: str
    recipe: str
    row: str
    """Label of the row."""
    seed: int
    config: TrainConfig
    command: str
    """Command that trains the cell by hand."""
    images: int
    """Number of training images in all epochs of the cell, stored or fresh."""
    test: TestSet
    result: Path
    """JSON file of the finished cell."""

    @property
    def name(self) -> str:
        """Name of the cell in messages."""
        return f"{self.protocol} {self.recipe} {self.row} seed {self.seed}"


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A benchmark with everything its labels stand for."""

    name: str
    path: Path
    config: GridConfig
    rows: dict[str, RowConfig]
    protocols: dict[str, ProtocolConfig]


def read_grid(path: Path) -> Grid:
    """Read the YAML file of a grid, and the rows and protocols it names from the files beside it.

    Raises
    ------
    ConfigError
        A file is missing, a key or label is unknown, or a label is no file name.
    """
    config = parse_config(GridConfig, [str(path)])
    known_rows = parse_config(_RowsFile, [str(path.with_name(ROWS))]).rows
    known_protocols = parse_config(_ProtocolsFile, [str(path.with_name(PROTOCOLS))]).protocols
    labels = list(dict.fromkeys(label for table in config.tables for label in table.rows))
    num = len(labels) * len(config.protocols) * len(config.recipes) * len(config.seeds)
    if num > MOST_CELLS:
        raise ConfigError(f"{path} asks for {num} trainings: at most {MOST_CELLS} can be")
    for recipe in config.recipes:
        get_recipe(recipe)
    return Grid(
        name=path.stem,
        path=path,
        config=config,
        rows=_named(labels, known_rows, path.with_name(ROWS)),
        protocols=_named(config.protocols, known_protocols, path.with_name(PROTOCOLS)),
    )


def _named(labels: list[str], known: dict[str, Any], path: Path) -> dict[str, Any]:
    for label in labels:
        if label not in known:
            raise ConfigError(f"there is no '{label}' in {path}; known are {', '.join(known)}")
        if not _LABEL.fullmatch(label):
            raise ConfigError(f"'{label}' in {path} must consist of a-z, 0-9, '_', '.', '+', '-'")
    return {label: known[label] for label in labels}


def grid_cells(grid: Grid, *, work: Path, out: Path) -> list[Cell]:
    """Return the cells of a grid, protocol by protocol, recipe by recipe, seed by seed.

    Parameters
    ----------
    grid
    work
        Datasets lie in its ``data/``, run folders in
        ``runs/<protocol>/<recipe>/<row>/s<seed>``.
    out
        Results lie in its ``cells/<protocol>/<recipe>/<row>/s<seed>.json``.

    Raises
    ------
    ConfigError
        The settings of a row and a protocol make no `TrainConfig`.
    """
    return [
        _cell(grid, protocol, recipe, row, seed, work=work, out=out)
        for protocol in grid.config.protocols
        for recipe in grid.config.recipes
        for seed in grid.config.seeds
        for row in grid.rows
    ]


def dataset_path(protocol: ProtocolConfig, recipe: str, work: Path) -> Path:
    """Return where the images that a protocol trains on lie."""
    return work / "data" / f"{protocol.dataset}-{_slug(recipe)}.zarr"


def _cell(
    grid: Grid, protocol_name: str, recipe: str, label: str, seed: int, *, work: Path, out: Path
) -> Cell:
    protocol, row = grid.protocols[protocol_name], grid.rows[label]
    place = Path(protocol_name, _slug(recipe), label)
    where: dict[str, Any] = {"seed": seed, "out": str(work / "runs" / place / f"s{seed}")}
    if protocol.streams:
        where["stream.recipe"] = recipe
    else:
        where["data"] = str(dataset_path(protocol, recipe, work))
    settings: dict[str, Any] = {}
    for layer in (protocol.train, row.train, row.under.get(protocol_name, {}), where):
        settings = overlaid(settings, layer)
    try:
        config = build_config(TrainConfig, settings)
    except ConfigError as error:
        raise ConfigError(f"row '{label}' under protocol '{protocol_name}': {error}") from error
    stored = round(config.split[0] * protocol.num_images)
    per_epoch = config.stream.images_per_epoch if protocol.streams else stored
    return Cell(
        protocol=protocol_name,
        recipe=recipe,
        row=label,
        seed=seed,
        config=config,
        command=settings_command("train", TrainConfig, settings),
        images=config.epochs * per_epoch,
        test=TestSet(
            path=work / "data" / f"test-{_slug(recipe)}.zarr",
            recipe=recipe,
            num=protocol.num_test,
            seed=protocol.test_seed,
        ),
        result=out / "cells" / place / f"s{seed}.json",
    )


def _slug(recipe: str) -> str:
    return recipe.replace("/", "_")
