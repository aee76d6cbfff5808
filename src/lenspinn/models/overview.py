"""Table of `lenspinn models`: every network, and the trained weights that come with lenspinn.

The table is made without torch.
"""

from typing import NamedTuple

from lenspinn.errors import ModelError
from lenspinn.files import read_json
from lenspinn.models.names import NETWORKS, list_models
from lenspinn.models.trained import list_trained, shipped_folder

__all__ = ["describe_models"]

NOTHING = "-"
HEADINGS = ("network", "parameters", "trained weights", "accuracy", "what it is")


class Weights(NamedTuple):
    """Trained weights that come with lenspinn, as their evaluation describes them."""

    name: str
    network: str
    parameters: int
    accuracy: str
    """Accuracy on test images with its 95 % interval, as text."""
    measured_on: str


def describe_models() -> list[str]:
    """Return the lines of a table: each network, and each set of weights trained for it.

    Raises
    ------
    ModelError
        The evaluation of weights that come with lenspinn is missing or damaged.
    """
    trained = [_weights(name) for name in list_trained()]
    rows = [HEADINGS]
    for name in list_models():
        known = NETWORKS.get(name)  # None for networks that other packages registered
        parameters = f"{known.parameters:,}" if known else NOTHING
        rows.append((name, parameters, NOTHING, NOTHING, known.summary if known else NOTHING))
        rows += [
            (name, f"{each.parameters:,}", each.name, each.accuracy, each.measured_on)
            for each in trained
            if each.network == name
        ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _weights(name: str) -> Weights:
    path = shipped_folder() / name / "evaluation.json"
    content = read_json(path, ModelError)
    try:
        record = content["records"][0]
        accuracy, low, high = (record[f"accuracy{end}"] for end in ("", "_low", "_high"))
        return Weights(
            name=name,
            network=record["model"],
            parameters=record["parameters"],
            accuracy=f"{accuracy:.3f} ({low:.3f} to {high:.3f})",
            measured_on=f"on {record['n_test']:,} images of {record['recipe']} that chose nothing",
        )
    except (LookupError, TypeError, ValueError) as error:
        raise ModelError(f"{path} is no evaluation of a network: install lenspinn again") from error
