from matplotlib.figure import Figure

from lenspinn.data.style import CLASS_COLORS, COLORS, class_colors, clean_axes, draw_band


def test_colors_are_distinct():
    assert len(set(COLORS)) == len(COLORS) >= 6


def test_a_class_has_its_color_whatever_stands_beside_it():
    assert class_colors(["no_sub", "cdm"]) == {
        name: CLASS_COLORS[name] for name in ("no_sub", "cdm")
    }


def test_other_classes_have_other_colors():
    colors = class_colors(["axion", "cdm", "no_sub", "warm", "cold"])
    assert len(set(colors.values())) == 5


def test_there_are_colors_for_any_number_of_classes():
    assert len(class_colors(f"class_{number}" for number in range(9))) == 9


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
