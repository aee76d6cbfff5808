from matplotlib.figure import Figure

from lenspinn.data.style import COLORS, clean_axes, draw_band


def test_colors_are_distinct():
    assert len(set(COLORS)) == len(COLORS) >= 6


def test_clean_axes_keep_left_and_bottom():
    axes = Figure().add_subplot()
    clean_axes(axes)
    visible = {name for name, spine in axes.spines.items() if spine.get_visible()}
    assert visible == {"left", "bottom"}


def test_a_band_lies_behind_its_line():
    axes = Figure().add_subplot()
    draw_band(axes, [1.0, 2.0], [0.5, 0.6], [0.4, 0.5], [0.7, 0.8], label="a", color=COLORS[0])
    (line,), (band,) = axes.get_lines(), axes.collections
    assert line.get_label() == "a"
    assert list(line.get_ydata()) == [0.5, 0.6]
    assert band.get_paths()[0].get_extents().extents.tolist() == [1, 0.4, 2, 0.8]
