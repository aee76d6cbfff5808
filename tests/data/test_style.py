from matplotlib.figure import Figure

from lenspinn.data.style import COLORS, clean_axes


def test_colors_are_distinct():
    assert len(set(COLORS)) == len(COLORS) >= 6


def test_clean_axes_keep_left_and_bottom():
    axes = Figure().add_subplot()
    clean_axes(axes)
    visible = {name for name, spine in axes.spines.items() if spine.get_visible()}
    assert visible == {"left", "bottom"}
