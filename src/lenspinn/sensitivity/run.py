"""Run of `lenspinn sensitivity`: rates of detection against mass and magnitude, on disk."""

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lenspinn.config import command_line, to_dict
from lenspinn.data.provenance import portable, portable_command, provenance
from lenspinn.errors import ConfigError
from lenspinn.evaluate.files import save_figure
from lenspinn.files import read_json, write_whole
from lenspinn.sensitivity.config import FIGURE, RESULT, TABLE, SensitivityConfig
from lenspinn.sensitivity.figure import sensitivity_figure
from lenspinn.sensitivity.ideal import (
    IDEAL,
    SeenLens,
    ideal_records,
    read_lenses,
    see_lenses,
    write_lenses,
)
from lenspinn.sensitivity.network import describe_network, load_network, network_records
from lenspinn.sensitivity.sweep import sweeps_of
from lenspinn.train import Run

__all__ = ["measure_sensitivity"]

SCHEMA_VERSION = 1
BATCH = 16
"""Number of lenses measured together, and so the most that an interruption loses."""
LENSES = "lenses.csv"
_ORDER = ("sweep", "class", "magnitude", "mass_low", "observer")
_COLUMNS = (
    *("recipe", "instrument", "observer", "sweep", "class", "quantity", "magnitude"),
    *("mass_low", "mass_high", "mass_median", "n", "rate", "rate_low", "rate_high"),
    *("threshold", "n_without", "converged"),
)

Record = dict[str, Any]


def measure_sensitivity(config: SensitivityConfig, progress: bool = True) -> Path:
    """Measure how often substructure is found, at 5 % false positives.

    Two observers look at lenses of the same priors: a network, if a run is given, and the ideal
    observer, which is told what substructure there would be and has to say whether it is there
    (`lenspinn.sensitivity.curves.ideal_rate`). No blind search can reach the ideal observer.

    Parameters
    ----------
    config
    progress
        Show progress bars on stderr.

    Returns
    -------
    Path
        ``sensitivity.json`` in ``config.out``. Its records are the points of the curves, which
        `lenspinn.sensitivity.curves.curve_points` describes; ``network`` is None if none was given.
        Beside it the same points in ``sensitivity.csv``, ``sensitivity.png``, and in ``lenses.csv``
        each lens of the ideal observer. The same call continues an interrupted one; asking for more
        lenses, or giving a run, adds to the results.

    Raises
    ------
    ConfigError
        If the recipe or the run cannot be used, the run was trained for another instrument or on
        the same seed, or ``config.out`` holds another measurement.
    """
    state = _State(config)
    own, _ = sweeps_of(config)
    run = None if config.run is None else load_network(config.run, own, config.seed)
    state.check_network(run)
    config.out.mkdir(parents=True, exist_ok=True)  # after all refusals, before the long part
    state.write()
    if run is not None:
        _measure_network(state, run, progress)
    _measure_ideal(state, progress)
    return state.write()


def _measure_network(state: "_State", run: Run, progress: bool) -> None:
    config = state.config
    done = {(r["sweep"], r["magnitude"]) for r in state.network_records}
    pieces = [(sweep, m) for sweep in sweeps_of(config) for m in sweep.magnitudes]
    pending = [(sweep, m) for sweep, m in pieces if (sweep.name, m) not in done]
    for sweep, magnitude in tqdm(pending, unit=" magnitudes", disable=not progress):
        state.network_records += network_records(run, sweep, magnitude, config.num, config.seed)
        state.write()


def _measure_ideal(state: "_State", progress: bool) -> None:
    config = state.config
    for sweep in sweeps_of(config):
        done = len({seen.lens for seen in state.lenses if seen.sweep == sweep.name})
        with tqdm(
            total=config.num_lenses,
            initial=done,
            desc=f"against {sweep.name}",
            unit=" lenses",
            disable=not progress,
        ) as bar:
            for start in range(done, config.num_lenses, BATCH):
                indices = range(start, min(start + BATCH, config.num_lenses))
                state.lenses += see_lenses(sweep, config.seed, indices)
                write_lenses(config.out / LENSES, state.lenses)
                bar.update(len(indices))


class _State:
    """State of a measurement, in memory and in the folder."""

    lenses: list[SeenLens]
    network_records: list[Record]
    network: Record | None

    def __init__(self, config: SensitivityConfig) -> None:
        self.config = config
        self.lenses, self.network_records, self.network = [], [], None
        path = config.out / RESULT
        if not path.exists():
            if (config.out / LENSES).exists():
                raise ConfigError(f"{config.out} has {LENSES} without {RESULT}: choose another out")
            return
        try:
            result = read_json(path, ConfigError)
            schema, there = result["schema"], dict(result["config"])
            self.network = result["network"]
            self.network_records = [r for r in result["records"] if r["observer"] != IDEAL]
            for record in self.network_records:
                _ = str(record["sweep"]), float(record["magnitude"])
        except (LookupError, OverflowError, TypeError, ValueError):
            raise ConfigError(
                f"{path} is not a sensitivity of lenspinn; choose another out"
            ) from None
        if schema != SCHEMA_VERSION:
            raise ConfigError(f"{path} has schema {schema}, this lenspinn writes {SCHEMA_VERSION}")
        for key, value in self.identity.items():
            if there.get(key) != value:
                raise ConfigError(f"{path} was measured with another {key}; choose another out")
        self.lenses = read_lenses(config.out / LENSES)

    @property
    def identity(self) -> Record:
        """Settings that every record depends on."""
        own, wide = sweeps_of(self.config)
        content = {
            "seed": self.config.seed,
            "magnitudes": own.magnitudes,
            "mass_magnitudes": wide.magnitudes,
            "recipe_config": own.recipe.to_dict(),
            "mass_recipe_config": wide.recipe.to_dict(),
        }
        # As JSON returns it, so that it can be compared with what was written.
        return dict(json.loads(json.dumps(content)))

    def check_network(self, run: Run | None) -> None:
        """Make a run the network of this measurement, unless the measurement has another one."""
        if run is None:
            return
        network = describe_network(run, self.config.num)
        for key in ("weights_sha256", "num"):
            if self.network is not None and self.network[key] != network[key]:
                raise ConfigError(
                    f"{self.config.out / RESULT} was measured with another network ({key} "
                    f"{self.network[key]}, not {network[key]}); choose another out"
                )
        self.network = network

    @property
    def records(self) -> list[Record]:
        """Points of all curves, in a fixed order."""
        ideal = [r for sweep in sweeps_of(self.config) for r in ideal_records(sweep, self.lenses)]
        records = [*self.network_records, *ideal]
        records.sort(key=lambda record: [record[key] or 0 for key in _ORDER])
        return records

    def write(self) -> Path:
        """Replace the results as a whole, so that they are valid whenever the run ends."""
        out, records = self.config.out, self.records
        result = {
            "schema": SCHEMA_VERSION,
            "command": portable_command(command_line("sensitivity", self.config)),
            "config": portable(to_dict(self.config)) | self.identity,
            **provenance(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "network": self.network,
            "records": records,
        }
        recipe = sweeps_of(self.config)[0].recipe
        facts = {"recipe": recipe.name, "instrument": recipe.instrument.name}
        write_whole(out / TABLE, _csv([facts | record for record in records]).encode())
        save_figure(sensitivity_figure(records, **facts, network=self.network), out / FIGURE)
        return write_whole(out / RESULT, (json.dumps(result, indent=2) + "\n").encode())


def _csv(records: Sequence[Record]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()
