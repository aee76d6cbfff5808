import numpy as np

from lenspinn.detect.detect_lens import Setting, search
from lenspinn.detect.detection_picture import detection_figure


def test_a_search_without_mocks_says_so_in_its_picture(lens):
    found = search(lens, Setting(mocks=0, injected=0))
    figure = detection_figure(found, "a lens")
    texts = [text.get_text() for axes in figure.get_axes() for text in axes.texts]
    assert "chance not measured: no mocks" in texts
    assert figure.get_suptitle().startswith("a lens: ")


def test_a_search_with_mocks_shows_them(lens):
    found = search(lens, Setting(mocks=10, injected=4))
    figure = detection_figure(found, "a lens")
    titles = [axes.get_title() for axes in figure.get_axes()]
    assert any("mocks without clumps" in title for title in titles)
    assert "data:image/png" in found._repr_html_()
    assert found.plot("x").get_suptitle().startswith("x: ")
    for clump in found.clumps:
        peak = clump.candidate.peak
        assert np.isclose(found.height, peak.height).any()
        (axes,) = clump.plot().get_axes()
        looks = [label.get_text() for label in axes.get_yticklabels()]
        assert looks == [look.model for look in clump.looks]
        assert clump.robust == ("robust" in axes.get_title())
    assert not any(
        "not measured" in text.get_text() for axes in figure.get_axes() for text in axes.texts
    )
