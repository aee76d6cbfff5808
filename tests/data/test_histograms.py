import numpy as np
import pytest

from lenspinn.data.histograms import _present, _varies, truth_histograms
from lenspinn.errors import DataError


def test_a_picture_is_drawn(dataset, tmp_path):
    picture = truth_histograms(dataset, tmp_path / "new" / "truth.png")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_empty_places_and_absent_values_are_not_counted():
    wide = np.array([[1.0, 0.0, np.nan], [2.0, 3.0, 0.0]])
    assert list(_present(wide)) == [1.0, 2.0, 3.0]
    assert list(_present(np.array([0.0, np.nan, 2.0]))) == [0.0, 2.0]


def test_what_is_the_same_in_all_images_is_left_out():
    assert not _varies(np.full(5, 1e12))
    assert not _varies(np.array([np.nan, 3.0, np.nan]))
    assert _varies(np.array([1.0, 2.0]))


def test_a_dataset_without_truth_has_no_histograms(dataset, tmp_path, monkeypatch):
    from lenspinn.data import histograms

    store = histograms.ImageStore.open(dataset)
    monkeypatch.setattr(store, "truth", {}, raising=False)
    monkeypatch.setattr(histograms.ImageStore, "open", lambda path: store)
    with pytest.raises(DataError, match="no truth that varies"):
        truth_histograms(dataset, tmp_path / "a.png")
