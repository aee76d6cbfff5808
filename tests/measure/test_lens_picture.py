import dataclasses

from lenspinn.apply.picture import BAD, GOOD
from lenspinn.measure import LensMeasurement
from lenspinn.measure.lens_picture import measurement_figure


def test_it_shows_data_model_residual_and_source(measured: LensMeasurement) -> None:
    figure = measurement_figure(measured, "J0000")
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert len(titles) == 6
    assert "data" in titles
    assert any("residual" in title for title in titles)
    assert any("critical curve" in title for title in titles)
    assert any("caustic" in title for title in titles)


def test_a_doubtful_measurement_is_headed_in_red(measured: LensMeasurement) -> None:
    doubtful = dataclasses.replace(measured, reasons=("too faint",))
    for shown, color in ((measured, GOOD), (doubtful, BAD)):
        heading = measurement_figure(shown, "J0000").get_suptitle()
        assert heading.startswith("J0000: theta_E")
        assert measurement_figure(shown, "J0000")._suptitle.get_color() == color


def test_it_can_be_drawn_from_python_with_a_name_and_without(measured: LensMeasurement) -> None:
    assert measured.plot("J0000").get_suptitle().startswith("J0000: theta_E")
    assert measured.plot().get_suptitle().startswith("theta_E")
