"""Columns that each job adds to a table, and the values of its results in them.

Their names, types and order are settled before the first lens, so that every part of a catalogue
has the same, whatever its lenses were like.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import pyarrow as pa

from lenspinn.catalogue.read_table import UNIT

if TYPE_CHECKING:  # networks take seconds to import, which measuring does not need
    from lenspinn.apply.answer import Answer
    from lenspinn.detect.detection import Detection
    from lenspinn.models.quantities import Quantity

__all__ = [
    "JOBS",
    "Job",
    "Values",
    "answer_columns",
    "answer_values",
    "detection_values",
    "job_schema",
    "measurement_values",
]

Job = Literal["measure", "detect", "apply"]
JOBS: tuple[Job, ...] = get_args(Job)
Values = dict[str, Any]
"""Values of one lens, by the name of the column without the name of the job."""

TEXT, NUMBER, WHOLE, TRUTH = pa.string(), pa.float64(), pa.int64(), pa.bool_()


class Column(NamedTuple):
    """Column of a job."""

    name: str
    type: pa.DataType = NUMBER
    unit: str | None = None


EVERY_JOB = (
    Column("status", TEXT),
    Column("message", TEXT),
    Column("notes", TEXT),
    Column("seconds", NUMBER, "s"),
)
"""Columns of every job: ``ok`` or ``failed``; the reason of a failure, in one sentence; steps that
were done without being asked for; and the wall time, which no two runs share."""


def _with_errors(part: str, names: Sequence[tuple[str, str | None]]) -> list[Column]:
    return [
        Column(f"{part}_{name}{error}", NUMBER, unit)
        for name, unit in names
        for error in ("", "_error")
    ]


LENS = (
    ("e1", None),
    ("e2", None),
    ("axis_ratio", None),
    ("position_angle_deg", "deg"),
    ("center_x_arcsec", "arcsec"),
    ("center_y_arcsec", "arcsec"),
    ("gamma1", None),
    ("gamma2", None),
    ("shear", None),
    ("shear_angle_deg", "deg"),
)
SOURCE = (
    ("x_arcsec", "arcsec"),
    ("y_arcsec", "arcsec"),
    ("e1", None),
    ("e2", None),
    ("axis_ratio", None),
    ("position_angle_deg", "deg"),
    ("R_sersic_arcsec", "arcsec"),
    ("n_sersic", None),
    ("flux", None),
    ("magnification", None),
    ("magnitude", "mag"),
)
LENS_LIGHT = ("flux_in_frame", "magnitude_in_frame")
MEASURE = (
    Column("trusted", TRUTH),
    Column("reasons", TEXT),
    *(
        Column(name, NUMBER, "arcsec")
        for name in (
            "theta_E_arcsec",
            "theta_E_error_arcsec",
            "theta_E_statistical_error_arcsec",
            "theta_E_systematic_error_arcsec",
            "theta_E_without_shear_arcsec",
            "ring_radius_arcsec",
            "pixel_scale_arcsec",
        )
    ),
    Column("chi2_per_pixel"),
    Column("gain"),
    Column("spread"),
    Column("lens_light_mode", TEXT),
    Column("power_law_theta_E_arcsec", NUMBER, "arcsec"),
    Column("power_law_slope"),
    Column("power_law_slope_error"),
    *_with_errors("lens", LENS),
    *_with_errors("source", SOURCE),
    *(Column(f"lens_light_{name}") for name in LENS_LIGHT),
    Column("ra_deg", NUMBER, "deg"),
    Column("dec_deg", NUMBER, "deg"),
    Column("lens_east_of_north_deg", NUMBER, "deg"),
)
DETECT = (
    Column("trusted", TRUTH),
    Column("reasons", TEXT),
    Column("verdict", TEXT),
    Column("theta_E_arcsec", NUMBER, "arcsec"),
    Column("num_candidates", WHOLE),
    Column("num_claimed", WHOLE),
    Column("x_arcsec", NUMBER, "arcsec"),
    Column("y_arcsec", NUMBER, "arcsec"),
    Column("inner_mass_arcsec2", NUMBER, "arcsec2"),
    Column("inner_mass_solar_masses", NUMBER, "solMass"),
    Column("significance"),
    Column("chance"),
    Column("robust", TRUTH),
    Column("median_mass_at_5_sigma_arcsec2", NUMBER, "arcsec2"),
    Column("median_mass_limit_arcsec2", NUMBER, "arcsec2"),
    Column("best_mass_limit_arcsec2", NUMBER, "arcsec2"),
)
"""Columns of ``detect``; place, mass and chance are those of the candidate with the highest
peak."""


def answer_columns(classes: Sequence[str], quantities: Sequence["Quantity"]) -> list[Column]:
    """Return the columns of a network with some classes and quantities."""
    predicted = [
        Column(f"predicted_{quantity.column}{end}")
        for quantity in quantities
        for end in ("", "_sigma")
    ]
    return [
        Column("trusted", TRUTH),
        Column("answer", TEXT),
        Column("verdict", TEXT),
        Column("most_probable", TEXT),
        *(Column(f"p_{name}") for name in classes),
        Column("shift_p_value"),
        Column("theta_E_arcsec", NUMBER, "arcsec"),
        *predicted,
        Column("mismatches", TEXT),
    ]


def job_schema(job: Job, of_network: Sequence[Column] = ()) -> pa.Schema:
    """Return the columns of a job, each beginning with its name.

    Parameters
    ----------
    job
    of_network
        `answer_columns`, for ``apply``.
    """
    own = {"measure": MEASURE, "detect": DETECT, "apply": tuple(of_network)}[job]
    return pa.schema(
        [
            pa.field(
                f"{job}_{column.name}",
                column.type,
                metadata={} if column.unit is None else {UNIT: column.unit.encode()},
            )
            for column in (*EVERY_JOB, *own)
        ]
    )


def measurement_values(record: Mapping[str, Any]) -> Values:
    """Return the values of the columns of ``measure``.

    Parameters
    ----------
    record
        Record by `lenspinn.measure.lens_file.numbers_of`.
    """
    parameters, errors = record["parameters"], record["errors"]
    values = {column.name: record[column.name] for column in MEASURE if column.name in record}
    values["reasons"] = "; ".join(record["reasons"])
    values |= {f"power_law_{name}": value for name, value in record["power_law"].items()}
    for part, names in (("lens", LENS), ("source", SOURCE)):
        for name, _ in names:
            values[f"{part}_{name}"] = parameters[part].get(name)
            values[f"{part}_{name}_error"] = errors[part].get(name)
    light = parameters.get("lens_light", {})
    values |= {f"lens_light_{name}": light.get(name) for name in LENS_LIGHT}
    if "sky" in record:
        lens, angles = record["sky"]["lens"], record["sky"]["position_angles_east_of_north_deg"]
        values |= {name: lens.get(name) for name in ("ra_deg", "dec_deg")}
        values["lens_east_of_north_deg"] = angles["lens"]
    return values


def detection_values(detection: "Detection") -> Values:
    """Return the values of the columns of ``detect``."""
    record = detection.to_json()
    values = {column.name: record[column.name] for column in DETECT if column.name in record}
    values["reasons"] = "; ".join(detection.reasons)
    values |= {
        "num_candidates": len(detection.clumps),
        "num_claimed": len(detection.claimed),
    }
    if record["clumps"]:
        first = record["clumps"][0]
        names = ("x_arcsec", "y_arcsec", "inner_mass_arcsec2", "inner_mass_solar_masses")
        values |= {name: first[name] for name in (*names, "chance", "robust")}
        values["significance"] = first["peak"]["significance"]
    return values


def answer_values(answer: "Answer") -> Values:
    """Return the values of the columns of ``apply``."""
    values: Values = {
        "trusted": answer.trusted,
        "answer": answer.answer,
        "verdict": answer.verdict,
        "most_probable": answer.most_probable,
        "theta_E_arcsec": answer.theta_E,
        "shift_p_value": None if answer.uncertainty is None else answer.uncertainty.shift,
        "mismatches": "; ".join(f"{found.kind}: {found.message}" for found in answer.mismatches),
    }
    values |= {f"p_{name}": chance for name, chance in answer.probabilities.items()}
    for estimate in answer.estimates:
        values[f"predicted_{estimate.quantity.column}"] = estimate.mean
        values[f"predicted_{estimate.quantity.column}_sigma"] = estimate.sigma
    return values
