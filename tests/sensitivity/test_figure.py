import pytest

from lenspinn.sensitivity.figure import sensitivity_figure

NAMES = {"recipe": "survey/hst", "instrument": "hst_wfc3_f160w"}


def record(observer, sweep, name, magnitude, mass=None):
    return {
        "observer": observer,
        "sweep": sweep,
        "class": name,
        "quantity": "vortex_mass" if name == "axion" else "subhalo_mass",
        "magnitude": magnitude,
        "mass_low": mass and mass / 2,
        "mass_high": mass and mass * 2,
        "mass_median": mass,
        "rate": 0.4,
        "rate_low": 0.3,
        "rate_high": 0.5,
    }


def records(*observers):
    return [
        record(observer, *rest)
        for observer in observers
        for name in ("axion", "cdm")
        for rest in (
            ("mass", name, 22.0, 1e9),
            ("mass", name, 22.0, 1e10),
            ("mass", name, 24.0, 1e9),
            ("magnitude", name, 20.0),
            ("magnitude", name, 24.0),
        )
    ]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_there_is_a_panel_for_each_quantity_with_its_unit():
    figure = sensitivity_figure(records("ideal", "lenspinn_fit"), **NAMES, network=None)
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert labels == [
        r"mass of the most massive subhalo ($M_\odot$)",
        r"mass of the vortex ($M_\odot$)",
        "magnitude of the unlensed source (AB)",
    ]
    assert [axes.get_xscale() for axes in figure.axes] == ["log", "log", "linear"]
    assert figure.axes[0].get_ylabel() == "detected, at 5% false positives"


@pytest.mark.parametrize(("observers", "lines"), [(("ideal",), 2), (("ideal", "net"), 4)])
def test_each_observer_has_a_line_for_each_magnitude_and_class(observers, lines):
    figure = sensitivity_figure(records(*observers), **NAMES, network=None)
    for axes in figure.axes:
        assert len(axes.get_lines()) == lines + 1  # and the false positives
        assert len(axes.collections) == lines


def test_the_figure_says_whose_network_it_is_or_that_none_was_run():
    network = {"model": "lenspinn_fit", "trained_on": "survey/hst"}
    figure = sensitivity_figure(records("ideal", "lenspinn_fit"), **NAMES, network=network)
    assert legend(figure)[1] == "lenspinn_fit, trained on survey/hst"
    figure = sensitivity_figure(records("ideal"), **NAMES, network=None)
    assert legend(figure)[1] == "network: not run"


def test_before_anything_is_measured_there_is_a_figure():
    assert len(sensitivity_figure([], **NAMES, network=None).axes) == 1
