import pytest

from lenspinn.simulate.limit.figure import limit_figure


def record(magnitude, name, scale):
    return {
        "recipe": "survey/hst",
        "instrument": "hst_wfc3_f160w",
        "n": 512,
        "magnitude": magnitude,
        "class": name,
        "significance_p10": 2.0 * scale,
        "significance_median": 3.0 * scale,
        "significance_p90": 8.0 * scale,
        "ideal_accuracy": 0.9,
        "ideal_accuracy_low": 0.85,
        "ideal_accuracy_high": 0.95,
    }


@pytest.fixture
def figure():
    scales = {"axion": 1.0, "cdm": 2.0, "no_sub": 0.0}
    records = [record(m, name, scale) for m in (20.0, 22.0) for name, scale in scales.items()]
    return limit_figure(records, num_classes=3)


def test_each_class_with_substructure_has_a_line_of_medians(figure):
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    assert list(lines["cdm: median"].get_ydata()) == [6.0, 6.0]
    assert "axion: median" in lines
    assert "no_sub: median" not in lines


def test_accuracy_is_drawn_once_a_magnitude_beside_guessing(figure):
    lines = {line.get_label(): line for line in figure.axes[1].get_lines()}
    ideal, guessing = lines.values()  # nobody had searched
    assert list(ideal.get_xdata()) == [20.0, 22.0]
    assert list(ideal.get_ydata()) == [0.9, 0.9]
    assert guessing.get_ydata()[0] == pytest.approx(1 / 3)


def test_a_search_is_drawn_where_there_was_one():
    searched = {"searching_accuracy": 0.7}
    searched |= {f"searching_accuracy_{end}": 0.7 for end in ("low", "high")}
    records = [record(m, "cdm", 1.0) | searched for m in (20.0, 22.0)]
    _, search, _ = limit_figure(records, num_classes=3).axes[1].get_lines()
    assert list(search.get_ydata()) == [0.7, 0.7]


def test_title_names_recipe_instrument_and_number_of_lenses(figure):
    assert figure.get_suptitle() == "survey/hst · hst_wfc3_f160w · 512 lenses"
