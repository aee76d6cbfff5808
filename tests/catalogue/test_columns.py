import pyarrow as pa

from lenspinn.apply.answer import Answer, Mismatch
from lenspinn.catalogue.columns import (
    EVERY_JOB,
    answer_columns,
    answer_values,
    job_schema,
    measurement_values,
)
from lenspinn.data.fits import TelescopeImage
from lenspinn.measure.lens_file import numbers_of
from lenspinn.models.quantities import QUANTITIES


def own_names(schema: pa.Schema, job: str) -> set[str]:
    names = {name.removeprefix(f"{job}_") for name in schema.names}
    return names - {column.name for column in EVERY_JOB}


def test_what_was_measured_fills_the_columns_and_no_others(measured, scene):
    image = TelescopeImage(scene.image, scene.pixel_scale, zero_point=25.0)
    values = measurement_values(numbers_of(measured, image))
    sky = {"ra_deg", "dec_deg", "lens_east_of_north_deg"}
    assert set(values) == own_names(job_schema("measure"), "measure") - sky
    assert values["theta_E_arcsec"] == measured.theta_E
    assert values["source_magnitude"] == measured.plain.with_magnitude(25.0).source["magnitude"]
    assert values["power_law_slope_error"] == measured.power_law.slope_error


def test_what_is_not_known_of_a_lens_is_empty(measured, scene):
    image = TelescopeImage(scene.image, scene.pixel_scale)
    assert measurement_values(numbers_of(measured, image))["source_magnitude"] is None


def test_columns_say_their_units():
    field = job_schema("measure").field("measure_theta_E_arcsec")
    assert field.metadata == {b"unit": b"arcsec"}
    assert job_schema("detect").field("detect_chance").metadata in (None, {})


def test_an_answer_fills_the_columns_of_its_network():
    quantity = QUANTITIES["axion_mass_eV"]
    answer = Answer(
        probabilities={"axion": 0.2, "cdm": 0.8},
        theta_E=1.2,
        pixel_scale=0.05,
        mismatches=(Mismatch("noise", "it is too low", serious=False),),
    )
    values = answer_values(answer)
    schema = job_schema("apply", answer_columns(["axion", "cdm"], [quantity]))
    predicted = {f"predicted_{quantity.column}{end}" for end in ("", "_sigma")}
    assert set(values) == own_names(schema, "apply") - predicted
    assert values["answer"] is None  # it is not calibrated
    assert values["most_probable"] == "cdm"
    assert values["p_axion"] == 0.2
    assert values["mismatches"] == "noise: it is too low"
